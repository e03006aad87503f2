// One connection to one other node: TLS, the greeting, frames both ways.
import EventLoop
import Primitives

/// Confined to the control loop.
///
///     securing ──handshake──▶ greeting ──their hello accepted──▶ up ──▶ closed   (closed from everywhere)
///
/// What a turn writes is encrypted and sent once, after the turn's other work. Frames keep their order.
final class Link: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    enum Side: Equatable { case dialed(NodeName), accepted }

    let side: Side
    /// Set once the peer has said who it is and was believed.
    private(set) var peer: Member?
    let stream: any Stream
    private let channel: TLSChannel
    private let system: ClusterSystem
    private var links: Links { system.links }
    private var loop: any Loop { system.loop }
    private let outgoing = CBORBuffer(capacity: 4096)
    private var writer: FrameWriter { FrameWriter(outgoing) }
    private var assembler = FrameAssembler()
    private var sentNames = MethodNames.Sent()
    private var receivedNames = MethodNames.Received()
    private var inFlight: [UInt64: OutgoingCall] = [:]
    private var lastCall: UInt64 = 0
    /// Highest id among the peer's calls.
    private var lastReceived: UInt64 = 0
    private var lastPing: UInt64 = 0
    private var executing = 0
    private var flushIsDue = false
    private var saidHello = false
    private var handshakeTimer: TimerToken?
    private(set) var isClosed = false

    init(_ system: ClusterSystem, _ stream: any Stream, _ context: TLSContext, _ side: Side) throws(TLSError) {
        self.system = system
        self.stream = stream
        self.side = side
        let expected: NodeName? = if case .dialed(let name) = side { name } else { nil }
        channel = try TLSChannel(context, expected: expected)
    }

    func start() {
        handshakeTimer = loop.schedule(after: Limits.handshake) { [weak self] in self?.end("no greeting within \(Limits.handshake)") }
        stream.onClose = { [weak self] reason in self?.streamEnded(reason) }
        stream.onBytes = { [weak self] in self?.received($0) }
        guard side != .accepted else { return }
        do { try channel.handshake() } catch { return end("\(error)") }
        writeOutput()
    }

    // MARK: Receiving

    private func received(_ bytes: UnsafeRawBufferPointer) {
        guard !isClosed else { return }
        let count = UInt64(bytes.count)
        system.count { $0.bytesReceived += count }
        if let peer { links.heard(peer.name) }
        var problem: FrameError?
        do {
            try channel.receive(bytes) { plaintext in
                do throws(FrameError) {
                    try assembler.receive(plaintext) { (payload) throws(FrameError) in
                        try take(try Frame.parse(payload))
                        return !isClosed
                    }
                } catch { problem = error }
                return problem == nil && !isClosed
            }
        } catch {
            // The alert that tells the peer why goes out first.
            writeOutput()
            return end("\(error)")
        }
        if let problem {
            system.count { $0.badFrames += 1 }
            return end("\(problem)")
        }
        guard !isClosed else { return }
        if channel.isEstablished, !saidHello { sayHello() }
        writeOutput()
    }
    private func take(_ frame: Frame) throws(FrameError) {
        if case .hello(let hello) = frame { return greeted(hello) }
        guard peer != nil else { return end("spoke before its hello") }
        switch frame {
        case .hello: break
        case .ping(let number):
            writer.pong(number)
            flushSoon()
        case .pong: break
        case .call(let call): try received(call)
        case .value(let id, let result): answered(id) { $0.answer.answer(.success(.encoded(result))) }
        case .failure(let id, let failure): answered(id) { failed($0, failure) }
        case .goodbye(let text, let lastCall):
            takeBack(after: lastCall)
            links.saidGoodbye(self, text)
        case .unknown: system.count { $0.unknownFrames += 1 }
        }
    }
    private func greeted(_ hello: Hello) {
        guard peer == nil else { return end("said hello twice") }
        if let refusal = links.refusal(of: hello, on: self) { return end(refusal) }
        if !saidHello { sayHello() }
        peer = hello.member
        handshakeTimer?.cancel()
        handshakeTimer = nil
        links.isUp(self, hello.member)
    }
    func certificateIs(of name: NodeName) -> Bool { channel.peerIs(name) }

    // MARK: Calls of the peer

    private func received(_ frame: CallFrame) throws(FrameError) {
        // The name is taken in even if the call is refused: both sides number alike.
        guard let method = receivedNames.name(frame.method) else { throw .outOfRange("method number") }
        let id = frame.id
        lastReceived = max(lastReceived, id)
        guard executing < Limits.callsExecuting else { return reply(id, .notExecuted(.overloaded)) }
        executing += 1
        let call = IncomingCall(
            method: method, arguments: .items(frame.arguments, count: frame.argumentCount, system), expires: loop.now + frame.budget
        ) { [self] outcome in
            executing -= 1
            reply(id, outcome)
        }
        system.router.received(call, for: frame.recipient)
    }
    private func reply(_ id: UInt64, _ outcome: CallOutcome) {
        guard !isClosed else { return }
        do {
            switch outcome {
            case .value(let value): try writer.value(id: id, value)
            case .thrown(let error): try writer.failure(id: id, system.errors.encode(error))
            case .notExecuted(let reason): try writer.failure(id: id, .notExecuted(reason))
            }
        } catch { try? writer.failure(id: id, .unsendable("\(error)")) }
        guard waitingBytes <= Limits.linkBytesMost else { return end("reads nothing") }
        flushSoon()
    }

    // MARK: Calls to the peer

    private var waitingBytes: Int { outgoing.count + stream.bufferedBytes }

    /// Sends a call, or says at once why it was not executed.
    func send(_ call: OutgoingCall) {
        guard !isClosed, peer != nil else { return system.router.finished(call, .notExecuted(.unreachable)) }
        guard inFlight.count < Limits.callsInFlight, waitingBytes < Limits.linkBytes else { return system.router.finished(call, .notExecuted(.overloaded)) }
        lastCall += 1
        let id = lastCall, method = sentNames.reference(call.method)
        do {
            try writer.call(id: id, recipient: call.recipient, method: method, budget: call.expires - loop.now, arguments: call.arguments)
        } catch { return system.router.finished(call, .notExecuted(.badArguments("\(error)"))) }
        sentNames.written(method)
        call.mayHaveRun = true
        inFlight[id] = call
        system.count { $0.callsSent += 1 }
        let loop = loop
        call.answer.atEnd { [weak self] in
            let link = self
            loop.run { link?.inFlight[id] = nil }
        }
        flushSoon()
    }
    /// The peer stopped reading before these: they go elsewhere.
    private func takeBack(after lastCall: UInt64) {
        for (id, call) in inFlight.filter({ $0.key > lastCall }).sorted(by: { $0.key < $1.key }) {
            inFlight[id] = nil
            system.router.finished(call, .notExecuted(.unreachable))
        }
    }
    private func answered(_ id: UInt64, _ use: (OutgoingCall) -> Void) {
        guard let call = inFlight.removeValue(forKey: id) else { return system.count { $0.answersTooLate += 1 } }
        use(call)
    }
    private func failed(_ call: OutgoingCall, _ failure: CallFailure) {
        switch failure {
        case .notExecuted(let reason): system.router.finished(call, .notExecuted(reason))
        case .registered(let name, let bytes): call.fail(system.errors.decode(name: name, bytes))
        case .other(let type, let text): call.fail(ClusterError.remote(type: type, text: text))
        case .unsendable(let text): call.fail(ClusterError.unknownOutcome(.badAnswer(text)))
        }
    }

    // MARK: Sending

    private func sayHello() {
        saidHello = true
        do { try writer.hello(links.hello) } catch { return end("\(error)") }
        flush()
    }
    func ping() {
        lastPing += 1
        writer.ping(lastPing)
        flushSoon()
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
    }
    private func writeOutput() {
        let bytes = channel.takeOutput()
        guard !bytes.isEmpty else { return }
        system.count { $0.bytesSent += UInt64(bytes.count) }
        stream.write(bytes)
    }

    // MARK: Ending

    private func streamEnded(_ reason: StreamEnd) {
        switch reason {
        case .local: end("closed")
        case .remote: end("the peer closed the connection")
        case .failed(let error): end("\(error)")
        }
    }
    /// Says goodbye and ends when that has left.
    func leave(_ text: String) {
        guard !isClosed else { return }
        if peer != nil { writer.goodbye(text, lastCall: lastReceived) }
        flush()
        end(text)
    }
    /// Ends the link. Calls without an answer are given up.
    func end(_ reason: String) {
        guard !isClosed else { return }
        isClosed = true
        handshakeTimer?.cancel()
        channel.end()
        writeOutput()
        stream.close()
        links.ended(self, reason)
        let calls = inFlight.sorted { $0.key < $1.key }.map(\.value)
        inFlight.removeAll()
        for call in calls { call.giveUp(.linkLost, .unreachable) }
    }
}
