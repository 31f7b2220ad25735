"""Real players watch one channel while its publisher drops and returns and a card goes on and off air.

    players.py [BINARY] [--only NAME]... [--seconds 120] [--shaka shaka-player.compiled.js] [--hls hls.min.js]
                       [--rungs '[]'] [--clip FILE] [--keep FOLDER]

Each player gets a server and a publisher of its own, one after another. At a third of the time the publisher is killed
for five seconds; at 7/12 a card goes on air, at 3/4 off. One line (JSON, with --verbose all that was seen) per player:
seconds watched, seconds played, stalls (the position stood for more than 0.3 s after it had started), jumps, errors,
latency. Only 127.0.0.1 is spoken to, with free ports; what is started is ended by its own process. Exit code 1: a
player stalled, failed or was not there.

Needs, for each: hls.js, shaka, chromium (its own HLS), watch (the server's page): chromium and chromedriver; vlc: vlc-bin vlc-plugin-base; mpv:
mpv; gstreamer: gstreamer1.0-tools, plugins-good 1.22 or newer; ffmpeg: ffmpeg.
"""

import argparse, http.server, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, threading, time
import urllib.error, urllib.parse, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TOKEN, KEY = "players-token", "players-stream-key"
DROP_S = 5
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Failed(Exception):
    pass


def until(what, look, seconds=30, pause=0.05):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(pause)
    raise Failed(f"waited {seconds} s for: {what}")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def end(process):
    """Its own process group, so that a browser's helpers go too."""
    if process.poll() is None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, how)
                process.wait(5)
                return
            except (subprocess.TimeoutExpired, ProcessLookupError):
                pass


def spawn(*command, **more):
    return subprocess.Popen([str(word) for word in command], **{**QUIET, "start_new_session": True, **more})


