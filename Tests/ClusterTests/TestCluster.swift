// Several nodes in one process: each with its own loop thread, joined by real TLS on loopback.
import Distributed
import EventLoop
import Glibc
import Primitives
import Synchronization
import Testing

@testable import Cluster

/// A condition that did not come true in time.
struct NotInTime: Error, CustomStringConvertible {
    let description: String
}

/// Looks at `condition` until it holds. The time limit only bounds a failing run.
func until(_ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw NotInTime(description: what) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

final class Log<Element: Sendable>: Sendable {
    private let items = Mutex<[Element]>([])
    func append(_ item: Element) { items.withLock { $0.append(item) } }
    var all: [Element] { items.withLock { $0 } }
    var count: Int { items.withLock { $0.count } }
}

/// Opens once.
final class Gate: Sendable {
    private let once = OneAnswers()
    func open() { once.open() }
    func wait() async { await once.wait() }
    var isOpen: Bool { once.isOpen }
    private final class OneAnswers: Sendable {
        private let state = Mutex<(open: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))
        func open() {
            let waiting = state.withLock { state in
                defer { state = (true, []) }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
        var isOpen: Bool { state.withLock { $0.open } }
        func wait() async {
            await withCheckedContinuation { continuation in
                let isOpen = state.withLock { state in
                    if !state.open { state.waiting.append(continuation) }
                    return state.open
                }
                if isOpen { continuation.resume() }
            }
        }
    }
}

final class TestNode: Sendable {
    let loop: UVLoop
    let shard: UVLoop
    let system: ClusterSystem
    let events = Log<MemberEvent>()
    let notices = Log<String>()

    init(_ configuration: ClusterConfiguration, _ leases: any LeaseStore) throws {
        loop = try UVLoop(name: "ctl-\(configuration.name)")
        shard = try UVLoop(name: "media-\(configuration.name)")
        system = ClusterSystem(
            configuration: configuration, loop: loop, shards: [shard], network: UVNetwork(loop: loop), leases: leases, random: SeededRandom(seed: 1))
        system.observeMembers { [events] in events.append($0) }
        system.observeNotices { [notices] in notices.append("\($0)") }
        system.register(error: Refusal.self)
        loop.start()
        shard.start()
    }
    var name: NodeName { system.node }
    private let killed = Atomic<Bool>(false)
    /// A killed node's loop runs nothing any more: there is nobody to shut down.
    var isKilled: Bool { killed.load(ordering: .acquiring) }
    /// As a killed process: the loop ends, its sockets close, nothing is said.
    func kill() {
        killed.store(true, ordering: .releasing)
        loop.stop()
        loop.join()
        shard.stop()
        shard.join()
    }
    /// As SIGSTOP: the loop does nothing for a while.
    func stall(milliseconds: UInt32) { loop.post { usleep(milliseconds * 1000) } }
    /// Runs `body` as a task of the node's loop.
    func run<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            loop.spawn { do { continuation.resume(returning: try await body()) } catch { continuation.resume(throwing: error) } }
        }
    }
    var ups: [Life] { events.all.compactMap { if case .up(let member) = $0 { member.life } else { nil } } }
    var downs: [Life] { events.all.compactMap { if case .down(let member) = $0 { member.life } else { nil } } }
    func sees(_ names: Set<NodeName>) -> Bool { Set(system.members().map(\.name)) == names }
    /// Whether exactly these are up for it: neither joining any more nor suspect.
    func seesUp(_ names: Set<NodeName>) -> Bool { Set(system.members().filter { $0.state == .up }.map(\.name)) == names }
}

