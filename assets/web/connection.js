// The connection to /ws in obs-websocket 5's envelope. Connects again by itself; tells when it is away, so
// that nobody presses a button that does nothing.

const RETRY_MS = 1000;
// The server tells a channel's status every second; silence means that the connection is dead, whatever the browser says.
const SILENCE_MS = 5000;

/** base64(sha256(text)); by the browser where the page is secure, else by our own code (plain HTTP in a LAN). */
async function digest(text) {
  const bytes = new TextEncoder().encode(text);
  const hash = crypto.subtle ? new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)) : sha256(bytes);
  return btoa(String.fromCharCode(...hash));
}

/** SHA-256, FIPS 180-4: crypto.subtle is absent on http:// addresses that are not localhost. */
function sha256(bytes) {
  const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const k = primes.map((p) => fraction(Math.cbrt(p)));
  const h = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
  const length = Math.ceil((bytes.length + 9) / 64) * 64;
  const padded = new Uint8Array(length);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(length - 4, bytes.length * 8);
  const rotate = (x, n) => (x >>> n) | (x << (32 - n));
  for (let at = 0; at < length; at += 64) {
    const w = Array.from({ length: 16 }, (_, n) => view.getInt32(at + n * 4));
    for (let n = 16; n < 64; n++) {
      const a = w[n - 15], b = w[n - 2];
      const s0 = rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3), s1 = rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10);
      w[n] = (w[n - 16] + s0 + w[n - 7] + s1) | 0;
    }
    const v = [...h];
    for (let n = 0; n < 64; n++) {
      const s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
      const t1 = (v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[n] + w[n]) | 0;
      const s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
      const t2 = (s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]))) | 0;
      v.pop(); v.unshift((t1 + t2) | 0); v[4] = (v[4] + t1) | 0;
    }
    for (let n = 0; n < 8; n++) h[n] = (h[n] + v[n]) | 0;
  }
  const out = new DataView(new ArrayBuffer(32));
  h.forEach((word, n) => out.setInt32(n * 4, word));
  return new Uint8Array(out.buffer);
}

/** `on.event(name, data)`, `on.open()`, `on.closed(reason, isFinal)`. */
export class Connection {
  #password; #on; #socket; #next = 1; #waiting = new Map(); #heard = 0;

  constructor(password, on) {
    this.#password = password;
    this.#on = on;
    this.#open();
    setInterval(() => this.#watch(), 1000);
  }

  #watch() {
    if (this.#heard && Date.now() - this.#heard > SILENCE_MS) this.#lost(this.#socket, "nothing was heard", false);
  }

  /** Gives a socket up: what waits fails now, and nothing that it still holds is done later unseen. */
  #lost(socket, reason, isFinal) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    this.#heard = 0;
    socket.onmessage = socket.onclose = null;
    socket.close();
    for (const { reject } of this.#waiting.values()) reject(new Error("the connection was lost"));
    this.#waiting.clear();
    this.#on.closed(reason, isFinal);
    if (!isFinal) setTimeout(() => this.#open(), RETRY_MS);
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`, "vitrine.json");
    this.#socket = socket;
    this.#heard = Date.now();
    socket.onmessage = (message) => {
      this.#heard = Date.now();
      this.#receive(socket, JSON.parse(message.data));
    };
    socket.onclose = (event) => this.#lost(socket, event.reason, event.code === 4009);
  }

  async #receive(socket, { op, d }) {
    if (op === 0) {
      const secret = await digest(this.#password + d.authentication.salt);
      const authentication = await digest(secret + d.authentication.challenge);
      socket.send(JSON.stringify({ op: 1, d: { rpcVersion: 1, authentication } }));
    } else if (op === 2) {
      this.#on.open();
    } else if (op === 5) {
      this.#on.event(d.eventType, d.eventData);
    } else if (op === 7) {
      const waiting = this.#waiting.get(d.requestId);
      this.#waiting.delete(d.requestId);
      if (d.requestStatus.result) waiting?.resolve(d.responseData);
      else waiting?.reject(new Error(d.requestStatus.comment));
    }
  }

  /** Asks; the promise fails with the server's own words. */
  request(requestType, requestData = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("not connected"));
    const requestId = String(this.#next++);
    this.#socket.send(JSON.stringify({ op: 6, d: { requestType, requestId, requestData } }));
    return new Promise((resolve, reject) => this.#waiting.set(requestId, { resolve, reject }));
  }
}
