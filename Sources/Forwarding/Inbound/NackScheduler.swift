// Which gaps of one inbound stream to ask for again, and when (RFC 4585 §6.2.1).
internal import Primitives

/// Chooses lost packets of one inbound stream to request again, oldest first.
///
/// In:  `received`, each media packet once, RTX already unwrapped (RFC 4588 §4). Out: `takeDue`, numbers for one NACK.
/// A pure value: no clock, no allocation. Owned by `InboundStream`.
struct NackScheduler {
    enum Limits {
        /// Packets behind the newest one that are still asked for; the cache holds as many.
        static let windowPackets: UInt64 = 500
        /// Gaps remembered. More at once is an outage: they are all given up.
        static let missingMax = 256
        /// Requests per packet, then it is given up.
        static let attemptsMax = 10
        /// A gap this young may be reordering.
        static let reordering = Duration.milliseconds(5)
        /// Shortest time between two requests for one packet.
        static let retryMin = Duration.milliseconds(20)
        /// Round trip assumed before one was measured.
        static let roundTripInitial = Duration.milliseconds(60)
        static let roundTripMax = Duration.seconds(1)
    }
    enum Arrival: Equatable {
        case inOrder
        /// Opened a gap of so many packets.
        case gap(Int)
        /// Closed a gap, after so many requests.
        case filled(requests: Int)
        /// Not missing: a duplicate, or given up before.
        case notMissing
        /// So much is gone that only a key frame helps.
        case outage
    }
    private struct Missing {
        var number: UInt64 = 0
        var requests = 0
        var askedAt = Instant.origin
        var dueAt = Instant.origin
    }
    private var missing = InlineArray<256, Missing>(repeating: Missing())
    private var count = 0
    private var highest: UInt64 = 0
    /// Smoothed time from a request to its answer; nil before one was measured.
    private(set) var roundTrip: Duration?
    /// When to call `takeDue` next; nil while nothing is missing.
    private(set) var deadline: Instant?
    /// Packets given up so far.
    private(set) var givenUp: UInt64 = 0

    var isEmpty: Bool { count == 0 }

    /// - Parameter number: extended sequence number.
    mutating func received(_ number: UInt64, now: Instant) -> Arrival {
        guard highest != 0 else { highest = number; return .inOrder }
        if number == highest &+ 1 { highest = number; return .inOrder }
        if number <= highest { return fill(number, now: now) }
        let gap = number &- highest &- 1
        defer { highest = number }
        expire(before: number)
        guard gap <= UInt64(Limits.missingMax - count) else {
            abandon()
            return .outage
        }
        let due = now + Limits.reordering
        var lost = highest &+ 1
        while lost < number {
            missing[count] = Missing(number: lost, dueAt: due)
            count += 1
            lost &+= 1
        }
        deadline = min(deadline ?? due, due)
        return .gap(Int(gap))
    }

    /// The stream starts over at this number: nothing before it is wanted any more.
    mutating func reset(to number: UInt64) {
        count = 0
        deadline = nil
        highest = number
    }
    /// Gives everything up.
    mutating func abandon() {
        givenUp &+= UInt64(count)
        count = 0
        deadline = nil
    }

    /// Writes numbers due at `now` to `target`, ascending.
    /// - Returns: how many; when `target` was filled, others may still be due: `deadline` tells.
    mutating func takeDue(now: Instant, into target: UnsafeMutableBufferPointer<UInt16>) -> Int {
        var taken = 0, kept = 0, next: Instant?
        for i in 0..<count {
            var entry = missing[i]
            if entry.dueAt <= now, taken < target.count {
                if entry.requests >= Limits.attemptsMax { givenUp &+= 1; continue }
                target[taken] = UInt16(truncatingIfNeeded: entry.number)
                taken += 1
                entry.requests += 1
                entry.askedAt = now
                entry.dueAt = now + retryInterval(requests: entry.requests)
            }
            next = min(next ?? entry.dueAt, entry.dueAt)
            missing[kept] = entry
            kept += 1
        }
        count = kept
        deadline = next
        return taken
    }

    /// One and a half round trips, growing with each request that was not answered.
    private func retryInterval(requests: Int) -> Duration {
        max(Limits.retryMin, (roundTrip ?? Limits.roundTripInitial) * 3 / 2) * min(requests, 4)
    }

    private mutating func fill(_ number: UInt64, now: Instant) -> Arrival {
        guard let at = index(of: number) else { return .notMissing }
        let entry = missing[at]
        remove(at)
        // Karn's rule: with several requests out, nobody knows which one was answered.
        if entry.requests == 1 { measure(now - entry.askedAt) }
        return .filled(requests: entry.requests)
    }
    private mutating func measure(_ sample: Duration) {
        let bounded = min(max(sample, .zero), Limits.roundTripMax)
        roundTrip = roundTrip.map { $0 + (bounded - $0) / 8 } ?? bounded
    }
    private mutating func expire(before newest: UInt64) {
        guard newest > Limits.windowPackets else { return }
        let oldest = newest &- Limits.windowPackets
        var stale = 0
        while stale < count, missing[stale].number < oldest { stale += 1 }
        guard stale > 0 else { return }
        givenUp &+= UInt64(stale)
        for i in stale..<count { missing[i - stale] = missing[i] }
        count -= stale
        if count == 0 { deadline = nil }
    }
    private mutating func remove(_ at: Int) {
        for i in at..<(count - 1) { missing[i] = missing[i + 1] }
        count -= 1
        if count == 0 { deadline = nil }
    }
    private func index(of number: UInt64) -> Int? {
        var low = 0, high = count
        while low < high {
            let middle = (low + high) / 2
            if missing[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < count && missing[low].number == number ? low : nil
    }
}
