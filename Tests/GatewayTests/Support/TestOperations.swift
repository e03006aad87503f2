// A cluster's operations in memory: answers something of every shape, and remembers what it was asked to do.
import Contracts
import Primitives
import Synchronization

final class TestOperations: OperationsService {
    struct State {
        var orders: [String] = []
        var events: [EventEntry] = []
        var rooms: RoomQuery?
    }
    let state = Mutex(State())
    private func note(_ order: String) { state.withLock { $0.orders.append(order) } }
    func happen(_ count: Int) {
        state.withLock { state in
            for _ in 0..<count {
                let number = UInt64(state.events.count + 1)
                state.events.append(EventEntry(position: number, room: "R_1", first: number, sequence: number, epoch: Epoch(3), at: WallTime(seconds: 5), type: "chat", payload: #"{"text":"n\#(number)"}"#))
            }
        }
    }
    private static let record = RoomRecord(
        id: "R_1", meetingCode: "abc-def-ghi", title: "Stand-up", hostName: "Ada", mode: .sfu, maxParticipants: 9, recordingPolicy: nil, region: nil, createdAt: WallTime(seconds: 1))
    private static let recording = RecordingRecord(
        status: RecordingStatus(recordingID: "RC_1", roomID: "R_1", state: .processing, duration: 12.5), recorder: "n1", epoch: Epoch(2), startedAt: WallTime(seconds: 2), stoppedAt: WallTime(seconds: 9), title: "Stand-up")

    func nodes(_ reach: Reach) async throws -> [NodeReport] {
        var up = NodeReport(name: "n1", state: "up", roles: ["edge", "room"])
        up.incarnation = Incarnation(1_700_000_000_000)
        up.version = "1"
        up.uptimeSeconds = 12.5
        up.capacity = .init(units: 100, used: 3, reserved: 1)
        up.rooms = 1
        up.participants = 2
        up.recordings = 0
        up.links = [.init(peer: "n2", roundTripMilliseconds: 0.2, queueBytes: 0, callsInFlight: 1, clockOffsetMilliseconds: -0.1, clockUncertaintyMilliseconds: 0.05, reconnects: 2)]
        up.drain = try await drain("n1", seconds: 5)
        var away = NodeReport(name: "n2", state: NodeReport.away)
        away.reason = "no link to it"
        return [up, away]
    }
    func rooms(_ query: RoomQuery, _ reach: Reach) async throws -> RoomPage {
        state.withLock { $0.rooms = query }
        let room = RoomSummary(id: "R_1", meetingCode: "abc-def-ghi", title: "Stand-up", node: "n1", epoch: Epoch(3), participants: 2, publications: 4, recording: "RC_1", createdAt: WallTime(seconds: 1))
        return RoomPage(rooms: [room], hasMore: true, away: ["n2"])
    }
    func room(_ idOrCode: String, _ reach: Reach) async throws -> RoomReport? {
        guard idOrCode == "R_1" else { return nil }
        var report = RoomReport(Self.record, away: [])
        report.state = .active
        report.node = "n1"
        report.epoch = Epoch(3)
        report.sequence = 7
        report.pinned = "n1"
        report.participants = [ParticipantInfo(id: "P_1", name: "Ada", role: .host, node: "n1", joinedAt: WallTime(seconds: 2))]
        report.publications = [PublicationInfo(trackID: "T_1", participantID: "P_1", kind: .audio, source: .microphone, codec: "opus", muted: false)]
        report.recording = Self.recording.status
        return report
    }
    func recordings(_ query: RecordingQuery) async throws -> [RecordingReport] { [RecordingReport(Self.recording)] }
    func jobs(_ limit: Int) async throws -> [JobReport] { [JobReport(Self.recording)].compactMap { $0 } }
    func top(_ reach: Reach) async throws -> [NodeSample] {
        var sample = NodeSample(name: "n1", state: "up")
        (sample.cpu, sample.loopLagMilliseconds, sample.loss, sample.residentBytes) = (0.25, 0.4, 0.001, 1 << 20)
        (sample.packetsInPerSecond, sample.packetsOutPerSecond, sample.bytesInPerSecond, sample.bytesOutPerSecond) = (100, 200, 1e4, 2e4)
        (sample.rooms, sample.participants, sample.recordings) = (1, 2, 0)
        return [sample, NodeSample(name: "n2", state: NodeReport.away)]
    }
    func events(_ query: EventQuery) async throws -> EventFeed {
        let found = state.withLock { $0.events.filter { ($0.position ?? 0) > query.since }.prefix(query.rows) }
        return EventFeed(events: Array(found), cursor: found.last?.position ?? query.since, isCut: false)
    }
    func move(_ room: RoomID, to node: NodeName) async throws -> MoveReport {
        guard node != "n9" else { throw ServiceError(.notFound, code: "unknown_node", message: "no node is named `n9`") }
        note("move \(room) \(node)")
        return MoveReport(room: room, from: "n1", to: node, epoch: Epoch(4), milliseconds: 12.5)
    }
    func pin(_ room: RoomID, to node: NodeName?) async throws -> PinReport {
        note("pin \(room) \(node.map { "\($0)" } ?? "–")")
        return PinReport(room: room, node: node)
    }
    func drain(_ node: NodeName, seconds: Double) async throws -> DrainReport {
        note("drain \(node) \(seconds)")
        var report = DrainReport(node: node, state: .draining)
        report.secondsLeft = seconds
        return report
    }
    func undrain(_ node: NodeName) async throws -> DrainReport {
        note("undrain \(node)")
        return DrainReport(node: node)
    }
    func fault(_ fault: Fault, on node: NodeName, seconds: Double) async throws -> FaultReport {
        note("fault \(fault) \(node) \(seconds)")
        return FaultReport(node: node, fault: fault, seconds: seconds)
    }
    func rebalance(_ order: RebalanceOrder, _ reach: Reach) async throws -> RebalanceReport {
        if order == .stop { throw ServiceError(.conflict, code: "no_plan", message: "no plan is being carried out") }
        note("rebalance \(order)")
        return RebalanceReport(state: .planned, moves: [.init(kind: "room", key: "R_1", from: "n1", to: "n2", cost: 1, reason: "overloaded", failure: "full")], planned: 1)
    }
}