class Server:
    def __init__(self, binary, rungs, folder):
        config = f"{folder}/c.toml"
        with open(config, "w") as file:
            file.write(f"[channels.main]\nrungs = {rungs}\n")
        self.log_path = f"{folder}/server.log"
        self.command = [
            binary, "--config", config, "--data-dir", f"{folder}/data", "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0",
            "--srt", "127.0.0.1:0", "--admin-token", TOKEN, "--stream-key", KEY]
        self.process = spawn(*self.command, stdout=open(f"{folder}/server.out", "w"), stderr=open(self.log_path, "w"))
        path = f"{folder}/data/endpoints.json"
        until("the server's ports", lambda: os.path.exists(path) and open(path).read().strip().endswith("}"))
        found = json.load(open(path))
        self.http, self.rtmp = f"http://{found['http']}", f"rtmp://{found['rtmp']}/live/{KEY}"
        self.url = f"{self.http}/live/main/index.m3u8"

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

    def wall_of_zero(self):
        """The Unix time of media timestamp 0: a part's tfdt against its segment's date."""
        text = self.get("/live/main/video.m3u8").decode()
        date, path = re.findall(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)\n(?:#EXT-X-PART:.*\n)*#EXTINF:.*\n(\S+)", text)[-1]
        init = self.get("/live/main/" + re.search(r'EXT-X-MAP:URI="([^"]+)"', text)[1])
        media = self.get(f"/live/main/{path}")
        at = init.index(b"mdhd")
        wide = init[at + 4] == 1
        scale = int.from_bytes(init[at + (24 if wide else 16):][:4], "big")
        at = media.index(b"tfdt")
        ticks = int.from_bytes(media[at + 8:][:8 if media[at + 4] == 1 else 4], "big")
        from datetime import datetime
        return datetime.fromisoformat(date.replace("Z", "+00:00")).timestamp() - ticks / scale


class Watch:
    """What a player does, sample by sample: (seconds since the start, position in seconds)."""

    def __init__(self, threshold=0.3):
        self.threshold, self.start = threshold, time.monotonic()
        self.first = self.last = None
        self.played, self.stalls, self.jumps, self.errors, self.latencies, self.samples = 0.0, [], [], [], [], 0
        self.notes = {}
        self.events = []

    def now(self):
        return time.monotonic() - self.start

    def sample(self, position, at=None, latency=None):
        at = self.now() if at is None else at
        self.samples += 1
        if latency is not None and self.last:
            self.latencies.append((at, latency))
        if self.last is None:
            if position is not None:
                self.last = (at, position)
            return
        if position is None:
            return
        wall, gone = at - self.last[0], position - self.last[1]
        if gone < -0.05 or (self.first and gone > wall * 1.5 + 0.75):
            self.jumps.append((round(at, 2), round(gone, 2)))
            self.last = (at, position)
        elif gone > 0.001:
            if self.first is None:
                if gone < wall * 1.5 + 0.75:
                    self.first = at  # it plays
                else:
                    gone = 0.0
            elif wall > self.threshold and gone < wall - self.threshold / 2:
                self.stalls.append((round(self.last[0], 2), round(wall, 2)))
            self.played += gone
            self.last = (at, position)

    def finish(self, at=None):
        at = self.now() if at is None else at
        if self.last is not None and self.first is not None and at - self.last[0] > max(1.0, self.threshold):
            self.stalls.append((round(self.last[0], 2), round(at - self.last[0], 2)))

    def error(self, text):
        text = text.strip()
        if text and len(self.errors) < 400:
            self.errors.append(f"{self.now():.1f} {text}"[:300])

    def said(self):
        """Errors of one kind once, with how often and when first."""
        kinds = {}
        for text in self.errors:
            at, words = text.split(" ", 1)
            kind = re.sub(r"0x[0-9a-f]+|\d+", "N", words)
            count, first = kinds.get(kind, (0, f"at {at}: {words}"))
            kinds[kind] = (count + 1, first)
        return [f"{count}x {first}" for count, first in kinds.values()]

    def result(self, seconds):
        values = sorted(value for _, value in self.latencies)
        latency = None
        if values:
            latency = {"min": round(values[0], 2), "median": round(values[len(values) // 2], 2), "max": round(values[-1], 2),
                       "end": round(self.latencies[-1][1], 2)}
        return {
            "seconds": round(seconds, 1), "started": self.first and round(self.first, 2), "played": round(self.played, 1),
            "stalls": self.stalls, "jumps": self.jumps, "errors": self.said(), "latency": latency, **self.notes,
            "events": self.events}


class Show:
    """A server, a publisher, and what happens to them while somebody watches."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.server = Server(options.binary, options.rungs, folder)
        self.host = None
        try:
            self.publish()
            until("the publisher on air", lambda: self.server.channel()["showing"] == "live")
            self.server.api("PUT", "/products/cup", {
                "title": "Ceramic cup", "priceMinor": 8900, "oldPriceMinor": 12900, "currency": "CNY"})
            self.server.api("PUT", "/cards/cup", {"sku": "cup"})
            until("the programme on time", lambda: self.server.channel()["behindMs"] < 50)
            time.sleep(8)  # so that what a player starts with is the host and no slate
            self.zero = self.server.wall_of_zero()
        except BaseException:
            self.close()
            raise

    def publish(self):
        self.host = spawn("ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", self.options.clip, "-c", "copy",
                          "-f", "flv", self.server.rtmp)

    def run(self, watch, seconds):
        """The events, in a thread beside the player's loop."""
        third = seconds / 3
        plan = [(third, "drop", lambda: end(self.host)), (third + DROP_S, "return", self.publish),
                (seconds * 7 / 12, "card on", lambda: self.server.api("POST", "/cards/cup/show", {})),
                (seconds * 3 / 4, "card off", lambda: self.server.api("POST", "/cards/cup/hide", {}))]

        def go():
            for at, name, act in plan:
                while watch.now() < at:
                    if self.over.wait(max(0.0, min(0.2, at - watch.now()))):
                        return
                try:
                    act()
                    watch.events.append((round(watch.now(), 2), name))
                except Exception as error:
                    watch.error(f"harness: {name}: {error}")

        self.over = threading.Event()
        self.thread = threading.Thread(target=go, daemon=True)
        self.thread.start()

    def close(self):
        if hasattr(self, "over"):
            self.over.set()
            self.thread.join(5)
        if self.host:
            end(self.host)
        end(self.server.process)


class Follower:
    """Follows the video playlist by blocking reload, as a player that never stalls would, and notes how busy the machine is:
    so that a stall can be told from a server that was late, and both from a machine that had no time."""

    def __init__(self, show, watch):
        self.show, self.watch, self.over = show, watch, threading.Event()
        self.updates, self.busy, self.trouble = [], [], []
        self.threads = [threading.Thread(target=go, daemon=True) for go in (self.follow, self.measure)]
        for thread in self.threads:
            thread.start()

    def follow(self):
        query = ""
        while not self.over.is_set():
            try:
                text = self.show.server.get(f"/live/main/video.m3u8{query}").decode()
            except OSError as error:
                self.trouble.append(f"{self.watch.now():.1f} {error}")
                time.sleep(0.5)
                continue
            dates = re.split(r"#EXT-X-PROGRAM-DATE-TIME:", text)[-1]
            from datetime import datetime
            parts = sum(float(value) for value in re.findall(r"#EXT-X-PART:DURATION=([\d.]+)", dates))
            edge = datetime.fromisoformat(dates.split("\n")[0].replace("Z", "+00:00")).timestamp() + parts
            self.updates.append((self.watch.now(), time.time() - edge))
            hint = re.search(r'TYPE=PART,URI="video/(\d+)\.(\d+)', text)
            query = f"?_HLS_msn={hint[1]}&_HLS_part={hint[2]}" if hint else ""

    def measure(self):
        """Every second the share in which somebody waited for a CPU (all of this machine), and how late a sleep of 50 ms was."""
        def waited():
            try:
                return int(re.search(r"some.*total=(\d+)", open("/proc/pressure/cpu").read())[1]) / 1e6
            except (OSError, TypeError):
                return 0.0
        before = waited()
        while not self.over.is_set():
            late, since = 0.0, time.monotonic()
            while time.monotonic() - since < 1:
                at = time.monotonic()
                time.sleep(0.05)
                late = max(late, time.monotonic() - at - 0.05)
            now = waited()
            self.busy.append((self.watch.now(), round((now - before) / (time.monotonic() - since), 2), round(late, 2)))
            before = now

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join(8)

    def about(self, stall):
        """How late the server's newest part was, and how busy the machine, around a stall."""
        at, took = stall
        near = [late for when, late in self.updates if at - 4 < when < at + took + 1]
        busy = [share for when, share, _ in self.busy if at - 4 < when < at + took + 1]
        return {"edge late": near and round(max(near), 2), "cpu wait": busy and round(sum(busy) / len(busy), 2)}

    def result(self):
        lates = sorted(late for _, late in self.updates)
        gaps = [(round(a[0], 1), round(b[0] - a[0], 2)) for a, b in zip(self.updates, self.updates[1:]) if b[0] - a[0] > 0.7]
        return {"edge behind its date": lates and [round(lates[0], 2), round(lates[len(lates) // 2], 2), round(lates[-1], 2)],
                "updates later than 0.7 s": gaps, "trouble": self.trouble,
                "cpu wait": round(sum(share for _, share, _ in self.busy) / max(1, len(self.busy)), 2)}


# ---- browsers, over the WebDriver protocol ----

PAGE = """<!doctype html><meta charset=utf-8><video id=v muted autoplay playsinline width=640></video><script>
const video = document.getElementById("v"), from = performance.now();
window.seen = { samples: [], events: [], errors: [] };
const at = () => (performance.now() - from) / 1000;
const say = (text) => seen.errors.push(at().toFixed(1) + " " + text);
addEventListener("error", (e) => say("script: " + e.message));
addEventListener("unhandledrejection", (e) => say("promise: " + e.reason));
for (const name of ["waiting", "stalled", "emptied", "ended", "seeking", "ratechange", "playing"])
  video.addEventListener(name, () => seen.events.push([+at().toFixed(2), name + (name === "ratechange" ? " " + video.playbackRate : ""), +video.currentTime.toFixed(2)]));
video.addEventListener("error", () => say("video: " + video.error.code + " " + video.error.message));
window.latency = () => null;
setInterval(() => {
  const quality = video.getVideoPlaybackQuality();
  seen.samples.push([at(), video.currentTime, latency(), quality.totalVideoFrames, quality.droppedVideoFrames]);
}, 100);
const url = new URLSearchParams(location.search).get("url");
</script>"""

PLAY = {
    "hls.js": """<script src="/hls.js"></script><script>
performance.setResourceTimingBufferSize(20000); const hls = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1 });
seen.version = Hls.version;
hls.on(Hls.Events.ERROR, (_, e) => say((e.fatal ? "FATAL " : "") + e.type + " " + e.details + " " + (e.response?.code ?? "") + " " + (e.error?.message ?? e.reason ?? "")));
hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
window.latency = () => hls.playingDate ? (Date.now() - hls.playingDate) / 1000 : null;
hls.loadSource(url); hls.attachMedia(video);
</script>""",
    "shaka": """<script src="/shaka.js"></script><script>
shaka.polyfill.installAll();
const player = new shaka.Player();
seen.version = shaka.Player.version;
const tell = (e) => say((e.severity === 2 ? "CRITICAL " : "") + "shaka " + e.category + "/" + e.code + " " + JSON.stringify(e.data?.filter?.((d) => typeof d !== "object")));
player.addEventListener("error", (e) => tell(e.detail));
player.configure({ streaming: { lowLatencyMode: true } });
player.configure("streaming.failureCallback", (e) => { tell(e); player.retryStreaming(); });
player.attach(video).then(() => player.load(url)).then(() => video.play()).catch(tell);
window.latency = () => { const date = player.isLive() && player.getPlayheadTimeAsDate(); return date ? (Date.now() - date) / 1000 : null; };
setInterval(() => { const s = player.getStats(); seen.stats = { stallsDetected: s.stallsDetected, gapsJumped: s.gapsJumped, bufferingTime: s.bufferingTime, lowLatency: player.getConfiguration().streaming.lowLatencyMode }; }, 1000);
</script>""",
    "chromium": """<script>
seen.version = "native: " + video.canPlayType("application/vnd.apple.mpegurl");
video.src = url; video.play();
</script>""",
}


def pages(options):
    """A server of the three pages and the two scripts on a free port."""
    files = {"/hls.js": options.hls, "/shaka.js": options.shaka}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            if path in files and files[path]:
                body, kind = open(files[path], "rb").read(), "text/javascript"
            elif path.removeprefix("/play/") in PLAY:
                body, kind = (PAGE + PLAY[path.removeprefix("/play/")]).encode(), "text/html"
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def webdriver(port, method, path, body=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", method=method, headers={"content-type": "application/json"},
        data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]
    except urllib.error.HTTPError as error:
        raise Failed(f"webdriver {path}: {error.read().decode()[:300]}") from None


def browser(name, show, watch, seconds):
    options = show.options
    if name == "shaka" and not (options.shaka and os.path.exists(options.shaka)):
        raise Failed("no shaka-player: give --shaka dist/shaka-player.compiled.js")
    driver = shutil.which("chromedriver") or shutil.which("chromium.chromedriver")
    if not driver:
        raise Failed("no chromedriver")
    port = free_port()
    process = spawn(driver, f"--port={port}")
    served, session = pages(options), None
    try:
        until("chromedriver", lambda: can_connect(port))
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage", "--mute-audio",
            "--autoplay-policy=no-user-gesture-required", "--window-size=800,600"]
        session = webdriver(port, "POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}}})["sessionId"]
        base = f"/session/{session}"

        def run(script):
            return webdriver(port, "POST", f"{base}/execute/sync", {"script": script, "args": []})

        if name == "watch":  # the server's own page, with the eyes of ours
            webdriver(port, "POST", f"{base}/url", {"url": f"{show.server.http}/watch/main"})
            eyes = PAGE.split("<script>")[1].split("</script>")[0].replace('getElementById("v")', 'querySelector("video")')
            eyes = eyes.replace("const video = ", "window.video = ").replace(", from = performance.now();", "; window.from = performance.now();")
            run(eyes.replace("const at = ", "window.at = ") + "seen.version = window.Hls?.version;")
        else:
            webdriver(port, "POST", f"{base}/url", {
                "url": f"http://127.0.0.1:{served.server_address[1]}/play/{name}?url={urllib.parse.quote(show.server.url)}"})
        offset = watch.now() - run("return at()")
        show.run(watch, seconds)
        until("it plays", lambda: run("return video.currentTime > 0 && seen.samples.length"), 30, 0.25)
        while watch.now() < seconds:
            time.sleep(min(5.0, max(0.05, seconds - watch.now())))
            run("return 1")  # it is still there
        seen = run("return seen")
        for at, position, latency, frames, dropped in seen["samples"]:
            watch.sample(position if position > 0 else None, at + offset, latency)
        watch.finish(seen["samples"][-1][0] + offset)
        watch.errors += seen["errors"]
        watch.notes["version"] = seen.get("version")
        watch.notes["waiting"] = [at for at, event, _ in seen["events"] if event == "waiting"]
        watch.notes["media"] = [event for event in seen["events"] if event[1] in ("emptied", "ended", "seeking", "stalled")]
        watch.notes["rates"] = sum(event[1].startswith("ratechange") for event in seen["events"])
        watch.notes["frames"] = f"{seen['samples'][-1][3]}, {seen['samples'][-1][4]} dropped"
        if "stats" in seen:
            watch.notes["stats"] = seen["stats"]
        for entry in webdriver(port, "POST", f"{base}/se/log", {"type": "browser"}):
            if entry["level"] in ("SEVERE", "WARNING") and "favicon" not in entry["message"]:
                watch.error("console: " + entry["message"])
    finally:
        if session:
            try:
                webdriver(port, "DELETE", f"/session/{session}")
            except Exception:
                pass
        end(process)
        served.shutdown()


# ---- the others ----

def lines(stream, take):
    """Reads a pipe in a thread and hands on each line when it comes."""
    def read():
        for line in stream:
            take(line.rstrip())
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def hold(process, watch, seconds):
    while watch.now() < seconds:
        if process.poll() is not None:
            watch.error(f"it ended by itself, code {process.returncode}")
            return
        time.sleep(0.1)


def mpv(show, watch, seconds):
    path = f"{show.folder}/mpv.sock"
    process = spawn("mpv", "--no-config", "--vo=null", "--ao=null", "--no-terminal", f"--log-file={show.folder}/mpv.log",
                    "--rebase-start-time=no", f"--input-ipc-server={path}", show.server.url)
    try:
        until("mpv's socket", lambda: os.path.exists(path), 10)
        ipc = socket.socket(socket.AF_UNIX)
        until("mpv's socket", lambda: ipc.connect_ex(path) == 0, 5)
        ipc.settimeout(5)
        reader = ipc.makefile("r")
        show.run(watch, seconds)

        def ask(name):
            ipc.sendall(json.dumps({"command": ["get_property", name], "request_id": 7}).encode() + b"\n")
            while True:
                answer = json.loads(reader.readline() or '{"request_id": 7}')
                if answer.get("request_id") == 7:
                    return answer.get("data")
                watch.notes.setdefault("mpv events", []).append(answer["event"]) if answer.get("event") in (
                    "end-file", "seek", "playback-restart") else None

        paused = []
        while watch.now() < seconds and process.poll() is None:
            position = ask("time-pos")
            watch.sample(position, latency=position and time.time() - show.zero - position)
            if ask("paused-for-cache"):
                paused.append(watch.now())
            time.sleep(0.1)
        watch.notes["paused for cache"] = round(len(paused) * 0.1, 1)
        watch.notes["frames dropped"] = [ask("frame-drop-count"), ask("decoder-frame-drop-count")]
        watch.notes["avsync"] = ask("avsync")
        watch.notes["version"] = ask("mpv-version")
        if process.poll() is not None:
            watch.error(f"it ended by itself, code {process.returncode}")
        watch.finish()
    finally:
        end(process)
    for line in open(f"{show.folder}/mpv.log", errors="replace"):
        if re.match(r"\[ *[\d.]+\]\[[wef]\]", line):
            watch.error(line)


def vlc(show, watch, seconds):
    """VLC counts what it displays four times a second, so a stall is seen from 0.6 s on. It refuses to be root."""
    port = free_port()
    home = tempfile.mkdtemp(prefix="vlc-")
    os.chmod(home, 0o777)
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    log = open(f"{show.folder}/vlc.log", "w+")
    process = spawn("vlc", "-I", "oldrc", "--rc-fake-tty", "--rc-host", f"127.0.0.1:{port}", "--vout=vdummy", "--aout=adummy", "--no-lua",
                    "--ignore-config", "-v", "-v", "--no-color", show.server.url, stderr=log, stdout=log,
                    env={**os.environ, "HOME": home, "XDG_RUNTIME_DIR": home}, **user)
    try:
        until("VLC's port", lambda: can_connect(port), 15)
        rc = socket.create_connection(("127.0.0.1", port), 5)
        rc.settimeout(20)  # it answers late when its input waits
        show.run(watch, seconds)
        left, start = b"", watch.now()
        last = {}
        while watch.now() < seconds and process.poll() is None:
            rc.sendall(b"stats\n")
            while b"end of statistical info" not in left:
                more = rc.recv(4096)
                if not more:
                    raise Failed("VLC closed its port")
                left += more
            text, left = left.split(b"end of statistical info", 1)
            found = dict(re.findall(r"\| ([a-z ]+?) *: +(-?[\d.]+)", text.decode(errors="replace")))
            if "frames displayed" in found:
                last = found
                shown = int(found["frames displayed"])
                watch.sample(shown / 30 if shown else None)
            time.sleep(0.1)
        watch.finish()
        watch.notes["stats"] = {key: last.get(key) for key in (
            "frames displayed", "frames lost", "buffers played", "buffers lost", "demux corrupted", "discontinuities")}
        if int(last.get("buffers played") or 0) < watch.played * 20:  # 47 a second of AAC at 48 kHz
            watch.error(f"no sound: {last.get('buffers played')} blocks in {watch.played:.0f} s")
        if process.poll() is not None:
            watch.error(f"it ended by itself, code {process.returncode}")
    finally:
        end(process)
        shutil.rmtree(home, ignore_errors=True)
    log.seek(0)
    text = log.read()
    watch.notes["buffering"] = len(re.findall(r"Buffering \d+%|Stream buffering done", text))
    kinds = {}
    for line in text.splitlines():
        if re.search(r" (error|warning):", line):
            line = re.sub(r"^\[[0-9a-f]+\] ", "", line)
            kind = re.sub(r"\d+", "N", line)
            kinds[kind] = (kinds.get(kind, (0, line))[0] + 1, line)
    for count, line in kinds.values():
        watch.error(f"{count}x {line}")


def gstreamer(show, watch, seconds):
    """fakesink says each picture when its time has come: the lines are the clock."""
    process = spawn("gst-launch-1.0", "-v", "-m", "playbin3", f"uri={show.server.url}",
                    "video-sink=fakesink name=shown sync=true qos=true silent=false", "audio-sink=fakesink sync=true",
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                    env={**os.environ, "GST_DEBUG": "2", "GST_DEBUG_NO_COLOR": "1"})
    demuxers, buffering, qos, zero = set(), [], [0], []

    def take(line):
        found = re.search(r"last-message = chain.*?pts: (\d+):(\d+):([\d.]+)", line)
        if found:
            watch.sample(int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]))
        elif "buffering" in line and (found := re.search(r"buffer-percent=\(int\)(\d+)", line)):
            buffering.append((round(watch.now(), 1), int(found[1])))
        elif "(qos)" in line:
            qos[0] += 1
        elif re.search(r" (WARN|ERROR) |^ERROR|^WARNING|\((error|warning)\)|EOS", line):
            watch.error(line)
        for name in re.findall(r"(hlsdemux2?)[-:]", line):
            demuxers.add(name)
        log.write(line + "\n") if "last-message" not in line else None

    log = open(f"{show.folder}/gst.log", "w")
    thread = lines(process.stdout, take)
    try:
        show.run(watch, seconds)
        hold(process, watch, seconds)
        watch.finish()
    finally:
        end(process)
        thread.join(5)
    lows = [entry for entry in buffering if watch.first and entry[0] > watch.first + 2 and entry[1] < 100]
    watch.notes["buffering after start"] = lows[:20]
    watch.notes["qos"] = qos[0]
    watch.notes["demuxer"] = sorted(demuxers)


def ffmpeg(show, watch, seconds):
    """-re: it reads at the speed of a player, so a list that comes late is a stall."""
    log = open(f"{show.folder}/ffmpeg.log", "w+")
    process = spawn("ffmpeg", "-hide_banner", "-loglevel", "warning", "-nostdin", "-re", "-i", show.server.url,
                    "-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-progress", "pipe:1", "-stats_period", "0.1", "-",
                    stdout=subprocess.PIPE, stderr=log, text=True)

    def take(line):
        if line.startswith("out_time_us=") and line[12:].lstrip("-").isdigit():
            position = int(line[12:]) / 1e6
            watch.sample(position)
        elif line.startswith(("drop_frames=", "dup_frames=")):
            watch.notes[line.split("=")[0]] = int(line.split("=")[1])

    thread = lines(process.stdout, take)
    try:
        show.run(watch, seconds)
        hold(process, watch, seconds)
        watch.finish()
    finally:
        end(process)
        thread.join(5)
    log.seek(0)
    for line in log:
        watch.error(line)


PLAYERS = {
    "hls.js": lambda *more: browser("hls.js", *more), "shaka": lambda *more: browser("shaka", *more),
    "chromium": lambda *more: browser("chromium", *more), "watch": lambda *more: browser("watch", *more), "vlc": vlc, "mpv": mpv, "gstreamer": gstreamer, "ffmpeg": ffmpeg}
THRESHOLDS = {"vlc": 0.6}


def make_clip(folder):
    clip = f"{folder}/clip.flv"
    subprocess.run([
        "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-f", "lavfi", "-i",
        "sine=frequency=440:sample_rate=48000", "-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "3000k",
        "-maxrate", "3000k", "-bufsize", "3000k", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", clip], check=True)
    return clip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?", default=f"{ROOT}/target/release/vitrine")
    parser.add_argument("--only", action="append", choices=list(PLAYERS))
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rungs", default="[]")
    parser.add_argument("--clip")
    parser.add_argument("--hls", default=f"{ROOT}/assets/web/vendor/hls.js/hls.min.js")
    parser.add_argument("--shaka", default=f"{HERE}/node_modules/shaka-player/dist/shaka-player.compiled.js")
    parser.add_argument("--keep", help="keep logs in this folder")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    work = tempfile.mkdtemp(prefix="players-")
    is_bad = False
    try:
        options.clip = options.clip or make_clip(work)
        for name in options.only or PLAYERS:
            folder = f"{work}/{name}"
            os.makedirs(folder)
            watch, show, follower, trouble = Watch(THRESHOLDS.get(name, 0.3)), None, None, None
            try:
                show = Show(options, folder)
                watch.start = time.monotonic()
                follower = Follower(show, watch)
                PLAYERS[name](show, watch, options.seconds)
            except (Failed, OSError) as error:
                trouble = str(error)
                watch.error(f"harness: {error}")
            finally:
                if follower:
                    follower.close()
                if show:
                    show.close()
            found = watch.result(watch.now())
            found["server"] = sorted({re.sub(r"\x1b\[[\d;]*m|^\S*\d\dZ? ", "", line).strip()[:200] for line in open(f"{folder}/server.log")
                                      if re.search(r"WARN|ERROR|panicked", line)})
            if follower:
                found["edge"] = follower.result()
                found["about stalls"] = [follower.about(stall) for stall in found["stalls"]]
            is_bad |= bool(trouble or found["stalls"] or not found["started"])
            if options.verbose:
                print(json.dumps({"player": name, **found}, ensure_ascii=False), flush=True)
            else:
                latency = found["latency"] or {}
                print(f"{name:10} {found['seconds']:6.1f} s, played {found['played']:6.1f}, stalls {len(found['stalls'])} {found['stalls']}, "
                      f"jumps {found['jumps']}, errors {len(found['errors'])}, latency {latency.get('median')} "
                      f"({latency.get('min')} to {latency.get('max')}), edge {found.get('edge', {}).get('edge behind its date')}, "
                      f"cpu wait {found.get('edge', {}).get('cpu wait')} {found.get('about stalls') or ''}", flush=True)
            if options.keep:
                os.makedirs(options.keep, exist_ok=True)
                json.dump(found, open(f"{options.keep}/{name}.json", "w"), indent=1, ensure_ascii=False)
                for file in os.listdir(folder):
                    if file.endswith((".log", ".out")):
                        shutil.copy(f"{folder}/{file}", f"{options.keep}/{name}-{file}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(is_bad)


if __name__ == "__main__":
    main()
