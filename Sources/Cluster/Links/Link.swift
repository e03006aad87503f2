// One connection to one other node: TLS, the greeting, frames both ways. What calls do on it: Link+Calls.swift.
import EventLoop
import Primitives

/// Confined to the control loop.
///
///     securing ──handshake──▶ greeting ──their hello accepted──▶ up ──▶ closed   (closed from everywhere)
///
/// What a turn writes is encrypted and sent once, after the turn's other work. Small messages keep their order; large ones
/// go in chunks between them (`BulkLane`).
final class Link: @unchecked Sendable {
    typealias Limits = ClusterConfiguration.Limits
    enum Side: Equatable { case dialed(Dialer.Target), accepted }

    let side: Side
    /// Set once the peer has said who it is and was believed.
    private(set) var peer: Member?
    /// Set where the peer is a client that is no member.
    private(set) var operatorName: String?
    private(set) var version: UInt32 = 0
    /// What both ends can beyond the protocol version.
    private(set) var capabilities: Set<String> = []
    /// While another link claims the same name: the hello, and what came after it.
    private var trial: (hello: Hello, frames: [Frame])?
    /// Why this node put the peer out.
    private(set) var refusal: LinkRefusal?
    let stream: any Stream
    let system: ClusterSystem
    private let channel: TLSChannel
    private var links: Links { system.links }
    private var loop: any Loop { system.loop }
    private let outgoing = CBORBuffer(capacity: 4096)
    private var writer: FrameWriter { FrameWriter(outgoing) }
    private var lane = BulkLane()
    private var frames = FrameAssembler()
    private var chunks = ChunkAssembler()
    private(set) var clock = PeerClock()
    private var pingTimer: RepeatingTimer?
    private var retirement: RepeatingTimer?
    private var handshakeTimer: TimerToken?
    private var flushIsDue = false
    private var saidHello = false
    private(set) var isClosed = false
    private(set) var counts = LinkCounts()
    /// Calls in both directions, kept by Link+Calls.swift.
    var calls = LinkCalls()

    init(_ system: ClusterSystem, _ stream: any Stream, _ context: TLSContext, _ side: Side) throws(TLSError) {
        self.system = system
        self.stream = stream
        self.side = side
        let expected: NodeName? = if case .dialed(.node(let name)) = side { name } else { nil }
        channel = try TLSChannel(context, expected: expected)
    }

    func start() {
        handshakeTimer = loop.schedule(after: Limits.handshake) { [weak self] in self?.end("no greeting within \(Limits.handshake)") }
        stream.onClose = { [weak self] reason in self?.streamEnded(reason) }
        stream.onDrain = { [weak self] in self?.pump() }
        stream.onBytes = { [weak self] in self?.received($0) }
        guard side != .accepted else { return }
        do { try channel.handshake() } catch { return end("\(error)") }
        writeOutput()
    }

    // MARK: Receiving

