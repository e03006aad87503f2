// The Composition State as it is edited: what holds at a time, and how each control changes it.
// docs/decisions/0031-composition.md says what it means; times are milliseconds from the recording's beginning.

export const LAYOUTS = ["grid", "speaker", "sidebar", "single"];
/** What a person is made at the playhead, and what ends it. */
const OPPOSITE = { pin: "unpin", mute: "unmute", hide: "show" };
/** An end and a beginning this close are one moment. */
const SAME_MS = 40;

export class Composition extends EventTarget {
  /** @param state as the server gives it, or nothing  @param duration ms */
  constructor(state, duration) {
    super();
    this.duration = duration;
    this.load(state);
  }
  load(state) {
    this.layout = state?.layout ?? "grid";
    this.timeline = [...(state?.timeline ?? [])];
    this.tracks = new Map((state?.tracks ?? []).map((track) => [track.peer_id, { ...track }]));
    this.export = { resolution: "720p", fps: 30, ...state?.export };
    this.isChanged = false;
    this.sort();
  }
  /** What `PUT` takes. */
  get state() {
    return { layout: this.layout, timeline: this.timeline, tracks: [...this.tracks.values()], export: this.export };
  }

  /** @returns {layout, pins: [peer], muted: Set, hidden: Set, cut: entry or undefined} as it is at `t` */
  at(t) {
    const now = { layout: this.layout, pins: [], muted: new Set(), hidden: new Set(), cut: undefined };
    const without = (list, peer) => list.filter((one) => one !== peer);
    for (const entry of this.timeline) {
      if (entry.t > t) break;
      const { type, peer_id: peer } = entry;
      const lasts = entry.until === undefined || entry.until === null || entry.until > t;
      if (type === "layout") now.layout = entry.layout;
      if (type === "pin") now.pins = lasts ? [...without(now.pins, peer), peer] : without(now.pins, peer);
      if (type === "unpin") now.pins = peer ? without(now.pins, peer) : [];
      if (type === "mute") now.muted[lasts ? "add" : "delete"](peer);
      if (type === "unmute") now.muted.delete(peer);
      if (type === "hide") now.hidden[lasts ? "add" : "delete"](peer);
      if (type === "show") now.hidden.delete(peer);
      if (type === "cut" && lasts) now.cut = entry;
    }
    for (const track of this.tracks.values()) if (track.muted) now.muted.add(track.peer_id);
    return now;
  }
  track(peer) { return this.tracks.get(peer) ?? { peer_id: peer, muted: false, gain_db: 0, denoise: false }; }
  get cuts() { return this.timeline.filter((entry) => entry.type === "cut"); }
  /** What is left of the recording, ms. */
  get length() { return this.cuts.reduce((left, cut) => left - (cut.until - cut.t), this.duration); }

  // Edits

  setTrack(peer, change) {
    this.tracks.set(peer, { ...this.track(peer), ...change });
    this.changed();
  }
  setExport(change) {
    this.export = { ...this.export, ...change };
    this.changed();
  }
  /** From the beginning on where it is there, else from here on. */
  setLayout(t, layout) {
    if (t <= SAME_MS) this.layout = layout;
    this.drop((entry) => entry.type === "layout" && Math.abs(entry.t - t) <= SAME_MS);
    if (t > SAME_MS) this.timeline.push({ t, type: "layout", layout });
    this.changed();
  }
  /** Begins a pin or a hide here, or ends the one that is there. @param type pin or hide */
  flip(type, peer, t) {
    const now = this.at(t);
    const isOn = type === "pin" ? now.pins.includes(peer) : now.hidden.has(peer);
    const about = (entry) => entry.peer_id === peer && [type, OPPOSITE[type]].includes(entry.type);
    this.drop((entry) => about(entry) && Math.abs(entry.t - t) <= SAME_MS);
    const isStillOn = type === "pin" ? this.at(t).pins.includes(peer) : this.at(t).hidden.has(peer);
    if (isStillOn === isOn) this.timeline.push({ t, type: isOn ? OPPOSITE[type] : type, peer_id: peer });
    this.changed();
  }
  /** Cuts that touch become one. */
  addCut(from, to) {
    let [t, until] = from < to ? [from, to] : [to, from];
    for (const cut of this.cuts) if (cut.t <= until && cut.until >= t) { t = Math.min(t, cut.t); until = Math.max(until, cut.until); }
    if (until - t < SAME_MS) return false;
    this.drop((entry) => entry.type === "cut" && entry.t >= t && entry.until <= until);
    this.timeline.push({ t, type: "cut", until });
    this.changed();
    return true;
  }
  addChapter(t, title) {
    this.timeline.push({ t, type: "chapter", title });
    this.changed();
  }
  remove(entry) {
    this.drop((one) => one === entry);
    this.changed();
  }

  drop(test) { this.timeline = this.timeline.filter((entry) => !test(entry)); }
  sort() { this.timeline.sort((a, b) => a.t - b.t); }
  changed() {
    this.sort();
    this.isChanged = true;
    this.dispatchEvent(new Event("change"));
  }
}

/** The server's mistakes, one a line, by what they name: {place: "timeline[3]", text} */
export function mistakes(message) {
  return message.split("\n").map((line) => {
    const [, place, index] = /^(timeline|tracks|export|layout)(?:\[(\d+)\])?[.\w]*: /.exec(line) ?? [];
    return { place: place ?? "", index: index === undefined ? undefined : Number(index), text: line };
  });
}
