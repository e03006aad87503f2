// Who owns what must exist once: claims under epochs.
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

/// The nodes whose votes declare another one down, as last committed in the store. Version 0: never written.
package struct VoterSet: Hashable, Codable, Sendable {
    package var version: UInt64
    /// In order of their names.
    package var names: [NodeName]
    package init(version: UInt64 = 0, names: [NodeName] = []) { self.version = version; self.names = names }
}

/// An operator's word that a virtual actor belongs on one node while that node takes work.
package struct Pin: Hashable, Codable, Sendable {
    package var kind: String
    package var key: String
    package var node: NodeName
    package init(kind: String, key: String, node: NodeName) { self.kind = kind; self.key = key; self.node = node }
}

package enum ClaimOutcome: Equatable, Sendable {
    case taken(Claim)
    /// The stored epoch is not the expected one: this is the claim as it stands.
    case conflict(Claim)
}

/// What a node that wants to host a virtual actor does about the claim as the store has it.
package enum ClaimDecision: Equatable, Sendable {
    /// Take it, expecting this epoch.
    case take(expecting: Epoch)
    case elsewhere(NodeName, Epoch)
    /// The owner does not answer this node: whether its life is over has to be judged (`Takeover`).
    case judge(NodeName, Incarnation)

    /// How another node's life stands with this one: `down` was given up, `unmet` was never heard of.
    package enum Standing: Equatable, Sendable, CaseIterable { case up, suspect, down, unmet }

    /// - Parameters:
    ///   - standing: how the owner's life stands with us.
    ///   - isOver: whether that life is known to be over in the store.
    package static func decide(
        _ stored: Claim?, me: NodeName, standing: (NodeName, Incarnation) -> Standing, isOver: (NodeName, Incarnation) -> Bool
    ) -> ClaimDecision {
        guard let stored else { return .take(expecting: .none) }
        if stored.isReleased || stored.node == me || isOver(stored.node, stored.incarnation) { return .take(expecting: stored.epoch) }
        if standing(stored.node, stored.incarnation) == .up { return .elsewhere(stored.node, stored.epoch) }
        return .judge(stored.node, stored.incarnation)
    }
}
