// One node's way to the store: it can be cut, and answers can get lost after the work was done.
import Primitives
import Synchronization

@testable import Cluster

final class FaultyStore: LeaseStore {
    struct Cut: Error {}
    private struct State {
        var isCut = false
        var lostAnswers = 0
        var lostQuestions = 0
    }
    let shared: MemoryLeaseStore
    private let state = Mutex(State())
    init(_ shared: MemoryLeaseStore) { self.shared = shared }

    var isCut: Bool {
        get { state.withLock { $0.isCut } }
        set { state.withLock { $0.isCut = newValue } }
    }
    /// So many of the next compare-and-sets are carried out without an answer; so many are not even carried out.
    func lose(answers: Int = 0, questions: Int = 0) { state.withLock { ($0.lostAnswers, $0.lostQuestions) = (answers, questions) } }

    private func through<R: Sendable>(_ body: (MemoryLeaseStore) async throws -> R) async throws -> R {
        if isCut { throw Cut() }
        return try await body(shared)
    }
    private func take(_ count: WritableKeyPath<State, Int>) -> Bool {
        state.withLock { state in
            guard state[keyPath: count] > 0 else { return false }
            state[keyPath: count] -= 1
            return true
        }
    }
    func takeClaim(kind: String, key: String, by node: NodeName, incarnation: Incarnation, expecting: Epoch) async throws -> ClaimOutcome {
        if take(\.lostQuestions) { throw Cut() }
        let outcome = try await through { try await $0.takeClaim(kind: kind, key: key, by: node, incarnation: incarnation, expecting: expecting) }
        if take(\.lostAnswers) { throw Cut() }
        return outcome
    }
    func registerNode(_ node: NodeName, proposed: Incarnation) async throws -> Incarnation { try await through { try await $0.registerNode(node, proposed: proposed) } }
    func renewNode(_ node: NodeName, incarnation: Incarnation) async throws -> Bool { try await through { try await $0.renewNode(node, incarnation: incarnation) } }
    func nodes() async throws -> [NodeLease] { try await through { try await $0.nodes() } }
    func retireNode(_ node: NodeName, incarnation: Incarnation, counter: UInt64?) async throws -> Bool {
        try await through { try await $0.retireNode(node, incarnation: incarnation, counter: counter) }
    }
    func claim(kind: String, key: String) async throws -> Claim? { try await through { try await $0.claim(kind: kind, key: key) } }
    func takeClaims(_ stored: [Claim], by node: NodeName, incarnation: Incarnation) async throws -> [Claim] {
        try await through { try await $0.takeClaims(stored, by: node, incarnation: incarnation) }
    }
    func releaseClaims(_ claims: [Claim]) async throws { try await through { try await $0.releaseClaims(claims) } }
    func claims(of node: NodeName, incarnation: Incarnation) async throws -> [Claim] { try await through { try await $0.claims(of: node, incarnation: incarnation) } }
    func orphans(kinds: [String], limit: Int) async throws -> [Claim] { try await through { try await $0.orphans(kinds: kinds, limit: limit) } }
    func voters() async throws -> VoterSet { try await through { try await $0.voters() } }
    func setVoters(_ names: [NodeName], expecting version: UInt64) async throws -> VoterSet { try await through { try await $0.setVoters(names, expecting: version) } }
    func pins() async throws -> [Pin] { try await through { try await $0.pins() } }
    func pin(kind: String, key: String) async throws -> NodeName? { try await through { try await $0.pin(kind: kind, key: key) } }
    func setPin(kind: String, key: String, to node: NodeName?) async throws { try await through { try await $0.setPin(kind: kind, key: key, to: node) } }
}
