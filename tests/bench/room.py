"""Row (q): the control page with 10,000 products on cards and a rundown of 500 lines, in a real browser: until all of it that is
in sight is drawn, and how smoothly 500 lines scroll while prices change."""

import json, statistics, threading, time, urllib.request

from glass import Browser

PRODUCTS, LINES, PRICES_A_SECOND = 10_000, 500, 100

# Tells when the rundown and the cards in sight have been on the screen: two pictures after they came into the page.
PAINTED = """
const look = () => {
  if (document.querySelectorAll('#items li').length === LINES && document.querySelectorAll('#cards li').length >= 20)
    requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = performance.now(); }));
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
""".replace("LINES", str(LINES))

# From one picture to the next, in milliseconds, while the list goes by in two seconds.
SCROLL = """
const list = document.getElementById('items'), most = list.scrollHeight - list.clientHeight;
window.gaps = []; let last = performance.now();
const step = (now) => {
  window.gaps.push(now - last);
  last = now;
  list.scrollTop += most / 120;
  if (window.gaps.length < 130) requestAnimationFrame(step); else window.isScrolled = true;
};
requestAnimationFrame(step);
"""


def ask(server, method, path, data):
    request = urllib.request.Request(f"{server.http}/api/v1{path}", json.dumps(data).encode(), {"authorization": f"Bearer {server.token}"}, method=method)
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def fill(server):
    products = [{"sku": f"p{n}", "title": f"Product number {n}", "priceMinor": 1000 + n, "currency": "EUR", "stock": n % 50} for n in range(PRODUCTS)]
    ask(server, "POST", "/import", {"products": products, "cards": True})
    items = [{"cardId": f"p{n}", "notes": "hold it up" if n % 5 == 0 else ""} for n in range(LINES)]
    ask(server, "PUT", "/rundowns/long", {"title": "Long", "items": items})
    ask(server, "PUT", "/channels/main/rundown", {"rundownId": "long"})


def change_prices(server, is_over, count):
    start = time.monotonic()
    while not is_over.is_set():
        count[0] += 1
        n = count[0]
        ask(server, "POST", f"/products/p{n % LINES}/price", {"priceMinor": 1000 + n % LINES + n // LINES % 2})
        time.sleep(max(0, start + n / PRICES_A_SECOND - time.monotonic()))


def room_rows(server, spawn, until):
    server.until_on_time()
    fill(server)
    browser = Browser(spawn, until)
    go = lambda path: browser.call("POST", f"{browser.session}/url", {"url": server.http + path})
    is_over, count = threading.Event(), [0]
    prices = threading.Thread(target=change_prices, args=(server, is_over, count))
    try:
        go(f"/control#{server.token}")
        until(lambda: browser.run("return document.querySelectorAll('#items li').length") == LINES)
        browser.call("POST", f"{browser.session}/goog/cdp/execute", {"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": PAINTED}})
        painted = []
        for _ in range(5):
            go("/control")
            until(lambda: browser.run("return window.painted > 0"))
            painted.append(browser.run("return window.painted"))
        prices.start()
        browser.run(SCROLL)
        until(lambda: browser.run("return window.isScrolled === true"))
        gaps = sorted(browser.run("return window.gaps.slice(5)"))
        changed, took = count[0], sum(gaps) / 1000
    finally:
        is_over.set()
        if prices.is_alive():
            prices.join()
        browser.stop()
    if changed < took * PRICES_A_SECOND * 0.8:
        raise SystemExit(f"room: {changed} prices in {took:.1f} s are too few to measure anything")
    print(f"{PRODUCTS} products and {LINES} lines: drawn after {[f'{ms:.0f}' for ms in painted]} ms; "
          f"a picture while it scrolls every {statistics.median(gaps):.0f} ms, 95 % within {gaps[int(len(gaps) * 0.95)]:.0f}, all within {gaps[-1]:.0f}")
    yield f"(q) {PRODUCTS} products and {LINES} lines on the page, ms", statistics.median(painted), 1000, "<="
    yield f"(q) a picture while {LINES} lines scroll (95 %), ms", gaps[int(len(gaps) * 0.95)], 34, "<="
