// When to try again.
import Primitives

/// Doubling waits with jitter, so that peers of a restarted node do not come in step.
package struct Backoff: Sendable {
    package let shortest: Duration
    package let longest: Duration
    private var failures = 0
    package init(shortest: Duration, longest: Duration) { self.shortest = shortest; self.longest = longest }

    /// - Parameter random: any 64 random bits; they decide between half and the whole of the wait.
    package mutating func next(random: UInt64) -> Duration {
        let doubled = shortest * (1 << min(failures, 16))
        failures += 1
        let wait = min(doubled, longest).inNanoseconds
        return .nanoseconds(wait / 2 + Int64(random % UInt64(max(1, wait / 2))))
    }
    package mutating func reset() { failures = 0 }
}
