"""Prints one table of ratios, each measured in one run on this machine. `make bench` runs it.

Rows (a), (b): CPU of the whole server against ffmpeg doing the same work on the same clip at the same time.
Rows (c), (j), (k), (l): what cards cost, see cards.py and blend.rs. Row (m): a ladder. Rows (n), (o): see glass.py. Row (p): see crowd.rs. Row (q): see room.py. Rows (d) to (g): seconds, frames and MiB against their bars.
Row (h): publishers that come and leave, in turn with nginx-rtmp. Row (i): what a publisher costs that only waits.
Only 127.0.0.1 is spoken to. `--minutes N` sets how long the server runs for (a), (b) and (g); 1 by default;
growth of memory is judged from 3 minutes on. `--only hi` measures those rows alone.
"""

import json, os, re, shutil, subprocess, sys, tempfile, time, urllib.request

import cards, glass, room
from common import can_connect, cpu_seconds, free_port, table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MINUTES = float(sys.argv[sys.argv.index("--minutes") + 1]) if "--minutes" in sys.argv else 1.0
TOKEN, KEY = "bench-admin-token", "bench-stream-key"
WORK = tempfile.mkdtemp(prefix="vitrine-bench-")
KBPS = 3000


def rss_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) / 1024


def spawn(*command, **more):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([str(word) for word in command], **{**quiet, **more})


def until(look, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.005)
    sys.exit("bench: a condition was not met in time")


