// When another node's life may be declared over. Design: docs/decisions/0022-placement-and-moves.md
import Primitives

/// Silence towards us is not death. Where three or more nodes vote, most of them must have given the owner up; where fewer
/// do, no majority survives a loss, and the owner's row must have stood still for the lease time on our own clock.
/// Either way the store then ends the life (`LeaseStore.retireNode`), in the second case only if the row stands still yet.
package enum Takeover: Equatable, Sendable {
    /// It is over: its claims may be taken.
    case over
    /// Have the store end it; `counter` as `retireNode` takes it.
    case retire(counter: UInt64?)
    case alive
    /// Ask again in a moment.
    case wait

    package enum Limits {
        /// With fewer voters the row decides.
        package static let votersForMajority = 3
    }

    /// - Parameters:
    ///   - standing: how the life stands with us.
    ///   - reading: what its row says.
    ///   - votes: who has given it up, this node included if it has.
    package static func decide(standing: ClaimDecision.Standing, reading: LeaseWatch.Reading, votes: Set<NodeName>, voters: [NodeName], protections: Protections = .all) -> Takeover {
        if reading == .over { return .over }
        if standing == .up { return .alive }
        if voters.count >= Limits.votersForMajority { return isMajority(votes, of: voters) || !protections.contains(.vote) ? .retire(counter: nil) : .wait }
        if case .still(let counter) = reading { return .retire(counter: counter) }
        return .wait
    }
    /// This node's own vote.
    /// - Returns: whether it has given the life up. One it has never met is given up only if its row stands still too: after a
    ///   start nobody has met anybody.
    package static func votes(standing: ClaimDecision.Standing, reading: LeaseWatch.Reading) -> Bool {
        switch (standing, reading) {
        case (_, .over), (.down, _), (.unmet, .still): true
        default: false
        }
    }
    package static func isMajority(_ names: some Collection<NodeName>, of voters: [NodeName]) -> Bool {
        voters.count { names.contains($0) } > voters.count / 2
    }
}
