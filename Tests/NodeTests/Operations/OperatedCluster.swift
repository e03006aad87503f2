// Nodes with real links, media loops and conferences in one process, as far as operators look at them.
import Cluster
import Configuration
import Contracts
import EventLoop
import Glibc
import Node
import Primitives
import Synchronization
import Transport
import WebRTC

@testable import Conference

/// What all nodes share, in memory.
final class SharedRows: RoomStore, RecordingStore {
    private let state = Mutex<(rooms: [RoomID: RoomRecord], recordings: [RecordingID: RecordingRecord], isAway: Bool)>(([:], [:], false))
    var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }
    private func look<R: Sendable>(_ body: (inout [RoomID: RoomRecord], inout [RecordingID: RecordingRecord]) -> R) throws -> R {
        try state.withLock { state in
            if state.isAway { throw StoreError.away("test") }
            return body(&state.rooms, &state.recordings)
        }
    }
    func insert(_ room: RoomRecord, host: AdmissionRecord) async throws { try look { rooms, _ in rooms[room.id] = room } }
    func room(_ id: RoomID) async throws -> RoomRecord? { try look { rooms, _ in rooms[id] } }
    func room(code: String) async throws -> RoomRecord? { try look { rooms, _ in rooms.values.first { $0.meetingCode == code } } }
    func endRoom(_ id: RoomID, at: WallTime) async throws { try look { rooms, _ in rooms[id]?.endedAt = at } }
    func admit(_ admission: AdmissionRecord) async throws {}
    func admission(room: RoomID, participant: ParticipantID) async throws -> AdmissionRecord? { nil }
    func burnBareAdmission(room: RoomID, participant: ParticipantID) async throws -> Bool { true }
    func answer(idempotencyKey: String) async throws -> StoredAnswer? { nil }
    func keep(_ answer: StoredAnswer, idempotencyKey: String, at: WallTime) async throws {}
    func insert(_ recording: RecordingRecord) async throws { try look { _, all in all[recording.status.recordingID] = recording } }
    func recording(_ id: RecordingID) async throws -> RecordingRecord? { try look { _, all in all[id] } }
    func recordings(room: RoomID?, limit: Int) async throws -> [RecordingRecord] {
        try look { _, all in Array(all.values.filter { room == nil || $0.status.roomID == room }.sorted { $0.startedAt > $1.startedAt }.prefix(limit)) }
    }
    func unfinishedRecordings(recorder: NodeName) async throws -> [RecordingRecord] {
        try look { _, all in all.values.filter { $0.recorder == recorder && $0.status.state != .ready && $0.status.state != .failed } }
    }
    func recordings(of participant: ParticipantID, limit: Int) async throws -> [RecordingRecord] { [] }   // nobody is kept as admitted
    func overdueRecordings(at now: WallTime, limit: Int) async throws -> [RecordingRecord] {
        try look { _, all in Array(all.values.filter { !$0.status.state.isActive && $0.deleteAfter.map { $0 <= now } ?? false }.sorted { $0.startedAt < $1.startedAt }.prefix(limit)) }
    }
    func update(_ recording: RecordingRecord) async throws { try await insert(recording) }
    func deleteRecording(_ id: RecordingID) async throws -> Int { try look { _, all in all.removeValue(forKey: id) == nil ? 0 : 1 } }
}

final class Suffered: Sendable {
    private let faults = Mutex<[String]>([])
    func note(_ fault: Fault, _ span: Duration) { faults.withLock { $0.append("\(fault) \(span.inSeconds)") } }
    var all: [String] { faults.withLock { $0 } }
}

final class OperatedNode: Sendable {
    let loop: UVLoop
    let media: MediaLoop
    let system: ClusterSystem
    let context: ConferenceContext
    let operations: ClusterOperations
    /// What it was made to suffer; n2's topology does not allow it.
    let suffered: Suffered
    private let isDead = Atomic<Bool>(false)

    init(_ configuration: ClusterConfiguration, leases: any LeaseStore, rows: SharedRows, events: any EventStore) throws {
        let loop = try UVLoop(name: "ctl-\(configuration.name)")
        let random = SystemRandom(), certificate = try DTLSCertificate.selfSigned(now: loop.wall)
        let local = SocketAddress(ipv4: 0x7F00_0001, port: 0)
        let media = try MediaLoop(name: "media-\(configuration.name)", bind: local, pipeBind: local, certificate: certificate, random: random)
        let system = ClusterSystem(configuration: configuration, loop: loop, shards: [media.loop], network: UVNetwork(loop: loop), leases: leases, random: random)
        let edge = Edge(system: system, loop: loop, planes: [MediaPlane(media: media, index: 0, system: system, random: random)], certificate: certificate, random: random)
        context = ConferenceContext(system: system, loop: loop, rooms: rows, recordings: rows, events: events, random: random, edge: edge, log: { _, _, _ in })
        ConferenceActors.register(context, recorder: nil)
        let name = configuration.name
        let suffered = Suffered()
        let suffer: @Sendable (Fault, Duration) -> Void = { suffered.note($0, $1) }
        self.suffered = suffered
        operations = ClusterOperations(context: context, process: .init(
            version: "test", startedAt: loop.wall, sample: { NodeSample(name: name, state: "up") }, suffer: name == "n2" ? nil : suffer))
        self.loop = loop
        self.media = media
        self.system = system
        loop.start()
        media.uvLoop.start()
    }
    var name: NodeName { system.node }
    func start() async throws {
        try await system.start()
        Operations.provide(operations, in: system)
    }
    /// Runs `body` as a task of the control loop.
    func run<R: Sendable>(_ body: @escaping @Sendable (ClusterOperations) async throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            loop.spawn { [operations] in do { continuation.resume(returning: try await body(operations)) } catch { continuation.resume(throwing: error) } }
        }
    }
    /// As a killed process.
    func kill() {
        guard !isDead.exchange(true, ordering: .acquiringAndReleasing) else { return }
        loop.stop()
        loop.join()
        media.uvLoop.stop()
        media.uvLoop.join()
    }
}

