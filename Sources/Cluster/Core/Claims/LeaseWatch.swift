// Watching other nodes' rows in the store on our own clock: no clock is compared with another machine's.
import Primitives

/// A row stands still if two looks at least the lease time apart saw one counter, and between them this node looked often
/// enough to say that the store was there to be renewed in and that it was not itself asleep. After a longer gap between two
/// looks everything begins anew: what stood still while nobody could write, or while nobody looked, is no evidence.
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
        /// When the first look at this counter was answered.
        var since: Instant
    }
    private let leaseTime: Duration
    /// Between two looks at most; the lease time holds more than two of them.
    private let gap: Duration
    private var seen: [NodeName: Seen] = [:]
    /// The latest look: when it was begun, and when answered.
    private var began = Instant.origin
    private var answered: Instant?

    /// - Parameter leaseTime: how long a row must stand still before its node counts as silent, margin included.
    package init(leaseTime: Duration, protections: Protections = .all) {
        self.leaseTime = protections.contains(.leaseCheck) ? leaseTime : .zero
        gap = leaseTime / 2
    }

    /// - Parameters:
    ///   - began: when the look at the store was begun; `now`: when it was answered.
    ///   - speaksWithUs: lives that answer this node need no row to be alive: theirs count from their silence on.
    package mutating func observe(_ rows: [NodeLease], began: Instant, now: Instant, speaksWithUs: (NodeName, Incarnation) -> Bool = { _, _ in false }) {
        if answered.map({ began - $0 > gap }) ?? true { seen = [:] }
        var next: [NodeName: Seen] = [:]
        for row in rows {
            let known = seen[row.node], isSame = known?.incarnation == row.incarnation && known?.counter == row.counter
            next[row.node] = isSame && !speaksWithUs(row.node, row.incarnation) ? known : Seen(incarnation: row.incarnation, counter: row.counter, since: now)
        }
        seen = next
        self.began = max(self.began, began)
        answered = now
    }
    /// - Parameter isFresh: the rows were read after the life was heard of; then a missing or older row means it is over.
    package func reading(_ node: NodeName, _ incarnation: Incarnation, isFresh: Bool, now: Instant) -> Reading {
        guard let row = seen[node], row.incarnation >= incarnation else { return isFresh ? .over : .unread }
        guard row.incarnation == incarnation else { return .over }
        return isStill(row, now) ? .still(counter: row.counter) : .renewed
    }
    /// Whether the node's row, whatever life's it is, has not been renewed for the lease time.
    package func standsStill(_ node: NodeName, now: Instant) -> Bool { seen[node].map { isStill($0, now) } ?? false }
    private func isStill(_ row: Seen, _ now: Instant) -> Bool { now - began <= gap && began - row.since >= leaseTime }
}
