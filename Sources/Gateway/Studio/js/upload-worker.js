// A dedicated worker: keeps what the page's recorders give it (depot.js), and sends it to whichever node answers at this origin, also what an
// earlier page left. In: `open`, `begin`, `chunk`, `end`, `close`, `resume`. Out: `stored`, `progress`, `done`, `failed`.
// Decision: docs/decisions/0037-browser-recorded-tracks.md
import { measureClock, now } from "./clock.js";
import { Depot, names } from "./depot.js";

const BACKOFF_MS = [500, 1000, 2000, 4000, 8000, 15000, 30000];
/** A request without an answer is given up. */
const REQUEST_MS = 120_000;
/** Chunks on their way to the disk; a device that is slower than its recorders stops recording. */
const QUEUE = 32;
/** A recording that was just begun may not be known to the store yet. */
const FRESH_MS = 60_000;

const tell = (message) => postMessage(message);
let wake = () => {};
self.addEventListener("online", () => wake());

class Refused extends Error {
  constructor(status, code, message, retryAfter) { super(message); this.status = status; this.code = code; this.retryAfter = retryAfter; }
  /** The same again may do. */
  get isTemporary() { return this.status === 0 || this.status === 429 || this.status >= 500 || this.code === "url_expired" || this.code === "bad_signature"; }
}

async function request(method, path, { token, body, headers = {} } = {}) {
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  let answer = null;
  try {
    response = await fetch(path, { method, headers, body, cache: "no-store", signal: AbortSignal.timeout(REQUEST_MS) });
    answer = await response.json().catch(() => null);
  } catch { throw new Refused(0, "unreachable", "This node does not answer."); }
  if (response.ok) return answer;
  throw new Refused(response.status, answer?.error?.code ?? "error", answer?.error?.message ?? `The node answered ${response.status}.`, Number(response.headers.get("Retry-After")) * 1000);
}

/** Sends one depot's chunks, oldest first, until its recorders have ended and the server has everything. */
class Sender {
  constructor(depot, isLive) {
    this.depot = depot;
    this.isLive = isLive;
    this.openedAt = now();
    this.failures = 0;
    this.idle = null;
  }
  /** Something new is there, or a recorder ended. */
  nudge() { this.idle?.(); }

  async run() {
    await this.learn();
    while (!this.stopped) {
      this.report();
      try {
        const [chunk] = this.depot.waiting;
        const [ended] = this.depot.ended;
        if (chunk) await this.send(chunk);
        else if (ended) await this.complete(ended);
        else if (!this.isLive && this.depot.isDone) return await this.finish("done");
        else await new Promise((resolve) => { this.idle = resolve; });
        this.failures = 0;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (await this.isOver(error)) return;
        await this.pause(error.retryAfter);
      }
    }
  }
  /** What an earlier page sent without hearing of it. */
  async learn() {
    const { recording, participant, token } = this.depot.who;
    while (this.depot.waiting.length) {
      try {
        const here = await request("GET", `/api/recordings/${recording}/uploads?participantId=${participant}`, { token });
        for (const upload of here.uploads) {
          for (const { sequence, sha256 } of upload.chunks) {
            const chunk = this.depot.chunks.get(`${upload.kind}/${sequence}`);
            if (chunk && !chunk.sent && chunk.sha256 === sha256) await this.depot.sent(chunk);
          }
        }
        return;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        // Sending says the same, and is where it is dealt with.
        if (!error.isTemporary) return;
        await this.pause(error.retryAfter);
      }
    }
  }
  async pause(least = 0) {
    this.report();
    const usual = BACKOFF_MS[Math.min(this.failures, BACKOFF_MS.length - 1)];
    this.failures += 1;
    await new Promise((resolve) => { wake = resolve; setTimeout(resolve, Math.max(least || 0, usual * (0.75 + Math.random() / 2))); });
  }
  report() { tell({ type: "progress", recording: this.depot.who.recording, live: this.isLive, failures: this.failures, ...this.depot.progress }); }

