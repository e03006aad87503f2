// One client's signalling: its WebSocket in front of a `SignallingSession` of the conference.
internal import Conference
internal import Contracts
internal import EventLoop
internal import Primitives

/// Admits the client, then passes messages both ways. Confined to the gateway's loop.
///
/// Close codes: 1000 and 1001 as RFC 6455 means them, 1003 for binary frames, 1009 for a message too large, 4408 for a client
/// that does not read, else 4000 + the HTTP status of the refusal (4401, 4403, 4404, 4410, 4429 …).
final class SignallingSocket: SignallingConnection, @unchecked Sendable {
    enum Limits {
        static let waiting = 64                             // messages that arrive before the session is attached
        static let resumeTime = Duration.seconds(5)         // for `resume`, where the address names nobody
    }
    /// What a client is told that presents a token nobody knows: it joins afresh.
    static let unknownSessionCode: UInt16 = 4412
    static let slowReaderCode: UInt16 = 4408
    private let connection: WebSocketConnection
    private let service: any ConferenceService
    private let loop: any Loop
    private let limits: GatewayLimits
    private let counters: SignallingCounters
    private let seal: ResumeSeal
    private let iceServers: ICEServers
    private var gate: MessageGate
    private var session: (any SignallingSession)?
    private var waiting = BoundedQueue<ClientMessage>(capacity: Limits.waiting)
    private var isOver = false
    private var attaching: Task<Void, Never>?
    /// The room of a connection that has yet to say which session it continues.
    private var awaitsResume: RoomID?

    init(_ connection: WebSocketConnection, service: any ConferenceService, loop: any Loop, limits: GatewayLimits, counters: SignallingCounters, seal: ResumeSeal, iceServers: ICEServers) {
        self.connection = connection
        self.seal = seal
        self.iceServers = iceServers
        self.service = service
        self.loop = loop
        self.limits = limits
        self.counters = counters
        gate = MessageGate(limits: limits, now: loop.now)
        connection.onMessage = { [self] in receive($0) }
        connection.onClosed = { [self] in closed() }
    }

    /// Attaches the participant the request names. `authenticator` believes a token; without one the service is asked.
    /// A request that names nobody belongs to a client that comes back: its first frame says who it is, and never stands in a log.
    func attach(_ request: HTTPRequest, room: RoomID, authenticator: Authenticator) {
        if request.query("participant_id") == nil, request.query("token") == nil, request.headers["authorization"] == nil { return awaitResume(room) }
        attaching = loop.spawn { [self] in
            do {
                try await loop.withDeadline(limits.handlerTime) { [self] in
                    let (caller, participant) = try await admit(request, room, authenticator)
                    let autoSubscribe = !["0", "false"].contains(request.query("auto_subscribe") ?? "")
                    attached(try await service.attach(self, room: room, participant: participant, caller: caller, autoSubscribe: autoSubscribe))
                }
            } catch {
                refuse(Failure(any: error))
            }
        }
    }
    private func awaitResume(_ room: RoomID) {
        awaitsResume = room
        loop.schedule(after: Limits.resumeTime) { [weak self] in
            guard let self, self.awaitsResume != nil else { return }
            self.refuse(Failure(401, "token_required", "open the WebSocket with the `participant_id` and `token` that `join` gave, or send `resume` first"))
        }
    }
    private func resume(_ frame: ResumeFrame, room: RoomID) {
        awaitsResume = nil
        guard let session = seal.open(frame.token, now: loop.wall), session.roomID == room else { return refuseResume("the token is not (or no longer) good for this room; join afresh") }
        let request = ResumeRequest(session: session, lastSeen: frame.lastSeen, attempt: frame.attempt, isMove: frame.isMove, features: frame.features)
        attaching = loop.spawn { [self] in
            do {
                try await loop.withDeadline(limits.handlerTime) { [self] in attached(try await service.resume(self, request)) }
            } catch let error as ServiceError where error.code == RoomCore.unknownSession.code || error.code == "unknown_room" {
                refuseResume(error.message)
            } catch {
                refuse(Failure(any: error))
            }
        }
    }
    private func refuseResume(_ message: String) {
        counters.refused["unknown_session", default: 0] += 1
        send(.unknownSession(message))
        close(code: Self.unknownSessionCode, reason: "unknown_session")
    }
    private func admit(_ request: HTTPRequest, _ room: RoomID, _ authenticator: Authenticator) async throws -> (Caller, ParticipantID) {
        let named = request.query("participant_id").map { ParticipantID($0) }
        if let named, !named.isSafe { throw Failure(401, "unknown_participant", "`participant_id` is none that `join` gave") }
        let token = request.query("token") ?? request.headers["authorization"].flatMap { $0.lowercased().hasPrefix("bearer ") ? String($0.dropFirst(7)) : nil }
        guard let token else {
            guard let named else { throw Failure(401, "token_required", "open the WebSocket with the `participant_id` and `token` that `join` gave") }
            guard let caller = try await service.caller(room: room, participant: named) else {
                throw Failure(401, "unknown_participant", "`participant_id` is none that `join` gave for this room; join again")
            }
            return (caller, named)
        }
        let caller = try authenticator.caller(token: token, now: loop.wall)
        guard caller.canJoin, caller.room == nil || caller.room == room else { throw Failure(403, "wrong_room", "the token does not grant joining this room") }
        let identity = caller.identity.map(Authenticator.participant(identity:))
        guard let participant = named ?? identity else { throw Failure(401, "no_identity", "the token has no `sub`; mint it with an identity") }
        guard identity == nil || identity == participant else { throw Failure(403, "wrong_participant", "the token is another participant's") }
        return (caller, participant)
    }
    private func attached(_ session: any SignallingSession) {
        guard !isOver else { return session.connectionLost() }
        self.session = session
        while let message = waiting.pop() { session.receive(message) }
    }
    private func refuse(_ failure: Failure) {
        counters.refused[failure.code, default: 0] += 1
        send(.error(id: nil, code: failure.code, message: failure.message))
        close(code: failure.closeCode, reason: failure.code)
    }

