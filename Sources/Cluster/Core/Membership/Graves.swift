// The dead: which lives never return, and who held them for dead.
import Primitives

package struct Graves: Sendable {
    private struct Grave {
        var votes: Set<NodeName>
        var number: UInt64
    }
    private var graves: [Life: Grave] = [:]
    private var last: [NodeName: (incarnation: Incarnation, number: UInt64)] = [:]
    private var number: UInt64 = 0
    package init() {}

    /// Whether this life, or a later one of the node, is over.
    package func holds(_ life: Life) -> Bool { last[life.name].map { life.incarnation <= $0.incarnation } ?? false }
    package func votes(_ life: Life) -> Set<NodeName>? { graves[life]?.votes }
    package var isEmpty: Bool { last.isEmpty }
    package var names: [NodeName] { last.keys.sorted() }
    /// The lives remembered with their votes, latest burial first.
    package var lives: [(life: Life, votes: Set<NodeName>)] {
        graves.sorted { $0.value.number > $1.value.number }.map { ($0.key, $0.value.votes) }
    }

    /// - Returns: whether anything is new.
    package mutating func bury(_ life: Life, votes: Set<NodeName>) -> Bool {
        number += 1
        if last[life.name].map({ $0.incarnation < life.incarnation }) ?? true {
            last[life.name] = (life.incarnation, number)
            if last.count > Membership.Limits.deadNames, let oldest = last.min(by: { $0.value.number < $1.value.number })?.key { last[oldest] = nil }
        }
        guard let grave = graves[life] else {
            graves[life] = Grave(votes: votes, number: number)
            if graves.count > Membership.Limits.graves, let oldest = graves.min(by: { $0.value.number < $1.value.number })?.key { graves[oldest] = nil }
            return true
        }
        let all = grave.votes.union(votes)
        guard all.count > grave.votes.count, all.count <= Rumor.Limits.names else { return false }
        graves[life]?.votes = all
        return true
    }
}
