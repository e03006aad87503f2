// The room page: from the link to the last goodbye.
import { api, memory, ApiError } from "./api.js";
import { byId, toggle, toast, clock } from "./ui.js";
import { Devices, Preview, micIcons, cameraIcons } from "./devices.js";
import { Connection } from "./connection.js";
import { Peer, flows } from "./peer.js";
import { Grid } from "./grid.js";
import { Chat } from "./chat.js";
import { OwnRecording } from "./own-recording.js";
import { Uploads, isSupported, showProgress } from "./uploads.js";
import { copyText, copyInvitation, invitation, forgetInvitation } from "./invitation.js";

/** After a move's new connection stands: as long as it may take to show everything. */
const MOVE_MS = 3000;
/** States of a recording in which no other can begin. */
const RUNNING = new Set(["starting", "recording"]);
const roomId = decodeURIComponent(location.pathname.split("/")[2] ?? "");

class Session {
  constructor(credential, devices, uploads) {
    this.credential = credential;
    this.own = uploads && new OwnRecording(uploads, credential, roomId);
    this.devices = devices;
    this.grid = new Grid(byId("grid"));
    this.chat = new Chat((text) => this.signalling.request({ type: "chat", text }));
    this.participants = new Map();
    /** Whom this host leaves out of recordings. */
    this.excluded = new Set();
    this.publications = new Map();
    this.received = new Map();
    /** Participants and tracks the room has not named again since it came back. */
    this.doubtful = { people: new Set(), tracks: new Set() };
    /** link → PeerConnection of attachments that are being left. */
    this.oldPeers = new Map();
    this.screen = null;
    this.signalling = new Connection(roomId, credential);
    const on = (type, handler) => this.signalling.addEventListener(type, (event) => handler.call(this, event.detail));
    on("state", this.showState);
    on("attached", this.attached);
    on("closed", ({ link }) => { this.oldPeers.get(link)?.close(); this.oldPeers.delete(link); });
    on("webrtc_offer", (m) => this.peer.description("offer", m.sdp));
    on("webrtc_answer", (m) => this.peer.description("answer", m.sdp));
    on("participant_joined", (m) => this.joined(m.participant));
    on("participant_moved", (m) => this.joined(m.participant, true));
    on("participant_left", (m) => this.left(m.participant_id));
    on("track_published", (m) => this.published(m.publication));
    on("track_unpublished", (m) => this.unpublished(m.track_id));
    on("muted", (m) => this.muted(m.track_id, m.muted));
    on("chat", (m) => this.chat.add(m, m.from === this.me.id));
    on("recording_status", (m) => this.recordingTold(m.recording));
    on("bye", (m) => this.over(m.reason));
    on("over", (m) => this.over(m.reason));
    on("error", (m) => toast(m.message, "error"));
    this.bindControls();
  }

  start() {
    byId("prejoin").hidden = true;
    byId("room").hidden = byId("controls").hidden = false;
    this.signalling.open();
    // Who joins before the browser has its answer about camera and microphone is seen and heard from then on.
    this.devices.opened.then(() => { if (this.peer && !this.finished) this.publishDevices(); });
  }

  // What the node says

