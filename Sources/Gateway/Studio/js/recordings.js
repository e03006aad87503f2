// The recordings of rooms this browser took part in: one player a person, all on one time line.
import { api, memory } from "./api.js";
import { integrity } from "./integrity.js";
import { goOn } from "./uploads.js";
import { byId, element, icon, initials, colourOf, clock, showNode, toast } from "./ui.js";

const STATES = { starting: "Starting", recording: "Recording now", stopping: "Finishing", processing: "Finishing", ready: "Ready", failed: "Failed" };
const DOTS = { ready: "ok", failed: "bad", recording: "live", starting: "live", stopping: "warn", processing: "warn" };

/** Plays all of a recording's tracks together; each element keeps to the shared position. */
class Player {
  constructor(duration) {
    this.duration = duration;
    this.elements = [];
    this.playing = false;
    this.slider = element("input", { type: "range", min: "0", max: String(duration), step: "0.1", value: "0", "aria-label": "Position", oninput: () => this.seek(Number(this.slider.value)) });
    this.button = element("button", { type: "button", class: "primary", onclick: () => (this.playing ? this.pause() : this.play()) }, "Play");
    this.time = element("time", {}, `0:00 / ${clock(duration)}`);
    this.view = element("div", { class: "transport" }, this.button, this.slider, this.time);
  }
  add(media, start) {
    media.dataset.start = start;
    this.elements.push({ media, start });
  }
  position() { return this.playing ? Math.min(this.duration, this.from + (performance.now() - this.since) / 1000) : Number(this.slider.value); }
  play() {
    this.from = Number(this.slider.value) >= this.duration - 0.1 ? 0 : Number(this.slider.value);
    this.since = performance.now();
    this.playing = true;
    this.button.textContent = "Pause";
    this.follow();
  }
  pause() {
    this.slider.value = this.position();
    this.playing = false;
    this.button.textContent = "Play";
    for (const { media } of this.elements) media.pause();
  }
  seek(position) {
    if (this.playing) { this.from = position; this.since = performance.now(); }
    for (const { media, start } of this.elements) media.currentTime = Math.max(0, position - start);
    this.show(position);
  }
  follow() {
    if (!this.playing) return;
    const position = this.position();
    for (const { media, start } of this.elements) {
      const local = position - start;
      const inside = local >= 0 && local < (media.duration || Infinity);
      if (media.dataset.part) media.hidden = !inside;
      if (inside && media.paused) { media.currentTime = local; media.play().catch(() => {}); }
      if (!inside && !media.paused) media.pause();
      if (inside && Math.abs(media.currentTime - local) > 0.3) media.currentTime = local;
    }
    this.slider.value = position;
    this.show(position);
    if (position >= this.duration) return this.pause();
    setTimeout(() => this.follow(), 200);
  }
  show(position) { this.time.textContent = `${clock(position)} / ${clock(this.duration)}`; }
}

function card(recording, room) {
  const view = element("section", { class: "card recording", "data-recording": recording.recording_id, "data-state": recording.state });
  const facts = [new Date(recording.started_at).toLocaleString(), recording.duration ? clock(recording.duration) : null, recording.size ? `${(recording.size / 1e6).toFixed(1)} MB` : null];
  view.append(element("header", {},
    element("h2", {}, recording.title || room.title || "Untitled room"),
    element("span", { class: "chip" }, element("span", { class: `dot ${DOTS[recording.state] ?? ""}` }), STATES[recording.state] ?? recording.state),
    element("button", { type: "button", class: "round small", title: "Delete this recording", hidden: !["ready", "failed"].includes(recording.state), onclick: () => remove(recording, room, view) }, icon("trash"))),
  element("div", { class: "facts" }, facts.filter(Boolean).join(" · ")));
  const edit = `/recordings/${encodeURIComponent(recording.recording_id)}/edit?room=${encodeURIComponent(room.id)}`;
  if (recording.state === "ready") {
    view.querySelector("header").append(element("a", { class: "button edit", href: edit }, icon("edit"), "Edit"));
    describe(view, recording, room, edit);
  }
  if (recording.reason) view.append(element("p", { class: "notice" }, recording.reason));
  if (recording.state === "ready") people(view, recording);
  return view;
}

