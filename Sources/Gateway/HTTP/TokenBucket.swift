// Rates: a bucket that fills steadily and empties by the piece.
package import Primitives

/// Allows `rate` a second on average and `burst` at once. A value; `now` is an argument.
package struct TokenBucket: Sendable, Equatable {
    package let rate: Double
    package let burst: Double
    private var level: Double
    private var filledAt: Instant

    package init(rate: Double, burst: Double, now: Instant) {
        self.rate = rate; self.burst = burst; level = burst; filledAt = now
    }
    /// - Returns: whether one more is within the rate; if not, nothing is taken.
    package mutating func take(now: Instant) -> Bool {
        fill(now)
        guard level >= 1 else { return false }
        level -= 1
        return true
    }
    package mutating func isFull(now: Instant) -> Bool { fill(now); return level >= burst }
    private mutating func fill(_ now: Instant) {
        level = min(burst, level + max(0, (now - filledAt).inSeconds) * rate)
        filledAt = max(filledAt, now)
    }
}

/// A bucket per address; bounded. When the table is full and nobody in it is idle, newcomers share one bucket.
package struct AddressRates: Sendable {
    package enum Limits {
        package static let addresses = 8192
        package static let sweepInterval = Duration.seconds(1)
    }
    private let rate: Double
    private let burst: Double
    private var buckets: [SocketAddress: TokenBucket] = [:]
    private var shared: TokenBucket
    private var sweptAt: Instant

    package init(rate: Double, burst: Double, now: Instant) {
        self.rate = rate; self.burst = burst
        shared = TokenBucket(rate: rate, burst: burst, now: now)
        sweptAt = now
    }
    package mutating func take(_ address: SocketAddress, now: Instant) -> Bool {
        let key = address.with(port: 0)
        if buckets[key] == nil {
            if buckets.count >= Limits.addresses, now - sweptAt >= Limits.sweepInterval { dropIdle(now) }
            guard buckets.count < Limits.addresses else { return shared.take(now: now) }
            buckets[key] = TokenBucket(rate: rate, burst: burst, now: now)
        }
        return buckets[key]!.take(now: now)
    }
    private mutating func dropIdle(_ now: Instant) {
        sweptAt = now
        buckets = buckets.filter { entry in
            var bucket = entry.value
            return !bucket.isFull(now: now)
        }
    }
    package var count: Int { buckets.count }
}
