// What this browser recorded and has not yet handed over, in its origin-private storage. Used by upload-worker.js alone: the access
// handles that write and flush at once exist in workers only. Decision: docs/decisions/0037-browser-recorded-tracks.md

const ROOT = "troupe-recordings";
const JOURNAL = "journal.jsonl";
/** What nobody came back for is removed after so long. */
const KEEP_MS = 7 * 24 * 3600 * 1000;
const encoder = new TextEncoder();

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
export const sha256 = async (buffer) => hex(await crypto.subtle.digest("SHA-256", buffer));
const fileName = (kind, sequence) => `${kind}-${String(sequence).padStart(6, "0")}.webm`;
const root = async (create) => (await navigator.storage.getDirectory()).getDirectoryHandle(ROOT, { create });

/** Names of the folders that hold something. */
export async function names() {
  const found = [];
  try { for await (const [name, handle] of (await root(false)).entries()) if (handle.kind === "directory") found.push(name); } catch { /* nothing was ever recorded */ }
  return found;
}

/**
 * One participant's part of one recording: a file per chunk, and a journal that only grows, one JSON object a line:
 * `who` {room, recording, participant, token, at}, `begin` of an upload, `chunk`, `sent`, `end`, `complete`, `refused`.
 * A chunk's file is flushed before its line is written, so what the journal names is whole; a torn last line is left out.
 * Whoever holds the folder's lock (upload-worker.js) is the only one to have it open.
 */
export class Depot {
  static nameOf(recording, participant) { return `${recording}~${participant}`; }

  static async open(name, create) {
    const depot = new Depot();
    depot.name = name;
    depot.folder = await (await root(create)).getDirectoryHandle(name, { create });
    depot.journal = await (await depot.folder.getFileHandle(JOURNAL, { create: true })).createSyncAccessHandle();
    depot.who = null;
    /** kind/upload → {kind, upload, first, type, started, startedUs, uncertaintyUs, clock, last, complete}; a Map keeps their order. */
    depot.uploads = new Map();
    /** kind/sequence → {kind, upload, sequence, at, bytes, sha256, sent, refused} */
    depot.chunks = new Map();
    depot.replay();
    return depot;
  }

  replay() {
    const bytes = new Uint8Array(this.journal.getSize());
    this.journal.read(bytes, { at: 0 });
    const end = bytes.lastIndexOf(10) + 1;
    this.size = end;
    this.journal.truncate(end);
    for (const line of new TextDecoder().decode(bytes.subarray(0, end)).split("\n")) {
      if (line) try { this.apply(JSON.parse(line)); } catch { /* damaged: what it said is not known any more */ }
    }
  }
  apply(entry) {
    const upload = this.uploads.get(`${entry.kind}/${entry.upload}`);
    const chunk = this.chunks.get(`${entry.kind}/${entry.sequence}`);
    switch (entry.type) {
      case "who": this.who = entry; break;
      case "begin": this.uploads.set(`${entry.kind}/${entry.upload}`, { ...upload, ...entry }); break;
      case "chunk": this.chunks.set(`${entry.kind}/${entry.sequence}`, { ...entry }); break;
      case "sent": if (chunk) chunk.sent = true; break;
      case "refused": if (chunk) chunk.refused = entry.code; break;
      case "end": if (upload) upload.last = entry.last; break;
      case "complete": if (upload) upload.complete = true; break;
    }
  }
  note(entry) {
    this.apply(entry);
    const line = encoder.encode(`${JSON.stringify(entry)}\n`);
    this.size += this.journal.write(line, { at: this.size });
    this.journal.flush();
  }

  /** Writes a chunk so that it outlives this process. @returns its entry */
  async put(kind, upload, sequence, at, buffer) {
    const digest = await sha256(buffer);
    const handle = await (await this.folder.getFileHandle(fileName(kind, sequence), { create: true })).createSyncAccessHandle();
    try {
      handle.truncate(0);
      if (handle.write(buffer, { at: 0 }) !== buffer.byteLength) throw new DOMException("the chunk was not written whole", "QuotaExceededError");
      handle.flush();
    } finally { handle.close(); }
    const entry = { type: "chunk", kind, upload, sequence, at, bytes: buffer.byteLength, sha256: digest };
    this.note(entry);
    return entry;
  }
  async bytes({ kind, sequence }) { return (await (await this.folder.getFileHandle(fileName(kind, sequence))).getFile()).arrayBuffer(); }
  /** The server has it: the copy here goes. */
  async sent(chunk) {
    this.note({ type: "sent", kind: chunk.kind, sequence: chunk.sequence });
    await this.folder.removeEntry(fileName(chunk.kind, chunk.sequence)).catch(() => { /* went before */ });
  }

  next(kind) { return 1 + [...this.chunks.values()].reduce((most, chunk) => (chunk.kind === kind ? Math.max(most, chunk.sequence) : most), -1); }
  chunksOf(upload) { return [...this.chunks.values()].filter((chunk) => chunk.kind === upload.kind && chunk.upload === upload.upload); }
  get waiting() { return [...this.chunks.values()].filter((chunk) => !chunk.sent && !chunk.refused); }
  /** Uploads whose recorder is gone: their last chunk is the last that was written. */
  endAll() {
    for (const upload of this.uploads.values()) {
      if (upload.last !== undefined) continue;
      const chunks = this.chunksOf(upload);
      this.note({ type: "end", kind: upload.kind, upload: upload.upload, last: chunks.length ? chunks.at(-1).sequence : -1 });
    }
  }
  /** Uploads that have ended, whose chunks are all away, and whose end the server does not know. */
  get ended() { return [...this.uploads.values()].filter((upload) => upload.last !== undefined && !upload.complete && this.chunksOf(upload).every((chunk) => chunk.sent || chunk.refused)); }
  get isDone() { return [...this.uploads.values()].every((upload) => upload.complete); }
  get isStale() { return !this.who || Date.now() - this.who.at > KEEP_MS; }
  get progress() {
    const chunks = [...this.chunks.values()];
    return { stored: chunks.reduce((sum, chunk) => sum + chunk.bytes, 0), sent: chunks.reduce((sum, chunk) => sum + (chunk.sent ? chunk.bytes : 0), 0), waiting: this.waiting.length };
  }

  close() { this.journal.close(); }
  async remove() {
    this.close();
    await (await root(true)).removeEntry(this.name, { recursive: true });
  }
}
