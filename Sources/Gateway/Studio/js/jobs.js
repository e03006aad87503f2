// Jobs: watching one to its end, and the exports of a recording.
import { api } from "./api.js";
import { byId, element, clock } from "./ui.js";

const POLL_MS = 700;
/** A node that does not answer is asked that many times more. */
const PATIENCE = 20;
const STATES = { queued: "Waiting", processing: "Rendering", ready: "Ready", failed: "Failed", cancelled: "Cancelled" };

export const isEnded = (job) => ["ready", "failed", "cancelled"].includes(job.status);

/** Asks until the job has ended; `told` hears of every answer. @returns the ended job */
export async function follow(id, token, told) {
  for (let failures = 0; ;) {
    try {
      const job = await api.job(id, token);
      failures = 0;
      told(job);
      if (isEnded(job)) return job;
    } catch (error) {
      failures += 1;
      if (failures > PATIENCE || (error.status > 0 && error.status < 500 && error.status !== 429)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** "42 %, 1:05 left" */
export const progressText = (job) => {
  const left = job.eta_seconds === undefined || job.eta_seconds === null ? "" : `, ${clock(job.eta_seconds)} left`;
  return job.status === "queued" ? "Waiting for a free processor" : `${Math.round(job.progress * 100)} %${left}`;
};

export class Exports {
  /** @param save saves the composition where it was changed; true once it is saved */
  constructor({ recordingId, token, composition, save }) {
    Object.assign(this, { recordingId, token, composition, save, rows: new Map() });
    const [format, resolution, rate] = ["format", "resolution", "fps"].map(byId);
    resolution.addEventListener("change", () => composition.setExport({ resolution: resolution.value }));
    rate.addEventListener("change", () => composition.setExport({ fps: Number(rate.value) }));
    format.addEventListener("change", () => { byId("picture").disabled = format.value === "m4a"; });
    byId("export-form").addEventListener("submit", (event) => { event.preventDefault(); this.start(format.value); });
    composition.addEventListener("change", () => this.showSettings());
    this.showSettings();
  }
  showSettings() {
    for (const [id, value] of [["resolution", this.composition.export.resolution], ["fps", String(this.composition.export.fps)]]) {
      const select = byId(id);
      // Another editor may have chosen what is not in the list.
      if (![...select.options].some((option) => option.value === value)) select.append(element("option", { value }, value));
      select.value = value;
    }
  }
  /** What the recording's description lists, newest first. */
  list(jobs) { for (const job of jobs.filter((one) => one.kind === "export").reverse()) this.add(job); }

  async start(format) {
    byId("export-button").disabled = true;
    byId("export-error").hidden = true;
    try {
      if (await this.save()) {
        const { job_id: id } = await api.export(this.recordingId, format, this.token);
        this.add({ job_id: id, status: "queued", progress: 0, created_at: new Date().toISOString(), priority: 0 }, format);
      }
    } catch (error) {
      byId("export-error").textContent = error.message;
      byId("export-error").hidden = false;
    }
    byId("export-button").disabled = false;
  }
  add(job, format) {
    const row = element("li", { "data-job": job.job_id });
    byId("exports").prepend(row);
    this.show(row, job, format);
    if (!isEnded(job)) follow(job.job_id, this.token, (now) => this.show(row, now, format)).catch((error) => { row.append(element("p", { class: "mistake" }, error.message)); });
    byId("exports-empty").hidden = true;
  }
  show(row, job, format) {
    row.dataset.state = job.status;
    const extension = /\.(\w+)\?/.exec(job.url ?? "")?.[1] ?? format;
    const facts = [new Date(job.created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }), extension,
      job.priority < 0 ? "made for every recording" : null, job.duration ? clock(job.duration) : null, job.size ? `${(job.size / 1e6).toFixed(1)} MB` : null];
    const isRunning = !isEnded(job);
    const hadFocus = row.contains(document.activeElement);
    row.replaceChildren(
      element("div", { class: "head" }, element("b", {}, STATES[job.status] ?? job.status), element("span", { class: "facts" }, facts.filter(Boolean).join(" · "))),
      ...(isRunning ? [element("progress", { max: "1", value: String(job.progress), "aria-label": "Progress" }), element("span", { class: "facts" }, progressText(job)),
        element("button", { type: "button", class: "small", onclick: (event) => this.cancel(job, row, event.target) }, "Cancel")] : []),
      ...(job.url ? [element("a", { class: "button small", href: `${job.url}&download=1` }, "Download")] : []),
      ...(job.error ? [element("p", { class: "mistake" }, job.error.message)] : []), ...(job.note ? [element("p", { class: "facts" }, job.note)] : []));
    if (hadFocus) row.querySelector("button, a")?.focus();
  }
  async cancel(job, row, button) {
    button.disabled = true;
    try { this.show(row, await api.cancelJob(job.job_id, this.token)); } catch (error) { row.append(element("p", { class: "mistake" }, error.message)); }
  }
}
