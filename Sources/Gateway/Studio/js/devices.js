// Camera and microphone: choosing, previewing, switching on and off.
import { byId, toggle, initials, colourOf } from "./ui.js";

export const micIcons = { on: ["mic", "Mute microphone"], off: ["mic-off", "Unmute microphone"] };
export const cameraIcons = { on: ["camera", "Turn camera off"], off: ["camera-off", "Turn camera on"] };

const audioConstraints = (id) => ({ echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...(id ? { deviceId: { exact: id } } : {}) });
const videoConstraints = (id) => ({ width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 }, ...(id ? { deviceId: { exact: id } } : {}) });

export class Devices {
  constructor() {
    this.stream = new MediaStream();
    this.choice = { audio: localStorage.getItem("troupe.mic") ?? "", video: localStorage.getItem("troupe.camera") ?? "" };
    this.wanted = { audio: true, video: true };
    this.problem = null;
    this.opened = Promise.resolve();
    this.closed = false;
  }
  track(kind) { return this.stream.getTracks().find((track) => track.kind === kind) ?? null; }

  /** Asks once for both; falls back to whichever is there. `opened` is when the person has answered: that may be after they joined. */
  open() { return this.opened = this.#ask(); }
  async #ask() {
    if (!navigator.mediaDevices) {
      this.problem = "Camera and microphone need HTTPS. Open this page by its https:// address.";
      return;
    }
    const attempts = [
      { audio: audioConstraints(this.choice.audio), video: videoConstraints(this.choice.video) },
      { audio: audioConstraints(""), video: videoConstraints("") },
      { audio: audioConstraints("") }, { video: videoConstraints("") },
    ];
    for (const constraints of attempts) {
      try {
        const stream = await navigator.mediaDevices.getUserMedia(constraints);
        for (const track of stream.getTracks()) {
          // They left, or chose another meanwhile.
          if (this.closed || this.track(track.kind)) track.stop(); else this.stream.addTrack(track);
        }
        break;
      } catch (error) {
        this.problem = error.name === "NotAllowedError" ? "The browser was not allowed to use camera and microphone." : "No camera or microphone was found.";
      }
    }
    if (this.stream.getTracks().length) this.problem = null;
    for (const track of this.stream.getTracks()) track.enabled = this.wanted[track.kind];
  }
  async choose(kind, deviceId) {
    this.choice[kind] = deviceId;
    localStorage.setItem(kind === "audio" ? "troupe.mic" : "troupe.camera", deviceId);
    const constraints = kind === "audio" ? { audio: audioConstraints(deviceId) } : { video: videoConstraints(deviceId) };
    const [fresh] = (await navigator.mediaDevices.getUserMedia(constraints)).getTracks();
    const old = this.track(kind);
    if (old) { this.stream.removeTrack(old); old.stop(); }
    fresh.enabled = this.wanted[kind];
    this.stream.addTrack(fresh);
    return fresh;
  }
  set(kind, enabled) {
    this.wanted[kind] = enabled;
    const track = this.track(kind);
    if (track) track.enabled = enabled;
  }
  close() {
    this.closed = true;
    for (const track of this.stream.getTracks()) track.stop();
  }
}

/** The preview of lobby and pre-join: picture, switches, device lists, level. */
export class Preview {
  constructor(devices, ids = { mic: "mic", camera: "camera" }) {
    this.devices = devices;
    this.mic = byId(ids.mic);
    this.camera = byId(ids.camera);
    this.mic.addEventListener("click", () => this.flip("audio"));
    this.camera.addEventListener("click", () => this.flip("video"));
    byId("camera-select").addEventListener("change", (event) => this.choose("video", event.target.value));
    byId("mic-select").addEventListener("change", (event) => this.choose("audio", event.target.value));
  }
  async start() {
    this.show();
    await this.devices.open();
    byId("preview").srcObject = this.devices.stream;
    this.show();
    await this.list();
    this.meter();
  }
  setName(name) {
    const avatar = byId("preview-avatar");
    avatar.textContent = initials(name);
    avatar.style.background = colourOf(name);
  }
  flip(kind) {
    this.devices.set(kind, !this.devices.wanted[kind]);
    this.show();
  }
  async choose(kind, id) {
    try { await this.devices.choose(kind, id); this.show(); } catch { byId("preview-note").textContent = "That device could not be opened."; }
  }
  show() {
    const { devices } = this;
    toggle(this.mic, micIcons, devices.wanted.audio && (!!devices.track("audio") || !devices.problem));
    toggle(this.camera, cameraIcons, devices.wanted.video && (!!devices.track("video") || !devices.problem));
    byId("preview-off").hidden = devices.wanted.video && !!devices.track("video");
    byId("preview-note").textContent = devices.problem ?? "Your camera is off";
  }
  async list() {
    if (!navigator.mediaDevices) return;
    const all = await navigator.mediaDevices.enumerateDevices();
    for (const [id, kind, tracked] of [["camera-select", "videoinput", "video"], ["mic-select", "audioinput", "audio"]]) {
      const current = this.devices.track(tracked)?.getSettings().deviceId;
      byId(id).replaceChildren(...all.filter((device) => device.kind === kind).map((device, index) =>
        new Option(device.label || `${tracked === "video" ? "Camera" : "Microphone"} ${index + 1}`, device.deviceId, false, device.deviceId === current)));
      byId(id).disabled = !byId(id).options.length;
    }
  }
  meter() {
    const track = this.devices.track("audio");
    if (!track || this.context) return;
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 512;
    this.context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const draw = () => {
      if (this.context.state === "closed") return;
      analyser.getFloatTimeDomainData(samples);
      byId("level").value = Math.min(1, Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length) * 4);
      requestAnimationFrame(draw);
    };
    draw();
  }
  stop() { this.context?.close(); }
}
