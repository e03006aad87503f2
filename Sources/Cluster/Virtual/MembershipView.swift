// What claims and placement ask of the membership, in their own words.
import Primitives

/// On the control loop.
extension ClusterSystem {
    func standing(_ node: NodeName, _ incarnation: Incarnation) -> ClaimDecision.Standing {
        if node == self.node { return incarnation == self.incarnation ? .up : .down }
        return membership.core.standing(node, incarnation)
    }
    /// Whether this life of the node is over for the others, and the next one has not begun.
    var isCondemned: Bool { membership.core.isCondemned }
    /// Another one whenever `hosts` may answer something else.
    var viewNumber: UInt64 { shared.withLock { $0.viewNumber } }
    /// The members virtual actors may be placed on, as placement sees them.
    func hosts() -> [PlacementHost] { members().map(PlacementHost.init) }
    /// Whether new virtual actors may be placed here.
    var takesWork: Bool { isRunning && me.state.takesWork && me.capacity > 0 }
    func memberDown(_ name: NodeName) {
        virtuals.nodeDown(name)
        moves.nodeDown(name)
        revival.sweepSoon()
    }
}

extension PlacementHost {
    init(_ member: Member) {
        self.init(name: member.name, roles: member.roles, region: member.region, weight: member.capacity, takesWork: member.state.takesWork)
    }
}
