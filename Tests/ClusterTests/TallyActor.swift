// A virtual actor that takes its state along when it moves, and a book of everything any of them ever executed.
import Distributed
import Primitives
import Synchronization

@testable import Cluster

/// What happened, over all nodes of a test.
final class TallyBook: Sendable {
    struct State {
        var executions: [String: Int] = [:]
        /// Executed by an actor that had given its state away.
        var lateExecutions = 0
        var activations: [(key: String, node: NodeName, epoch: Epoch, value: Int)] = []
        var lost: [String] = []
        var kept = 0
        var left = 0
    }
    let state = Mutex(State())
    func executed(_ call: String, isShut: Bool) {
        state.withLock { state in
            state.executions[call, default: 0] += 1
            if isShut { state.lateExecutions += 1 }
        }
    }
    func activated(_ claim: Claim, value: Int) { state.withLock { $0.activations.append((claim.key, claim.node, claim.epoch, value)) } }
    func activations(of key: String) -> [(key: String, node: NodeName, epoch: Epoch, value: Int)] { state.withLock { $0.activations.filter { $0.key == key } } }
    var executions: [String: Int] { state.withLock { $0.executions } }
    var lateExecutions: Int { state.withLock { $0.lateExecutions } }
    var lost: [String] { state.withLock { $0.lost } }
    var kept: Int { state.withLock { $0.kept } }
    var left: Int { state.withLock { $0.left } }

    /// Registers the kind on a node.
    func host(on node: TestNode, cost: Int = 1, revives: Bool = false, prefersCallersRegion: Bool = false, snapshotFails: Bool = false) {
        var kind = VirtualKind(name: Tally.kind, activate: { [self] _, claim, system in Tally(system, claim, 0, self) })
        kind.cost = cost
        kind.revives = revives
        kind.prefersCallersRegion = prefersCallersRegion
        kind.lost = { [self] key, _ in state.withLock { $0.lost.append(key) } }
        kind.move = VirtualMove(
            snapshot: { _, actor in
                if snapshotFails { throw Refusal(code: 507) }
                let value = await (actor as? Tally)?.whenLocal { $0.shut() } ?? -1
                return withUnsafeBytes(of: Int64(value).bigEndian) { Array($0) }
            },
            activate: { [self] _, claim, system, snapshot in
                Tally(system, claim, Int(snapshot.reduce(into: Int64(0)) { $0 = $0 << 8 | Int64($1) }), self)
            },
            kept: { [self] _, actor in
                await (actor as? Tally)?.whenLocal { $0.reopen() }
                state.withLock { $0.kept += 1 }
            },
            left: { [self] _, _, _ in state.withLock { $0.left += 1 } })
        node.system.virtual(kind)
    }
}

distributed actor Tally {
    typealias ActorSystem = ClusterSystem
    static let kind = "tally"
    nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    private let claim: Claim
    private let book: TallyBook
    private var value: Int
    private var isShut = false
    init(_ system: ClusterSystem, _ claim: Claim, _ value: Int, _ book: TallyBook) {
        actorSystem = system
        self.claim = claim
        self.value = value
        self.book = book
        book.activated(claim, value: value)
    }
    struct Reading: Codable, Equatable, Sendable {
        var node: NodeName
        var epoch: Epoch
        var value: Int
    }
    distributed func add(_ call: String) -> Reading {
        book.executed(call, isShut: isShut)
        value += 1
        return Reading(node: actorSystem.node, epoch: claim.epoch, value: value)
    }
    distributed func read() -> Reading { Reading(node: actorSystem.node, epoch: claim.epoch, value: value) }
    distributed func linger(_ milliseconds: Int64) async -> Reading {
        try? await actorSystem.loop.sleep(for: .milliseconds(milliseconds))
        return read()
    }
    func shut() -> Int {
        isShut = true
        return value
    }
    func reopen() { isShut = false }
}

/// Down until it is raised, for ever.
final class Flag: Sendable {
    private let raised = Mutex(false)
    var isRaised: Bool { raised.withLock { $0 } }
    func raise() { raised.withLock { $0 = true } }
}
