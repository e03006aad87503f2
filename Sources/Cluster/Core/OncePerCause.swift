// Telling a thing once: for notices that a peer could otherwise cause a thousand times a second.
import Primitives

/// Lets each cause through once in `interval`. Bounded: of too many causes the oldest is forgotten.
package struct OncePerCause: Sendable {
    private let interval: Duration
    private let most: Int
    private var told: [String: Instant] = [:]
    package init(interval: Duration, most: Int) { self.interval = interval; self.most = most }

    package mutating func passes(_ cause: String, now: Instant) -> Bool {
        if let last = told[cause], now - last < interval { return false }
        if told[cause] == nil, told.count >= most {
            told = told.filter { now - $0.value < interval }
            if told.count >= most, let oldest = told.min(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key { told[oldest] = nil }
        }
        told[cause] = now
        return true
    }
}