    private func received(_ bytes: UnsafeRawBufferPointer) {
        guard !isClosed else { return }
        counts.bytesReceived += UInt64(bytes.count)
        let count = UInt64(bytes.count)
        system.count { $0.bytesReceived += count }
        if let peer, operatorName == nil { system.membership.heard(peer.name) }
        var problem: FrameError?
        do {
            try channel.receive(bytes) { plaintext in
                do throws(FrameError) {
                    try frames.receive(plaintext) { (payload) throws(FrameError) in
                        counts.framesReceived += 1
                        try take(try Frame.parse(payload), inChunks: false)
                        return !isClosed
                    }
                } catch { problem = error }
                return problem == nil && !isClosed
            }
        } catch {
            // The alert that tells the peer why goes out first.
            writeOutput()
            switch error {
            case .peerCertificate(let fault, _): refusal = .certificate(fault, "\(error)")
            case .ownCertificate(let fault, _): links.refused(self, .certificate(fault, "\(error)"))
            default: break
            }
            return end("\(error)")
        }
        if let problem {
            system.count { $0.badFrames += 1 }
            return refuse(.protocolBreach("\(problem)"))
        }
        guard !isClosed else { return }
        // Who dialed speaks first; the other one answers with its hello or a refusal.
        if channel.isEstablished, side != .accepted, !saidHello { sayHello() }
        writeOutput()
    }
    private func take(_ frame: Frame, inChunks: Bool) throws(FrameError) {
        if case .hello(let hello) = frame { return greeted(hello) }
        if case .refusal(let why) = frame { return links.refused(self, why) }
        if trial != nil {
            guard trial!.frames.count < Limits.trialFrames else { return refuse(.protocolBreach("too much before it was let in")) }
            return trial!.frames.append(frame)
        }
        guard let peer else { return refuse(.protocolBreach("spoke before its hello")) }
        switch frame {
        case .hello, .refusal: break
        case .ping(let number):
            let wall = loop.wall
            send { $0.pong(number, received: wall, sent: wall) }
        case .pong(let number, let received, let sent): ponged(number, received, sent)
        case .membership(let message): if operatorName == nil { system.membership.received(message, from: peer.name) }
        case .call(let call): try received(call, inChunks: inChunks)
        case .value(let id, let result): answered(id) { $0.answer.answer(.success(.encoded(result))) }
        case .failure(let id, let failure): answered(id) { failed($0, failure) }
        case .goodbye(let text, let lastCall):
            takeBack(after: lastCall)
            links.saidGoodbye(self, text)
        case .chunk(let message, let isLast, let bytes):
            // Chunks of chunks would be parsed without end.
            guard !inChunks else { throw .outOfRange("chunk") }
            guard let payload = try chunks.take(message, bytes, isLast: isLast) else { return }
            let result = payload.withUnsafeBytes { raw -> Result<Frame, FrameError> in
                do throws(FrameError) { return .success(try Frame.parse(raw)) } catch { return .failure(error) }
            }
            try take(try result.get(), inChunks: true)
        case .renew: links.renew(self)
        case .unknown: system.count { $0.unknownFrames += 1 }
        }
    }
    private func greeted(_ hello: Hello) {
        guard peer == nil, trial == nil else { return refuse(.protocolBreach("said hello twice")) }
        if let refusal = links.refusal(of: hello, on: self) { return refuse(refusal) }
        if links.isOnTrial(self, hello) { trial = (hello, []) } else { admit(hello) }
    }
    /// Nobody else answers to the name: the peer is let in, and what it said meanwhile is heard.
    func acquit() {
        guard let (hello, frames) = trial, !isClosed else { return }
        trial = nil
        admit(hello)
        for frame in frames where !isClosed {
            do throws(FrameError) { try take(frame, inChunks: false) } catch { refuse(.protocolBreach("\(error)")) }
        }
    }
    private func admit(_ hello: Hello) {
        if !saidHello { sayHello() }
        peer = hello.member
        operatorName = hello.operatorName
        version = hello.commonVersion(with: system.configuration.versions) ?? 0
        capabilities = Set(hello.capabilities).intersection(system.configuration.capabilities)
        handshakeTimer?.cancel()
        handshakeTimer = nil
        links.isUp(self, hello)
        guard !isClosed, capabilities.contains("clock") else { return }
        ping()
        pingTimer = loop.every(PeerClock.Limits.interval) { [weak self] in self?.ping() }
    }
    /// Asks for a sign of life.
    func challenge() { ping() }
    func certificateIs(of name: String) -> Bool { channel.peerIs(name) }

    // MARK: Sending

    /// What waits: in the lane for large messages, to be encrypted, to be taken by the kernel.
    var waitingBytes: Int { outgoing.count + lane.bytes + stream.bufferedBytes }
    var assemblingBytes: Int { frames.pendingBytes + chunks.bytes }

