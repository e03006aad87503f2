// One attachment of a client: its WebSocket at one node and the PeerConnection beside it.
internal import EventLoop
internal import Forwarding
internal import Primitives
internal import RTP
internal import Transport
internal import WebRTC

/// Confined to the media loop. What it publishes are outlets of its participant's tracks, under this attachment's number.
final class Attachment: @unchecked Sendable {
    let number: Int
    let url: NodeURL
    unowned let owner: Participant
    private let media: MediaLoop
    private let local: LocalTransport
    private var negotiation: ClientNegotiation
    private var remote: RemoteTransport?
    private(set) var transport: TransportIndex = -1
    var socket: SignalSocket?
    private(set) var node = ""
    private(set) var isConnected = false
    private(set) var isOver = false
    /// The node sent `welcome` or `resumed`.
    private(set) var isAttached = false
    let answered = OneAnswer<Bool>()
    private var waiting: [Int64: OneAnswer<Void>] = [:]
    private var nextID: Int64 = 1
    private var heartbeat: RepeatingTimer?
    private var heardAt: Instant
    /// When the node's last packet came, of media or a report.
    var arrivedAt: Instant

    var receives: [UInt32: ReceiveStream] = [:]
    var repairs: [UInt32: UInt32] = [:]            // RTX SSRC → SSRC
    var receivedPLIsForNobody: UInt64 = 0
    let reportSSRC: UInt32

    enum Limits {
        static let heartbeat = 10.0                             // seconds, where the node says nothing
        static let patience = Duration.milliseconds(700)        // after a heartbeat: silence that long, and the node counts as gone;
        static let late = Duration.seconds(5)                   // but with packets still coming, when nothing was heard for that long
        static let flow = Duration.milliseconds(200)            // since the last packet: they still come
        static let lastWord = Duration.milliseconds(200)        // for the node's goodbye, after its media session ended
    }

    init(number: Int, url: NodeURL, owner: Participant, bind: SocketAddress) throws {
        self.number = number
        self.url = url
        self.owner = owner
        media = owner.media
        heardAt = media.loop.now
        arrivedAt = heardAt
        let secret = ICECredentials.random(owner.random)
        local = LocalTransport(iceUfrag: secret.fragment, icePassword: secret.password, fingerprint: media.certificate.fingerprint, candidates: [])
        negotiation = ClientNegotiation(local: local, sessionID: owner.random.next() >> 2)
        reportSSRC = owner.sends.first?.outlet(number)?.ssrc ?? UInt32(truncatingIfNeeded: owner.random.next()) | 1
        try media.addSink(self)
        transport = try media.addPeer(
            sink: self, configuration: PeerSessionConfiguration(role: .client, localUfrag: secret.fragment, localPassword: secret.password, certificate: media.certificate),
            ownSocket: bind
        ) { [weak self] in self?.happened($0) }
    }

    private func happened(_ event: PeerEvent) {
        switch event {
        case .connected: isConnected = true
        case .selected: break
        // Ending it takes the peer away, which this call comes from. A node that closes it says goodbye as well, by another way.
        case .closed(let reason):
            _ = media.loop.schedule(after: reason == .remote ? Limits.lastWord : .zero) { [self] in if !isOver { owner.lost(self, "the media session closed: \(reason)") } }
        }
    }
    func closed(_ text: String) {
        answered.answer(.success(false))
        if !isOver { owner.lost(self, "the node closed the signalling: \(text)") }
        fail("the signalling closed")
    }
    private func fail(_ text: String) {
        for answer in waiting.values { answer.answer(.failure(WebError(text))) }
        waiting = [:]
    }
    /// Ends it here; the node notices by itself.
    func end() {
        guard !isOver else { return }
        isOver = true
        answered.answer(.success(false))
        heartbeat?.cancel()
        socket?.close()
        media.removePeer(transport)
        media.removeSink(self)
        fail("left")
    }

    // MARK: Signalling

