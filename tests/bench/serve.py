"""How HLS is served under load. Rows (s) to (w); `make bench` runs it after bench.py.

Row (s): segments and playlists a second against nginx with the same bytes as files, both on one core, in turn; the
load comes from the other core, which never sleeps: waking it would cost the server more than an answer does. A server
that also encodes is not all there for serving, and this machine is not all ours: the ratio is of requests for each second of the server's CPU, less what it uses when nobody asks.
Row (t): 2,000 low-latency players. Row (u): memory of a player that waits. Row (v): origin fetches behind a caching
nginx. Row (w): HTTP/2 without TLS. `--only st` measures those alone, `--rounds N` sets how often, `--clients N` how many.
"""

import json, os, re, shutil, statistics, subprocess, sys, tempfile, threading, time, urllib.request

from common import can_connect, cpu_seconds, free_port, table


def option(name, default):
    return type(default)(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = option("--binary", f"{ROOT}/target/release/vitrine")
VIEWERS = option("--viewers", f"{ROOT}/target/release/examples/viewers")
ROUNDS, CLIENTS = option("--rounds", 5), option("--clients", 2000)
WORK = tempfile.mkdtemp(prefix="vitrine-serve-")
SERVERS_CORE, CLIENTS_CORE = 0, 1
TICK = os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """Of both cores, whoever used them."""
    fields = [int(word) for word in open("/proc/stat").readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / TICK


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])


STARTED = []


def spawn(core, *command, **more):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    STARTED.append(subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], **{**quiet, **more}))
    return STARTED[-1]


