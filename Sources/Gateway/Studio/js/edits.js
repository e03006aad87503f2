// The controls that make a Composition State: layout, people, cuts, chapters, and the list of what was changed.
import { byId, element, icon, initials, colourOf, clock } from "./ui.js";
import { LAYOUTS } from "./composition.js";

const NAMES = { grid: "Grid", speaker: "Speaker", sidebar: "Sidebar", single: "Single" };
const VERBS = { pin: "Pin", unpin: "Unpin", mute: "Mute", unmute: "Unmute", hide: "Hide", show: "Show" };
const fine = (ms) => `${clock(ms / 1000)}.${Math.floor((ms % 1000) / 100)}`;

export class Edits {
  /** @param people [{peer_id, name}]  @param playhead gives ms  @param seek takes seconds */
  constructor({ composition, people, playhead, seek, marked }) {
    Object.assign(this, { composition, people, playhead, seek, marked, markIn: null });
    this.makeLayouts();
    this.makePeople();
    byId("mark-in").addEventListener("click", () => this.mark());
    byId("mark-out").addEventListener("click", () => this.cut());
    byId("chapter-form").addEventListener("submit", (event) => {
      event.preventDefault();
      composition.addChapter(playhead(), byId("chapter-title").value.trim());
      byId("chapter-title").value = "";
    });
    composition.addEventListener("change", () => this.render());
    this.render();
  }
  name(peer) { return this.people.find((person) => person.peer_id === peer)?.name ?? peer; }

  makeLayouts() {
    for (const layout of LAYOUTS) {
      const button = element("button", { type: "button", "data-layout": layout, "aria-pressed": "false", onclick: () => this.composition.setLayout(this.playhead(), layout) },
        element("span", { class: `sketch ${layout}`, "aria-hidden": "true" }, ...Array.from({ length: 4 }, () => element("i"))), NAMES[layout]);
      byId("layouts").append(button);
    }
  }
  makePeople() {
    this.rows = new Map();
    for (const { peer_id: peer, name } of this.people) {
      const avatar = element("span", { class: "avatar tiny", "aria-hidden": "true" }, initials(name));
      avatar.style.background = colourOf(name);
      const change = (value) => this.composition.setTrack(peer, value);
      const row = {
        muted: element("input", { type: "checkbox", onchange: (event) => change({ muted: event.target.checked }) }),
        denoise: element("input", { type: "checkbox", onchange: (event) => change({ denoise: event.target.checked }) }),
        gain: element("input", { type: "number", min: "-60", max: "20", step: "0.5", onchange: (event) => change({ gain_db: event.target.valueAsNumber || 0 }) }),
        pin: element("button", { type: "button", class: "small", onclick: () => this.composition.flip("pin", peer, this.playhead()) }),
        hide: element("button", { type: "button", class: "small", onclick: () => this.composition.flip("hide", peer, this.playhead()) }),
        mistake: element("p", { class: "mistake", role: "alert", hidden: true }),
      };
      byId("people").append(element("li", { "data-peer": peer },
        element("div", { class: "who" }, avatar, element("b", {}, name), row.pin, row.hide),
        element("div", { class: "sound" },
          element("label", { class: "check" }, row.muted, "Mute"), element("label", { class: "check" }, row.denoise, "Remove noise"),
          element("label", { class: "gain" }, "Gain", row.gain, "dB")),
        row.mistake));
      this.rows.set(peer, row);
    }
  }

  mark() {
    this.markIn = this.playhead();
    this.marked(this.markIn);
    byId("mark-out").disabled = false;
    byId("mark-out").focus();
  }
  cut() {
    if (this.markIn === null) return;
    const from = this.markIn;
    this.markIn = null;
    this.marked(null);
    byId("mark-out").disabled = true;
    this.composition.addCut(from, this.playhead());
  }

  /** What holds at the playhead: called when it moves. */
  follow(now) {
    for (const button of byId("layouts").children) this.press(button, button.dataset.layout === now.layout);
    for (const [peer, { pin, hide }] of this.rows) {
      this.label(pin, "pin", now.pins.includes(peer) ? "Unpin" : "Pin", now.pins.includes(peer), peer);
      this.label(hide, "eye-off", now.hidden.has(peer) ? "Show" : "Hide", now.hidden.has(peer), peer);
    }
  }
  label(button, symbol, text, isOn, peer) {
    if (button.dataset.text === text) return;
    button.dataset.text = text;
    button.title = `${text} ${this.name(peer)} from here on`;
    button.setAttribute("aria-label", button.title);
    this.press(button, isOn);
    button.replaceChildren(icon(symbol), text);
  }
  press(button, isOn) { if (button.getAttribute("aria-pressed") !== String(isOn)) button.setAttribute("aria-pressed", String(isOn)); }

  /** The state as it is now: people and the list. */
  render() {
    for (const [peer, row] of this.rows) {
      const track = this.composition.track(peer);
      row.muted.checked = track.muted;
      row.denoise.checked = track.denoise;
      if (document.activeElement !== row.gain) row.gain.value = track.gain_db;
    }
    byId("edits").replaceChildren(...this.composition.timeline.map((entry) => this.item(entry)));
    byId("edits-empty").hidden = this.composition.timeline.length > 0;
    byId("length").textContent = `${clock(this.composition.length / 1000)} of ${clock(this.composition.duration / 1000)} remain`;
  }
  item(entry) {
    const text = this.describe(entry);
    return element("li", { "data-type": entry.type },
      element("button", { type: "button", class: "time", title: "Go there", onclick: () => this.seek(entry.t / 1000) }, fine(entry.t)),
      element("span", {}, text),
      element("button", { type: "button", class: "round small", "aria-label": `Remove: ${text} at ${fine(entry.t)}`, title: "Remove", onclick: () => this.composition.remove(entry) }, icon("close")));
  }
  describe({ type, t, until, peer_id: peer, layout, title }) {
    if (type === "cut") return `Cut until ${fine(until)} (${((until - t) / 1000).toFixed(1)} s)`;
    if (type === "layout") return `Layout: ${NAMES[layout] ?? layout}`;
    if (type === "chapter") return `Chapter: ${title}`;
    return `${VERBS[type] ?? type} ${peer ? this.name(peer) : "everyone"}${until ? ` until ${fine(until)}` : ""}`;
  }

  /** The server's words beside what they name. @returns what names nothing here */
  showMistakes(list) {
    this.clearMistakes();
    const elsewhere = [];
    for (const { place, index, text } of list) {
      const item = place === "timeline" ? byId("edits").children[index] : null;
      const row = place === "tracks" ? this.rows.get([...this.composition.tracks.keys()][index]) : null;
      if (item) item.append(element("p", { class: "mistake", role: "alert" }, text));
      else if (row) { row.mistake.textContent = text; row.mistake.hidden = false; } else elsewhere.push(text);
    }
    return elsewhere;
  }
  clearMistakes() {
    for (const item of byId("edits").querySelectorAll(".mistake")) item.remove();
    for (const { mistake } of this.rows.values()) mistake.hidden = true;
  }
}
