// The time line: who speaks when, what is cut, and the one scrubber of all streams.
import { element, colourOf, clock } from "./ui.js";

const RULER = 22;                       // CSS pixels
const ROW = 24;
const STEP_S = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 };
/** Between two marks of the ruler, seconds: the first that leaves them 70 pixels. */
const MARKS_S = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

export class TimeLine {
  /** @param rows [{name, speaking}]  @param seek called with seconds */
  constructor(root, { duration, rows, seek }) {
    Object.assign(this, { duration, rows, seek, position: 0, composition: null, markIn: null });
    /** Everything but the playhead: hours of speech are thousands of stretches. */
    this.backdrop = document.createElement("canvas");
    this.canvas = element("canvas", {
      tabindex: "0", role: "slider", "aria-label": "Position in the recording", "aria-valuemin": "0", "aria-valuenow": "0", "aria-valuemax": duration.toFixed(1), id: "position",
    });
    this.canvas.style.height = `${RULER + rows.length * ROW}px`;
    root.append(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => { this.canvas.setPointerCapture(event.pointerId); this.point(event); });
    this.canvas.addEventListener("pointermove", (event) => { if (this.canvas.hasPointerCapture(event.pointerId)) this.point(event); });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }
  point(event) {
    const { left, width } = this.canvas.getBoundingClientRect();
    this.seek(Math.max(0, Math.min(1, (event.clientX - left) / width)) * this.duration);
  }
  key(event) {
    const step = STEP_S[event.key];
    if (event.key === "Home") this.seek(0);
    else if (event.key === "End") this.seek(this.duration);
    else if (step) this.seek(this.position + step * (event.shiftKey ? 0.1 : 1));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  show(position) {
    if (position === this.position) return;
    this.position = position;
    this.canvas.setAttribute("aria-valuenow", position.toFixed(2));
    this.canvas.setAttribute("aria-valuetext", `${clock(position)} of ${clock(this.duration)}`);
    this.drawPlayhead();
  }

  /** After an edit, or at another size. */
  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width) return;
    const scale = devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.backdrop]) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const context = this.backdrop.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const x = (seconds) => seconds / this.duration * width;
    this.drawRuler(context, x, colour, height);
    this.rows.forEach((row, index) => this.drawRow(context, x, colour, row, RULER + index * ROW, width));
    for (const entry of this.composition?.timeline ?? []) this.drawEntry(context, x, colour, entry, height);
    if (this.markIn !== null) this.line(context, x(this.markIn), colour("warn"), height, [4, 3]);
    this.playhead = { scale, x, height, colour: colour("text") };
    this.drawPlayhead();
  }
  drawPlayhead() {
    if (!this.playhead) return;
    const { scale, x, height, colour } = this.playhead;
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.backdrop, 0, 0);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    this.line(context, x(this.position), colour, height);
    context.beginPath();
    context.arc(x(this.position), 5, 5, 0, 7);
    context.fillStyle = colour;
    context.fill();
  }
  drawRuler(context, x, colour, height) {
    const mark = MARKS_S.find((seconds) => x(seconds) >= 70) ?? 7200;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let at = 0; at < this.duration; at += mark) {
      context.fillStyle = colour("line");
      context.fillRect(x(at), 0, 1, height);
      context.fillStyle = colour("muted");
      context.fillText(clock(at), x(at) + 4, RULER / 2);
    }
  }
  drawRow(context, x, colour, { name, speaking }, top, width) {
    context.fillStyle = colour("raised");
    context.fillRect(0, top + 2, width, ROW - 4);
    context.fillStyle = colourOf(name);
    for (const { from, to } of speaking) context.fillRect(x(from), top + 2, Math.max(1, x(to) - x(from)), ROW - 4);
    context.fillStyle = colour("text");
    context.font = "600 11px system-ui, sans-serif";
    context.shadowColor = colour("bg");
    context.shadowBlur = 4;
    context.fillText(name, 6, top + ROW / 2);
    context.shadowBlur = 0;
  }
  drawEntry(context, x, colour, { type, t, until }, height) {
    if (type === "cut") {
      context.fillStyle = "rgb(240 82 95 / .38)";
      context.fillRect(x(t / 1000), 0, Math.max(2, x((until - t) / 1000)), height);
      return;
    }
    context.fillStyle = type === "chapter" ? colour("ok") : colour("accent-strong");
    context.beginPath();
    const at = x(t / 1000);
    context.moveTo(at - 5, RULER - 8);
    context.lineTo(at + 5, RULER - 8);
    context.lineTo(at, RULER);
    context.fill();
  }
  line(context, at, colour, height, dash = []) {
    context.setLineDash(dash);
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(at, 0);
    context.lineTo(at, height);
    context.stroke();
    context.setLineDash([]);
  }
}
