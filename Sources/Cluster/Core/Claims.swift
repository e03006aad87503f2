// Who owns what must exist once: claims under epochs, and what a store has to promise about them.
import Primitives

/// The right to be the one actor of a virtual identity, until a claim of a higher epoch is taken.
package struct Claim: Hashable, Codable, Sendable {
    package var kind: String
    package var key: String
    package var node: NodeName
    package var incarnation: Incarnation
    package var epoch: Epoch
    /// Given back: whoever takes it next need not judge the former owner. The epoch goes on growing.
    package var isReleased: Bool
    package init(kind: String, key: String, node: NodeName, incarnation: Incarnation, epoch: Epoch, isReleased: Bool = false) {
        self.kind = kind; self.key = key; self.node = node; self.incarnation = incarnation; self.epoch = epoch; self.isReleased = isReleased
    }
}

/// One node's row: alive as long as `counter` grows.
package struct NodeLease: Hashable, Codable, Sendable {
    package var node: NodeName
    package var incarnation: Incarnation
    package var counter: UInt64
    package init(node: NodeName, incarnation: Incarnation, counter: UInt64) {
        self.node = node; self.incarnation = incarnation; self.counter = counter
    }
}

package enum ClaimOutcome: Equatable, Sendable {
    case taken(Claim)
    /// The stored epoch is not the expected one: this is the claim as it stands.
    case conflict(Claim)
}

/// What the cluster asks of a store. Every call is bounded in time and throws where the store is away.
///
/// `registerNode`, `takeClaim` and `releaseClaim` are durable when they return; `renewNode` need not be.
package protocol LeaseStore: Sendable {
    /// Enters a new life of a node, replacing the row of an earlier one.
    /// - Returns: the incarnation to use: `proposed`, or one more than the stored one where that is not smaller.
    func registerNode(_ node: NodeName, proposed: Incarnation) async throws -> Incarnation
    /// Adds one to the node's counter.
    /// - Returns: false when the row is of another incarnation (a newer life has registered) or missing.
    func renewNode(_ node: NodeName, incarnation: Incarnation) async throws -> Bool
    func nodes() async throws -> [NodeLease]
    func claim(kind: String, key: String) async throws -> Claim?
    /// Compare-and-set: takes the claim under `expecting.next` if the stored epoch is `expecting` (`.none`: no row yet).
    func takeClaim(kind: String, key: String, by node: NodeName, incarnation: Incarnation, expecting: Epoch) async throws -> ClaimOutcome
    /// Marks the claim released if its epoch is still `claim.epoch`; otherwise does nothing. The row stays.
    func releaseClaim(_ claim: Claim) async throws
}

/// What a node that wants to host a virtual actor does about the claim as the store has it.
package enum ClaimDecision: Equatable, Sendable {
    /// Take it, expecting this epoch.
    case take(expecting: Epoch)
    case elsewhere(NodeName, Epoch)
    /// The owner answers nobody, but its row may still be renewed: ask again in a moment.
    case wait

    package enum Standing: Equatable, Sendable { case up, suspect, down }

    /// - Parameters:
    ///   - standing: how the owner's node stands with us, for the incarnation of the claim.
    ///   - leaseExpired: whether its row has stood still for the lease time on our clock, or is of another life.
    package static func decide(
        _ stored: Claim?, me: NodeName, incarnation: Incarnation, standing: (NodeName, Incarnation) -> Standing, leaseExpired: (NodeName, Incarnation) -> Bool
    ) -> ClaimDecision {
        guard let stored else { return .take(expecting: .none) }
        if stored.isReleased || stored.node == me { return .take(expecting: stored.epoch) }
        if standing(stored.node, stored.incarnation) == .up { return .elsewhere(stored.node, stored.epoch) }
        // Silence towards us is not death: its row must have stopped as well.
        if leaseExpired(stored.node, stored.incarnation) { return .take(expecting: stored.epoch) }
        return .wait
    }
}
