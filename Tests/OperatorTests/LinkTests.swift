// An operator's client and nodes' Operations actors, over real links with certificates that `troupe keys` makes.
import Cluster
import Configuration
import Contracts
import EventLoop
import Glibc
import Node
import Primitives
import Synchronization
import Testing

@testable import Operator

/// Answers what a node would; counts.
private final class Work: OperationsService {
    let name: NodeName
    let drains = Mutex(0)
    init(_ name: NodeName) { self.name = name }
    func nodes(_ reach: Reach) async throws -> [NodeReport] { [NodeReport(name: name, state: reach == .cluster ? "up" : "joining")] }
    func rooms(_ query: RoomQuery, _ reach: Reach) async throws -> RoomPage { RoomPage(rooms: [], hasMore: false, away: ["n9"]) }
    func room(_ idOrCode: String, _ reach: Reach) async throws -> RoomReport? { nil }
    func recordings(_ query: RecordingQuery) async throws -> [RecordingReport] { throw ServiceError(.unavailable, code: "store_away", message: "the store is away") }
    func jobs(_ limit: Int) async throws -> [JobReport] { [] }
    func top(_ reach: Reach) async throws -> [NodeSample] { [NodeSample(name: name, state: "up")] }
    func events(_ query: EventQuery) async throws -> EventFeed { EventFeed(events: [], cursor: query.since + 1, isCut: false) }
    func move(_ room: RoomID, to node: NodeName) async throws -> MoveReport { MoveReport(room: room, from: name, to: node, epoch: Epoch(2), milliseconds: 1.5) }
    func pin(_ room: RoomID, to node: NodeName?) async throws -> PinReport { PinReport(room: room, node: node) }
    func drain(_ node: NodeName, seconds: Double) async throws -> DrainReport {
        drains.withLock { $0 += 1 }
        return DrainReport(node: node, state: .draining)
    }
    func undrain(_ node: NodeName) async throws -> DrainReport { DrainReport(node: node) }
    func fault(_ fault: Fault, on node: NodeName, seconds: Double) async throws -> FaultReport { throw ServiceError(.forbidden, code: "chaos_not_allowed", message: "no") }
    func rebalance(_ order: RebalanceOrder, _ reach: Reach) async throws -> RebalanceReport { throw ServiceError(.conflict, code: "no_plan", message: "no plan") }
}

private final class Place {
    let folder: String
    let topology: Topology
    private var nodes: [NodeName: (loop: UVLoop, system: ClusterSystem)] = [:]
    private(set) var works: [NodeName: Work] = [:]