  async send(chunk) {
    const { room, recording, participant, token } = this.depot.who;
    const upload = await this.timed(this.depot.uploads.get(`${chunk.kind}/${chunk.upload}`));
    const query = new URLSearchParams({
      roomId: room, recordingId: recording, participantId: participant, kind: chunk.kind, sequence: chunk.sequence, upload: upload.upload, firstSequence: upload.first,
      mediaType: upload.mediaType, startedAtUs: upload.startedUs, offsetUncertaintyUs: upload.uncertaintyUs, clock: upload.clock, atUs: chunk.at, bytes: chunk.bytes, sha256: chunk.sha256,
    });
    try {
      const { url, method, headers } = await request("GET", `/api/recordings/upload-url?${query}`, { token });
      const receipt = await request(method, url, { body: await this.depot.bytes(chunk), headers: { ...headers } });
      if (receipt.sha256 !== chunk.sha256) throw new Refused(0, "damaged", "The node has other bytes.");
      await this.depot.sent(chunk);
    } catch (error) {
      if (!(error instanceof Refused) || error.isTemporary || [401, 403, 404, 410].includes(error.status)) throw error;
      // This one will never be taken; the others may.
      this.depot.note({ type: "refused", kind: chunk.kind, sequence: chunk.sequence, code: error.code });
      tell({ type: "failed", code: error.code, message: error.message });
    }
  }
  /** When the upload began, by a node's clock: measured once and kept, so that every chunk says the same. */
  async timed(upload) {
    if (upload.startedUs !== undefined) return upload;
    const clock = await measureClock(() => request("GET", "/api/v1/time"));
    this.depot.note({
      type: "begin", kind: upload.kind, upload: upload.upload, startedUs: Math.round(upload.started * 1000 + clock.offset), uncertaintyUs: clock.uncertainty, clock: clock.node,
    });
    return this.depot.uploads.get(`${upload.kind}/${upload.upload}`);
  }
  async complete(upload) {
    const { recording, participant, token } = this.depot.who;
    if (upload.last >= 0) {
      await request("POST", `/api/recordings/${recording}/uploads/${upload.upload}/complete`, {
        token, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ participant_id: participant, kind: upload.kind, last_sequence: upload.last }),
      }).catch((error) => { if (error.isTemporary || [401, 403, 410].includes(error.status) || error.code === "unknown_recording") throw error; });
    }
    this.depot.note({ type: "complete", kind: upload.kind, upload: upload.upload });
  }

  /** Whether an answer ends it all. */
  async isOver(error) {
    if (error.isTemporary) return false;
    if (error.status === 404 && this.isLive && now() - this.openedAt < FRESH_MS) return false;
    // Nobody will take it any more: the recording was deleted, its time is over, or it is not to have this person.
    if (["unknown_recording", "uploads_closed", "left_out"].includes(error.code)) { await this.finish("failed", error); return true; }
    // Not with this token. Whoever joins again brings another.
    tell({ type: "failed", recording: this.depot.who.recording, code: error.code, message: error.message });
    this.stopped = true;
    return true;
  }
  async finish(type, error) {
    this.stopped = true;
    await this.depot.remove();
    tell({ type, recording: this.depot.who.recording, code: error?.code, message: error?.message, ...this.depot.progress });
  }
}

const senders = new Map();

/** Runs `work` as the only page that has this depot open. */
async function withDepot(name, options, work) {
  await navigator.locks.request(`troupe-depot:${name}`, options, async (lock) => {
    if (!lock || senders.has(name)) return;
    const depot = await Depot.open(name, options.create === true);
    try { await work(depot); } finally {
      senders.delete(name);
      try { depot.close(); } catch { /* removed with its folder */ }
    }
  });
}

/** What earlier pages left, of every recording that no other page is at. */
async function resume() {
  for (const name of await names()) {
    withDepot(name, { ifAvailable: true }, async (depot) => {
      if (depot.isStale) return depot.remove();
      depot.endAll();
      const sender = new Sender(depot, false);
      senders.set(name, sender);
      await sender.run();
    }).catch((error) => tell({ type: "failed", code: error.name, message: String(error) }));
  }
}

/** The recording this page takes part in. */
let current = null;
let queue = Promise.resolve();
let queued = 0;

async function open({ room, recording, participant, token, startedAt }) {
  const name = Depot.nameOf(recording, participant);
  const who = { type: "who", room, recording, participant, token, at: Date.now() };
  const sender = senders.get(name);
  if (sender && !sender.stopped) {
    // What an earlier page left of this recording is being sent: the same folder, and this page's pieces behind it.
    sender.isLive = true;
    sender.depot.note(who);
    current = { depot: sender.depot, sender, startedAt, numbers: {} };
    return;
  }
  await new Promise((resolve, reject) => {
    withDepot(name, { create: true }, async (depot) => {
      depot.note(who);
      depot.endAll();
      const fresh = new Sender(depot, true);
      senders.set(name, fresh);
      current = { depot, sender: fresh, startedAt, numbers: {} };
      resolve();
      await fresh.run();
    }).then(() => reject(new Error("the recording's folder is in use")), (error) => {
      reject(error);
      tell({ type: "failed", recording, code: error.name, message: String(error), stops: true });
    });
  });
}
/**
 * A run's first number. One piece is cut in two seconds at most, so the seconds since the recording's start lie behind every number given out
 * before, also by another browser of this person that nobody can ask any more.
 */
function firstNumber(kind) { return Math.max(current.depot.next(kind), Math.floor(Math.max(0, now() - current.startedAt) / 1000)); }
function begin({ kind, upload, mediaType, started }) {
  current.numbers[kind] = firstNumber(kind);
  current.depot.note({ type: "begin", kind, upload, first: current.numbers[kind], mediaType, started });
}
async function store({ kind, upload, at, buffer }) {
  const sequence = current.numbers[kind];
  const entry = await current.depot.put(kind, upload, sequence, at, buffer);
  current.numbers[kind] += 1;
  tell({ ...entry, type: "stored" });
  current.sender.nudge();
}
function end({ kind, upload }) {
  const known = current.depot.uploads.get(`${kind}/${upload}`);
  if (!known || known.last !== undefined) return;
  const chunks = current.depot.chunksOf(known);
  current.depot.note({ type: "end", kind, upload, last: chunks.length ? chunks.at(-1).sequence : -1 });
  current.sender.nudge();
}
function close() {
  if (!current) return;
  current.sender.isLive = false;
  current.sender.nudge();
  current = null;
}

const handlers = { open, begin, chunk: store, end, close, resume };
self.onmessage = ({ data }) => {
  if (data.type === "chunk" && queued >= QUEUE) return tell({ type: "failed", code: "device_slow", message: "This device cannot store its recording fast enough.", stops: true });
  queued += 1;
  queue = queue.then(() => {
    if (!current && ["begin", "chunk", "end"].includes(data.type)) return;
    return handlers[data.type](data);
  }).catch((error) => {
    const isFull = error.name === "QuotaExceededError";
    tell({ type: "failed", code: isFull ? "device_full" : error.name, message: isFull ? "No space is left on this device." : String(error), stops: true });
  }).finally(() => { queued -= 1; });
};