  /** Attached, for the first time, again, or at another node: the room as it is, and a new PeerConnection. */
  attached({ message, link, old, isMove }) {
    if (old && isMove) this.oldPeers.set(old, this.peer); else this.peer?.close();
    this.me = message.participant;
    if (message.type === "resumed") this.reconcile(message);
    else {
      this.grid.clear();
      this.participants.clear();
      this.publications.clear();
      this.received.clear();
    }
    const counter = message.type === "welcome" ? "joins" : isMove ? "moves" : "resumes";
    document.body.dataset[counter] = Number(document.body.dataset[counter] ?? 0) + 1;
    document.title = `${message.title} · Troupe`;
    byId("title").textContent = message.title;
    byId("node-name").textContent = message.node;
    document.body.dataset.node = message.node;
    document.body.dataset.participant = this.me.id;
    byId("record").hidden = byId("invite").hidden = this.me.role !== "host";
    document.body.dataset.role = this.me.role;
    byId("consent").hidden = false;
    if (message.type === "welcome" && this.credential.consent === false) this.consent(false); else this.showConsent(this.me.recording_consent !== false);
    this.grid.tile(this.me, { me: true });
    for (const participant of message.participants) this.joined(participant, true);
    const peer = this.peer = new Peer(link, message.ice_servers);
    peer.leaves = isMove ? old : null;
    peer.addEventListener("track", (event) => this.trackReceived(peer, event.detail));
    peer.addEventListener("state", (event) => {
      if (peer !== this.peer) return;
      document.body.dataset.media = event.detail;
      // The node has given the transport up as well by then: only a new one helps.
      if (event.detail === "failed") this.signalling.renew();
      if (event.detail !== "connected" || !peer.leaves) return;
      this.checkMoved(peer);
      setTimeout(() => this.signalling.left(peer.leaves), MOVE_MS);
    });
    for (const publication of message.publications) this.published(publication);
    for (const event of message.missed ?? []) if (event.type === "chat") this.chat.add(event, event.from === this.me.id);
    if (message.recording) this.recording(message.recording); else this.recording(null);
    this.publishDevices();
    if (message.type === "resumed") this.checkOwnMutes(message.publications);
    this.checkMoved(peer);
  }
  /** What the room does not name is gone; at once, or after the time it gives those who may still come. */
  reconcile(message) {
    const people = new Set(message.participants.map((participant) => participant.id));
    const tracks = new Set(message.publications.map((publication) => publication.track_id));
    this.doubtful = {
      people: new Set([...this.participants.keys()].filter((id) => !people.has(id))),
      tracks: new Set([...this.publications.keys()].filter((id) => !tracks.has(id))),
    };
    clearTimeout(this.settling);
    const settle = () => {
      for (const id of this.doubtful.tracks) this.unpublished(id);
      for (const id of this.doubtful.people) this.left(id);
    };
    if (message.settles_ms) this.settling = setTimeout(settle, message.settles_ms); else settle();
  }
  /** The host may have muted us while we were away. */
  checkOwnMutes(publications) {
    for (const { participant_id: owner, source, muted } of publications) {
      const kind = { microphone: "audio", camera: "video" }[source];
      if (owner === this.me.id && kind && muted && this.devices.wanted[kind]) this.mutedByNode(kind, true);
    }
  }

  joined(participant, quiet = false) {
    if (participant.id === this.me.id) return;
    this.doubtful.people.delete(participant.id);
    quiet ||= this.participants.has(participant.id);
    this.participants.set(participant.id, participant);
    this.grid.setNode(this.grid.tile(participant), participant.node);
    if (!quiet) this.chat.note(`${participant.name} joined`);
  }
  left(id) {
    const participant = this.participants.get(id);
    this.participants.delete(id);
    this.grid.remove(id);
    if (participant) this.chat.note(`${participant.name} left`);
  }

  published(publication) {
    if (publication.participant_id === this.me.id) return;
    this.doubtful.tracks.delete(publication.track_id);
    this.publications.set(publication.track_id, publication);
    this.render(publication);
  }
  unpublished(trackId) {
    const publication = this.publications.get(trackId);
    if (!publication) return;
    this.publications.delete(trackId);
    this.received.delete(trackId);
    if (publication.source === "screen_share") return this.grid.remove(publication.participant_id, true);
    this.render({ ...publication, gone: true });
  }
  muted(trackId, muted) {
    if (trackId === this.peer.trackId("microphone")) return this.mutedByNode("audio", muted);
    if (trackId === this.peer.trackId("camera")) return this.mutedByNode("video", muted);
    const publication = this.publications.get(trackId);
    if (!publication) return;
    publication.muted = muted;
    this.render(publication);
  }
  mutedByNode(kind, muted) {
    if (this.devices.wanted[kind] === !muted) return;
    this.devices.set(kind, !muted);
    this.showControls();
    toast(muted ? "The host muted you." : "You are no longer muted.");
  }

