// The one database of a simulated cluster: its rows, and how well it does.
import Cluster
import Contracts
import Primitives

/// How the database treats requests just now.
package struct StoreHealth: Sendable {
    /// Nanoseconds there and back without the disk.
    package var latency: Int64 = 800_000
    /// Nanoseconds a write waits for its disk.
    package var sync: Int64 = 1_500_000
    /// Of a million requests: executed, but the answer is lost.
    package var answersLost: UInt64 = 0
    /// Nothing is answered and nothing is executed.
    package var isAway = false
    package init() {}
}

/// Rows in memory, changed only by whole transactions, in the order they reach it. What a real database promises about
/// compare-and-set and uniqueness holds here as well.
package final class SimulatedDatabase: @unchecked Sendable {
    package enum Limits {
        /// A request that is not answered by then fails as `away`; whether it was executed is unknown.
        package static let answer: Int64 = 2_000_000_000
        /// Requests one machine's kernel keeps for a database that it cannot reach.
        package static let held = 64
    }
    struct Identity: Hashable {
        let kind: String
        let key: String
    }
    struct Rows {
        var nodes: [NodeName: NodeLease] = [:]
        var claims: [Identity: Claim] = [:]
        var voters = VoterSet()
        var pins: [Identity: NodeName] = [:]
        var rooms: [RoomID: RoomRecord] = [:]
        var admissions: [RoomID: [ParticipantID: AdmissionRecord]] = [:]
        var burnt: Set<String> = []
        var answers: [String: StoredAnswer] = [:]
        var recordings: [RecordingID: RecordingRecord] = [:]
        var events = EventRows()
    }
    let world: World
    private var random: SplitMix64
    private(set) var rows = Rows()
    package var health = StoreHealth()
    /// Machines that cannot reach it.
    package var unreachable: Set<Host> = []
    /// What they wrote into their sockets meanwhile: it arrives when the path is back, whoever waits for it by then.
    private var held: [Host: [@Sendable () -> Void]] = [:]
    package private(set) var counters = Counters()
    /// Called after each claim that was taken or given back.
    package var onClaim: ((Claim) -> Void)?
    /// Called when the store ends a life, with whether a majority of votes ended it (otherwise its row, which stood still).
    package var onRetirement: ((NodeName, Incarnation, _ byVote: Bool) -> Void)?
    /// Called after a room's log was opened under an epoch, or got entries under one.
    package var onLog: ((RoomID, Epoch) -> Void)?
    /// Off: a claim is taken whatever its stored epoch is. For the check that the simulator finds it.
    package var comparesClaims = true
    /// Off: what an overtaken Room writes counts as its successor's.
    package var comparesEpochs = true

    package struct Counters: Sendable, Equatable {
        package var requests: UInt64 = 0
        package var refused: UInt64 = 0
        /// Carried out, and the answer was lost.
        package var unknownOutcomes: UInt64 = 0
        /// Carried out, and the machine that asked cannot be reached any more.
        package var cutOutcomes: UInt64 = 0
    }

    package init(_ world: World) {
        self.world = world
        random = world.random("database")
    }
    package var claimCount: Int { rows.claims.count }
    /// All of a room's log, as it is.
    package func log(of room: RoomID) -> [LoggedEvent] { rows.events.events(room: room, since: 0, limit: .max).events }

    /// Carries one transaction to the rows and its result back, or fails it as a real one would fail.
    func perform<T: Sendable>(_ name: StaticString, from host: Host, writes: Bool, _ body: @escaping @Sendable (inout Rows) throws(StoreError) -> T) async throws -> T {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<T, any Error>) in
            begin(name, host, writes, SimulatedAnswer(continuation), body)
        }
    }
    private func begin<T: Sendable>(
        _ name: StaticString, _ host: Host, _ writes: Bool, _ answer: SimulatedAnswer<T>, _ body: @escaping @Sendable (inout Rows) throws(StoreError) -> T
    ) {
        counters.requests += 1
        world.after(Limits.answer) { answer.settle(.failure(StoreError.away("no answer in 2 s; it may or may not have been written"))) }
        guard !health.isAway, !unreachable.contains(host) else {
            counters.refused += 1
            // A refused connection is told at once; a silent one after the time limit.
            if random.next() & 1 == 0 {
                world.after(delay(health.latency)) { answer.settle(.failure(StoreError.away("connection refused"))) }
            } else if unreachable.contains(host), held[host, default: []].count < Limits.held {
                held[host, default: []].append { [self] in carryOut(name, host, writes, answer, body) }
            }
            return
        }
        carryOut(name, host, writes, answer, body)
    }
    /// A machine can reach it again.
    func reached(_ host: Host) {
        unreachable.remove(host)
        for request in held.removeValue(forKey: host) ?? [] { request() }
    }
    /// A machine has lost its power.
    func forget(_ host: Host) { held[host] = nil }

    private func carryOut<T: Sendable>(
        _ name: StaticString, _ host: Host, _ writes: Bool, _ answer: SimulatedAnswer<T>, _ body: @escaping @Sendable (inout Rows) throws(StoreError) -> T
    ) {
        let there = delay(health.latency / 2) + (writes ? delay(health.sync) : 0), back = delay(health.latency / 2)
        let isLost = health.answersLost > 0 && random.next() % 1_000_000 < health.answersLost
        world.after(there) { [self] in
            let result: Result<T, any Error>
            do throws(StoreError) { result = .success(try body(&rows)) } catch { result = .failure(error) }
            world.note(0x5709, StableHash.fnv1a(name.description.utf8) ^ UInt64(host))
            guard !isLost else { counters.unknownOutcomes += 1; return }
            guard !unreachable.contains(host) else { counters.cutOutcomes += 1; return }
            world.after(back) { answer.settle(result) }
        }
    }
    private func delay(_ typical: Int64) -> Int64 { typical / 2 + Int64(random.next() % UInt64(max(1, typical))) }

    func noteLog(_ room: RoomID, _ epoch: Epoch) { onLog?(room, epoch) }
    func noteClaim(_ claim: Claim) { onClaim?(claim) }
    func noteRetirement(_ node: NodeName, _ incarnation: Incarnation, byVote: Bool) { onRetirement?(node, incarnation, byVote) }
}

/// The first answer counts.
private final class SimulatedAnswer<T: Sendable>: @unchecked Sendable {
    private var continuation: CheckedContinuation<T, any Error>?
    init(_ continuation: CheckedContinuation<T, any Error>) { self.continuation = continuation }
    func settle(_ result: Result<T, any Error>) { continuation.take()?.resume(with: result) }
}
