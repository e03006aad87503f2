// The session's way to the cluster: joins at one node, comes back at any, moves from one to another without a gap.
import { Signalling, pause } from "./signalling.js";

const FEATURES = ["move", "resume"];
const BACKOFF_MS = [0, 150, 300, 600, 1200, 2400, 5000];
/** Between the tries at two nodes: one that is gone may not even refuse. */
const STAGGER_MS = 250;
const OPEN_MS = 3000;
const ANSWER_MS = 6000;
/** Close codes, and reasons of `bye`, after which coming back makes no sense. */
const FINAL = new Set([1000, 4400, 4401, 4403, 4404, 4409, 4410, 4429]);
const FINAL_REASONS = new Set(["left", "removed", "ended", "replaced", "bad_request", "rate_limited"]);

const socketURL = (base, room) => `${base.replace(/^http/, "ws")}/ws/${encodeURIComponent(room)}`;

/** The first of these addresses that opens, tried one after the other without waiting long for any. @returns null when none does */
function firstOpen(urls) {
  return new Promise((resolve) => {
    const sockets = [];
    let failed = 0;
    let timer = null;
    let done = false;
    const settle = (socket) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      clearTimeout(limit);
      for (const other of sockets) if (other !== socket) { other.onopen = other.onclose = null; other.close(); }
      if (socket) socket.onopen = socket.onclose = null;
      resolve(socket);
    };
    const limit = setTimeout(() => settle(null), OPEN_MS + urls.length * STAGGER_MS);
    const next = () => {
      clearTimeout(timer);
      if (done || sockets.length === urls.length) return;
      const socket = new WebSocket(urls[sockets.length]);
      sockets.push(socket);
      socket.onopen = () => settle(socket);
      socket.onclose = () => { failed += 1; if (failed === urls.length) settle(null); else next(); };
      timer = setTimeout(next, STAGGER_MS);
    };
    next();
  });
}

/**
 * Events: `state` (connecting, connected, reconnecting), `attached` {message, link, isMove} after welcome or resumed, `over` {reason},
 * and every message of the node by its type. `link` is what the newest attachment sends through.
 */
export class Connection extends EventTarget {
  constructor(room, credential) {
    super();
    this.room = room;
    this.credential = credential;
    this.nodes = [location.origin];
    this.token = null;
    this.seq = 0;
    this.attempt = 0;
    this.closed = false;
    this.link = null;
    /** Links of a move that still run. */
    this.leaving = new Set();
  }

  open() {
    this.state("connecting");
    this.join();
  }
  send(message) { this.link?.send(message); }
  request(message) { return this.link ? this.link.request(message) : Promise.reject(new Error("Not connected.")); }

  /** Tries until it is attached somewhere; the place it was at comes first. */
  async recover() {
    if (this.recovering || this.closed) return;
    this.recovering = true;
    this.state("reconnecting");
    for (let round = 0; !this.closed; round += 1) {
      await pause(BACKOFF_MS[Math.min(round, BACKOFF_MS.length - 1)] * (0.75 + Math.random() / 2));
      const turn = round === 0 ? 0 : round % this.nodes.length;
      const order = [...this.nodes.slice(turn), ...this.nodes.slice(0, turn)];
      const outcome = await (this.token ? this.resume(order, false) : this.join(order));
      if (outcome === "attached" || outcome === "over") break;
      if (outcome === "unknown") this.token = null;
    }
    this.recovering = false;
  }

  /** A place of its own in the room: everything begins anew. */
  async join(order = this.nodes) {
    const query = new URLSearchParams({ participant_id: this.credential.participantId, token: this.credential.token });
    const socket = await firstOpen(order.map((base) => `${socketURL(base, this.room)}?${query}`));
    const outcome = socket ? await this.attach(socket, null, false) : "failed";
    if (outcome === "failed" && !this.recovering) this.recover();
    return outcome;
  }
  async resume(order, isMove) {
    const socket = await firstOpen(order.map((base) => socketURL(base, this.room)));
    if (!socket) return "failed";
    this.attempt += 1;
    return this.attach(socket, { type: "resume", token: this.token, last_seq: this.seq, attempt: this.attempt, move: isMove, features: FEATURES }, isMove);
  }

