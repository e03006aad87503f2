// One WebSocket to one node: requests with answers, events, heartbeats. Where it is opened, and when again: connection.js.

const REQUEST_TIMEOUT_MS = 20000;
/** After a heartbeat: silence that long, and the node counts as gone; */
const PATIENCE_MS = 700;
/** but while its media comes, only its signalling is late, and the node gone when nothing was heard for that long. */
const LATE_MS = 5000;
/** Between two looks at what has come. */
const LOOK_MS = 200;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Signalling extends EventTarget {
  /** @param socket a WebSocket that is open or opening */
  constructor(socket) {
    super();
    this.socket = socket;
    this.nextId = 1;
    this.waiting = new Map();
    this.heard = performance.now();
    /** Packets of media that have come from the node. Set by that connection. */
    this.arrivals = async () => 0;
    socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    socket.onclose = (event) => this.lost(event.code, event.reason);
  }

  receive(message) {
    this.heard = performance.now();
    const waiter = message.id !== undefined && this.waiting.get(message.id);
    if (waiter && (message.type === "ok" || message.type === "error")) {
      this.waiting.delete(message.id);
      clearTimeout(waiter.timer);
      if (message.type === "ok") waiter.resolve(message); else waiter.reject(Object.assign(new Error(message.message), { code: message.code }));
      return;
    }
    if (message.ping_interval) this.beat(message.ping_interval * 1000);
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  beat(every) {
    clearInterval(this.pulse);
    this.pulse = setInterval(() => {
      const sent = performance.now();
      this.send({ type: "heartbeat" });
      this.check(sent);
    }, every);
  }
  /** Whether the node answers what was sent to it, or its media at least still comes. */
  async check(sent) {
    const answered = () => this.ended || this.heard >= sent;
    await pause(PATIENCE_MS - LOOK_MS);
    if (answered()) return;
    const before = await this.arrivals();
    await pause(LOOK_MS);
    const after = await this.arrivals(), now = performance.now();
    // A page that was put to sleep is late itself: that says nothing about the node.
    if (answered() || now - sent > 2 * PATIENCE_MS) return;
    if (after > before && now - this.heard < LATE_MS) return;
    this.lost(4408, "heartbeat_timeout");
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Sends and waits for `ok` or `error`. */
  request(message) {
    if (this.ended) return Promise.reject(new Error("The connection was lost."));
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

  lost(code, reason) {
    if (this.ended) return;
    this.ended = true;
    this.stop();
    this.dispatchEvent(new CustomEvent("lost", { detail: { code, reason } }));
  }
  /** Nothing more is heard or told. */
  stop() {
    this.ended = true;
    clearInterval(this.pulse);
    for (const { reject, timer } of this.waiting.values()) { clearTimeout(timer); reject(new Error("The connection was lost.")); }
    this.waiting.clear();
    this.socket.close(1000);
  }
}
