// What a node knows about a kind of virtual actor: who may host it, what it costs, how it begins, moves and ends.
import Distributed
import Primitives

package struct VirtualKind: Sendable {
    package typealias Activate = @Sendable (_ key: String, _ claim: Claim, _ system: ClusterSystem) async throws -> any DistributedActor
    package typealias Lost = @Sendable (_ key: String, _ actor: any DistributedActor) async -> Void
    package let name: String
    /// A node may host it that has one of them; empty: every node.
    package var roles: Set<String> = []
    /// Capacity units of one actor.
    package var cost = 1
    /// Whether a node without free capacity refuses a new one (`notExecuted(.full)`); otherwise the cost is only counted.
    package var refusesWhenFull = true
    /// Whether survivors activate a dead node's at once, without waiting for a call.
    package var revives = false
    /// Whether a new one is placed in the region of the node that calls first, if it can.
    package var prefersCallersRegion = false
    package var activate: Activate
    package var lost: Lost?
    package var move: VirtualMove?

    func mayLive(on member: Member) -> Bool { roles.isEmpty || !roles.isDisjoint(with: member.roles) }
    func request(_ key: String, region: String? = nil, pinned: NodeName? = nil) -> PlacementRequest {
        PlacementRequest(kind: name, key: key, roles: roles, region: region, pinned: pinned)
    }
}

/// How actors of a kind take their state along when they move. Without it a moved actor is activated as a new one.
///
/// A move ends each actor on which `snapshot` was called by exactly one of `kept`, `left` or the kind's `lost`.
package struct VirtualMove: Sendable {
    /// The state, at most `MoveHold.Limits.snapshotBytes`. No call runs in the actor, and none comes until `kept`: it stops
    /// deciding by itself (timers, tasks) as well. Throwing keeps the actor where it is.
    package var snapshot: @Sendable (_ key: String, _ actor: any DistributedActor) async throws -> [UInt8]
    /// Makes the actor on the node it moved to, under its new claim. Where it throws, the actor is activated as a new one.
    package var activate: @Sendable (_ key: String, _ claim: Claim, _ system: ClusterSystem, _ snapshot: [UInt8]) async throws -> any DistributedActor
    /// The move was given up: go on.
    package var kept: @Sendable (_ key: String, _ actor: any DistributedActor) async -> Void
    /// The actor goes on elsewhere, under `claim`: this one ends without a trace.
    package var left: @Sendable (_ key: String, _ actor: any DistributedActor, _ claim: Claim) async -> Void
    package init(
        snapshot: @escaping @Sendable (_ key: String, _ actor: any DistributedActor) async throws -> [UInt8],
        activate: @escaping @Sendable (_ key: String, _ claim: Claim, _ system: ClusterSystem, _ snapshot: [UInt8]) async throws -> any DistributedActor,
        kept: @escaping @Sendable (_ key: String, _ actor: any DistributedActor) async -> Void,
        left: @escaping @Sendable (_ key: String, _ actor: any DistributedActor, _ claim: Claim) async -> Void
    ) {
        self.snapshot = snapshot; self.activate = activate; self.kept = kept; self.left = left
    }
}
