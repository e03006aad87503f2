// Watching other nodes' rows in the store on our own clock: no clock is compared with another machine's.
import Primitives

package struct LeaseWatch: Sendable {
    /// What the rows say of one life.
    package enum Reading: Equatable, Sendable {
        /// Not read since the life could have begun.
        case unread
        /// Its row is a later life's.
        case over
        case renewed
        /// The row has stood at this counter for the lease time.
        case still(counter: UInt64)
    }
    private struct Seen {
        var incarnation: Incarnation
        var counter: UInt64
        var since: Instant
    }
    private let leaseTime: Duration
    private var seen: [NodeName: Seen] = [:]
    /// - Parameter leaseTime: how long a row must stand still before its node counts as silent, margin included.
    package init(leaseTime: Duration) { self.leaseTime = leaseTime }

    package mutating func observe(_ rows: [NodeLease], now: Instant) {
        let present = Set(rows.map(\.node))
        seen = seen.filter { present.contains($0.key) }
        for row in rows {
            if let known = seen[row.node], known.incarnation == row.incarnation, known.counter == row.counter { continue }
            seen[row.node] = Seen(incarnation: row.incarnation, counter: row.counter, since: now)
        }
    }
    /// - Parameter isFresh: the rows were read after the life was heard of; then a missing or older row means it is over.
    package func reading(_ node: NodeName, _ incarnation: Incarnation, isFresh: Bool, now: Instant) -> Reading {
        guard let row = seen[node], row.incarnation >= incarnation else { return isFresh ? .over : .unread }
        guard row.incarnation == incarnation else { return .over }
        return now - row.since >= leaseTime ? .still(counter: row.counter) : .renewed
    }
    /// Whether the node's row, whatever life's it is, has not been renewed for the lease time.
    package func standsStill(_ node: NodeName, now: Instant) -> Bool { seen[node].map { now - $0.since >= leaseTime } ?? false }
}