  /** During a move a track takes the old one's place once it shows something. */
  async trackReceived(peer, { track, trackId }) {
    if (peer.leaves && this.received.has(trackId)) await flows(track);
    if (peer !== this.peer) return;
    this.received.set(trackId, track);
    const publication = this.publications.get(trackId);
    if (publication) await this.render(publication);
    peer.shown.add(trackId);
    this.checkMoved(peer);
  }
  /** Everything comes from the new node: the old one may let go. */
  checkMoved(peer) {
    if (!peer.leaves || peer.pc.connectionState !== "connected") return;
    const expected = [...this.publications.values()].filter((publication) => !publication.muted);
    if (expected.every((publication) => peer.shown.has(publication.track_id))) this.signalling.left(peer.leaves);
  }

  /** Shows one publication as it stands: its track, whether it is muted. @returns a promise where the picture takes a moment to change */
  render(publication) {
    const participant = this.participants.get(publication.participant_id) ?? { id: publication.participant_id, name: "Someone" };
    const screen = publication.source === "screen_share";
    const tile = this.grid.tile(participant, { screen });
    const track = publication.gone ? null : this.received.get(publication.track_id) ?? null;
    if (publication.kind === "audio") {
      this.grid.setAudio(tile, track);
      this.grid.setMuted(tile, publication.muted && !publication.gone);
    } else {
      const changed = this.grid.setVideo(tile, track);
      this.grid.showVideo(tile, !!track && !publication.muted);
      return changed;
    }
  }

  /** What is told of an earlier recording does not say how things stand while one runs, nor that it is gone. */
  recordingTold(status) {
    const current = this.recordingNow;
    if (current && current.recording_id !== status.recording_id && (RUNNING.has(current.state) || status.state === "deleted")) return;
    this.recording(status);
  }
  recording(status) {
    this.recordingNow = status;
    const running = status?.state === "recording" || status?.state === "starting";
    clearInterval(this.recordingClock);
    byId("rec").hidden = !running && status?.state !== "processing" && status?.state !== "stopping";
    byId("record").setAttribute("aria-pressed", String(running));
    toggle(byId("record"), { on: ["stop", "Stop recording"], off: ["record", "Record"] }, running);
    document.body.dataset.recording = status?.state ?? "";
    const leftOut = running ? status.excluded ?? [] : [];
    document.body.dataset.leftOut = leftOut.join(" ");
    // Somebody else may have said it. The choice is for one recording, and ends with it.
    if (running) this.excluded = new Set(leftOut.filter((id) => !status.refused?.includes(id) || this.excluded.has(id)));
    else if (this.recordingSince) this.excluded.clear();
    this.grid.setLeftOut(new Set(leftOut), this.excluded);
    const without = leftOut.length ? ` · ${leftOut.length} not recorded` : "";
    this.own?.follow(status);
    if (running) {
      this.recordingSince ??= Date.now();
      const show = () => { byId("rec-text").textContent = `Recording ${clock((Date.now() - this.recordingSince) / 1000)}${without}`; };
      show();
      this.recordingClock = setInterval(show, 1000);
    } else {
      this.recordingSince = undefined;
      byId("rec-text").textContent = "Finishing recording";
      // It may become ready again, with what browsers recorded.
      if (status?.state === "ready" && this.readyRecording !== status.recording_id) toast("The recording is ready. See Recordings.");
      if (status?.state === "ready") this.readyRecording = status.recording_id;
      if (status?.state === "failed") toast(`Recording failed: ${status.reason ?? "unknown reason"}`, "error");
    }
  }

  // What the person does

  publishDevices() {
    for (const [kind, source] of [["audio", "microphone"], ["video", "camera"]]) {
      const track = this.devices.track(kind);
      if (track && !this.peer.trackId(source)) this.peer.add(track, source, !this.devices.wanted[kind]);
    }
    if (this.screen && !this.peer.trackId("screen_share")) this.peer.add(this.screen, "screen_share", false);
    this.showControls();
  }

