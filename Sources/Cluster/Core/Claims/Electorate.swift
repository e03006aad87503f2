// Whose majority lets a node go on deciding while it cannot renew its row. Design: docs/decisions/0022-placement-and-moves.md
import Primitives

/// The voters as last read from the store, and those who must be voters by now.
///
/// Every node enters itself among the voters before it links to anyone. So a member met since the voters were read is one that
/// reading may not show, and counts. A node that has read of fewer voters than a majority needs may have missed any number of
/// others: it counts the nodes of its topology as well. To count too many only freezes where nothing had to be frozen; to count
/// too few lets two nodes decide.
package struct Electorate: Sendable {
    package private(set) var voters = VoterSet()
    private var met: [NodeName: Instant] = [:]
    private let configured: Set<NodeName>

    /// - Parameter configured: the other nodes of the topology.
    package init(configured: Set<NodeName> = []) { self.configured = configured }

    /// - Parameter began: when the reading was begun.
    package mutating func read(_ voters: VoterSet, began: Instant) {
        guard voters.version >= self.voters.version else { return }
        self.voters = voters
        met = met.filter { $0.value > began }
    }
    /// A life of a node has come up for this one.
    package mutating func met(_ node: NodeName, now: Instant) {
        guard met.count < Membership.Limits.members || met[node] != nil else { return }
        met[node] = now
    }
    package var names: Set<NodeName> {
        var names = Set(voters.names).union(met.keys)
        if voters.names.count < Takeover.Limits.votersForMajority { names.formUnion(configured) }
        return names
    }
}
