// The edit page: a recording's preview, its Composition State, its exports.
import { api, memory } from "./api.js";
import { byId, toggle, clock, showNode } from "./ui.js";
import { Composition, mistakes } from "./composition.js";
import { PreviewPlayer } from "./preview.js";
import { Stage } from "./stage.js";
import { TimeLine } from "./timeline.js";
import { Edits } from "./edits.js";
import { Exports, follow, progressText } from "./jobs.js";

const recordingId = decodeURIComponent(location.pathname.split("/")[2] ?? "");
/** URLs of an index this old are still good for a while. */
const FRESH_MS = 60000;
const STEP_S = 1;
/** How often a preview may be made anew while the page waits for it. */
const REVISIONS = 16;
/** Who came this soon after the beginning was there from the beginning. */
const EDGE_S = 0.5;

const span = (from, to) => ({ from: (from ?? 0) < EDGE_S ? 0 : from, to });

class Editor {
  constructor(recording, token) {
    Object.assign(this, { recording, token, version: 0, indexAt: 0 });
    document.title = `${recording.title || "Recording"} · Troupe`;
    byId("title").textContent = recording.title || "Untitled recording";
  }
  async start() {
    this.index = await this.preview();
    this.duration = this.index.duration;
    // Nothing may be edited after the recording's end; the preview's last segment may stand a little beyond it.
    const end = Math.min(this.duration, this.recording.metadata?.duration ?? this.duration);
    this.composition = new Composition(await this.saved(), Math.floor(end * 1000));
    this.composition.addEventListener("change", () => this.changed());
    this.player = new PreviewPlayer(this.duration, (position) => this.cutAt(position));
    this.makeStage();
    const seek = (position) => this.player.seek(position);
    this.line = new TimeLine(byId("timeline"), { duration: this.duration, rows: this.index.peers, seek });
    this.line.composition = this.composition;
    this.edits = new Edits({
      composition: this.composition, people: this.index.peers, seek, playhead: () => this.playhead, marked: (ms) => { this.line.markIn = ms === null ? null : ms / 1000; this.line.draw(); },
    });
    this.exports = new Exports({ recordingId, token: this.token, composition: this.composition, save: async () => (!this.composition.isChanged && this.version > 0) || this.save() });
    this.exports.list(this.recording.jobs ?? []);
    this.bind();
    this.show("ready");
    this.tick();
  }
  show(state, text = "") {
    document.body.dataset.state = state;
    byId("preparing").hidden = state === "ready";
    byId("editor").hidden = state !== "ready";
    byId("preparing-text").textContent = text;
  }
  get playhead() { return Math.min(this.composition.duration, Math.round(this.player.position * 1000)); }

  // What the server has

  async preview() {
    if (this.recording.preview_status !== "ready" || !this.recording.preview) {
      this.show("preparing", "The preview is being made.");
      const job = await this.made();
      if (job.status !== "ready") throw new Error(job.error?.message ?? "The preview was cancelled.");
      this.recording = await api.made(recordingId, this.token);
    }
    if (!this.recording.preview) throw new Error("The preview is ready but cannot be read. Try again.");
    this.indexAt = performance.now();
    return this.recording.preview;
  }
  /** The preview's job, ended; the next one's where the recording is finished again meanwhile, and its preview made anew. */
  async made() {
    for (let again = 0; ; again += 1) {
      const { job_id: id } = await api.preview(recordingId, this.token);
      try {
        return await follow(id, this.token, (now) => {
          byId("preparing-progress").value = now.progress;
          byId("preparing-text").textContent = `The preview is being made: ${progressText(now)}`;
        });
      } catch (error) {
        if (error.code !== "unknown_job" || again === REVISIONS) throw error;
      }
    }
  }
  /** The index with URLs signed a moment ago; asked for once for all lanes. */
  async freshIndex() {
    if (performance.now() - this.indexAt < FRESH_MS) return this.index;
    this.asking ??= api.made(recordingId, this.token).finally(() => { this.asking = null; });
    const { preview } = await this.asking;
    if (preview) { this.index = preview; this.indexAt = performance.now(); }
    return this.index;
  }
  async saved() {
    try {
      const { composition, version } = await api.composition(recordingId, this.token);
      this.version = version;
      return composition;
    } catch (error) {
      if (error.code === "unknown_composition") return null;
      throw error;
    }
  }
  /** @returns whether it is saved */
  async save() {
    const state = this.composition.state;
    const sent = JSON.stringify(state);
    byId("save").disabled = true;
    this.edits.clearMistakes();
    byId("notice").hidden = true;
    try {
      const { version } = await api.saveComposition(recordingId, state, this.version, this.token);
      this.version = version;
      this.composition.isChanged = JSON.stringify(this.composition.state) !== sent;
      return true;
    } catch (error) {
      const elsewhere = this.edits.showMistakes(mistakes(error.message));
      this.notice(elsewhere.join("\n") || "This edit cannot be saved yet: see what is marked below.", error.code === "composition_changed");
      return false;
    } finally {
      byId("save").disabled = false;
      this.showSaved();
    }
  }
  /** After a conflict: take theirs, or put ours over it. */
  async settle(takeTheirs) {
    try {
      const theirs = await this.saved();
      byId("notice").hidden = true;
      if (!takeTheirs) return this.save();
      this.composition.load(theirs);
      this.composition.dispatchEvent(new Event("change"));
    } catch (error) { this.notice(error.message); }
  }
  notice(text, isConflict = false) {
    byId("notice-text").textContent = text;
    byId("conflict").hidden = !isConflict;
    byId("notice").hidden = false;
  }