struct NotInTime: Error, CustomStringConvertible { let description: String }

/// Looks until `condition` holds; the limit only bounds a failing run.
func until(_ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw NotInTime(description: what) }
        try await Task.sleep(for: .milliseconds(10))
    }
}

final class OperatedCluster {
    let rows = SharedRows()
    let events = MemoryEventStore()
    let nodes: [OperatedNode]
    private let folder: String
    private let files: [String]

    init(_ names: [NodeName]) async throws {
        var template = Array("/tmp/troupe-operations-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        let ports = Self.freePorts(names.count)
        let lines = names.enumerated().map { "  - {name: \($1), host: 127.0.0.1, cluster_port: \(ports[$0]), http_port: \(1000 + $0), media_ports: [\(40_000 + $0)]}" }
        let text = "nodes:\n\(lines.joined(separator: "\n"))\nstore: {sqlite: s}\nstorage: {folder: f}\nca_dir: ca\nkeys_file: keys.yaml\n"
        let topology = try Topology.parse(Array(text.utf8), file: "t.yaml", folder: folder)
        _ = try ClusterKeys.ensure(topology, now: WallTime(seconds: Int64(time(nil))), random: SystemRandom())
        files = names.flatMap { ["ca/nodes/\($0).pem", "ca/nodes/\($0).key"] } + ["ca/ca.pem", "ca/ca.key", "ca/operator.pem", "ca/operator.key", "keys.yaml"]
        let leases = MemoryLeaseStore()
        var made: [OperatedNode] = []
        for node in topology.nodes {
            let certificates = try ClusterKeys.certificates(of: node.name, in: topology)
            func pem(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
            let configuration = ClusterConfiguration(
                name: node.name, roles: ["edge", "room"], bind: node.linkAddress, peers: Dictionary(uniqueKeysWithValues: topology.nodes.filter { $0.name != node.name }.map { ($0.name, $0.linkAddress!) }),
                tls: TLSIdentity(certificate: pem(certificates.certificate), key: pem(certificates.key), authority: pem(certificates.authority)))
            made.append(try OperatedNode(configuration, leases: leases, rows: rows, events: events))
        }
        nodes = made
        for node in nodes { try await node.start() }
        for node in nodes { try await until("\(node.name) sees all") { Set(node.system.members().filter(\.state.takesWork).map(\.name)) == Set(names) } }
    }
    deinit {
        for file in files { unlink("\(folder)/\(file)") }
        for name in ["ca/nodes", "ca", ""] { rmdir("\(folder)/\(name)") }
    }
    subscript(_ name: NodeName) -> OperatedNode { nodes.first { $0.name == name }! }
    func stop() async {
        for node in nodes { node.kill() }
    }
    /// A room of the store, held by nobody.
    func create(_ id: RoomID, title: String = "Room") async throws {
        let record = RoomRecord(
            id: id, meetingCode: "code-\(id)", title: title, hostName: "Ada", mode: .sfu, maxParticipants: 10, recordingPolicy: nil, region: nil, createdAt: WallTime(seconds: 1_700_000_000))
        try await rows.insert(record, host: AdmissionRecord(roomID: id, participantID: "P_host", name: "Ada", role: .host, admittedAt: record.createdAt))
    }
    /// A room that some node holds. - Returns: which.
    @discardableResult
    func wake(_ id: RoomID, from node: NodeName) async throws -> NodeName {
        try await create(id)
        let context = self[node].context
        return try await self[node].run { _ in try await context.room(id).snapshot().node }
    }
    private static func freePorts(_ count: Int) -> [UInt16] {
        let sockets = (0..<count).map { _ in socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        defer { for descriptor in sockets { close(descriptor) } }
        return sockets.map { descriptor in
            var address = sockaddr_in(), length = socklen_t(MemoryLayout<sockaddr_in>.size)
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            return withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                    precondition(bind(descriptor, raw, length) == 0 && getsockname(descriptor, raw, &length) == 0)
                    return UInt16(bigEndian: pointer.pointee.sin_port)
                }
            }
        }
    }
}

/// Runs `body` with a cluster and takes it down whatever happens.
func withOperatedCluster(_ names: [NodeName], _ body: (OperatedCluster) async throws -> Void) async throws {
    let cluster = try await OperatedCluster(names)
    let result: Result<Void, any Error>
    do { result = .success(try await body(cluster)) } catch { result = .failure(error) }
    await cluster.stop()
    try result.get()
}
