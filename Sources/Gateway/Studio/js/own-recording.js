// Records this person's camera, microphone and screen in the browser while the room is recorded, and hands the pieces to the uploads' worker.
// Decision: docs/decisions/0037-browser-recorded-tracks.md
import { api } from "./api.js";
import { measureClock, now } from "./clock.js";
import { isSupported } from "./uploads.js";

/** A piece is cut so often: what a killed browser loses at most. Numbering (upload-worker.js) relies on it. */
const SLICE_MS = 2000;
const VIDEO_BITS = 2_500_000;
const AUDIO_BITS = 128_000;
const TYPES = {
  camera: ["video/webm;codecs=vp8,opus", "video/webm"],
  screen: ["video/webm;codecs=vp8", "video/webm"],
  audio: ["audio/webm;codecs=opus", "audio/webm"],
};
/** Further away than this a start time is a mistake of some clock. */
const FARTHEST_START_MS = 5000;
const SETTING = "troupe.own-recording";

/** One run of a recorder: an upload. */
class Run {
  constructor(uploads, kind, tracks) {
    this.uploads = uploads;
    this.kind = kind;
    this.tracks = tracks;
    this.name = crypto.randomUUID();
    this.queue = Promise.resolve();
    const mimeType = TYPES[kind].find((type) => MediaRecorder.isTypeSupported(type));
    this.recorder = new MediaRecorder(new MediaStream(tracks), { mimeType, videoBitsPerSecond: VIDEO_BITS, audioBitsPerSecond: AUDIO_BITS });
    this.recorder.onstart = () => {
      this.started = this.cut = now();
      this.uploads.send({ type: "begin", kind, upload: this.name, mediaType: mimeType, started: this.started });
    };
    this.recorder.ondataavailable = ({ data }) => {
      const at = Math.round((this.cut - this.started) * 1000);
      this.cut = now();
      if (data.size) this.queue = this.queue.then(async () => this.give(at, await data.arrayBuffer()));
    };
    this.ended = new Promise((resolve) => {
      this.recorder.onstop = () => {
        this.queue = this.queue.then(() => { this.uploads.send({ type: "end", kind, upload: this.name }); resolve(); });
      };
    });
    this.recorder.start(SLICE_MS);
  }
  give(at, buffer) { this.uploads.send({ type: "chunk", kind: this.kind, upload: this.name, at, buffer }, [buffer]); }
  isOf(tracks) { return this.recorder.state !== "inactive" && this.tracks.length === tracks.length && this.tracks.every((track) => tracks.includes(track)); }
  stop() {
    if (this.recorder.state !== "inactive") this.recorder.stop();
    return this.ended;
  }
}

/** Follows the room's recording and the person's devices. Events: `change`. */
export class OwnRecording extends EventTarget {
  constructor(uploads, credential, roomId) {
    super();
    this.uploads = uploads;
    this.who = { room: roomId, participant: credential.participantId, token: credential.token };
    this.runs = new Map();
    this.sources = { camera: [], screen: [], audio: [] };
    this.recording = null;
    this.closing = Promise.resolve();
    this.given = null;
    this.clockOffset = 0;
    measureClock(api.time).then(({ offset }) => { this.clockOffset = offset / 1000; }, () => { /* the start is then told by each upload alone */ });
    uploads.addEventListener("failed", ({ detail }) => {
      if (!detail.stops) return;
      this.given = this.recording;
      this.close();
    });
  }
  static isSupported = isSupported;
  get isAllowed() { return localStorage.getItem(SETTING) !== "off"; }
  /** The person's word; it holds in the midst of a recording too. */
  allow(allowed) {
    localStorage.setItem(SETTING, allowed ? "on" : "off");
    if (!allowed) this.close(); else if (this.running) this.follow(this.running);
    this.dispatchEvent(new Event("change"));
  }

  /** @param devices, screen: what there is to record; a track that was switched off is recorded black or silent */
  use(devices, screen) {
    const audio = devices.track("audio"), video = devices.track("video");
    this.sources = { camera: video ? [video, ...(audio ? [audio] : [])] : [], screen: screen ? [screen] : [], audio: !video && audio ? [audio] : [] };
    this.arrange();
  }
  /** The room's recording as the node tells of it; null where there is none. Who is left out of it records nothing. */
  follow(status) {
    const runs = status && ["starting", "recording"].includes(status.state) && !(status.excluded ?? []).includes(this.who.participant);
    // An earlier recording that is being finished is none of this one's business.
    if (!runs) { if (!status || status.recording_id === this.running?.recording_id) { this.running = null; this.close(); } return; }
    this.running = status;
    if (!this.isAllowed || this.recording === status.recording_id || this.given === status.recording_id) return;
    this.close();
    this.recording = status.recording_id;
    const startedAt = status.start_at ? Date.parse(status.start_at) - this.clockOffset : now();
    this.closing.then(() => {
      if (this.recording !== status.recording_id) return;
      this.uploads.send({ type: "open", recording: status.recording_id, startedAt, ...this.who });
      this.timer = setTimeout(() => { this.isStarted = true; this.arrange(); }, this.startsIn(startedAt));
    });
  }
  /** Everyone begins at one moment by the node's clock; ours may be off, and the start is told again by what each upload says of itself. */
  startsIn(startedAt) {
    const left = startedAt - now();
    return left > 0 && left < FARTHEST_START_MS ? left : 0;
  }
  arrange() {
    if (!this.recording || !this.isStarted) return;
    for (const [kind, tracks] of Object.entries(this.sources)) {
      const run = this.runs.get(kind);
      if (tracks.length && run?.isOf(tracks)) continue;
      run?.stop();
      this.runs.delete(kind);
      if (tracks.length && tracks.some((track) => track.readyState === "live")) this.runs.set(kind, new Run(this.uploads, kind, tracks));
    }
  }
  /** Ends every recorder; what they made is still sent. */
  close() {
    clearTimeout(this.timer);
    if (!this.recording) return;
    this.recording = null;
    this.isStarted = false;
    const ending = [...this.runs.values()].map((run) => run.stop());
    this.runs.clear();
    this.closing = Promise.all(ending).then(() => this.uploads.send({ type: "close" }));
  }
}