/** What takes a look into its files, once the card comes into view: its thumbnail and how whole every person's tracks are. */
function describe(view, recording, room, edit) {
  const look = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    look.disconnect();
    try {
      const { metadata, thumbnail_url: thumbnail } = await api.made(recording.recording_id, room.token);
      if (thumbnail) view.prepend(element("a", { class: "thumbnail", href: edit, tabindex: "-1", "aria-hidden": "true" }, element("img", { src: thumbnail, alt: "" })));
      for (const line of view.querySelectorAll(".integrity")) showIntegrity(line, integrity(metadata?.tracks ?? [], line.dataset.peer));
    } catch (error) { if (![401, 403, 404].includes(error.status)) toast(error.message, "error"); }
  });
  look.observe(view);
}

function people(view, recording) {
  const player = new Player(recording.duration ?? 0);
  const byPeer = new Map();
  for (const track of recording.tracks ?? []) {
    if (!byPeer.has(track.peer_id)) byPeer.set(track.peer_id, { name: track.name ?? track.peer_id, tracks: [] });
    byPeer.get(track.peer_id).tracks.push(track);
  }
  const grid = element("div", { class: "people" });
  for (const [peer, { name, tracks }] of byPeer) {
    const avatar = element("span", { class: "avatar" }, initials(name));
    avatar.style.background = colourOf(name);
    const stage = element("div", { class: "screen-media" }, avatar);
    for (const track of tracks) {
      const media = element(track.kind === "video" ? "video" : "audio", { src: track.url, preload: "metadata", playsinline: true });
      if (track.kind === "video") { avatar.remove(); media.muted = true; }
      // Of a track in parts one is shown at a time.
      const parts = track.kind === "video" ? tracks.filter((other) => other.track_id === track.track_id) : [];
      if (parts.length > 1) { media.dataset.part = String(parts.indexOf(track) + 1); media.hidden = media.dataset.part !== "1"; }
      stage.append(media);
      player.add(media, track.start ?? 0);
    }
    grid.append(element("article", { class: "person" }, stage, element("div", { class: "who" }, element("b", {}, name)),
      element("p", { class: "integrity", "data-peer": peer }),
      element("div", { class: "files" }, ...tracks.map((track) => element("a", { class: "button", href: track.url, download: "" }, `${track.kind === "video" ? (track.source === "screen_share" ? "Screen" : "Video") : "Sound"} · ${track.codec}`)))));
  }
  view.append(player.view, grid);
}

function showIntegrity(line, { isWhole, text }) {
  line.replaceChildren(element("span", { class: `dot ${isWhole ? "ok" : "warn"}` }), text);
}

async function remove(recording, room, view) {
  if (!confirm("Delete this recording and all its files?")) return;
  try { await api.deleteRecording(recording.recording_id, room.token); view.remove(); } catch (error) { toast(error.message, "error"); }
}

async function load() {
  const views = [];
  let pending = false;
  for (const room of memory.rooms()) {
    try {
      const { recordings } = await api.recordings(room.id, room.token);
      for (const recording of recordings) {
        views.push({ at: recording.started_at, view: card(recording, room) });
        pending ||= !["ready", "failed"].includes(recording.state);
      }
    } catch (error) {
      if (![401, 403, 404].includes(error.status)) {
        byId("error").textContent = error.message;
        byId("error").hidden = false;
      }
    }
  }
  views.sort((a, b) => (a.at < b.at ? 1 : -1));
  byId("list").replaceChildren(...views.map(({ view }) => view));
  byId("empty").hidden = views.length > 0;
  if (pending) setTimeout(load, 2000);
}

showNode(api);
goOn(document.querySelector("header.site"));
load();