class Server:
    def __init__(self, rungs="[]"):
        """One rung, like what it is compared with, unless told otherwise."""
        data = tempfile.mkdtemp(dir=WORK)
        config = f"{data}/bench.toml"
        with open(config, "w") as file:
            file.write(f"[channels.main]\nrungs = {rungs}\n")
        self.process = spawn(
            f"{ROOT}/target/release/vitrine", "--config", config, "--data-dir", data,
            "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0", "--srt", "127.0.0.1:0",
            "--admin-token", TOKEN, "--stream-key", KEY, stderr=open(f"{WORK}/log", "w"))
        path = f"{data}/endpoints.json"
        until(lambda: os.path.exists(path))
        found = json.load(open(path))
        self.token = TOKEN
        self.http, self.rtmp = f"http://{found['http']}", f"rtmp://{found['rtmp']}/live/{KEY}"

    def get(self, path):
        with urllib.request.urlopen(self.http + path, timeout=20) as response:
            return response.read()

    def api(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.http}/api/v1{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def channel(self):
        return self.api("GET", "/state")["channels"][0]

    def until_on_time(self):
        """Past the start, when segments are made ahead as fast as they can be."""
        until(lambda: (found := self.channel())["programmeMs"] and found["behindMs"] < 50)

    def product(self):
        self.api("PUT", "/products/cup", {
            "title": "Ceramic cup 陶瓷杯 ☕", "priceMinor": 8900, "oldPriceMinor": 12900, "currency": "CNY"})
        self.api("PUT", "/cards/cup", {"sku": "cup"})

    def publish(self, clip):
        return spawn("ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv", self.rtmp)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def make_clip():
    """Ten seconds that are hard enough to encode: moving shapes over noise, with sound."""
    clip = f"{WORK}/clip.flv"
    subprocess.run([
        "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30,noise=alls=6:allf=t",
        "-f", "lavfi", "-i", "anoisesrc=amplitude=0.1:sample_rate=48000", "-t", "10", "-c:v", "libx264",
        "-preset", "veryfast", "-b:v", "4000k", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", clip], check=True)
    return clip


def ffmpeg_same(clip, png):
    """ffmpeg, published to over RTMP as the server is, with the encoder settings of pipelines/programme.gst; with
    an overlay if `png` is given. Returns it and its publisher. Its number of encoder threads is its own choice, as the server's is; `--threads N` sets it."""
    threads = ["-threads:v", sys.argv[sys.argv.index("--threads") + 1]] if "--threads" in sys.argv else []
    out = tempfile.mkdtemp(dir=WORK)
    overlay = ["-i", png, "-filter_complex", "[0:v][1:v]overlay=50:490[v]", "-map", "[v]", "-map", "0:a"] if png else []
    address = f"rtmp://127.0.0.1:{free_port()}/live/bench"
    ffmpeg = spawn(
        "ffmpeg", "-v", "error", "-listen", "1", "-i", address, *overlay,
        "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", *threads,
        "-x264-params", "sliced-threads=0:scenecut=0:bframes=0", "-g", "60",
        "-b:v", f"{KBPS}k", "-maxrate", f"{KBPS}k", "-bufsize", f"{KBPS * 6 // 10}k",
        "-c:a", "aac", "-b:a", "128k", "-f", "hls", "-hls_time", "2", "-hls_segment_type", "fmp4",
        "-hls_flags", "delete_segments", f"{out}/index.m3u8")
    time.sleep(1)  # it has no way to say that it listens
    publisher = spawn("ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv", address)
    until(lambda: os.path.exists(f"{out}/index.m3u8"))
    return ffmpeg, publisher


def whole_path(clip):
    """(a), (b), (g): the three run side by side, so that a busy machine slows all alike."""
    server = Server()
    server.product()
    server.until_on_time()
    host = server.publish(clip)
    until(lambda: server.channel()["showing"] == "live")
    server.api("POST", "/cards/cup/show", {})
    picture = urllib.request.Request(f"{server.http}/api/v1/cards/cup/preview.png", headers={"authorization": f"Bearer {TOKEN}"})
    png = f"{WORK}/card.png"
    open(png, "wb").write(urllib.request.urlopen(picture).read())
    (with_overlay, host_2), (plain, host_3) = ffmpeg_same(clip, png), ffmpeg_same(clip, None)
    time.sleep(5)  # past every start-up
    pids = [server.process.pid, with_overlay.pid, plain.pid]
    before = [cpu_seconds(pid) for pid in pids]
    # Memory grows until the playlist's window is full, twice its length after the start.
    time.sleep(min(75, MINUTES * 60 / 2))
    rss_before = rss_mib(server.process.pid)
    time.sleep(MINUTES * 60 - min(75, MINUTES * 60 / 2))
    used = [cpu_seconds(pid) - start for pid, start in zip(pids, before)]
    rss = rss_mib(server.process.pid)
    for process in (host, host_2, host_3, with_overlay, plain):
        process.kill()
        process.wait()
    server.stop()
    seconds = MINUTES * 60
    print(f"CPU seconds per second: server {used[0] / seconds:.3f}, ffmpeg with overlay {used[1] / seconds:.3f}, "
          f"ffmpeg plain {used[2] / seconds:.3f}; RSS {rss_before:.0f} to {rss:.0f} MiB in {MINUTES:g} min")
    return used[0] / used[1], used[0] / used[2], rss, rss - rss_before


def ladder(clip):
    """(m): a channel's usual three rungs, pictures for producers included, against one ffmpeg that decodes the same clip,
    scales it and runs the same three x264 encodes. Each does the same work on one core, in turn, as fast as it can: side by
    side in real time, either counts the other's cache misses and what a shared machine takes away."""
    config, seconds = f"{WORK}/ladder.toml", 10
    with open(config, "w") as file:
        file.write("[channels.main]\nrungs = [{ height = 432, kbps = 1100 }, { height = 234, width = 416, kbps = 145 }]\n")
    each = lambda kbps: [
        "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-threads:v", "1", "-g", "60",
        "-x264-params", "sliced-threads=0:scenecut=0:bframes=0", "-b:v", f"{kbps}k", "-maxrate", f"{kbps}k", "-bufsize", f"{kbps * 6 // 10}k",
        "-an", "-f", "null", "-"]
    ours = [f"{ROOT}/target/release/examples/ladder", config, clip]
    bare = ["ffmpeg", "-v", "error", "-threads", "1", "-i", clip, "-filter_complex",
            "[0:v]split=3[a][b][c];[b]scale=768:432:flags=bilinear[d];[c]scale=416:234:flags=bilinear[e]",
            "-map", "[a]", *each(KBPS), "-map", "[d]", *each(1100), "-map", "[e]", *each(145)]
    one_core = ["taskset", "-c", str(max(os.sched_getaffinity(0)))]
    used = []
    for turn in range(9):  # whichever is first in a pair has the other's caches
        commands = {"ours": ours, "bare": bare} if turn % 2 == 0 else {"bare": bare, "ours": ours}
        cpu = {name: cards.child_cpu(one_core + command) for name, command in commands.items()}
        used.append((cpu["ours"], cpu["bare"]))
    ratios = sorted(ours / bare for ours, bare in used)
    print(f"three rungs, CPU seconds for {seconds} s of 720p30, ours and bare: {[tuple(round(u, 2) for u in pair) for pair in used]}")
    print(f"their ratios: {[round(ratio, 3) for ratio in ratios]}")
    return ratios[len(ratios) // 2]


def first_frame(clip):
    """(d): from the start of ffmpeg's process to the first listed part that shows the host."""
    server = Server()
    server.until_on_time()
    start = time.monotonic()
    host = server.publish(clip)
    status = until(lambda: (found := server.channel())["showing"] == "live" and found)
    frame = status["programmeMs"] * 30 // 1000
    server.get(f"/live/main/video.m3u8?_HLS_msn={frame // 60}&_HLS_part={frame % 60 // 10}")
    took = time.monotonic() - start
    host.kill()
    server.stop()
    return took


def command_to_frame():
    """(e): frames from a command to the first composed picture that shows it, the worst of ten."""
    server = Server()
    server.product()
    server.until_on_time()
    worst = 0
    for _ in range(10):
        rev = server.api("POST", "/cards/cup/show", {})["rev"]
        state = server.api("GET", "/state")
        command_ms = state["airings"][0]["sinceProgramme"] / 1e6
        drawn = until(lambda: (found := server.channel())["drawnRev"] >= rev and found)
        worst = max(worst, (drawn["drawnMs"] - command_ms) * 30 / 1000)
        server.api("POST", "/clear", {})
    server.stop()
    return worst


def frame_to_part():
    """(f): a flash goes into an encoder at a known moment; when is the part that holds it to be had?"""
    server = Server()
    server.until_on_time()
    flashes = glass.Flashes(server, spawn)
    until(lambda: server.channel()["showing"] == "live")
    text = server.get("/live/main/video.m3u8").decode()
    init = server.get("/live/main/" + re.search(r'EXT-X-MAP:URI="([^"]+)"', text)[1])
    segment = int(re.search(r'TYPE=PART,URI="video/(\d+)', text)[1]) + 1
    had, segments = {}, {}
    for n in range(segment, segment + 7):
        for part in range(6):
            segments[n] = segments.get(n, b"") + until(lambda: part_bytes(server, n, part))
            had[n, part] = time.time()
    flashes.stop()
    server.stop()
    delays = []
    dark = True
    for n, media in segments.items():
        gray = subprocess.run(["ffmpeg", "-v", "error", "-i", "-", "-vf", "scale=1:1", "-f", "rawvideo", "-pix_fmt", "gray", "-"],
                              input=init + media, capture_output=True, check=True).stdout
        for frame, value in enumerate(gray):
            if value > 120 and dark:
                at = had[n, frame // 10]
                delays.append(at - max(moment for moment in flashes.sent if moment < at))
            dark = value < 120
    print(f"frame to part: {[f'{delay:.2f}' for delay in delays]} s")
    return max(delays)


class Nginx:
    """nginx-rtmp, one process, taking publishers and nothing else."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(dir=WORK)
        self.port = free_port()
        open(f"{self.folder}/nginx.conf", "w").write(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\ndaemon off; master_process off;\n"
            f"pid {self.folder}/pid; error_log {self.folder}/log;\nevents {{ worker_connections 1024; }}\n"
            f"rtmp {{ server {{ listen 127.0.0.1:{self.port}; application live {{ live on; }} }} }}\n")
        self.process = spawn("nginx", "-p", self.folder, "-c", f"{self.folder}/nginx.conf")
        until(lambda: can_connect(self.port))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def connections():
    """(h): publishers a second that come and leave, in turn with nginx-rtmp; the ratio of the medians."""
    server, nginx = Server(), Nginx()
    server.until_on_time()
    client = f"{ROOT}/target/release/examples/connect"
    ours, theirs = [], []
    for _ in range(5):
        for rates, address, name in (
                (ours, server.rtmp.split("/")[2], KEY), (theirs, f"127.0.0.1:{nginx.port}", "n{}")):
            out = subprocess.run([client, address, "live", name, "2"], check=True, capture_output=True, text=True).stdout
            rates.append(float(out))
    server.stop()
    nginx.stop()
    ours, theirs = sorted(ours)[2], sorted(theirs)[2]
    print(f"publish and leave: {ours:.0f} a second, nginx-rtmp {theirs:.0f}")
    return ours / theirs


def waiting_publishers():
    """(i): CPU and memory of a publisher that is let in and not decoded: 20 of them, each of another rank, less the
    two best, which are; and the same 18 at nginx-rtmp."""
    small = f"{WORK}/small.flv"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i",
                    "sine=sample_rate=48000", "-t", "10", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "600k", "-g", "60",
                    "-pix_fmt", "yuv420p", "-c:a", "aac", small], check=True)
    server, nginx = Server(), Nginx()
    server.until_on_time()
    base = server.rtmp.rsplit("/", 1)[0]
    keys = [server.api("POST", "/stream-keys", {"name": f"guest {n}", "rank": n})["streamKey"] for n in range(1, 21)]
    publish = lambda address: spawn("ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", small, "-c", "copy", "-f", "flv", address)
    hosts = [publish(f"{base}/{key}") for key in keys[:2]]
    until(lambda: [p["role"] for p in server.channel()["publishers"]] == ["onAir", "standby"])
    time.sleep(5)  # the decoders' own start
    pids = [server.process.pid, nginx.process.pid]
    spans, memory = [], []
    for count in (2, 20):
        if count == 20:
            hosts += [publish(f"{base}/{key}") for key in keys[2:]]
            hosts += [publish(f"rtmp://127.0.0.1:{nginx.port}/live/n{n}") for n in range(18)]
            until(lambda: len(server.channel()["publishers"]) == 20)
            time.sleep(5)
        before = [cpu_seconds(pid) for pid in pids]
        time.sleep(20)
        spans.append([(cpu_seconds(pid) - start) / 20 for pid, start in zip(pids, before)])
        memory.append([rss_mib(pid) for pid in pids])
    for host in hosts:
        host.kill()
        host.wait()
    server.stop()
    nginx.stop()
    ours, theirs = ((spans[1][n] - spans[0][n]) / 18 * 100 for n in (0, 1))
    mib, their_mib = ((memory[1][n] - memory[0][n]) / 18 for n in (0, 1))
    print(f"a waiting publisher: {ours:.2f} % of a core and {mib:.2f} MiB; nginx-rtmp {theirs:.2f} % and {their_mib:.2f} MiB")
    return ours, mib


def part_bytes(server, segment, part):
    try:
        return server.get(f"/live/main/video/{segment}.{part}.m4s")
    except urllib.error.HTTPError:
        return None


def whole_path_rows(clip):
    a, b, rss, grown = whole_path(clip)
    yield "(a) server / ffmpeg: decode, overlay, encode, HLS", a, 1.0, "<"
    yield "(b) server / ffmpeg: decode, encode, HLS", b, 1.15, "<="
    yield "(g) RSS at 720p30 with a card, MiB", rss, 250, "<="
    if MINUTES >= 3:
        yield f"(g) RSS grown in {MINUTES:g} min after its first 75 s, MiB", grown, 10, "<="


def with_server(rows):
    server = Server()
    try:
        yield from rows(server)
    finally:
        server.stop()


def waiting_rows(_):
    percent, mib = waiting_publishers()
    yield "(i) a publisher that waits, % of a core", percent, 1.0, "<="
    yield "(i) a publisher that waits, MiB", mib, 4, "<="


ROWS = {
    "abg": whole_path_rows,
    "c": lambda _: cards.blend_rows(ROOT, WORK),
    "d": lambda clip: [("(d) publish to first listed frame, s", first_frame(clip), 2.5, "<=")],
    "e": lambda _: [("(e) command to first composed frame, frames", command_to_frame(), 2.0, "<=")],
    "f": lambda _: [("(f) frame into encoder to its part served, s", frame_to_part(), 1.0, "<=")],
    "h": lambda _: [("(h) publish and leave, a second / nginx-rtmp", connections(), 0.5, ">=")],
    "i": waiting_rows,
    "j": lambda clip: with_server(lambda server: cards.storm_rows(server, clip, 60 * min(MINUTES, 1))),
    "k": lambda _: cards.kernel_rows(ROOT),
    "l": lambda _: with_server(lambda server: cards.prepared_rows(server, rss_mib)),
    "m": lambda clip: [("(m) three rungs / the same x264 encodes bare", ladder(clip), 1.1, "<=")],
    "n": lambda _: with_server(
        lambda server: [("(n) glass to glass in hls.js, s", glass.glass_to_glass(server, spawn, until), 2.0, "<=")]),
    "p": lambda clip: with_server(lambda server: cards.crowd_rows(ROOT, server, clip, 20)),
    "q": lambda _: with_server(lambda server: room.room_rows(server, spawn, until)),
    "o": lambda _: with_server(lambda server: [("(o) composed to monitor, the worst, ms", glass.monitor_delay(server), 300, "<=")]),
}


def main():
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else "abcdefghijklmnopq"
    clip = make_clip()
    rows = [row for letters, measure in ROWS.items() if set(letters) & set(only) for row in measure(clip)]
    missed = table(rows)
    shutil.rmtree(WORK, ignore_errors=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
