// The grid: one tile a person, one more for each shared screen.
import { element, icon, initials, colourOf } from "./ui.js";

/** A new picture that shows nothing takes the old one's place after this. */
const REPLACE_MS = 1000;

export class Grid {
  constructor(root) {
    this.root = root;
    this.tiles = new Map();
    /** Participants a recording leaves out. */
    this.leftOut = new Set();
    new ResizeObserver(() => this.arrange()).observe(root);
  }

  /** The tile of a participant's camera (`screen` false) or screen. */
  tile(participant, { me = false, screen = false } = {}) {
    const key = `${participant.id}${screen ? "/screen" : ""}`;
    const known = this.tiles.get(key);
    if (known) return known;
    const avatar = element("span", { class: "avatar" }, initials(participant.name));
    avatar.style.background = colourOf(participant.name);
    const video = element("video", { autoplay: true, playsinline: true, muted: true });
    video.muted = true;
    video.hidden = true;
    const muted = icon("mic-off");
    muted.toggleAttribute("hidden", true);
    const name = element("span", {}, `${participant.name}${me ? " (you)" : ""}${screen ? " · screen" : ""}`);
    const leaveOut = screen || me ? null : element("button", {
      type: "button", class: "leave-out", "aria-pressed": "false", title: "Nothing of this person goes into recordings",
      onclick: () => this.root.dispatchEvent(new CustomEvent("leaveout", { detail: participant.id })),
    }, "Don’t record");
    const root = element("article", { class: `tile${me ? " me" : ""}${screen ? " screen" : ""}`, "data-participant": participant.id },
      screen ? null : avatar, video, element("div", { class: "label" }, muted, name),
      participant.node && !me && !screen ? element("span", { class: "badge", title: "The node this person is connected to" }, participant.node) : null, leaveOut);
    root.toggleAttribute("data-left-out", this.leftOut.has(participant.id));
    const tile = { root, video, muted, audio: null };
    this.tiles.set(key, tile);
    this.root.append(root);
    this.arrange();
    return tile;
  }

  setVideo(tile, track) {
    // The same track again would only make the picture blink.
    if (track && tile.video.srcObject?.getVideoTracks()[0] === track) return this.showVideo(tile, true);
    tile.next?.remove();
    tile.next = null;
    if (track && tile.video.srcObject && !tile.video.hidden) return this.replaceVideo(tile, track);
    tile.video.srcObject = track ? new MediaStream([track]) : null;
    if (track) tile.video.play().catch(() => { /* autoplay is muted and allowed; a detached tile may refuse */ });
    this.showVideo(tile, !!track);
  }
  /** The picture that is there stays until the next one has shown a frame, beneath it. */
  replaceVideo(tile, track) {
    const next = tile.next = tile.video.cloneNode();
    next.muted = true;
    next.srcObject = new MediaStream([track]);
    tile.video.before(next);
    next.play().catch(() => { /* as in setVideo */ });
    return new Promise((resolve) => {
      const shown = () => {
        if (tile.next === next) {
          tile.next = null;
          next.hidden = tile.video.hidden;
          tile.video.remove();
          tile.video = next;
        }
        resolve();
      };
      if (next.requestVideoFrameCallback) next.requestVideoFrameCallback(shown); else next.addEventListener("playing", shown, { once: true });
      setTimeout(shown, REPLACE_MS);
    });
  }
  showVideo(tile, shown) { tile.video.hidden = !shown || !tile.video.srcObject; }
  setNode(tile, node) {
    const badge = tile.root.querySelector(".badge");
    if (badge && node) badge.textContent = node;
  }
  /** @param chosen whom the host leaves out; the rest of `ids` refuses. */
  setLeftOut(ids, chosen) {
    this.leftOut = ids;
    for (const { root } of this.tiles.values()) root.querySelector(".leave-out")?.setAttribute("aria-pressed", String(chosen.has(root.dataset.participant)));
    for (const { root } of this.tiles.values()) root.toggleAttribute("data-left-out", ids.has(root.dataset.participant));
  }
  setMuted(tile, muted) { tile.muted.toggleAttribute("hidden", !muted); }

  setAudio(tile, track) {
    if (track && tile.audio?.srcObject.getAudioTracks()[0] === track) return;
    tile.audio?.remove();
    tile.audio = null;
    if (!track) return;
    tile.audio = element("audio", { autoplay: true });
    tile.audio.srcObject = new MediaStream([track]);
    tile.root.append(tile.audio);
    tile.audio.play().catch(() => this.root.dispatchEvent(new CustomEvent("silenced")));
  }
  /** After a click, browsers that held back sound allow it. */
  unsilence() { for (const { audio } of this.tiles.values()) audio?.play().catch(() => {}); }

  remove(participantId, screen = false) {
    const keys = screen ? [`${participantId}/screen`] : [participantId, `${participantId}/screen`];
    for (const key of keys) {
      this.tiles.get(key)?.root.remove();
      this.tiles.delete(key);
    }
    this.arrange();
  }
  clear() {
    this.root.replaceChildren();
    this.tiles.clear();
  }

  /** As many columns as make the tiles largest at 16:9. */
  arrange() {
    const count = [...this.tiles.values()].reduce((sum, { root }) => sum + (root.classList.contains("screen") ? 4 : 1), 0);
    const { clientWidth: width, clientHeight: height } = this.root;
    let best = [1, 0];
    for (let columns = 1; columns <= Math.max(1, count); columns++) {
      const rows = Math.ceil(count / columns);
      const size = Math.min(width / columns / 16, height / rows / 9);
      if (size > best[1]) best = [columns, size];
    }
    this.root.style.setProperty("--columns", best[0]);
  }
}
