// One client: its signalling, its PeerConnection, what it sends and what it gets.
internal import EventLoop
internal import Forwarding
internal import Primitives
internal import RTP
internal import Transport
internal import WebRTC

/// Confined to the media loop, on which everything of the load client runs.
final class Participant: @unchecked Sendable {
    enum Limits { static let heartbeat = 10.0 }   // seconds, where the node says nothing
    let name: String
    let publishes: Bool
    let url: NodeURL
    let media: MediaLoop
    let random: any RandomSource
    private(set) var credentials: Credentials?
    private(set) var node = ""
    /// What went wrong; the first is the reason.
    private(set) var failures: [String] = []
    private(set) var isConnected = false
    private(set) var recording: ServerSignal.Recording?
    private var socket: SignalSocket?
    private var heartbeat: RepeatingTimer?
    private var waiting: [Int64: OneAnswer<Void>] = [:]
    private var nextID: Int64 = 1
    private var negotiation: ClientNegotiation
    private let local: LocalTransport
    private var remote: RemoteTransport?
    private var transport: TransportIndex = -1
    private var isLeaving = false

    var sends: [SendStream]
    var receives: [UInt32: ReceiveStream] = [:]
    var repairs: [UInt32: UInt32] = [:]            // RTX SSRC → SSRC
    var receivedPLIsForNobody: UInt64 = 0
    let reportSSRC: UInt32
    private(set) var socketOpenedAt: Int64?        // wall clock, µs

    init(name: String, sources: [any FrameSource], url: NodeURL, media: MediaLoop, bind: SocketAddress, random: any RandomSource) throws {
        self.name = name
        self.url = url
        self.media = media
        self.random = random
        publishes = !sources.isEmpty
        sends = sources.map { SendStream(trackID: "load-\($0.codec.kind.rawValue)-\(random.token(10))", source: $0, random: random) }
        reportSSRC = sends.first?.ssrc ?? UInt32(truncatingIfNeeded: random.next()) | 1
        let secret = ICECredentials.random(random)
        local = LocalTransport(iceUfrag: secret.fragment, icePassword: secret.password, fingerprint: media.certificate.fingerprint, candidates: [])
        negotiation = ClientNegotiation(local: local, sessionID: random.next() >> 2)
        try media.addSink(self)
        transport = try media.addPeer(
            sink: self, configuration: PeerSessionConfiguration(role: .client, localUfrag: secret.fragment, localPassword: secret.password, certificate: media.certificate),
            ownSocket: bind
        ) { [unowned self] in happened($0) }
    }

    // MARK: Joining and leaving

    /// Opens the signalling; media follows by itself.
    func join(_ web: WebClient, with credentials: Credentials) async throws {
        self.credentials = credentials
        let path = "/ws/\(credentials.session_id)?participant_id=\(credentials.participant_id)&token=\(credentials.token)"
        socketOpenedAt = media.loop.wall.microseconds
        socket = try await web.openSocket(url, path, onMessage: { [unowned self] in receive($0) }, onClosed: { [unowned self] in closed($0) })
    }
    func leave() {
        isLeaving = true
        heartbeat?.cancel()
        say(ClientSignal("bye"))
        socket?.close()
        media.removePeer(transport)
        media.removeSink(self)
        for answer in waiting.values { answer.answer(.failure(WebError("left"))) }
        waiting = [:]
    }
    func note(_ failure: String) { if failures.count < 20 { failures.append("\(name): \(failure)") } }
    private func happened(_ event: PeerEvent) {
        switch event {
        case .connected: isConnected = true
        case .selected: break
        case .closed(let reason): if !isLeaving { note("the media session closed: \(reason)") }
        }
    }
    private func closed(_ text: String) {
        heartbeat?.cancel()
        if !isLeaving { note("the node closed the signalling: \(text)") }
        for answer in waiting.values { answer.answer(.failure(WebError("the signalling closed"))) }
        waiting = [:]
    }

    // MARK: Signalling

    private func say(_ signal: ClientSignal) { socket?.send(signal.bytes) }
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
    private func receive(_ frame: [UInt8]) {
        do {
            try act(on: ServerSignal.decode(frame))
        } catch { note("\(error)") }
    }
    private func act(on signal: ServerSignal) throws {
        switch signal.type {
        case "welcome": welcome(signal)
        case "webrtc_offer": try answer(signal.sdp ?? "")
        case "webrtc_answer":
            try apply(negotiation.receive(answer: signal.sdp ?? ""))
            offer()
        case "ok": if let id = signal.id { waiting.removeValue(forKey: id)?.answer(.success(())) }
        case "error":
            let text = "\(signal.code ?? "error"): \(signal.message ?? "")"
            if let id = signal.id, let answer = waiting.removeValue(forKey: id) { answer.answer(.failure(WebError(text))) } else { note(text) }
        case "recording_status": recording = signal.recording ?? recording
        case "bye": if !isLeaving { note("the node said goodbye: \(signal.reason ?? "")") }
        default: break
        }
    }
    private func welcome(_ signal: ServerSignal) {
        node = signal.node ?? ""
        recording = signal.recording
        let interval = min(max(signal.pingInterval ?? Limits.heartbeat, 0.5), 60)
        heartbeat = media.loop.every(.milliseconds(Int(interval * 1000))) { [unowned self] in say(ClientSignal("heartbeat")) }
        for stream in sends {
            negotiation.publish(OutboundTrack(
                id: stream.trackID, streamID: credentials?.participant_id ?? name, kind: stream.codec.kind, codec: stream.codec, ssrc: stream.ssrc, rtxSSRC: stream.rtxSSRC))
            say(ClientSignal("publish", trackID: stream.trackID, source: stream.codec.kind == .audio ? "microphone" : "camera"))
        }
        offer()
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
        let their = accepted.remote
        if their != remote {
            try media.setRemote(transport, ufrag: their.iceUfrag, password: their.icePassword, fingerprintAlgorithm: their.fingerprintAlgorithm, fingerprint: their.fingerprint)
            for candidate in their.candidates where !(remote?.candidates.contains(candidate) ?? false) { try media.addRemoteCandidate(transport, candidate) }
            remote = their
        }
        for index in sends.indices { sends[index].negotiated(accepted.outbound.first { $0.id == sends[index].trackID }) }
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

    // MARK: Sending

    /// Sends the frames due; all tracks begin together, once the node listens.
    /// - Returns: when to come again.
    func sendDue(now: Instant, wall: WallTime) -> Instant? {
        guard isConnected else { return nil }
        var next: Instant?
        for index in sends.indices {
            if !sends[index].isStarted { sends[index].begin(now: now) }
            for packet in sends[index].takeDue(now: now, wall: wall) { transmit(packet, track: index) }
            if let due = sends[index].due { next = min(due, next ?? due) }
        }
        return next
    }
    func transmit(_ packet: OutgoingPacket, track: Int) {
        packet.bytes.withUnsafeBytes { media.sendRTP($0, headerLength: RTPHeader.fixedLength, stream: Int32(2 * track + (packet.isRepair ? 1 : 0)), to: transport) }
    }
    func transmitControl(_ bytes: UnsafeRawBufferPointer) { media.sendRTCP(bytes, to: transport) }
}
