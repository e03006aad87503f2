// Which virtual actors to move so that load follows capacity, or leaves a node. Design: docs/decisions/0022-placement-and-moves.md
import Primitives

/// A virtual actor as a plan sees it.
package struct PlacedActor: Hashable, Codable, Sendable {
    package var identity: VirtualIdentity
    package var node: NodeName
    /// Capacity units.
    package var cost: Int
    package var pinned: NodeName?
    package var region: String?
    package init(identity: VirtualIdentity, node: NodeName, cost: Int, pinned: NodeName? = nil, region: String? = nil) {
        self.identity = identity; self.node = node; self.cost = cost; self.pinned = pinned; self.region = region
    }
}

package struct PlannedMove: Hashable, Codable, Sendable {
    package enum Reason: String, Codable, Sendable { case pinned, draining, overloaded }
    package var identity: VirtualIdentity
    package var from: NodeName
    package var to: NodeName
    package var cost: Int
    package var reason: Reason
    package init(identity: VirtualIdentity, from: NodeName, to: NodeName, cost: Int, reason: Reason) {
        self.identity = identity; self.from = from; self.to = to; self.cost = cost; self.reason = reason
    }
}

/// A node as a plan sees it: how much it may hold, and whether it takes more.
package struct PlannedNode: Hashable, Sendable {
    package var host: PlacementHost
    /// Units; 0 holds nothing.
    package var capacity: Int
    package init(host: PlacementHost, capacity: Int) { self.host = host; self.capacity = capacity }
}

/// The moves, in the order to make them: what an operator pinned, then what must leave, then what relieves most.
///
/// Hysteresis: levelling begins only where a node is more than `begin` above the mean, and goes on until none is more than
/// `enough` above it or no move helps. A plan carried out therefore leaves nothing to plan, and load that wanders between
/// the two marks moves nothing. Nodes above a mark by less than one actor are left alone.
package enum RebalancePlan {
    package enum Limits {
        /// Moves of one plan; the rest is the next plan's.
        package static let moves = 256
        /// Percent above the mean use.
        package static let begin = 25
        package static let enough = 10
    }

    package static func make(actors: [PlacedActor], nodes: [PlannedNode], roles: @escaping (String) -> Set<String>, limit: Int = Limits.moves) -> [PlannedMove] {
        var book = PlanBook(actors: actors, nodes: nodes, roles: roles)
        var moves: [PlannedMove] = []
        var hasBegun = false
        while moves.count < limit, let move = book.nextPinned() ?? book.nextToLeave(nil) ?? book.nextRelief(hasBegun: hasBegun) {
            moves.append(move)
            hasBegun = hasBegun || move.reason == .overloaded
            book.apply(move)
        }
        return moves
    }
    /// Everything off one node, whatever is pinned there.
    package static func drain(_ node: NodeName, actors: [PlacedActor], nodes: [PlannedNode], roles: @escaping (String) -> Set<String>, limit: Int = Limits.moves) -> [PlannedMove] {
        let others = nodes.map { other in
            var other = other
            if other.host.name == node { other.host.takesWork = false }
            return other
        }
        var book = PlanBook(actors: actors, nodes: others, roles: roles)
        var moves: [PlannedMove] = []
        while moves.count < limit, let move = book.nextToLeave(node) {
            moves.append(move)
            book.apply(move)
        }
        return moves
    }
}
