// The picture of a composition, roughly as the export will show it: one tile a person or screen, arranged by layout.
import { element, initials, colourOf } from "./ui.js";

/** The picture in units of its own, and what lies between tiles. */
const WIDTH = 16;
const HEIGHT = 9;
const GAP = 0.12;
/** Shorter speech makes nobody large. */
const SPEECH_S = 0.7;

const fit = ({ x, y, width, height }) => {
  const scale = Math.min(width / 16, height / 9);
  return { x: x + (width - 16 * scale) / 2, y: y + (height - 9 * scale) / 2, width: 16 * scale, height: 9 * scale };
};

/** Equal 16:9 tiles as large as they can be; the last row is centred. */
function gridOf(count, area) {
  let best = { width: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const width = Math.min((area.width - GAP * (columns + 1)) / columns, ((area.height - GAP * (rows + 1)) / rows) * 16 / 9);
    if (width > best.width) best = { width, height: width * 9 / 16, columns, rows };
  }
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / best.columns);
    const inRow = Math.min(best.columns, count - row * best.columns);
    return {
      x: area.x + (area.width - inRow * best.width - (inRow - 1) * GAP) / 2 + (index % best.columns) * (best.width + GAP),
      y: area.y + (area.height - best.rows * best.height - (best.rows - 1) * GAP) / 2 + row * (best.height + GAP),
      width: best.width, height: best.height,
    };
  });
}

/** Sources/Composition/Layout/Arrangement.swift, in the picture's own units. @returns rectangles, the large one first where there is one */
export function arrange(layout, count, hasLarge) {
  const whole = { x: 0, y: 0, width: WIDTH, height: HEIGHT };
  if (count <= 1 || layout === "single") return count ? [whole] : [];
  if (layout === "grid" && !hasLarge) return gridOf(count, whole);
  const others = count - 1;
  if (layout === "grid") {
    const x = WIDTH * 3 / 4;
    return [fit({ x: GAP, y: GAP, width: x - GAP, height: HEIGHT - 2 * GAP }), ...gridOf(others, { x, y: 0, width: WIDTH - x, height: HEIGHT })];
  }
  if (layout === "speaker") {
    const height = HEIGHT / 6;
    const width = height * 16 / 9;
    const fitting = Math.min(others, Math.floor((WIDTH - GAP) / (width + GAP)));
    const x = (WIDTH - fitting * width - (fitting - 1) * GAP) / 2;
    const y = HEIGHT - GAP - height;
    return [fit({ x: GAP, y: GAP, width: WIDTH - 2 * GAP, height: y - 2 * GAP }), ...Array.from({ length: fitting }, (_, index) => ({ x: x + index * (width + GAP), y, width, height }))];
  }
  const width = WIDTH / 5;
  const height = width * 9 / 16;
  const fitting = Math.min(others, Math.floor((HEIGHT - GAP) / (height + GAP)));
  const x = WIDTH - GAP - width;
  const y = (HEIGHT - fitting * height - (fitting - 1) * GAP) / 2;
  return [fit({ x: GAP, y: GAP, width: x - 2 * GAP, height: HEIGHT - 2 * GAP }), ...Array.from({ length: fitting }, (_, index) => ({ x, y: y + index * (height + GAP), width, height }))];
}

/** The last stretch that has begun at `position`; stretches stand in order of time. */
function begun(stretches, position) {
  let [low, high] = [0, stretches.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (stretches[middle].from <= position) low = middle + 1; else high = middle;
  }
  return stretches[low - 1];
}

export class Stage {
  constructor(root) {
    this.root = root;
    this.tiles = [];
  }
  /**
   * @param peer of the preview's index
   * @param spans [{from, to}] in seconds in which they have a tile; pictures: those with something to see
   */
  add(peer, { isScreen, spans, pictures }) {
    const avatar = element("span", { class: "avatar", "aria-hidden": "true" }, initials(peer.name));
    avatar.style.background = colourOf(peer.name);
    const video = element("video", { playsinline: true, "aria-label": isScreen ? `${peer.name}'s screen` : peer.name });
    const root = element("article", { class: `tile${isScreen ? " screen" : ""}`, "data-peer": peer.peer_id }, avatar, video, element("div", { class: "label" }, element("span", {}, peer.name + (isScreen ? " · screen" : ""))));
    this.root.append(root);
    const tile = { peer: peer.peer_id, speaking: (peer.speaking ?? []).filter(({ from, to }) => to - from >= SPEECH_S), isScreen, spans, pictures, root, video };
    this.tiles.push(tile);
    return tile;
  }

  /** @param now what Composition.at gives  @param track peer → its track's settings */
  show(position, now, track) {
    const inside = (spans) => spans.some(({ from, to }) => position >= from && position < to);
    const visible = this.tiles.filter((tile) => inside(tile.spans) && !now.hidden.has(tile.peer));
    const large = this.large(visible, position, now);
    const order = large ? [large, ...visible.filter((tile) => tile !== large)] : visible;
    const places = arrange(now.layout, order.length, !!large);
    for (const tile of this.tiles) {
      const place = places[order.indexOf(tile)];
      tile.root.hidden = !place;
      tile.root.classList.toggle("off", !inside(tile.pictures));
      tile.root.classList.toggle("silent", now.muted.has(tile.peer));
      tile.video.muted = now.muted.has(tile.peer);
      tile.video.volume = Math.min(1, 10 ** (track(tile.peer).gain_db / 20));
      if (place) this.put(tile.root.style, place);
    }
    this.root.dataset.large = large?.peer ?? "";
  }
  put(style, { x, y, width, height }) {
    style.left = `${x / WIDTH * 100}%`;
    style.top = `${y / HEIGHT * 100}%`;
    style.width = `${width / WIDTH * 100}%`;
    style.height = `${height / HEIGHT * 100}%`;
  }
  /** Pinned, their screen before their face; a shared screen; who speaks; whoever is first. A grid has a large one only by pin or screen. */
  large(visible, position, now) {
    for (const peer of [...now.pins].reverse()) {
      const theirs = visible.filter((tile) => tile.peer === peer);
      if (theirs.length) return theirs.find((tile) => tile.isScreen) ?? theirs[0];
    }
    const screen = visible.find((tile) => tile.isScreen);
    if (screen || now.layout === "grid") return screen;
    const speeches = visible.map((tile) => ({ tile, speech: begun(tile.speaking, position) })).filter(({ speech }) => speech);
    const speaking = speeches.filter(({ speech }) => speech.to > position).sort((a, b) => a.speech.from - b.speech.from);
    const spoke = speeches.sort((a, b) => b.speech.to - a.speech.to);
    return (speaking[0] ?? spoke[0])?.tile ?? visible[0];
  }
}
