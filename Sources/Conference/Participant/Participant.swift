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
        package static let pingInterval = Duration.seconds(10)
        /// Silence after which a client's connection counts as lost.
        package static let clientSilence = Duration.seconds(35)
        /// How long media and membership outlive a lost signalling connection.
        package static let reconnectGrace = Duration.seconds(8)
        package static let roomTouch = Duration.seconds(2)
        /// How long a client's request waits for a Room that is moving or coming back.
        package static let roomPatience = Duration.seconds(8)
        /// Pause before a subscription whose publisher's node did not answer is tried again.
        package static let subscribeRetry = Duration.seconds(1)
    }

    enum Work: Sendable {
        case message(ClientMessage)
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
    var attached = false
    var media: EdgeMedia?
    var declared: [String: DeclaredTrack] = [:]
    var published: [TrackID: Publication] = [:]
    private(set) var finished = false
    private var work = BoundedQueue<Work>(capacity: Limits.work)
    private var pumping = false

    init(context: ConferenceContext, room: RoomRecord, info: ParticipantInfo, connection: any SignallingConnection, autoSubscribe: Bool) {
        actorSystem = context.system
        self.context = context
        roomID = room.id
        self.autoSubscribe = autoSubscribe
        self.info = info
        self.connection = connection
        lastHeard = context.loop.now
        lastTouch = context.loop.now
        view = RoomView(room: room, node: context.system.node)
        view.protections = context.system.configuration.protections
    }

    var room: Room { context.room(roomID) }

    // MARK: Queue

    /// The Room's word; returns at once, order kept.
    package distributed func deliver(_ deliveries: [RoomDelivery]) { enqueue(.deliveries(deliveries)) }

    func enqueue(_ item: Work) {
        guard !finished else { return }
        guard work.push(item) else {
            context.log(.warning, "participant_overrun", ["room": roomID.rawValue, "name": info.name])
            begin(on: context.loop) { await $0.finish(.rateLimited, tellRoom: true) }
            return
        }
        guard !pumping else { return }
        pumping = true
        begin(on: context.loop) { await $0.pump() }
    }

    private func pump() async {
        while !finished, let item = work.pop() { await carryOut(item) }
        pumping = false
    }

    private func carryOut(_ item: Work) async {
        switch item {
        case .message(let message):
            lastHeard = context.loop.now
            await handle(message)
        case .deliveries(let deliveries):
            for delivery in deliveries where !finished { await handle(delivery) }
        case .peer(let notice): await handle(notice)
        case .connectionLost:
            connection = nil
            lostAt = context.loop.now
        case .tick: await tick()
        case .roomLost:
            attached = false
            await attachAgain()
        }
    }

    // MARK: Life

    /// Attaches to the Room and sends `welcome`.
    func open() async throws {
        try await attach()
        send(.welcome(view.welcome(for: info, resumeToken: context.random.token(26))))
        if autoSubscribe { await subscribe(to: view.publications.keys.filter { view.publications[$0]?.info.participantID != info.id }.sorted()) }
        begin(on: context.loop) { await $0.tickForever() }
    }

    private func tickForever() async {
        while !finished {
            try? await context.loop.sleep(for: .milliseconds(1000))
            enqueue(.tick)
        }
    }

    private func tick() async {
        let now = context.loop.now
        if connection != nil, now - lastHeard > Limits.clientSilence {
            connection?.close(code: 4408, reason: "heartbeat_timeout")
            connection = nil
            lostAt = now
        }
        if let lostAt, now - lostAt > Limits.reconnectGrace { return await finish(.connectionLost, tellRoom: true) }
        guard now - lastTouch >= Limits.roomTouch else { return }
        lastTouch = now
        let known = try? await ClusterSystem.$deadline.withValue(.seconds(1)) { try await room.touch(info.id, attachment: attachment) }
        if known != true { await attachAgain() }
    }

    /// The end: leaves the room, drops media, closes the connection.
    func finish(_ reason: LeaveReason, tellRoom: Bool) async {
        guard !finished else { return }
        finished = true
        send(.bye(reason))
        connection?.close(code: reason.closeCode, reason: reason.rawValue)
        connection = nil
        context.edge.remove(self, participant: info.id, room: roomID)
        await closeMedia()
        if tellRoom { try? await room.leave(info.id, attachment: attachment, reason: reason) }
    }

    func send(_ message: ServerMessage) { connection?.send(message) }
}

extension LeaveReason {
    /// WebSocket close codes (RFC 6455 §7.4.2, private range) that say why.
    var closeCode: UInt16 {
        switch self {
        case .left, .ended: 1000
        case .shutdown: 1001
        case .removed: 4403
        case .replaced: 4409
        case .connectionLost: 4408
        case .rateLimited: 4429
        case .badRequest: 4400
        case .nodeLost: 4503
        }
    }
}
