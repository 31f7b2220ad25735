"""Rows (c), (j), (k), (l), (p) of the bench: what cards on the picture cost. Used by bench.py."""

import http.client, json, os, re, resource, shutil, subprocess, threading, time

FRAMES = 300
COUNTS = (1, 4, 12)


def example(root, *arguments):
    return [f"{root}/target/release/examples/blend", *arguments]


def child_cpu(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ffmpeg(card, cards, frames, coding=("-f", "null", "-")):
    """CPU seconds of ffmpeg laying `cards` stills over empty 1080p frames, one thread."""
    command = ["ffmpeg", "-v", "error", "-filter_threads", "1", "-filter_complex_threads", "1",
               "-f", "lavfi", "-i", "nullsrc=s=1920x1080:r=30,format=yuv420p"]
    for _ in range(cards):
        command += ["-i", card]
    graph, last = [], "0:v"
    for n in range(cards):
        graph.append(f"[{last}][{n + 1}:v]overlay={n % 3 * 600 + 60}:{n // 3 * 250 + 40}:format=yuv420[v{n}]")
        last = f"v{n}"
    if graph:
        command += ["-filter_complex", ";".join(graph), "-map", f"[{last}]"]
    return child_cpu(command + ["-frames:v", str(frames), *coding])


def blend_rows(root, work):
    found = json.loads(subprocess.run(example(root), check=True, capture_output=True, text=True).stdout)
    scale = FRAMES / found["frames"]
    card = f"{work}/card.png"
    subprocess.run(example(root, "card", card), check=True)
    least = lambda cards: min(ffmpeg(card, cards, FRAMES) for _ in range(3))
    base = least(0)
    theirs = [max(least(cards) - base, 0.01) for cards in COUNTS]
    encode = ffmpeg(card, 0, FRAMES, ("-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-f", "null", "-"))
    print(f"blend, CPU seconds for {found['frames']} frames of 1080p with {found['cards']} cards: solid {found['solid']}, "
          f"transparent {found['glass']}, overlaycomposition {found['overlaycomposition']}, compositor {found['compositor']}; "
          f"ffmpeg overlay for {FRAMES}: {theirs}; x264 of an empty picture {encode:.2f}")
    worst = lambda others, scale=1: max(ours * scale / other for ours, other in zip(found["glass"], others))
    yield "(c) blend, transparent cards / overlaycomposition", worst(found["overlaycomposition"]), 0.1, "<="
    yield "(c) blend, transparent cards / compositor", worst(found["compositor"]), 0.1, "<="
    yield "(c) blend, transparent cards / ffmpeg overlay", worst(theirs, scale), 0.3, "<="
    yield "(c) blend, solid cards / ffmpeg overlay", max(o * scale / t for o, t in zip(found["solid"], theirs)), 0.3, "<="
    yield "(c) nothing on air, % of an empty picture's encode", max(found["nothing"] * scale, 0) / encode * 100, 0.1, "<="


def kernel_rows(root):
    """(k): instructions a sample of the blend, by valgrind: the same whatever the machine does."""
    if not shutil.which("valgrind"):
        print("(k) left out: there is no valgrind")
        return
    count = lambda mode: int(re.search(r"Collected : (\d+)", subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *example(root, mode)],
        check=True, capture_output=True, text=True).stderr)[1])
    samples = 480 * 160 * 100
    yield "(k) instructions a blended sample", (count("kernel") - count("prepare")) / samples, 4, "<="


def storm_rows(server, clip, seconds):
    """(j): 200 changes a second to a card on air. Is any frame late, is anything left over?"""
    server.product()
    host = server.publish(clip)
    server.until_on_time()
    server.api("POST", "/cards/cup/show", {})
    address = server.http.split("//")[1]
    sent, stop = [0], threading.Event()

    def send(first):
        connection = http.client.HTTPConnection(address)
        begin, n = time.monotonic(), 0
        while not stop.is_set():
            body = json.dumps({"priceMinor": 5000 + (n * 2 + first) % 3900})
            connection.request("POST", "/api/v1/products/cup/price", body, {"authorization": "Bearer bench-admin-token"})
            connection.getresponse().read()
            sent[0] += 1
            n += 1
            time.sleep(max(0, begin + n / 100 - time.monotonic()))

    threads = [threading.Thread(target=send, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    late, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        late = max(late, server.channel()["behindMs"])
    stop.set()
    for thread in threads:
        thread.join()
    last = server.api("GET", "/state")["rev"]
    begin = time.monotonic()
    while server.channel()["drawnRev"] < last and time.monotonic() < begin + 10:
        time.sleep(0.01)
    settled = time.monotonic() - begin
    host.kill()
    print(f"(j) {sent[0]} changes in {seconds:g} s; the programme was at most {late} ms late; the last was drawn after {settled:.2f} s")
    yield "(j) changes a second to a card on air", sent[0] / seconds, 190, ">="
    yield "(j) latest frame meanwhile, ms behind", late, 100, "<="
    yield "(j) until the last change is in the picture, s", settled, 0.5, "<="


def crowd_rows(root, server, clip, seconds):
    """(p): 500 control pages listen while 200 prices a second change; when has each heard of each?"""
    server.product()
    host = server.publish(clip)
    server.until_on_time()
    server.api("POST", "/cards/cup/show", {})
    before = server.channel()
    command = [f"{root}/target/release/examples/crowd", server.http.split("//")[1], server.token, "500", "200", str(int(seconds))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    late = 0
    while process.poll() is None:
        time.sleep(0.5)
        late = max(late, server.channel()["behindMs"])
    after = server.channel()
    found = json.loads(process.stdout.read())
    host.kill()
    skipped = after["skippedFrames"] - before["skippedFrames"]
    print(f"(p) 500 listeners, 200 changes a second for {seconds:g} s: p50 {found['p50']:.1f}, p99 {found['p99']:.1f}, max {found['max']:.1f} ms; "
          f"{found['events']} heard, {found['missed']} not; the programme was at most {late} ms late, {skipped} pictures left out")
    yield "(p) from a command to all of 500 pages, 99 %, ms", found["p99"], 50, "<"
    yield "(p) changes that a page did not hear of", found["missed"], 0, "<="
    yield "(p) pictures left out meanwhile", skipped, 0, "<="
    yield "(p) latest frame meanwhile, ms behind", late, 100, "<="


def prepared_rows(server, rss_mib):
    """(l): memory of 100 cards that are drawn before anybody shows them."""
    server.product()
    server.until_on_time()
    time.sleep(3)
    before = rss_mib(server.process.pid)
    for n in range(100):
        server.api("PUT", f"/products/p{n}", {"title": f"Product number {n}", "priceMinor": 1000 + n, "currency": "USD"})
        server.api("PUT", f"/cards/p{n}", {"sku": f"p{n}"})
    time.sleep(8)
    yield "(l) 100 prepared cards, MiB", rss_mib(server.process.pid) - before, 100, "<="