    // MARK: Inwards

    private func receive(_ frame: [UInt8]) {
        let verdict = gate.message(now: loop.now)
        guard verdict == .pass else { return refuseMessage(verdict, id: Self.id(of: frame), code: "rate_limited", "at most \(Int(limits.messagesPerSecond)) messages a second; slow down") }
        do throws(ClientMessageError) {
            let message: ClientMessage
            switch try ClientMessageCodec.decode(frame) {
            case .resume(let claim):
                guard let room = awaitsResume else {
                    return refuseMessage(.refuse, id: claim.id, code: "already_attached", "`resume` is the first frame of a connection whose address names nobody")
                }
                return resume(claim, room: room)
            case .message(let plain): message = plain
            }
            guard awaitsResume == nil else {
                awaitsResume = nil
                return refuse(Failure(401, "token_required", "send `resume` first, or open the WebSocket with `participant_id` and `token`"))
            }
            if let session { session.receive(message) } else if !waiting.push(message) {
                refuseMessage(.refuse, id: message.id, code: "rate_limited", "wait for `welcome` before you send so much")
            }
        } catch {
            refuseMessage(gate.malformedMessage(), id: error.id, code: error.code, error.message)
        }
    }
    private func refuseMessage(_ verdict: MessageGate.Verdict, id: Int64?, code: String, _ message: String) {
        counters.refused[code, default: 0] += 1
        send(.error(id: id, code: code, message: message))
        switch verdict {
        case .closeRateLimited: close(code: 4429, reason: "rate_limited")
        case .closeMalformed: close(code: 4400, reason: "bad_request")
        case .pass, .refuse: break
        }
    }
    /// The `id` of a frame that is not acted on; only small ones are looked at.
    private static func id(of frame: [UInt8]) -> Int64? { frame.count <= 4096 ? (try? JSONParser.parse(frame))?["id"]?.integer : nil }

    private func closed() {
        isOver = true
        awaitsResume = nil
        attaching?.cancel()
        session?.connectionLost()
        session = nil
    }

    // MARK: Outwards

    func send(_ message: ServerMessage) {
        guard !isOver, connection.isOpen else { return }
        guard !connection.send(ServerMessageCodec.encode(message, iceServers: { [iceServers, loop] in iceServers.json(for: $0, now: loop.wall) }, { [seal, loop] in seal.seal($0, now: loop.wall) })) else { return }
        counters.refused["slow_reader", default: 0] += 1
        close(code: Self.slowReaderCode, reason: "slow_reader")
    }
    func close(code: UInt16, reason: String) { connection.close(code: code, reason: reason) }
}

/// Refusals by code, of all signalling connections. Confined to the loop.
final class SignallingCounters: @unchecked Sendable {
    var refused: [String: Int] = [:]
}