  bindControls() {
    byId("mic").addEventListener("click", () => this.flip("audio", "microphone"));
    byId("camera").addEventListener("click", () => this.flip("video", "camera"));
    byId("share").addEventListener("click", () => this.share());
    byId("record").addEventListener("click", () => this.record());
    byId("consent").addEventListener("click", () => this.consent(byId("consent").getAttribute("aria-pressed") === "true"));
    byId("invite").addEventListener("click", () => copyInvitation(roomId, this.credential.token));
    byId("leave").addEventListener("click", () => { this.signalling.close(); this.over("left"); });
    byId("grid").addEventListener("leaveout", ({ detail }) => this.leaveOut(detail));
    byId("grid").addEventListener("silenced", () => {
      toast("Click anywhere to hear the others.");
      document.addEventListener("click", () => this.grid.unsilence(), { once: true });
    });
    addEventListener("pagehide", () => this.signalling.close());
    toggle(byId("share"), { on: ["share", "Stop sharing"], off: ["share", "Share your screen"] }, false);
    toggle(byId("chat-toggle"), { on: ["chat", "Close chat"], off: ["chat", "Chat"] }, false);
    toggle(byId("record"), { on: ["stop", "Stop recording"], off: ["record", "Record"] }, false);
    toggle(byId("leave"), { on: ["leave", "Leave"], off: ["leave", "Leave"] }, false);
    byId("leave").removeAttribute("aria-pressed");
    if (this.own) this.bindOwn();
  }

  /** Whether this device records as well: the person's choice, kept for the next time. */
  bindOwn() {
    const show = () => {
      byId("own").setAttribute("aria-pressed", String(this.own.isAllowed));
      byId("own-dot").className = `dot ${this.own.isAllowed ? "ok" : ""}`;
    };
    byId("own").hidden = false;
    byId("own").addEventListener("click", () => this.own.allow(!this.own.isAllowed));
    this.own.addEventListener("change", show);
    show();
  }

  async flip(kind, source) {
    const enabled = !this.devices.wanted[kind];
    if (enabled && !this.devices.track(kind)) {
      try {
        const track = await this.devices.choose(kind, this.devices.choice[kind]);
        this.devices.set(kind, true);
        this.peer.add(track, source, false);
        return this.showControls();
      } catch { return toast("That device could not be opened.", "error"); }
    }
    this.devices.set(kind, enabled);
    this.showControls();
    const trackId = this.peer.trackId(source);
    if (trackId) this.signalling.request({ type: "mute", track_id: trackId, muted: !enabled }).catch((error) => toast(error.message, "error"));
  }

  async share() {
    if (this.screen) {
      this.screen.stop();
      return this.stopSharing();
    }
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15 } }, audio: false });
      [this.screen] = stream.getVideoTracks();
    } catch { return; }
    this.screen.contentHint = "detail";
    this.screen.addEventListener("ended", () => this.stopSharing());
    this.peer.add(this.screen, "screen_share", false);
    this.showControls();
  }
  stopSharing() {
    if (!this.screen) return;
    const trackId = this.peer.trackId("screen_share");
    this.screen = null;
    this.peer.remove("screen_share");
    if (trackId) this.signalling.request({ type: "unpublish", track_id: trackId }).catch(() => { /* the offer without it says the same */ });
    this.showControls();
  }

  async record() {
    const running = byId("record").getAttribute("aria-pressed") === "true";
    byId("record").disabled = true;
    try { await this.signalling.request(running ? { type: "stop_recording" } : { type: "start_recording", exclude: [...this.excluded] }); } catch (error) { toast(error.message, "error"); }
    byId("record").disabled = false;
  }

  /** Leaves somebody out of the recording, or takes them in again; before it starts this is kept for then. */
  leaveOut(id) {
    if (!this.excluded.delete(id)) this.excluded.add(id);
    this.grid.setLeftOut(this.grid.leftOut, this.excluded);
    if (byId("record").getAttribute("aria-pressed") !== "true") return;
    this.signalling.request({ type: "exclude_from_recording", exclude: [...this.excluded] }).catch((error) => toast(error.message, "error"));
  }

  /** Whether we may be recorded: a refusal stands for every recording of the room, until we take it back. */
  consent(consents) {
    this.credential.consent = consents;
    memory.keepCredential(roomId, this.credential);
    this.showConsent(consents);
    this.signalling.request({ type: "recording_consent", consent: consents }).catch((error) => toast(error.message, "error"));
  }
  showConsent(consents) {
    byId("consent").setAttribute("aria-pressed", String(!consents));
    byId("consent-text").textContent = consents ? "Don’t record me" : "Not recorded";
  }

  showControls() {
    toggle(byId("mic"), micIcons, this.devices.wanted.audio && !!this.devices.track("audio"));
    toggle(byId("camera"), cameraIcons, this.devices.wanted.video && !!this.devices.track("video"));
    toggle(byId("share"), { on: ["share", "Stop sharing"], off: ["share", "Share your screen"] }, !!this.screen);
    byId("share").hidden = !navigator.mediaDevices?.getDisplayMedia;
    this.own?.use(this.devices, this.screen);
    if (!this.me) return;
    const tile = this.grid.tile(this.me, { me: true });
    if (tile.video.srcObject?.getVideoTracks()[0] !== this.devices.track("video")) this.grid.setVideo(tile, this.devices.track("video"));
    this.grid.showVideo(tile, this.devices.wanted.video);
    this.grid.setMuted(tile, !this.devices.wanted.audio);
  }

  showState(state) {
    document.body.dataset.signalling = state;
    const [dot, text] = { connecting: ["warn", "Connecting"], connected: ["ok", "Connected"], reconnecting: ["warn", "Reconnecting"] }[state];
    byId("status-dot").className = `dot ${dot}`;
    byId("status-text").textContent = text;
  }

  over(reason) {
    if (this.finished) return;
    this.finished = true;
    this.signalling.closed = true;
    for (const peer of [this.peer, ...this.oldPeers.values()]) peer?.close();
    clearTimeout(this.settling);
    this.own?.close();
    this.devices.close();
    this.screen?.stop();
    const [title, text] = {
      left: ["You left the room", ""],
      ended: ["The room has ended", "The host ended it for everyone."],
      removed: ["You were removed", "The host removed you from this room."],
      replaced: ["You joined elsewhere", "Another window of yours took this place."],
    }[reason] ?? ["The connection was closed", reason ? `Reason: ${reason}` : ""];
    byId("room").hidden = byId("controls").hidden = byId("rec").hidden = true;
    byId("ended").hidden = false;
    byId("ended-title").textContent = title;
    byId("ended-text").textContent = text;
    byId("rejoin").addEventListener("click", () => {
      if (reason === "removed") memory.forgetCredential(roomId);
      location.reload();
    });
  }
}

