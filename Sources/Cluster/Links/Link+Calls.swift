// Calls on a link: what the peer asks of actors here, and what actors here ask of it.
import EventLoop
import Primitives

/// Calls of one link, both ways. Confined to the control loop.
struct LinkCalls {
    var sentNames = MethodNames.Sent()
    var receivedNames = MethodNames.Received()
    var inFlight: [UInt64: OutgoingCall] = [:]
    var lastSent: UInt64 = 0
    /// Highest id among the peer's calls.
    var lastReceived: UInt64 = 0
    var executing = 0
    var executingBytes = 0
    var watch = AnswerWatch()
    var areOver: Bool { inFlight.isEmpty && executing == 0 }
}

extension Link {
    // MARK: Calls of the peer

    /// - Parameter inChunks: it came in pieces; then its method's name has no number.
    func received(_ frame: CallFrame, inChunks: Bool) throws(FrameError) {
        // The name is taken in even if the call is refused: both sides number alike.
        let method: String
        if inChunks, case .name(let name) = frame.method { method = name } else {
            guard let name = calls.receivedNames.name(frame.method) else { throw .outOfRange("method number") }
            method = name
        }
        let id = frame.id, bytes = frame.arguments.count
        calls.lastReceived = max(calls.lastReceived, id)
        guard calls.executing < Limits.callsExecuting, calls.executingBytes + bytes <= Limits.executingBytes else {
            system.count { $0.peerCallsShed += 1 }
            return reply(id, .notExecuted(.overloaded))
        }
        calls.executing += 1
        calls.executingBytes += bytes
        let call = IncomingCall(
            method: method, arguments: .items(frame.arguments, count: frame.argumentCount, system), expires: system.loop.now + frame.budget,
            isOperators: operatorName != nil
        ) { [self] outcome in
            calls.executing -= 1
            calls.executingBytes -= bytes
            reply(id, outcome)
        }
        system.router.received(call, for: frame.recipient)
    }
    private func reply(_ id: UInt64, _ outcome: CallOutcome) {
        guard !isClosed else { return }
        do {
            try send(.answer(id)) { writer in
                switch outcome {
                case .value(let value): try writer.value(id: id, value)
                case .thrown(let error): try writer.failure(id: id, system.errors.encode(error))
                case .notExecuted(let reason): try writer.failure(id: id, .notExecuted(reason))
                }
            }
        } catch {
            let text = "\(error)"
            try? send { try $0.failure(id: id, .unsendable(text)) }
        }
        guard waitingBytes <= Limits.linkBytesMost else { return end("reads nothing") }
    }

    // MARK: Calls to the peer

    /// Sends a call, or says at once why it was not executed.
    func send(_ call: OutgoingCall) {
        guard !isClosed, peer != nil else { return system.router.finished(call, .notExecuted(.unreachable)) }
        guard calls.inFlight.count < Limits.callsInFlight, waitingBytes < Limits.linkBytes else {
            system.count { $0.callsShed += 1 }
            return system.router.finished(call, .notExecuted(.overloaded))
        }
        calls.lastSent += 1
        let id = calls.lastSent, method = calls.sentNames.reference(call.method), loop = system.loop
        do {
            let inChunks = try send(.calls(to: call.recipient)) { writer in
                try writer.call(id: id, recipient: call.recipient, method: method, budget: call.expires - loop.now, arguments: call.arguments)
            }
            if !inChunks { calls.sentNames.written(method) }
        } catch { return system.router.finished(call, .notExecuted(.badArguments("\(error)"))) }
        call.mayHaveRun = true
        calls.watch.sent()
        calls.inFlight[id] = call
        system.count { $0.callsSent += 1 }
        call.answer.atEnd { [weak self] in
            let link = self
            loop.run { link?.calls.inFlight[id] = nil }
        }
    }
    /// The peer stopped reading before these: they go elsewhere.
    func takeBack(after lastCall: UInt64) {
        for (id, call) in calls.inFlight.filter({ $0.key > lastCall }).sorted(by: { $0.key < $1.key }) {
            calls.inFlight[id] = nil
            system.router.finished(call, .notExecuted(.unreachable))
        }
    }
    func answered(_ id: UInt64, _ use: (OutgoingCall) -> Void) {
        calls.watch.answered()
        guard let call = calls.inFlight.removeValue(forKey: id) else { return system.count { $0.answersTooLate += 1 } }
        use(call)
    }
    func failed(_ call: OutgoingCall, _ failure: CallFailure) {
        switch failure {
        case .notExecuted(let reason): system.router.finished(call, .notExecuted(reason))
        case .registered(let name, let bytes): call.fail(system.errors.decode(name: name, bytes))
        case .other(let type, let text): call.fail(ClusterError.remote(type: type, text: text))
        case .unsendable(let text): call.fail(ClusterError.unknownOutcome(.badAnswer(text)))
        }
    }
    func giveUpCalls() {
        let all = calls.inFlight.sorted { $0.key < $1.key }.map(\.value)
        calls.inFlight.removeAll()
        for call in all { call.giveUp(.linkLost, .unreachable) }
    }

    // MARK: Reports

    func report(reconnects: Int) -> LinkReport? {
        guard let peer else { return nil }
        var report = LinkReport(
            peer: operatorName.map { NodeName($0) } ?? peer.name, incarnation: peer.incarnation, isOperator: operatorName != nil, address: stream.remoteAddress,
            version: version, capabilities: capabilities)
        report.bytesSent = counts.bytesSent
        report.bytesReceived = counts.bytesReceived
        report.framesSent = counts.framesSent
        report.framesReceived = counts.framesReceived
        report.queueBytes = waitingBytes
        report.assemblingBytes = assemblingBytes
        report.callsInFlight = calls.inFlight.count
        report.callsExecuting = calls.executing
        report.executingBytes = calls.executingBytes
        report.roundTrip = clock.lastRoundTrip
        report.medianRoundTrip = clock.medianRoundTrip
        report.clockOffset = clock.offset
        report.clockUncertainty = clock.uncertainty
        report.reconnects = reconnects
        return report
    }
}
