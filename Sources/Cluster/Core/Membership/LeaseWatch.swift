// Watching other nodes' rows in the store on our own clock: no clock is compared with another machine's.
import Primitives

package struct LeaseWatch: Sendable {
    private struct Seen {
        var incarnation: Incarnation
        var counter: UInt64
        var since: Instant
    }
    private let leaseTime: Duration
    private var seen: [NodeName: Seen] = [:]
    /// Whether the store has answered at all: before, nothing is known to have expired.
    private var hasRead = false
    /// - Parameter leaseTime: how long a row must stand still before its node's claims may be taken, margin included.
    package init(leaseTime: Duration) { self.leaseTime = leaseTime }

    package mutating func observe(_ rows: [NodeLease], now: Instant) {
        hasRead = true
        let present = Set(rows.map(\.node))
        seen = seen.filter { present.contains($0.key) }
        for row in rows {
            if let known = seen[row.node], known.incarnation == row.incarnation, known.counter == row.counter { continue }
            seen[row.node] = Seen(incarnation: row.incarnation, counter: row.counter, since: now)
        }
    }
    package func isExpired(_ node: NodeName, _ incarnation: Incarnation, now: Instant) -> Bool {
        guard hasRead else { return false }
        guard let row = seen[node], row.incarnation == incarnation else { return true }
        return now - row.since >= leaseTime
    }
}