byId("copy").addEventListener("click", () => copyText(location.origin + location.pathname, "Link copied."));

/** What earlier pages recorded is sent on from here as well. @returns null where this browser cannot record by itself */
function openUploads() {
  if (!isSupported()) return null;
  const uploads = new Uploads();
  showProgress(uploads, byId("uploads"));
  uploads.addEventListener("failed", ({ detail }) => toast(`Your own recording: ${detail.message}`, "error"));
  uploads.resume();
  return uploads;
}

async function main() {
  const devices = new Devices();
  const uploads = openUploads();
  const known = memory.credential(roomId);
  if (known) {
    devices.wanted = { audio: known.audio ?? true, video: known.video ?? true };
    await devices.open();
    return new Session(known, devices, uploads).start();
  }
  const preview = new Preview(devices, { mic: "pre-mic", camera: "pre-camera" });
  byId("name").value = memory.name.get();
  preview.setName(byId("name").value || "You");
  byId("name").addEventListener("input", (event) => preview.setName(event.target.value || "You"));
  preview.start();
  let title = "";
  byId("join").addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("join-button").disabled = true;
    try {
      const name = byId("name").value.trim();
      memory.name.set(name);
      const joined = await api.join(roomId, name, invitation());
      forgetInvitation();
      const credential = { participantId: joined.participant_id, token: joined.token, name, title, role: "guest", ...devices.wanted };
      memory.keepCredential(roomId, credential);
      preview.stop();
      new Session(credential, devices, uploads).start();
    } catch (error) {
      fail(error);
      byId("join-button").disabled = false;
    }
  });
  // Shown once it answers: a click before that would send the form away with the page.
  byId("prejoin").hidden = false;
  try {
    const session = await api.session(roomId);
    title = session.title;
    byId("prejoin-title").textContent = session.title;
    const names = session.participants.map((participant) => participant.name);
    byId("prejoin-lead").textContent = names.length ? `In the room: ${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}.` : "Nobody is here yet.";
  } catch (error) { fail(error); }
}

function fail(error) {
  byId("error").textContent = error instanceof ApiError ? error.message : String(error);
  byId("error").hidden = false;
}

main();
