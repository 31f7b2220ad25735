"""Rows (n), (o): how old a picture is where it is looked at. Flashes go into a publisher's encoder at known moments, and a
real browser says when it shows them; the monitor's pictures say themselves of when they are."""

import base64, json, os, shutil, socket, subprocess, tempfile, threading, time, urllib.request

from common import can_connect, free_port


class Flashes:
    """A publisher of dark pictures with a bright half second every 2.5 s; `sent` has the moments."""

    def __init__(self, server, spawn):
        self.host = spawn(
            "ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "gray", "-s", "320x180", "-r", "30", "-i", "-",
            "-f", "lavfi", "-i", "anullsrc=sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
            "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac", "-flush_packets", "1", "-f", "flv", server.rtmp, stdin=subprocess.PIPE)
        self.sent, self.is_over = [], threading.Event()
        self.thread = threading.Thread(target=self.feed)
        self.thread.start()

    def feed(self):
        start, n = time.monotonic(), 0
        while not self.is_over.is_set():
            is_flash = n >= 150 and n % 75 < 15
            if is_flash and n % 75 == 0:
                self.sent.append(time.time())
            self.host.stdin.write(bytes([235 if is_flash else 16]) * (320 * 180))
            self.host.stdin.flush()
            n += 1
            time.sleep(max(0, start + n / 30 - time.monotonic()))

    def stop(self):
        self.is_over.set()
        self.thread.join()
        self.host.kill()


class Browser:
    """Chromium by WebDriver."""

    def __init__(self, spawn, until):
        port = free_port()
        self.url, self.profile = f"http://127.0.0.1:{port}", tempfile.mkdtemp()
        self.process = spawn("chromedriver", f"--port={port}")
        until(lambda: can_connect(port))
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required",
                            "--disable-dev-shm-usage", f"--user-data-dir={self.profile}"]}
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
        self.session = f"/session/{made['sessionId']}"

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]

    def run(self, script):
        return self.call("POST", f"{self.session}/execute/sync", {"script": script, "args": []})

    def stop(self):
        try:
            self.call("DELETE", self.session)
        finally:
            self.process.kill()
            shutil.rmtree(self.profile, ignore_errors=True)


# Every frame that is put on the page, as bright as its middle is.
LOOK = """
const video = document.querySelector('video'), canvas = document.createElement('canvas');
canvas.width = canvas.height = 1;
const pen = canvas.getContext('2d', { willReadFrequently: true });
window.flashes = []; let isDark = true;
const look = () => {
  pen.drawImage(video, 0, 0, 1, 1);
  const bright = pen.getImageData(0, 0, 1, 1).data[1];
  if (bright > 120 && isDark) window.flashes.push(Date.now() / 1000);
  isDark = bright < 120;
  video.requestVideoFrameCallback(look);
};
video.requestVideoFrameCallback(look);
"""


def glass_to_glass(server, spawn, until):
    """(n): from a frame's way into the publisher's encoder to the watch page; the median of some, after it has settled."""
    server.until_on_time()
    flashes = Flashes(server, spawn)
    browser = Browser(spawn, until)
    try:
        until(lambda: server.channel()["showing"] == "live")
        browser.call("POST", f"{browser.session}/url", {"url": f"{server.http}/watch/main"})
        until(lambda: browser.run("return document.querySelector('video').currentTime > 1"))
        browser.run(LOOK)
        time.sleep(35)
        seen = browser.run("return window.flashes")
    finally:
        browser.stop()
        flashes.stop()
    delays = sorted(moment - max(sent for sent in flashes.sent if sent < moment) for moment in seen[4:])
    print(f"glass to glass: {[f'{delay:.2f}' for delay in delays]} s")
    return delays[len(delays) // 2]


def monitor_delay(server):
    """(o): from a picture's composition to its arrival at a producer's page, the worst of forty after the first."""
    server.until_on_time()
    host, port = server.http.removeprefix("http://").split(":")
    link = socket.create_connection((host, int(port)), 20)
    key = base64.b64encode(os.urandom(16)).decode()
    link.sendall(f"GET /api/v1/channels/main/monitor HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    stream = link.makefile("rb")
    while stream.readline().strip():
        pass
    text = json.dumps({"token": server.token}).encode()
    link.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)  # masked with zeros
    delays, wall = [], None
    while len(delays) < 41:
        kind, length = stream.read(2)
        length = int.from_bytes(stream.read(2 if length == 126 else 8), "big") if length > 125 else length
        data = stream.read(length)
        if kind & 15 == 1:
            wall = json.loads(data)["programmeWall"] / 1000
        elif kind & 15 == 2:
            delays.append((time.time() - wall) * 1000)
    link.close()
    print(f"monitor: {[f'{delay:.0f}' for delay in sorted(delays[1:])]} ms")
    return max(delays[1:])
