// A lease store in memory: for tests, the simulator, and a node that is alone and keeps nothing.
import Primitives
import Synchronization

package final class MemoryLeaseStore: LeaseStore {
    package struct Away: Error { package init() {} }
    private struct Identity: Hashable {
        let kind: String
        let key: String
    }
    private struct State {
        var nodes: [NodeName: NodeLease] = [:]
        var claims: [Identity: Claim] = [:]
        var pins: [Identity: NodeName] = [:]
        var voters = VoterSet()
        var isAway = false
    }
    private let state = Mutex(State())
    package init() {}

    /// While true every call throws `Away`.
    package var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }
    private func perform<R: Sendable>(_ body: (inout State) -> sending R) throws -> R {
        try state.withLock { state throws(Away) in
            if state.isAway { throw Away() }
            return body(&state)
        }
    }

    package func registerNode(_ node: NodeName, proposed: Incarnation) async throws -> Incarnation {
        try perform { state in
            var incarnation = proposed
            if let last = state.nodes[node]?.incarnation, last >= proposed { incarnation = Incarnation(last.rawValue + 1) }
            state.nodes[node] = NodeLease(node: node, incarnation: incarnation, counter: 0)
            return incarnation
        }
    }
    package func renewNode(_ node: NodeName, incarnation: Incarnation) async throws -> Bool {
        try perform { state in
            guard state.nodes[node]?.incarnation == incarnation else { return false }
            state.nodes[node]?.counter += 1
            return true
        }
    }
    package func nodes() async throws -> [NodeLease] { try perform { $0.nodes.values.sorted { $0.node < $1.node } } }
    package func claim(kind: String, key: String) async throws -> Claim? { try perform { $0.claims[Identity(kind: kind, key: key)] } }
    package func takeClaim(kind: String, key: String, by node: NodeName, incarnation: Incarnation, expecting: Epoch) async throws -> ClaimOutcome {
        try perform { state in
            let identity = Identity(kind: kind, key: key)
            if let stored = state.claims[identity], stored.epoch != expecting { return .conflict(stored) }
            let taken = Claim(kind: kind, key: key, node: node, incarnation: incarnation, epoch: expecting.next)
            state.claims[identity] = taken
            return .taken(taken)
        }
    }
    package func takeClaims(_ stored: [Claim], by node: NodeName, incarnation: Incarnation) async throws -> [Claim] {
        try perform { state in
            stored.compactMap { claim in
                let identity = Identity(kind: claim.kind, key: claim.key)
                guard state.claims[identity]?.epoch == claim.epoch else { return nil }
                let taken = Claim(kind: claim.kind, key: claim.key, node: node, incarnation: incarnation, epoch: claim.epoch.next)
                state.claims[identity] = taken
                return taken
            }
        }
    }
    package func releaseClaims(_ claims: [Claim]) async throws {
        try perform { state in
            for claim in claims {
                let identity = Identity(kind: claim.kind, key: claim.key)
                if state.claims[identity]?.epoch == claim.epoch { state.claims[identity]?.isReleased = true }
            }
        }
    }
    package func claims(of node: NodeName, incarnation: Incarnation) async throws -> [Claim] {
        try perform { state in Self.ordered(state.claims.values.filter { $0.node == node && $0.incarnation == incarnation && !$0.isReleased }) }
    }
    package func orphans(kinds: [String], limit: Int) async throws -> [Claim] {
        try perform { state in
            let all = state.claims.values.filter { !$0.isReleased && kinds.contains($0.kind) && state.nodes[$0.node]?.incarnation != $0.incarnation }
            return Array(Self.ordered(all).prefix(limit))
        }
    }
    private static func ordered(_ claims: [Claim]) -> [Claim] { claims.sorted { ($0.kind, $0.key) < ($1.kind, $1.key) } }

    package func retireNode(_ node: NodeName, incarnation: Incarnation, counter: UInt64?) async throws -> Bool {
        try perform { state in
            guard let row = state.nodes[node], row.incarnation <= incarnation else { return true }
            guard row.incarnation == incarnation, counter == nil || counter == row.counter else { return false }
            state.nodes[node] = NodeLease(node: node, incarnation: Incarnation(incarnation.rawValue + 1), counter: 0)
            return true
        }
    }
    package func voters() async throws -> VoterSet { try perform { $0.voters } }
    package func setVoters(_ names: [NodeName], expecting version: UInt64) async throws -> VoterSet {
        try perform { state in
            if state.voters.version == version { state.voters = VoterSet(version: version + 1, names: Set(names).sorted()) }
            return state.voters
        }
    }
    package func pins() async throws -> [Pin] {
        try perform { state in state.pins.map { Pin(kind: $0.key.kind, key: $0.key.key, node: $0.value) }.sorted { ($0.kind, $0.key) < ($1.kind, $1.key) } }
    }
    package func pin(kind: String, key: String) async throws -> NodeName? { try perform { $0.pins[Identity(kind: kind, key: key)] } }
    package func setPin(kind: String, key: String, to node: NodeName?) async throws {
        try perform { $0.pins[Identity(kind: kind, key: key)] = node }
    }
}
