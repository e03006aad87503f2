// The WebSocket to the node: requests with answers, events, heartbeats, and coming back after a break.

const BACKOFF_MS = [300, 600, 1200, 2400, 5000];
const REQUEST_TIMEOUT_MS = 20000;
/** Close codes after which coming back makes no sense. */
const FINAL = new Set([1000, 4400, 4401, 4403, 4404, 4409, 4410]);

export class Signalling extends EventTarget {
  /** @param url a function giving the WebSocket address, asked before every attempt */
  constructor(url) {
    super();
    this.url = url;
    this.nextId = 1;
    this.waiting = new Map();
    this.attempt = 0;
    this.closed = false;
  }

  open() {
    this.state("connecting");
    const socket = new WebSocket(this.url());
    this.socket = socket;
    socket.onopen = () => { this.attempt = 0; };
    socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    socket.onclose = (event) => this.lost(event);
  }

  receive(message) {
    const waiter = message.id !== undefined && this.waiting.get(message.id);
    if (waiter && (message.type === "ok" || message.type === "error")) {
      this.waiting.delete(message.id);
      clearTimeout(waiter.timer);
      if (message.type === "ok") waiter.resolve(message); else waiter.reject(Object.assign(new Error(message.message), { code: message.code }));
      return;
    }
    if (message.type === "welcome") {
      this.state("connected");
      const every = (message.ping_interval ?? 10) * 1000;
      clearInterval(this.pulse);
      this.pulse = setInterval(() => this.send({ type: "heartbeat" }), every);
    }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Sends and waits for `ok` or `error`. */
  request(message) {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error("The node did not answer in time."));
      }, REQUEST_TIMEOUT_MS);
      this.waiting.set(id, { resolve, reject, timer });
      this.send({ ...message, id });
    });
  }

  lost(event) {
    clearInterval(this.pulse);
    for (const { reject, timer } of this.waiting.values()) { clearTimeout(timer); reject(new Error("The connection was lost.")); }
    this.waiting.clear();
    if (this.closed) return;
    if (FINAL.has(event.code)) {
      this.closed = true;
      this.dispatchEvent(new CustomEvent("over", { detail: { code: event.code, reason: event.reason } }));
      return;
    }
    this.state("reconnecting");
    const delay = BACKOFF_MS[Math.min(this.attempt++, BACKOFF_MS.length - 1)] * (0.75 + Math.random() / 2);
    setTimeout(() => { if (!this.closed) this.open(); }, delay);
  }

  /** Drops the connection and comes back: the answer is a fresh `welcome`. */
  reopen() { this.socket?.close(4000); }

  close() {
    this.closed = true;
    this.send({ type: "bye" });
    clearInterval(this.pulse);
    this.socket?.close(1000);
  }
  state(state) { this.dispatchEvent(new CustomEvent("state", { detail: state })); }
}