    init(_ names: [NodeName]) throws {
        var template = Array("/tmp/troupectl-links-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        let ports = Self.freePorts(names.count * 2)
        let lines = names.enumerated().map { "  - {name: \($1), host: 127.0.0.1, cluster_port: \(ports[$0 * 2]), http_port: \(ports[$0 * 2 + 1]), media_ports: [\(40_000 + $0)]}" }
        let text = "nodes:\n\(lines.joined(separator: "\n"))\nstore: {sqlite: s}\nstorage: {folder: f}\nca_dir: ca\nkeys_file: keys.yaml\n"
        topology = try Topology.parse(Array(text.utf8), file: "t.yaml", folder: folder)
        try PrivateFile.write(Array(text.utf8), to: "\(folder)/t.yaml")
        _ = try ClusterKeys.ensure(topology, now: WallTime(seconds: Int64(time(nil))), random: SystemRandom())
    }
    deinit {
        for name in topology.nodes.map(\.name) { for kind in ["pem", "key"] { unlink("\(folder)/ca/nodes/\(name).\(kind)") } }
        for file in ["ca/ca.pem", "ca/ca.key", "ca/operator.pem", "ca/operator.key", "keys.yaml", "t.yaml"] { unlink("\(folder)/\(file)") }
        for name in ["ca/nodes", "ca", ""] { rmdir("\(folder)/\(name)") }
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
    func start(_ name: NodeName) async throws {
        let node = try #require(topology.node(name)), certificates = try ClusterKeys.certificates(of: name, in: topology)
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        let configuration = ClusterConfiguration(
            name: name, bind: node.listenAddress(port: node.clusterPort), peers: Dictionary(uniqueKeysWithValues: topology.nodes.filter { $0.name != name }.map { ($0.name, $0.linkAddress!) }),
            tls: TLSIdentity(certificate: text(certificates.certificate), key: text(certificates.key), authority: text(certificates.authority)))
        let loop = try UVLoop(name: "ctl-\(name)")
        let system = ClusterSystem(configuration: configuration, loop: loop, network: UVNetwork(loop: loop), leases: MemoryLeaseStore(), random: SystemRandom())
        system.register(error: ServiceError.self)
        loop.start()
        try await system.start()
        let work = Work(name)
        Operations.provide(work, in: system)
        works[name] = work
        nodes[name] = (loop, system)
    }
    /// As a killed process.
    func kill(_ name: NodeName) {
        guard let node = nodes.removeValue(forKey: name) else { return }
        node.loop.stop()
        node.loop.join()
    }
    func stop() { for name in nodes.keys { kill(name) } }
}

@Suite(.serialized) struct OperatorLinks {
    /// Runs `body` on an operator's loop.
    private func asking(_ place: Place, _ arguments: String..., body: @escaping @Sendable (ClusterClient) async throws -> Void) async throws {
        let usual = arguments.contains { $0.hasPrefix("--timeout") } ? [] : ["--timeout", "3s"]
        let invocation = try Invocation.parse(["nodes", "--topology", "\(place.folder)/t.yaml"] + usual + arguments)
        let loop = try UVLoop(name: "operator")
        let client = try ClusterClient(invocation, loop: loop)
        loop.start()
        let result: Result<Void, any Error> = await withCheckedContinuation { continuation in
            loop.spawn {
                do {
                    try await body(client)
                    await client.close()
                    continuation.resume(returning: .success(()))
                } catch {
                    await client.close()
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        loop.stop()
        loop.join()
        try result.get()
    }

    @Test func aNodeIsAskedAndAnswers() async throws {
        let place = try Place(["n1", "n2"])
        defer { place.stop() }
        for name in ["n1", "n2"] as [NodeName] { try await place.start(name) }
        try await asking(place, "--node", "n2") { client in
            let nodes = try await client.ask { try await $0.nodes(.cluster) }
            #expect(nodes == [NodeReport(name: "n2", state: "up")])
            #expect(client.asked == "n2")
            #expect(try await client.ask { try await $0.rooms(RoomQuery(filter: "日本"), .cluster) }.away == ["n9"])
            #expect(try await client.ask { try await $0.room("R_1", .cluster) } == nil)
            #expect(try await client.ask { try await $0.events(EventQuery(since: 41)) }.cursor == 42)
            #expect(try await client.ask { try await $0.move("R_1", to: "n1") } == MoveReport(room: "R_1", from: "n2", to: "n1", epoch: Epoch(2), milliseconds: 1.5))
            #expect(try await client.ask { try await $0.pin("R_1", to: nil) } == PinReport(room: "R_1", node: nil))
            #expect(try await client.ask { try await $0.drain("n1", seconds: 2.5) }.state == .draining)
        }
        #expect(place.works["n2"]?.drains.withLock { $0 } == 1 && place.works["n1"]?.drains.withLock { $0 } == 0)
    }
    @Test func refusalsArriveAsThemselves() async throws {
        let place = try Place(["n1"])
        defer { place.stop() }
        try await place.start("n1")
        try await asking(place) { client in
            await #expect(throws: ServiceError(.unavailable, code: "store_away", message: "the store is away")) { try await client.ask { try await $0.recordings(RecordingQuery()) } }
            await #expect(throws: ServiceError(.conflict, code: "no_plan", message: "no plan")) { try await client.ask { try await $0.rebalance(.stop, .cluster) } }
        }
    }
    @Test func anotherNodeIsAskedWhereOneIsAway() async throws {
        let place = try Place(["n1", "n2", "n3"])
        defer { place.stop() }
        for name in ["n2", "n3"] as [NodeName] { try await place.start(name) }
        // n1 was never there.
        try await asking(place, "--node", "n1") { client in
            let first = try await client.ask { try await $0.top(.cluster) }
            #expect(["n2", "n3"].contains(first[0].name))
        }
    }
    @Test func aBrokenLinkCostsAnotherTry() async throws {
        let place = try Place(["n1", "n2"])
        for name in ["n1", "n2"] as [NodeName] { try await place.start(name) }
        nonisolated(unsafe) let shared = place
        try await asking(place) { client in
            let first = try await client.ask { try await $0.top(.cluster) }[0].name
            shared.kill(first)
            #expect(try await client.ask { try await $0.top(.cluster) }[0].name != first)
        }
        place.stop()
    }
    @Test func nobodyIsThere() async throws {
        let place = try Place(["n1"])
        do {
            try await asking(place, "--timeout=300ms") { client in _ = try await client.ask { try await $0.jobs(1) } }
            Issue.record("answered")
        } catch { #expect(CommandFailure(error).status == .unreachable, "\(error)") }
    }
    @Test func aForeignCertificateIsRefused() async throws {
        let place = try Place(["n1"]), foreign = try Place(["n1"])
        defer { place.stop() }
        try await place.start("n1")
        for file in ["ca/operator.pem", "ca/operator.key", "ca/ca.pem"] {
            try PrivateFile.write(try #require(try PrivateFile.read("\(foreign.folder)/\(file)")), to: "\(place.folder)/\(file)")
        }
        do {
            try await asking(place, "--timeout=1s") { client in _ = try await client.ask { try await $0.jobs(1) } }
            Issue.record("let in")
        } catch {
            let failure = CommandFailure(error)
            #expect(failure.status == .unreachable && failure.message.contains("certificate"), "\(failure.message)")
        }
    }
    @Test func aMissingCertificateSaysWhatMakesOne() async throws {
        let place = try Place(["n1"])
        unlink("\(place.folder)/ca/operator.pem")
        do {
            try await asking(place) { _ in }
            Issue.record("made")
        } catch { #expect(CommandFailure(error).message.contains("troupe keys") && CommandFailure(error).status == .failed) }
    }
    /// Everything a service can be asked may be asked by an operator, and nothing was forgotten in the list.
    @Test func theListOfMethodsIsTheActorsOwn() throws {
        let loop = try UVLoop(name: "unused")
        let system = ClusterSystem(configuration: ClusterConfiguration(name: "n"), loop: loop, network: UVNetwork(loop: loop), leases: MemoryLeaseStore(), random: SystemRandom())
        #expect(system.allowedMethods(Operations.self) == Operations.methods)
    }
}
