// The connection to /ws in obs-websocket 5's envelope. Connects again by itself; tells when it is away, so
// that nobody presses a button that does nothing.
import { said } from "./i18n.js";

const RETRY_MS = 1000;
// The server tells a channel's status every second; silence means that the connection is dead, whatever the browser says.
const SILENCE_MS = 5000;

/** `on.event(name, data)`, `on.open()`, `on.closed(reason, isFinal)`. */
export class Connection {
  #on; #socket; #next = 1; #waiting = new Map(); #heard = 0;

  constructor(on) {
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
    for (const { reject } of this.#waiting.values()) reject(new Error(said("the connection was lost")));
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

  #receive(socket, { op, d }) {
    if (op === 0) {
      // Who has signed in is asked for nothing.
      if (d.authentication) this.#lost(socket, "nobody is signed in", true);
      else socket.send(JSON.stringify({ op: 1, d: { rpcVersion: 1 } }));
    } else if (op === 2) {
      this.#on.open();
    } else if (op === 5) {
      this.#on.event(d.eventType, d.eventData);
    } else if (op === 7) {
      const waiting = this.#waiting.get(d.requestId);
      this.#waiting.delete(d.requestId);
      if (d.requestStatus.result) waiting?.resolve(d.responseData);
      else waiting?.reject(Object.assign(new Error(said(d.requestStatus.comment)), { field: d.responseData?.field, doubts: d.responseData?.doubts }));
    }
  }

  /** Asks; the promise fails with the server's own words. */
  request(requestType, requestData = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error(said("not connected")));
    const requestId = String(this.#next++);
    this.#socket.send(JSON.stringify({ op: 6, d: { requestType, requestId, requestData } }));
    return new Promise((resolve, reject) => this.#waiting.set(requestId, { resolve, reject }));
  }
}