  /** @returns attached, failed, unknown (the session), over */
  attach(socket, first, isMove) {
    return new Promise((resolve) => {
      const link = new Signalling(socket);
      const limit = setTimeout(() => { link.stop(); resolve("failed"); }, ANSWER_MS);
      link.addEventListener("message", ({ detail }) => {
        if (detail.type === "unknown_session") resolve("unknown");
        if (detail.type === "welcome" || detail.type === "resumed") {
          clearTimeout(limit);
          this.attached(link, detail, isMove);
          return resolve("attached");
        }
        this.heard(link, detail);
      });
      link.addEventListener("lost", ({ detail }) => {
        clearTimeout(limit);
        resolve(this.isFinal(detail.code) && !link.attached ? this.over(detail.reason) : "failed");
        this.lost(link, detail);
      });
      link.send(first ?? { type: "hello", features: FEATURES });
    });
  }
  attached(link, message, isMove) {
    link.attached = true;
    const old = this.link;
    this.link = link;
    if (old && isMove) this.leaving.add(old); else old?.stop();
    if (message.nodes?.length) this.nodes = message.nodes;
    this.token = message.resume_token;
    this.seq = message.seq;
    this.state("connected");
    this.dispatchEvent(new CustomEvent("attached", { detail: { message, link, old, isMove } }));
  }

  heard(link, message) {
    // What the old end of a move says is about itself only.
    if (link !== this.link) return;
    if (message.seq !== undefined) this.seq = Math.max(this.seq, message.seq);
    if (message.type === "heartbeat") { this.token = message.resume_token ?? this.token; return; }
    if (message.type === "move") return this.move(message);
    if (message.type === "bye") { this.farewell = message.reason; if (!FINAL_REASONS.has(message.reason)) return; }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  lost(link, { code, reason }) {
    this.leaving.delete(link);
    this.dispatchEvent(new CustomEvent("closed", { detail: { link } }));
    if (link !== this.link || this.closed) return;
    if (this.isFinal(code)) return this.over(reason);
    // A move under way brings another link, or this is looked at again.
    if (!this.moving) this.recover();
  }
  isFinal(code) { return FINAL.has(code) && !(this.farewell && !FINAL_REASONS.has(this.farewell)); }

  /** The node is being emptied: a second connection at another one; the old one runs until `left` says so. */
  async move(order) {
    if (this.moving || this.recovering || this.closed) return;
    this.moving = true;
    const bases = order.ws_urls.map((url) => new URL(url)).map((url) => `${url.protocol === "wss:" ? "https" : "http"}://${url.host}`);
    const end = performance.now() + order.deadline_ms;
    while (!this.closed && performance.now() < end) {
      const outcome = await this.resume(bases, !this.link.ended);
      if (outcome !== "failed") break;
      await pause(300);
      bases.push(bases.shift());
    }
    this.moving = false;
    if (this.link.ended) this.recover();
  }
  /** Media comes by the new connection: the old one may go. */
  left(link) { if (this.leaving.has(link)) link.send({ type: "bye" }); }

  /** The transport failed, the signalling did not: only a new attachment helps. */
  renew() { this.link?.lost(4000, "renewed"); }

  close() {
    this.closed = true;
    for (const link of [this.link, ...this.leaving]) { link?.send({ type: "bye" }); link?.stop(); }
  }
  over(reason) {
    this.closed = true;
    for (const link of this.leaving) link.stop();
    this.dispatchEvent(new CustomEvent("over", { detail: { reason: this.farewell ?? reason } }));
    return "over";
  }
  state(state) { this.dispatchEvent(new CustomEvent("state", { detail: state })); }
}