  // The page

  makeStage() {
    const { tracks = [], participants = [] } = this.recording.metadata ?? {};
    const spans = (peer, source) => tracks.filter((track) => track.peer_id === peer && track.source === source && track.start !== null && track.start !== undefined)
      .map(({ start, duration }) => span(start, start + (duration ?? 0) + EDGE_S));
    this.stage = new Stage(byId("stage"));
    const add = (peer, isScreen, there, pictures) => {
      const { video } = this.stage.add(peer, { isScreen, spans: there, pictures });
      this.player.add(video, peer.av, async () => (await this.freshIndex())[isScreen ? "screenshares" : "peers"].find((one) => one.peer_id === peer.peer_id).av);
    };
    for (const peer of this.index.screenshares) {
      const there = spans(peer.peer_id, "screen_share");
      add(peer, true, there, there);
    }
    for (const peer of this.index.peers) {
      const there = participants.filter((person) => person.peer_id === peer.peer_id).map((person) => span(person.joined_at, person.left_at ?? Infinity));
      add(peer, false, there.length ? there : [span(0, Infinity)], spans(peer.peer_id, "camera"));
    }
  }
  cutAt(position) {
    const ms = position * 1000;
    const cut = this.composition.cuts.find(({ t, until }) => ms >= t && ms < until);
    return cut ? cut.until / 1000 : undefined;
  }
  tick() {
    const { position } = this.player;
    const now = this.composition.at(Math.round(position * 1000));
    this.stage.show(position, now, (peer) => this.composition.track(peer));
    this.line.show(position);
    this.edits.follow(now);
    byId("time").textContent = `${clock(position)}.${Math.floor((position % 1) * 10)} / ${clock(this.duration)}`;
    byId("stage").classList.toggle("cut", !!now.cut);
    if (this.player.mistake) byId("stage-note").textContent = this.player.mistake;
    byId("stage-note").hidden = !this.player.mistake;
  }
  changed() {
    this.line.draw();
    this.tick();
    this.showSaved();
  }
  showSaved() {
    byId("saved").textContent = this.composition.isChanged ? "Not saved" : this.version ? `Saved, version ${this.version}` : "";
    document.body.dataset.version = this.version;
  }
  showState() {
    toggle(byId("play"), { on: ["pause", "Pause (space)"], off: ["play", "Play (space)"] }, this.player.isPlaying);
    byId("waiting").hidden = !this.player.isWaiting;
    document.body.dataset.playing = this.player.isPlaying && !this.player.isWaiting;
  }
  playOrPause() { if (this.player.isPlaying) this.player.pause(); else this.player.play(); }

  bind() {
    this.player.addEventListener("tick", () => this.tick());
    this.player.addEventListener("state", () => this.showState());
    byId("play").addEventListener("click", () => this.playOrPause());
    byId("save").addEventListener("click", () => this.save());
    byId("theirs").addEventListener("click", () => this.settle(true));
    byId("mine").addEventListener("click", () => this.settle(false));
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("beforeunload", (event) => { if (this.composition.isChanged) event.preventDefault(); });
    addEventListener("pagehide", () => this.player.close());
    this.showState();
    this.showSaved();
  }
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select")) return;
    const onControl = event.target.closest("button, a, input");
    const { key } = event;
    if (key === " " && !onControl) this.playOrPause();
    else if (key === "s") this.save();
    else if (key === "i") this.edits.mark();
    else if (key === "o") this.edits.cut();
    else if (key === "ArrowLeft" || key === "ArrowRight") this.player.seek(this.player.position + (key === "ArrowLeft" ? -STEP_S : STEP_S) * (event.shiftKey ? 0.1 : 1));
    else return;
    event.preventDefault();
  }
}

/** Of the rooms this browser took part in, the one this recording is of. */
async function find() {
  const hint = new URLSearchParams(location.search).get("room");
  const rooms = memory.rooms().sort((a, b) => (b.id === hint) - (a.id === hint));
  for (const { token } of rooms) {
    try { return new Editor(await api.made(recordingId, token), token); } catch (error) { if (![401, 403].includes(error.status)) throw error; }
  }
  throw new Error("This browser took no part in the room of this recording, or its place there has ended. Open the page where you hosted the room.");
}

async function main() {
  byId("error").hidden = true;
  byId("retry").hidden = true;
  byId("preparing-progress").hidden = false;
  byId("preparing-progress").removeAttribute("value");
  try {
    const editor = await find();
    await editor.start();
  } catch (error) {
    document.body.dataset.state = "failed";
    byId("preparing-progress").hidden = true;
    byId("preparing-text").textContent = "";
    byId("error").textContent = error.message;
    byId("error").hidden = byId("retry").hidden = false;
  }
}

byId("retry").addEventListener("click", main);
showNode(api);
main();
