// The page's side of what this browser recorded: one worker, and a line that says how far its sending is.
import { element } from "./ui.js";

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

export const isSupported = () => !!(globalThis.MediaRecorder && navigator.storage?.getDirectory && navigator.locks && globalThis.isSecureContext)
  && MediaRecorder.isTypeSupported("video/webm;codecs=vp8,opus");

/** Events: those of the worker by their type (upload-worker.js). */
export class Uploads extends EventTarget {
  constructor() {
    super();
    this.worker = new Worker(new URL("./upload-worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.dispatchEvent(new CustomEvent(data.type, { detail: data }));
    this.worker.onerror = (event) => this.dispatchEvent(new CustomEvent("failed", { detail: { code: "worker", message: event.message, stops: true } }));
  }
  send(message, transfer = []) { this.worker.postMessage(message, transfer); }
  /** Goes on with what earlier pages left. */
  resume() { this.send({ type: "resume" }); }
}

/** How far the sending of every recording is, in `view`, which is hidden while there is nothing to say. */
export function showProgress(uploads, view) {
  const known = new Map();
  const show = () => {
    const all = [...known.values()];
    const total = { stored: 0, sent: 0, waiting: 0 };
    for (const one of all) for (const key of Object.keys(total)) total[key] += one[key];
    const isLive = all.some((one) => one.live);
    view.hidden = !all.length;
    document.body.dataset.uploads = !all.length ? "" : isLive ? "recording" : "sending";
    document.body.dataset.waiting = total.waiting;
    const what = isLive ? "Recorded here" : "Sending your recording";
    view.textContent = all.some((one) => one.failures > 1) ? `${what}: waiting for the node, ${megabytes(total.stored - total.sent)} left` : `${what}: ${megabytes(total.sent)} of ${megabytes(total.stored)} sent`;
  };
  const heard = (change) => ({ detail }) => { change(detail); show(); };
  uploads.addEventListener("progress", heard((detail) => known.set(detail.recording, detail)));
  const ended = (detail) => {
    known.delete(detail.recording);
    document.body.dataset.uploadsDone = Number(document.body.dataset.uploadsDone ?? 0) + 1;
  };
  uploads.addEventListener("done", heard(ended));
  uploads.addEventListener("failed", heard((detail) => { if (detail.recording) known.delete(detail.recording); }));
}

/** For pages that record nothing themselves: sends what an earlier one left. */
export function goOn(header) {
  if (!isSupported()) return;
  const view = element("span", { class: "chip", role: "status", hidden: true });
  header.append(view);
  const uploads = new Uploads();
  showProgress(uploads, view);
  uploads.resume();
}