def until(look, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    sys.exit("serve: a condition was not met in time")


def quiet(most=0.5, patience=3):
    """Waits until others leave most of the machine to us, for a while."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        before = busy_seconds()
        time.sleep(0.5)
        if (busy_seconds() - before) / 0.5 < most:
            return


class Server:
    def __init__(self, canvas=(640, 360), kbps=None, dvr_min=0):
        data = tempfile.mkdtemp(dir=WORK)
        config = f"{data}/bench.toml"
        with open(config, "w") as file:
            file.write(f"[hls]\ndvr_min = {dvr_min}\n[channels.main]\nrungs = []\nwidth = {canvas[0]}\nheight = {canvas[1]}\n")
            file.write(f"video_kbps = {kbps}\n" if kbps else "")
        self.process = spawn(
            SERVERS_CORE, BINARY, "--config", config, "--data-dir", data, "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0",
            "--srt", "127.0.0.1:0", "--admin-token", "bench-admin-token", "--stream-key", "bench-stream-key",
            stderr=open(f"{WORK}/log", "w"))
        path = f"{data}/endpoints.json"
        until(lambda: os.path.exists(path))
        found = json.load(open(path))
        self.address, self.rtmp = found["http"], f"rtmp://{found['rtmp']}/live/bench-stream-key"
        self.pid = self.process.pid
        until(lambda: b".5.m4s" in self.get("/live/main/video.m3u8"))
        time.sleep(2)  # past the segments that are made ahead

    def get(self, path, accept=None):
        request = urllib.request.Request(f"http://{self.address}{path}", headers={"accept-encoding": accept} if accept else {})
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.read()

    def publish(self, seconds):
        """Pictures that need all the bits they are given, for a while."""
        host = spawn(CLIENTS_CORE, "ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30,noise=alls=30:allf=t",
                     "-f", "lavfi", "-i", "anoisesrc=amplitude=0.1:sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast",
                     "-tune", "zerolatency", "-b:v", "6000k", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "flv", self.rtmp)
        time.sleep(seconds)
        host.kill()
        host.wait()

    def segments(self):
        return re.findall(r"^video/\d+\.m4s", self.get("/live/main/video.m3u8").decode(), re.M)

    def idle(self, seconds=3):
        """CPU seconds a second when nobody asks."""
        before = cpu_seconds(self.pid)
        time.sleep(seconds)
        return (cpu_seconds(self.pid) - before) / seconds

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Nginx:
    """One process. In `http`, its configuration, FOLDER and PORT are replaced."""

    def __init__(self, http):
        self.folder, port = tempfile.mkdtemp(dir=WORK), free_port()
        os.chmod(self.folder, 0o755)
        text = http.replace("FOLDER", self.folder).replace("PORT", str(port))
        open(f"{self.folder}/nginx.conf", "w").write(
            f"daemon off; master_process off; pid {self.folder}/pid; error_log {self.folder}/log; worker_processes 1;\n"
            f"worker_rlimit_nofile 20000;\nevents {{ worker_connections 16384; }}\n"
            f"http {{ client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p; fastcgi_temp_path {self.folder}/f;\n"
            f"uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s; keepalive_requests 100000000; {text} }}\n")
        self.address = f"127.0.0.1:{port}"
        self.process = spawn(SERVERS_CORE, "nginx", "-p", self.folder, "-c", f"{self.folder}/nginx.conf")
        self.pid = self.process.pid
        until(lambda: can_connect(port))

    def stop(self):
        self.process.terminate()
        self.process.wait()


FILES = """
types { application/vnd.apple.mpegurl m3u8; video/mp4 m4s; } access_log off; sendfile SENDFILE; tcp_nopush on; gzip_static on;
gzip_vary on; open_file_cache max=100; open_file_cache_valid 1s;
server { listen 127.0.0.1:PORT; root FOLDER/files; add_header Cache-Control "public, max-age=1";
add_header Access-Control-Allow-Origin *; }
"""
CACHE = """
proxy_cache_path FOLDER/cache keys_zone=hls:10m max_size=1g; map $upstream_addr $is_fetch { "" 0; default 1; }
log_format fetch "$upstream_cache_status $upstream_status $request_uri"; access_log FOLDER/fetches fetch if=$is_fetch;
upstream origin { server ORIGIN; keepalive 64; }
server { listen 127.0.0.1:PORT backlog=4096; location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_cache hls; proxy_cache_lock on; proxy_cache_lock_timeout 10s; proxy_cache_lock_age 10s; add_header X-Cache $upstream_cache_status; } }
"""


def load(address, mode, *words):
    """A run of the load client: what it printed, its CPU seconds, and how long it took."""
    start = time.monotonic()
    client = spawn(CLIENTS_CORE, VIEWERS, mode, "--address", address, *words, stdout=subprocess.PIPE)
    _, status, used = os.wait4(client.pid, 0)
    client.returncode = status
    found = json.loads(client.stdout.read())
    return found, used.ru_utime + used.ru_stime, time.monotonic() - start


def spread(values):
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def against_files(name, server, nginx, find, accept, bar=0.9):
    """(s): requests for each CPU second, in turn; the median of the ratios. `find` gives the path, for each round anew."""
    idle = server.idle(2)
    ratios, plain, ours, theirs = [], [], [], []
    for _ in range(ROUNDS):
        words = ["--path", find(), "--connections", 16, "--seconds", 1.5] + (["--accept", accept] if accept else [])
        quiet()
        round = []
        for one in (nginx, server):
            before, everything = cpu_seconds(one.pid), busy_seconds()
            found, used, took = load(one.address, "throughput", *words)
            cpu = cpu_seconds(one.pid) - before
            foreign = busy_seconds() - everything - cpu - used
            serving = cpu - (idle * took if one is server else 0)
            round.append((found["count"] / serving, found["requests"], cpu / took, used / took, foreign / took, found["length"]))
        ratios.append(round[1][0] / round[0][0])
        plain.append(round[1][1] / round[0][1])
        theirs.append(round[0])
        ours.append(round[1])
    middle = lambda rows, n: statistics.median(row[n] for row in rows)
    print(f"{name}, {ours[0][5]} bytes: CPU ratio {spread(ratios)}, rate ratio {spread(plain)}; "
          f"ours {middle(ours, 0):.0f}/cpu s, {middle(ours, 1):.0f}/s with {middle(ours, 2):.2f} cores (idle {idle:.2f}), client {middle(ours, 3):.2f}; "
          f"nginx {middle(theirs, 0):.0f}/cpu s, {middle(theirs, 1):.0f}/s with {middle(theirs, 2):.2f} cores, client {middle(theirs, 3):.2f}; "
          f"others {max(middle(ours, 4), middle(theirs, 4)):.2f}", flush=True)
    return f"(s) {name} a CPU second / nginx", statistics.median(ratios), bar, ">="


def file_rows():
    server = Server(kbps=3000)
    nginx = Nginx(FILES.replace("SENDFILE", "on"))
    copying = Nginx(FILES.replace("SENDFILE", "off").replace("FOLDER/files", f"{nginx.folder}/files"))
    files = f"{nginx.folder}/files/live/main"
    os.makedirs(f"{files}/video")
    os.chmod(WORK, 0o755)

    def copy(name):
        open(f"{files}/{name}", "wb").write(server.get(f"/live/main/{name}"))
        return f"/live/main/{name}"

    def largest():
        return max(server.segments()[-3:], key=lambda name: len(server.get(f"/live/main/{name}")))

    def newest_part():
        """Of what players at the live edge ask for: of a host whose pictures are as heavy as they may be."""
        server.publish(5)
        return copy(largest().replace(".m4s", ".1.m4s"))

    def copied(name):
        path = copy(name)
        return lambda: path

    yield against_files("small segments", server, nginx, copied(server.segments()[-1]), None)
    # Segments stay in memory for a minute, the longest that there is without a disk.
    server.publish(8)
    yield against_files("large segments", server, nginx, copied(largest()), None)
    server.publish(8)
    yield against_files("large segments without sendfile", server, copying, copied(largest()), None)
    yield against_files("large parts", server, nginx, newest_part, None)
    playlist = copy("video.m3u8")
    open(f"{files}/video.m3u8.gz", "wb").write(server.get(playlist, "gzip"))
    yield against_files("playlists, gzip", server, nginx, lambda: playlist, "gzip")
    yield against_files("playlists, plain", server, nginx, lambda: playlist, None)
    server.stop()
    server = Server(kbps=3000, dvr_min=30)
    server.publish(8)
    large = largest()
    time.sleep(20)  # no longer in memory
    yield against_files("large segments from disk", server, nginx, copied(large), None)
    yield against_files("large segments from disk without sendfile", server, copying, copied(large), None)
    for one in (server, nginx, copying):
        one.stop()


def player_rows():
    yield from players("hinted", "that ask for the hinted part")
    yield from players("blocking", "one after the other")


def players(mode, manner):
    """(t): players ask for a part before it is there, or when a playlist lists it."""
    server = Server()
    idle = server.idle()
    maxima, p99s, spent = [], [], []
    for _ in range(ROUNDS):
        quiet(patience=10)
        before, everything = cpu_seconds(server.pid), busy_seconds()
        found, used, took = load(server.address, mode, "--clients", CLIENTS, "--seconds", 10, "--accept", "gzip")
        cpu = cpu_seconds(server.pid) - before
        foreign = (busy_seconds() - everything - cpu - used) / took
        maxima.append(found["max"])
        p99s.append(found["p99"])
        each = CLIENTS / max(found["delivered"], 1) * 1000
        spent.append((cpu - idle * took) * each)
        print(f"{CLIENTS} players {manner}, parts of {found['partBytes']} bytes: p50 {found['p50']}, p99 {found['p99']}, max {found['max']} ms; the last "
              f"had it after {found['lastP50']} (p50); missed {found['missed']}, errors {found['errors']} {found['firstError']}; CPU a part: "
              f"server {spent[-1]:.0f} ms, client {used * each:.0f} ms; others {foreign:.2f} cores", flush=True)
    server.stop()
    yield f"(t) {CLIENTS} players {manner}, until the last has a part, ms", statistics.median(maxima), 100, "<="
    yield f"(t) {CLIENTS} players {manner}, until 99 % have a part, ms", statistics.median(p99s), 100, "<="
    print(f"{CLIENTS} players {manner}: the server's CPU for a part {statistics.median(spent):.0f} ms", flush=True)


def memory_rows():
    """(u): a new server for each, because memory that was given back may be kept."""
    for mode, count in (("hold", 2000), ("hold", 8000), ("blocking", 2000)):
        each = []
        for _ in range(min(ROUNDS, 3)):
            server = Server()
            time.sleep(5)
            before = rss_kib(server.pid)
            client = threading.Thread(target=load, args=(server.address, mode, "--clients", count, "--seconds", 6, "--accept", "gzip"))
            client.start()
            most = 0
            while client.is_alive():
                time.sleep(0.1)
                most = max(most, rss_kib(server.pid))
            each.append((most - before) / count)
            server.stop()
        print(f"{count} clients, {mode}: {spread(each)} KiB each over {before} KiB", flush=True)
        yield f"(u) a waiting client of {count} ({mode}), KiB", statistics.median(each), 16, "<="


def cache_rows():
    server = Server()
    nginx = Nginx(CACHE.replace("ORIGIN", server.address))
    found, _, _ = load(nginx.address, "blocking", "--clients", 1000, "--seconds", 12, "--accept", "gzip")
    nginx.stop()
    server.stop()
    counts = {}
    for line in open(f"{nginx.folder}/fetches"):
        cache, _, path = line.split(" ", 2)
        counts.setdefault("playlist" if "_HLS" in path else "part" if "m4s" in path else "other", {}).setdefault(path, []).append(cache)
    for kind in ("playlist", "part"):
        each = [len(fetches) for fetches in counts[kind].values()]
        print(f"behind a cache: {len(each)} {kind} addresses, {sum(each)} fetches, at most {max(each)} of one", flush=True)
        yield f"(v) origin fetches of a {kind} for 1,000 players", max(each), 1, "<="
    print(f"behind a cache: p50 {found['p50']}, p99 {found['p99']}, max {found['max']} ms; missed {found['missed']}, errors {found['errors']} {found['firstError']}")


def http2_rows():
    server = Server()
    out = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
                          f"http://{server.address}/live/main/video.m3u8"], capture_output=True, text=True).stdout
    yield "(w) HTTP/2 without TLS answers", float(out == "2 200"), 1, ">="
    if shutil.which("h2load"):
        for words in (["--h1"], ["-m", "10"]):
            report = subprocess.run(["taskset", "-c", str(CLIENTS_CORE), "h2load", *words, "-c", "16", "-D", "3", "-H", "accept-encoding: gzip",
                                     f"http://{server.address}/live/main/video.m3u8"], capture_output=True, text=True).stdout
            print(words, *re.findall(r"(?:finished in|requests:|status codes:).*", report), sep="\n  ", flush=True)
    server.stop()


ROWS = {"s": file_rows, "t": player_rows, "u": memory_rows, "v": cache_rows, "w": http2_rows}


def main():
    rows = [row for letter, measure in ROWS.items() if letter in option("--only", "stuvw") for row in measure()]
    missed = table(rows)
    shutil.rmtree(WORK, ignore_errors=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    try:
        main()
    finally:
        for process in STARTED:
            process.kill()