    /// Writes a frame that leaves this turn, in its order.
    func send(_ body: (FrameWriter) throws -> Void) rethrows {
        guard !isClosed else { return }
        try body(writer)
        counts.framesSent += 1
        flushSoon()
    }
    /// Writes a frame that, if it is large or one of its key waits, leaves in chunks.
    /// - Returns: whether it does.
    @discardableResult
    func send(_ key: LaneKey, _ body: (FrameWriter) throws -> Void) rethrows -> Bool {
        let start = outgoing.count
        try body(writer)
        let payload = start + FrameAssembler.Limits.headBytes
        guard capabilities.contains("chunks"), outgoing.count - payload > BulkLane.Limits.whole || lane.holds(key) else {
            counts.framesSent += 1
            flushSoon()
            return false
        }
        lane.add(Array(outgoing.bytes[payload...]), key)
        outgoing.truncate(to: start)
        pump()
        return true
    }
    /// Whether a frame of this size or key would go in chunks: then its method name takes no number.
    func isWaiting(_ key: LaneKey) -> Bool { lane.holds(key) }
    /// Lets chunks go as far as the connection takes them.
    private func pump() {
        guard !isClosed else { return }
        while !lane.isEmpty, outgoing.count + stream.bufferedBytes < Limits.streamBytes, let chunk = lane.next() {
            writer.chunk(chunk)
            counts.framesSent += 1
        }
        if outgoing.count > 0 { flushSoon() }
    }
    func send(_ message: MembershipMessage) {
        guard capabilities.contains("membership") else { return }
        do { try send { try $0.membership(message) } } catch { end("\(error)") }
    }
    private func sayHello() {
        saidHello = true
        do { try writer.hello(links.hello) } catch { return end("\(error)") }
        counts.framesSent += 1
        flush()
    }
    private func flushSoon() {
        guard !flushIsDue else { return }
        flushIsDue = true
        loop.post { [weak self] in self?.flush() }
    }
    private func flush() {
        flushIsDue = false
        guard !isClosed, channel.isEstablished, outgoing.count > 0 else { return }
        do { try channel.send(outgoing.bytes) } catch { return end("\(error)") }
        outgoing.removeAll()
        outgoing.shrink(to: FrameAssembler.Limits.payloadBytes)
        writeOutput()
        // A connection that takes it all at once says nothing when it has.
        if !lane.isEmpty, stream.bufferedBytes < Limits.streamBytes { loop.post { [weak self] in self?.pump() } }
    }
    private func writeOutput() {
        let bytes = channel.takeOutput()
        guard !bytes.isEmpty else { return }
        counts.bytesSent += UInt64(bytes.count)
        system.count { $0.bytesSent += UInt64(bytes.count) }
        stream.write(bytes)
    }

    // MARK: Clocks

    private func ping() {
        let number = clock.pinged(now: loop.now, wall: loop.wall)
        send { $0.ping(number) }
    }
    private func ponged(_ number: UInt64, _ received: WallTime?, _ sent: WallTime?) {
        let wasAlarming = clock.isAlarming
        clock.ponged(number, received: received, sent: sent, now: loop.now)
        guard clock.isAlarming, !wasAlarming, let peer, let offset = clock.offset else { return }
        system.count { $0.clocksOff += 1 }
        system.notice(.clockOff(peer.name, offset), once: "clock \(peer.name)")
    }

    // MARK: Ending

    private func streamEnded(_ reason: StreamEnd) {
        switch reason {
        case .local: end("closed")
        case .remote: end("the peer closed the connection")
        case .failed(let error): end("\(error)")
        }
    }
    /// Tells the peer why, and ends when that has left.
    func refuse(_ why: LinkRefusal) {
        guard !isClosed else { return }
        refusal = why
        if channel.isEstablished {
            writer.refusal(why)
            flush()
        }
        end("\(why)")
    }
    /// Says goodbye and ends when that has left.
    func leave(_ text: String) {
        guard !isClosed else { return }
        if peer != nil { writer.goodbye(text, lastCall: calls.lastReceived) }
        flush()
        end(text)
    }
    /// A successor has taken over: what is under way on this link may end.
    func retire() {
        let retired = loop.now
        retirement = loop.every(Limits.retireShortest) { [weak self] in
            guard let self, calls.areOver || loop.now - retired >= Limits.retireLongest else { return }
            end("replaced by a new connection")
        }
    }
    /// Ends the link. Calls without an answer are given up.
    func end(_ reason: String) {
        guard !isClosed else { return }
        isClosed = true
        handshakeTimer?.cancel()
        pingTimer?.cancel()
        retirement?.cancel()
        channel.end()
        writeOutput()
        stream.close()
        links.ended(self, reason)
        giveUpCalls()
    }
}

/// Sums of one link.
struct LinkCounts {
    var bytesSent: UInt64 = 0
    var bytesReceived: UInt64 = 0
    var framesSent: UInt64 = 0
    var framesReceived: UInt64 = 0
}
