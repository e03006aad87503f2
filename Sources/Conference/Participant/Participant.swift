// The Participant actor: one client's signalling session at the edge it is attached to.
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

/// Shell between a signalling connection, the Room, and this node's Router. An instance; lives on the control loop.
///
/// Everything that changes its state (client messages, room deliveries, peer events, ticks) passes one bounded queue
/// and is carried out one at a time, so an offer is never overtaken by the next while a Router or the Room is asked.
package distributed actor Participant {
    package typealias ActorSystem = ClusterSystem
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }

    package enum Limits {
        /// Work waiting: client messages, deliveries, ticks. A client that exceeds it is closed with `rate_limited`.
        package static let work = 1024
        /// A client that hears no answer for as long again takes its node for gone.
        package static let pingInterval = Duration.seconds(1)
        /// Silence after which a client's connection counts as lost.
        package static let clientSilence = Duration.seconds(35)
        /// How long media and membership outlive a lost signalling connection.
        package static let reconnectGrace = Duration.seconds(8)
        package static let roomTouch = Duration.seconds(2)
        /// How long a client's request waits for a Room that is moving or coming back, from when it came: those behind it have their own time.
        package static let roomPatience = Duration.seconds(8)
        /// How long one attempt to attach again holds up what waits behind it. A Room that takes longer to be made is made all the same.
        package static let attachCall = Duration.seconds(2)
        /// Between such attempts; doubled each time.
        package static let attachPause = Duration.milliseconds(100)
        package static let longestAttachPause = Duration.seconds(1)
        /// How long an attachment that is known to be an old one waits to hear why.
        package static let lastWord = Duration.seconds(1)
        /// Pause before a subscription whose publisher's node did not answer is tried again.
        package static let subscribeRetry = Duration.seconds(1)
        /// Between attempts to say goodbye to the Room.
        package static let leaveAgain = Duration.milliseconds(500)
    }

    enum Work: Sendable {
        case message(ClientMessage, came: Instant)
        case deliveries([RoomDelivery])
        case peer(PeerNotice)
        case connectionLost
        case tick
        case roomLost
    }

    let context: ConferenceContext
    let roomID: RoomID
    let autoSubscribe: Bool
    var info: ParticipantInfo
    var connection: (any SignallingConnection)?
    var lastHeard: Instant
    var lostAt: Instant?
    var lastTouch: Instant
    /// The room as this edge last knew it; kept current by deliveries.
    var view: RoomView
    var attachment: UInt64 = 0
    /// The client's try that brought it here; nil until a join is granted.
    var origin: ClientTry?
    var attached = false
    /// Until when the work under way may wait for the Room.
    private(set) var patience: Instant
    /// An attempt to attach again is due, or under way.
    private var isAttachingAgain = false
    private var attachPause = Limits.attachPause
    var media: EdgeMedia?
    var declared: [String: DeclaredTrack] = [:]
    var published: [TrackID: Publication] = [:]
    var features: Set<ClientFeature>
    /// Of this client, not acknowledged yet.
    var words = SpokenWords()
    /// Set once the client has a newer attachment elsewhere and this one carries its media until that does.
    var handover: Handover?
    private var isOpen = false
    private(set) var finished = false
    private var work = BoundedQueue<Work>(capacity: Limits.work, growingFrom: 4)
    private var pumping = false
    private var isTicking = false

    /// - Parameter resume: what a returning client presented; nil for one that joins.
    init(
        context: ConferenceContext, room: RoomRecord, info: ParticipantInfo, connection: any SignallingConnection, autoSubscribe: Bool, resume: ResumeRequest? = nil
    ) {
        actorSystem = context.system
        self.context = context
        roomID = room.id
        self.autoSubscribe = autoSubscribe
        self.info = info
        self.connection = connection
        attachment = resume?.session.attachment ?? 0
        origin = resume.map { ClientTry(epoch: $0.session.epoch, number: $0.session.attachment, attempt: $0.attempt) }
        features = resume?.features ?? []
        lastHeard = context.loop.now
        lastTouch = context.loop.now
        patience = context.loop.now
        view = RoomView(room: room, node: context.system.node)
        view.protections = context.system.configuration.protections
    }

    var room: Room { context.room(roomID) }

    // MARK: Queue

    /// The Room's word; returns at once, order kept.
    package distributed func deliver(_ deliveries: [RoomDelivery]) { enqueue(.deliveries(deliveries)) }

    /// The Room's question before a join takes another edge's place.
    package distributed func hasClient() -> Bool { !finished && connection != nil }

    /// A client's message. A heartbeat asks whether this node lives and does not wait for a Room that is coming back.
    func receive(_ message: ClientMessage) {
        lastHeard = context.loop.now
        guard case .heartbeat = message.body, isOpen, !finished else { return enqueue(.message(message, came: lastHeard)) }
        send(.heartbeat(session))
        if let id = message.id { send(.ok(id: id)) }
    }

    func enqueue(_ item: Work) {
        guard !finished else { return }
        guard work.push(item) else {
            context.log(.warning, "participant_overrun", ["room": roomID.rawValue, "name": info.name])
            begin(on: context.loop) { await $0.finish(.rateLimited, tellRoom: true) }
            return
        }
        startPump()
    }
    /// What comes before the Room has answered the first attachment waits for it.
    private func startPump() {
        guard isOpen, !pumping else { return }
        pumping = true
        begin(on: context.loop) { await $0.pump() }
    }

    private func pump() async {
        while !finished, let item = work.pop() { await carryOut(item) }
        pumping = false
    }

    private func carryOut(_ item: Work) async {
        patience = context.loop.now + Limits.roomPatience
        switch item {
        case .message(let message, let came):
            patience = came + Limits.roomPatience
            await handle(message)
        case .deliveries(let deliveries):
            for delivery in deliveries where !finished { await handle(delivery) }
        case .peer(let notice): await handle(notice)
        case .connectionLost:
            connection = nil
            lostAt = context.loop.now
        case .tick:
            isTicking = false
            await tick()
        case .roomLost: await attachInTurn()
        }
    }

    /// The Room has to be attached to again: at this one's turn, and then until that is done.
    func roomIsLost() {
        attached = false
        guard !isAttachingAgain else { return }
        isAttachingAgain = true
        enqueue(.roomLost)
    }
    private func attachInTurn() async {
        let refusal = attached ? nil : await attachAgain()
        guard !attached, refusal == nil, !finished, handover == nil else {
            isAttachingAgain = false
            attachPause = Limits.attachPause
            return
        }
        let pause = attachPause
        attachPause = min(pause * 2, Limits.longestAttachPause)
        begin(on: context.loop) { participant in
            try? await participant.context.loop.sleep(for: pause)
            participant.enqueue(.roomLost)
        }
    }

    // MARK: Life

    /// Attaches to the Room and sends `welcome`, or `resumed`.
    func open(resume: ResumeRequest? = nil) async throws {
        let grant = try await attach(resume: resume.map {
            ResumeClaim(epoch: $0.session.epoch, sequence: $0.session.sequence, lastSeen: $0.lastSeen, attempt: $0.attempt, isMove: $0.isMove)
        })
        let welcome = view.welcome(for: info, session: session, nodes: context.nodes(for: info.id))
        send(resume == nil ? .welcome(welcome) : .resumed(Resumed(welcome: welcome, missed: grant.missed, settles: grant.isSettling ? RoomCore.Limits.recoveryWindow : nil)))
        // What was published meanwhile waits: beside the first subscription another one would open a second PeerConnection.
        if autoSubscribe { await subscribe(to: view.publications.keys.filter { view.publications[$0]?.info.participantID != info.id }.sorted()) }
        isOpen = true
        startPump()
        begin(on: context.loop) { await $0.tickForever() }
    }

    private func tickForever() async {
        while !finished {
            try? await context.loop.sleep(for: .milliseconds(1000))
            // One that waits still does for all.
            guard !isTicking else { continue }
            isTicking = true
            enqueue(.tick)
        }
    }

    private func tick() async {
        answer(words.takeDue(now: context.loop.now))
        guard handover == nil else { return }
        let now = context.loop.now
        if connection != nil, now - lastHeard > Limits.clientSilence {
            loseConnection("heartbeat_timeout")
        }
        if let lostAt, now - lostAt > Limits.reconnectGrace { return await finish(.connectionLost, tellRoom: true) }
        guard now - lastTouch >= Limits.roomTouch else { return }
        lastTouch = now
        let known = try? await ClusterSystem.$deadline.withValue(.seconds(1)) { try await room.touch(info.id, attachment: attachment) }
        if known != true || !attached { roomIsLost() }
    }

    /// The client's connection is of no use any more: from here on it has `reconnectGrace` to come back.
    func loseConnection(_ reason: String) {
        connection?.close(code: LeaveReason.connectionLost.closeCode, reason: reason)
        connection = nil
        lostAt = context.loop.now
    }

    /// The end: leaves the room, drops media, closes the connection.
    func finish(_ reason: LeaveReason, tellRoom: Bool) async {
        guard !finished else { return }
        finished = true
        send(.bye(reason))
        connection?.close(code: reason.closeCode, reason: reason.rawValue)
        connection = nil
        context.edge.remove(self, participant: info.id, room: roomID, reason)
        await closeMedia(isHandedOver: reason == .replaced || reason == .moved)
        if tellRoom { leaveRoom(reason) }
        if !attached || context.edge.isFrozen { bringCopies() }
    }
    /// The node stops. A client that knows how to resume is expected elsewhere in a moment; for the others this is the end.
    func shutDown() async {
        let goesOn = features.contains(.resume)
        await finish(handover == nil ? .shutdown : .moved, tellRoom: handover == nil && !goesOn)
    }
    /// The Room knows a newer attachment of this client. Whether that one moved or took over is in the Room's word to this one, which
    /// may wait in the queue behind what found it out.
    func superseded() {
        begin(on: context.loop) { participant in
            try? await participant.context.loop.sleep(for: Limits.lastWord)
            guard participant.handover == nil else { return }
            await participant.finish(.replaced, tellRoom: false)
        }
    }
    /// What lets the client go on anywhere.
    var session: SessionFacts {
        SessionFacts(
            roomID: roomID, mode: view.room.mode, participantID: info.id, name: info.name, role: info.role, joinedAt: info.joinedAt, metadata: info.metadata,
            autoSubscribe: autoSubscribe, attachment: attachment, epoch: view.epoch, sequence: view.sequence, recordingConsent: info.recordingConsent)
    }

    func send(_ message: ServerMessage) { connection?.send(message) }
    func answer(_ answers: [SpokenWords.Answer]) {
        for answer in answers { send(.ok(id: answer.id, isKept: answer.isKept)) }
    }
}

extension LeaveReason {
    /// WebSocket close codes (RFC 6455 §7.4.2, private range) that say why.
    var closeCode: UInt16 {
        switch self {
        case .left, .ended, .moved: 1000
        case .shutdown, .draining: 1001
        case .removed: 4403
        case .replaced: 4409
        case .connectionLost: 4408
        case .rateLimited: 4429
        case .badRequest: 4400
        case .nodeLost: 4503
        }
    }
}
