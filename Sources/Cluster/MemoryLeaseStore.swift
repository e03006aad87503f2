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
    package func releaseClaim(_ claim: Claim) async throws {
        try perform { state in
            let identity = Identity(kind: claim.kind, key: claim.key)
            if state.claims[identity]?.epoch == claim.epoch { state.claims[identity]?.isReleased = true }
        }
    }
}