/// Starts nodes named a, b, c…, waits until all see each other, and stops what is left at the end.
func withCluster(
    _ names: [NodeName], leases: any LeaseStore = MemoryLeaseStore(), storeOf: ((NodeName) -> any LeaseStore)? = nil, identities: [NodeName: TLSIdentity] = [:], join: Bool = true,
    change: (inout ClusterConfiguration) -> Void = { _ in }, prepare: (TestNode) -> Void = { _ in }, _ body: ([TestNode]) async throws -> Void
) async throws {
    let ports = freePorts(names.count)
    let addresses = zip(names, ports).map { ($0, SocketAddress(ipv4: 0x7F00_0001, port: $1)) }
    var nodes: [TestNode] = []
    for (name, address) in addresses {
        var configuration = ClusterConfiguration(
            name: name, bind: address, peers: Dictionary(uniqueKeysWithValues: addresses.filter { $0.0 != name }),
            tls: identities[name] ?? TestAuthority.shared.identity(name))
        change(&configuration)
        nodes.append(try TestNode(configuration, storeOf?(name) ?? leases))
    }
    for node in nodes { prepare(node) }
    var failure: (any Error)?
    do {
        for node in nodes { try await node.system.start() }
        if join { for node in nodes { try await until("\(node.name) sees all") { node.seesUp(Set(names)) } } }
        try await body(nodes)
    } catch { failure = error }
    for node in nodes {
        if !node.isKilled { await node.system.shutdown() }
        node.kill()
    }
    if let failure { throw failure }
}

// MARK: - Actors

struct Refusal: Error, Codable, Equatable { var code: Int }
struct Unregistered: Error, Codable, Equatable {}

struct Person: Codable, Equatable, Sendable {
    var name: String
    var age: Int?
    var rooms: [RoomID] = []
}

distributed actor Echo {
    typealias ActorSystem = ClusterSystem
    nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    private let executor: any Loop
    private let gate: Gate
    private var seen: [Int] = []
    init(_ system: ClusterSystem, on executor: any Loop, gate: Gate = Gate()) {
        actorSystem = system
        self.executor = executor
        self.gate = gate
    }
    distributed func add(_ a: Int, _ b: Int) -> Int { a + b }
    distributed func greet(_ person: Person, from place: String = "here") -> Person { Person(name: "\(person.name) of \(place)", age: person.age, rooms: person.rooms) }
    distributed func refuse(_ code: Int) throws -> Int { throw Refusal(code: code) }
    distributed func stumble() throws { throw Unregistered() }
    distributed func nest() throws { throw ClusterError.notExecuted(.overloaded) }
    distributed func note(_ number: Int) { seen.append(number) }
    distributed func noted() -> [Int] { seen }
    distributed func hang() async -> Int { await gate.wait(); return 1 }
    distributed func size(_ bytes: [UInt8]) -> Int { bytes.count }
    distributed func fill(_ count: Int) -> [UInt8] { [UInt8](repeating: 1, count: count) }
    distributed func isOnItsLoop() -> Bool { executor.isCurrent }
    distributed func ask(_ other: Echo, _ number: Int) async throws -> Int { try await other.add(number, 1) + (executor.isCurrent ? 0 : 1000) }
    distributed func me() -> Echo { self }
    distributed var total: Int { seen.reduce(0, +) }
    func local() -> Bool { executor.isCurrent }
}
extension Echo {
    distributed func double(_ number: Int) -> Int { number * 2 }
}

/// Another type whose methods must never run on an `Echo`.
distributed actor Safe {
    typealias ActorSystem = ClusterSystem
    nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    init(_ system: ClusterSystem) { actorSystem = system }
    distributed func open(_ code: Int) -> Int { code }
    distributed func secret() -> Int { 7 }

    distributed actor Drawer {
        typealias ActorSystem = ClusterSystem
        init(_ system: ClusterSystem) { actorSystem = system }
        distributed func pull(_ number: Int) -> Int { number }
    }
}

/// A virtual actor: says where it lives and under which epoch.
distributed actor Counter {
    typealias ActorSystem = ClusterSystem
    static let kind = "counter"
    nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    private let claim: Claim
    private var value = 0
    init(_ system: ClusterSystem, _ claim: Claim) {
        actorSystem = system
        self.claim = claim
    }
    struct Reading: Codable, Equatable, Sendable {
        var node: NodeName
        var epoch: Epoch
        var value: Int
    }
    distributed func increment() -> Reading {
        value += 1
        return Reading(node: actorSystem.node, epoch: claim.epoch, value: value)
    }
    distributed func leave() async { await actorSystem.deactivate(kind: Self.kind, key: claim.key) }
}