    func say(_ signal: ClientSignal) { socket?.send(signal.bytes) }
    /// Sends and waits for `ok` or `error`.
    func request(_ type: String, within time: Duration) async throws {
        let id = nextID
        nextID += 1
        let answer = OneAnswer<Void>()
        waiting[id] = answer
        try await media.loop.withDeadline(time) {
            try await withCheckedThrowingContinuation { continuation in
                answer.open(continuation)
                self.say(ClientSignal(type, id: id))
            }
        }
    }
    func receive(_ frame: [UInt8]) {
        heardAt = media.loop.now
        do { try act(on: ServerSignal.decode(frame)) } catch { owner.note("\(error)") }
    }
    private func act(on signal: ServerSignal) throws {
        switch signal.type {
        case "welcome", "resumed": attached(signal)
        case "unknown_session": answered.answer(.success(false))
        case "webrtc_offer": try answer(signal.sdp ?? "")
        case "webrtc_answer":
            try apply(negotiation.receive(answer: signal.sdp ?? ""))
            offer()
        case "ok": if let id = signal.id { waiting.removeValue(forKey: id)?.answer(.success(())) }
        case "error":
            let text = "\(signal.code ?? "error"): \(signal.message ?? "")"
            if let id = signal.id, let answer = waiting.removeValue(forKey: id) { answer.answer(.failure(WebError(text))) } else if isAttached { owner.note(text) }
        default: owner.heard(signal, on: self)
        }
    }
    private func attached(_ signal: ServerSignal) {
        node = signal.node ?? ""
        isAttached = true
        owner.heard(signal, on: self)
        let interval = min(max(signal.pingInterval ?? Limits.heartbeat, 0.5), 60)
        heartbeat = media.loop.every(.milliseconds(Int(interval * 1000))) { [weak self] in self?.beat() }
        for stream in owner.sends {
            guard let outlet = stream.outlet(number) else { continue }
            negotiation.publish(OutboundTrack(
                id: stream.trackID, streamID: owner.credentials?.participant_id ?? owner.name, kind: stream.codec.kind, codec: stream.codec, ssrc: outlet.ssrc, rtxSSRC: outlet.rtxSSRC))
            say(ClientSignal("publish", trackID: stream.trackID, source: stream.codec.kind == .audio ? "microphone" : "camera"))
        }
        offer()
        answered.answer(.success(true))
    }
    private func beat() {
        let sent = media.loop.now
        say(ClientSignal("heartbeat"))
        media.loop.schedule(after: Limits.patience) { [weak self] in
            guard let self, !self.isOver, self.heardAt < sent else { return }
            let now = self.media.loop.now
            if now - self.arrivedAt < Limits.flow, now - self.heardAt < Limits.late { return }
            self.owner.lost(self, "no answer to a heartbeat", isSilent: true)
        }
    }
    private func offer() { if let sdp = negotiation.makeOffer() { say(ClientSignal("webrtc_offer", sdp: sdp)) } }
    /// Ignored while an offer of ours is outstanding: the node repeats it.
    private func answer(_ sdp: String) throws {
        guard let accepted = try negotiation.receive(offer: sdp) else { return }
        if let answer = accepted.answer { say(ClientSignal("webrtc_answer", sdp: answer)) }
        try apply(accepted)
        offer()
    }
    private func apply(_ accepted: Accepted) throws {
        guard !isOver else { return }
        let their = accepted.remote
        if their != remote {
            try media.setRemote(transport, ufrag: their.iceUfrag, password: their.icePassword, fingerprintAlgorithm: their.fingerprintAlgorithm, fingerprint: their.fingerprint)
            for candidate in their.candidates where !(remote?.candidates.contains(candidate) ?? false) { try media.addRemoteCandidate(transport, candidate) }
            remote = their
        }
        for index in owner.sends.indices {
            let id = owner.sends[index].trackID
            owner.sends[index].negotiated(accepted.outbound.first { $0.id == id }, outlet: number)
        }
        for inbound in accepted.inbound where inbound.active { listen(inbound) }
    }
    private func listen(_ inbound: InboundMedia) {
        guard let codec = inbound.codecs.first?.codec else { return }
        for encoding in inbound.encodings {
            guard let ssrc = encoding.ssrc, receives[ssrc] == nil else { continue }
            receives[ssrc] = ReceiveStream(trackID: inbound.trackID, participantID: inbound.streamID, ssrc: ssrc, rtxSSRC: encoding.rtxSSRC, codec: codec)
            if let rtx = encoding.rtxSSRC { repairs[rtx] = ssrc }
        }
    }

    // MARK: Packets

    func transmit(_ packet: OutgoingPacket, track: Int) {
        guard !isOver else { return }
        packet.bytes.withUnsafeBytes { media.sendRTP($0, headerLength: RTPHeader.fixedLength, stream: Int32(2 * track + (packet.isRepair ? 1 : 0)), to: transport) }
    }
    func transmitControl(_ bytes: UnsafeRawBufferPointer) { if !isOver { media.sendRTCP(bytes, to: transport) } }
}
