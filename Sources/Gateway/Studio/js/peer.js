// The one PeerConnection with the node: perfect negotiation, the server being the polite side.

/** mid → {trackId, streamId} of the sections an offer sends. */
function mediaOf(sdp) {
  const sections = new Map();
  for (const section of sdp.split(/^m=/m).slice(1)) {
    const mid = section.match(/^a=mid:(\S+)/m)?.[1];
    const msid = section.match(/^a=msid:(\S+)(?: (\S+))?/m);
    if (mid && msid) sections.set(mid, { streamId: msid[1], trackId: msid[2] });
  }
  return sections;
}

export class Peer extends EventTarget {
  /** @param signalling the attachment's link: descriptions of this connection go through it and no other */
  constructor(signalling, iceServers = []) {
    super();
    this.signalling = signalling;
    this.making = false;
    this.senders = new Map();
    this.sections = new Map();
    /** Track ids that have shown something. */
    this.shown = new Set();
    this.queue = Promise.resolve();
    this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
    signalling.arrivals = () => this.arrivals();
    this.pc.onnegotiationneeded = () => this.offer();
    this.pc.onicecandidate = ({ candidate }) => candidate && signalling.send({
      type: "ice_candidate", candidate: candidate.candidate, sdpMid: candidate.sdpMid, sdpMLineIndex: candidate.sdpMLineIndex,
    });
    this.pc.ontrack = ({ track, transceiver }) => {
      const section = this.sections.get(transceiver.mid);
      if (section) this.dispatchEvent(new CustomEvent("track", { detail: { track, mid: transceiver.mid, ...section } }));
    };
    this.pc.onconnectionstatechange = () => {
      this.dispatchEvent(new CustomEvent("state", { detail: this.pc.connectionState }));
    };
  }

  /** Publishes a track. @returns the sender */
  add(track, source, muted) {
    const transceiver = this.pc.addTransceiver(track, {
      direction: "sendonly", streams: [new MediaStream([track])],
      sendEncodings: track.kind === "video" ? [{ maxBitrate: source === "screen_share" ? 2_500_000 : 1_500_000 }] : undefined,
    });
    this.signalling.send({ type: "publish", track_id: track.id, source, muted });
    this.senders.set(source, { transceiver, trackId: track.id });
    return transceiver.sender;
  }
  remove(source) {
    const entry = this.senders.get(source);
    if (!entry) return;
    this.senders.delete(source);
    entry.transceiver.stop();
  }
  replace(source, track) { return this.senders.get(source)?.transceiver.sender.replaceTrack(track); }
  trackId(source) { return this.senders.get(source)?.trackId; }

  async offer() {
    try {
      this.making = true;
      await this.pc.setLocalDescription();
      this.signalling.send({ type: "webrtc_offer", sdp: this.pc.localDescription.sdp });
    } catch (error) {
      console.warn("offer failed", error);
    } finally { this.making = false; }
  }

  /** Descriptions are applied one after the other, in the order they came. */
  description(type, sdp) {
    this.queue = this.queue.then(() => this.apply(type, sdp)).catch((error) => console.warn(`${type} failed`, error));
    return this.queue;
  }
  async apply(type, sdp) {
    if (this.pc.signalingState === "closed") return;
    if (type === "answer") {
      if (this.pc.signalingState === "have-local-offer") await this.pc.setRemoteDescription({ type, sdp });
      return;
    }
    // Both sides offered at once: we are impolite, the server takes its offer back and repeats it.
    if (this.making || this.pc.signalingState !== "stable") return;
    this.sections = mediaOf(sdp);
    await this.pc.setRemoteDescription({ type, sdp });
    await this.pc.setLocalDescription();
    this.signalling.send({ type: "webrtc_answer", sdp: this.pc.localDescription.sdp });
  }
  /** Packets of media that have come from the node. */
  async arrivals() {
    const entries = [...(await this.pc.getStats()).values()];
    return entries.reduce((sum, entry) => sum + (entry.type === "inbound-rtp" ? entry.packetsReceived : 0), 0);
  }
  close() { this.pc.close(); }
}

/** Until a received track shows or sounds; a muted one never does. */
export async function flows(track, patience = 2500) {
  if (!track.muted) return;
  const arrives = new Promise((resolve) => track.addEventListener("unmute", resolve, { once: true }));
  await Promise.race([arrives, new Promise((resolve) => setTimeout(resolve, patience))]);
}
