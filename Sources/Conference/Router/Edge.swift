// A node's share of all rooms: which Routers and Participants live here.
import Cluster
import Contracts
import EventLoop
import Primitives
import Transport
import WebRTC

/// Confined to the control loop (checked). One Router per room on this node: its media loop is chosen by the room's id,
/// so all of a room's peers at this node share a loop.
package final class Edge: @unchecked Sendable {
    private let system: ClusterSystem
    let loop: any Loop
    private let planes: [MediaPlane]
    package let certificate: DTLSCertificate
    /// Keys agreed elsewhere, for clients in virtual time; nil: DTLS agrees on them.
    package var presetKeys: SRTPKeys?
    private let random: any RandomSource
    private var routers: [RoomID: Router] = [:]
    private var participants: [RoomID: [ParticipantID: Participant]] = [:]
    /// What captures here; a recording has one writer a node.
    private var writers: [RoomID: [CaptureWriter]] = [:]
    private var rooms: [RoomID: Room] = [:]
    /// Of the logs of all rooms that were hosted here.
    package private(set) var logCounters = EventLog.Counters()
    /// Set while the node is being emptied (Edge+Drain).
    var draining: Draining?
    /// The node cannot tell whether others go on without it: it decides nothing (Edge+Drain).
    var isFrozen = false

    package init(system: ClusterSystem, loop: any Loop, planes: [MediaPlane], certificate: DTLSCertificate, random: any RandomSource) {
        precondition(!planes.isEmpty)
        self.system = system; self.loop = loop; self.planes = planes; self.certificate = certificate; self.random = random
    }

    /// This node's Router of a room, made at the first need.
    func router(for room: RoomID) -> Router {
        precondition(loop.isCurrent)
        if let router = routers[room] { return router }
        let plane = plane(of: room)
        let router = system.withShard(plane.index) { Router(system: system, room: room, plane: plane, random: random) }
        routers[room] = router
        return router
    }

    func plane(of room: RoomID) -> MediaPlane { planes[Int(StableHash.fnv1a(room.rawValue.utf8) % UInt64(planes.count))] }

    func add(_ participant: Participant, participant id: ParticipantID, room: RoomID) {
        precondition(loop.isCurrent)
        participants[room, default: [:]][id] = participant
    }
    func remove(_ participant: Participant, participant id: ParticipantID, room: RoomID, _ reason: LeaveReason) {
        precondition(loop.isCurrent)
        draining?.note(reason)
        guard participants[room]?[id] === participant else { return }
        participants[room]?[id] = nil
        release(room)
    }
    func add(_ room: Room, id: RoomID) { rooms[id] = room }
    func remove(room id: RoomID) { rooms[id] = nil }
    func add(_ writer: CaptureWriter, room: RoomID) { writers[room, default: []].append(writer) }
    func remove(_ writer: CaptureWriter, room: RoomID) {
        writers[room]?.removeAll { $0 === writer }
        release(room)
    }

    /// Nobody of the room is left at this node: its Router goes once it has nothing to forward.
    private func release(_ room: RoomID) {
        guard participants[room]?.isEmpty ?? true, writers[room]?.isEmpty ?? true, let router = routers[room] else { return }
        participants[room] = nil
        writers[room] = nil
        routers[room] = nil
        loop.spawn { await router.local { $0.close() } }
    }

    /// A node died: whoever has its Room there attaches to the next.
    package func nodeDown(_ node: NodeName) {
        precondition(loop.isCurrent)
        for participant in participants.values.flatMap(\.values) { participant.assumeIsolated { $0.nodeDown(node) } }
        for writer in writers.values.joined() { writer.assumeIsolated { $0.nodeDown(node) } }
        for room in rooms.values { room.assumeIsolated { $0.nodeDown(node) } }
        for router in routers.values { loop.spawn { await router.local { $0.nodeDown(node) } } }
    }

    /// Every session here, in an order of its own.
    var sessions: [Participant] { participants.sorted { $0.key < $1.key }.flatMap { $0.value.sorted { $0.key < $1.key }.map(\.value) } }
    var roomActors: [Room] { rooms.sorted { $0.key < $1.key }.map(\.value) }

    package var participantCount: Int { participants.values.reduce(0) { $0 + $1.count } }
    package var roomCount: Int { routers.count }
    /// Room actors of this node, by id, after `last`.
    func hosted(after last: RoomID?) -> [Room] {
        precondition(loop.isCurrent)
        return rooms.filter { room in last.map { room.key > $0 } ?? true }.sorted { $0.key < $1.key }.map(\.value)
    }
    package var hostedCount: Int { rooms.count }
    package var writerCount: Int { writers.values.reduce(0) { $0 + $1.count } }

    func note(_ now: EventLog.Counters, since before: EventLog.Counters) { logCounters.add(now, since: before) }
    /// Waits until the store has every event of the rooms hosted here, at most `limit`. - Returns: rooms of which it has not.
    package func settleLogs(within limit: Duration) async -> Int {
        let end = loop.now + limit
        var left = 0
        for room in roomActors where await !room.local({ await $0.settleLog(within: max(end - $0.context.loop.now, .zero)) }) { left += 1 }
        return left
    }

    /// Ends every session here with a reason: the node stops.
    package func shutdown() async {
        for participant in sessions { await participant.local { await $0.shutDown() } }
    }
}
