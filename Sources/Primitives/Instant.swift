// Time as an argument: cores take `now`, they never read a clock.

/// A point on a monotonic clock, in nanoseconds since an arbitrary origin of this process.
/// Never compared across processes; `WallTime` is for that.
package struct Instant: Comparable, Hashable, Sendable, Codable {
    package var nanoseconds: Int64
    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let origin = Instant(nanoseconds: 0)
    package static let distantFuture = Instant(nanoseconds: .max)

    package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
    package static func + (a: Instant, d: Duration) -> Instant { Instant(nanoseconds: a.nanoseconds &+ d.inNanoseconds) }
    package static func - (a: Instant, d: Duration) -> Instant { Instant(nanoseconds: a.nanoseconds &- d.inNanoseconds) }
    package static func - (a: Instant, b: Instant) -> Duration { .nanoseconds(a.nanoseconds &- b.nanoseconds) }
}

/// A point on the wall clock, in microseconds since 1970-01-01T00:00:00Z. It may step; never used for deadlines.
package struct WallTime: Comparable, Hashable, Sendable, Codable {
    package var microseconds: Int64
    package init(microseconds: Int64) { self.microseconds = microseconds }
    package init(seconds: Int64) { self.microseconds = seconds &* 1_000_000 }

    package var seconds: Int64 { microseconds / 1_000_000 }
    package static func < (a: WallTime, b: WallTime) -> Bool { a.microseconds < b.microseconds }
    package static func + (a: WallTime, d: Duration) -> WallTime { WallTime(microseconds: a.microseconds &+ d.inNanoseconds / 1000) }
    package static func - (a: WallTime, b: WallTime) -> Duration { .microseconds(a.microseconds &- b.microseconds) }
}

extension Duration {
    /// Whole nanoseconds, saturating beyond ±292 years.
    package var inNanoseconds: Int64 {
        let (s, atto) = components
        let (product, overflow) = s.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return s < 0 ? .min : .max }
        let (sum, o2) = product.addingReportingOverflow(atto / 1_000_000_000)
        return o2 ? (s < 0 ? .min : .max) : sum
    }
    package var inMicroseconds: Int64 { inNanoseconds / 1000 }
    package var inMilliseconds: Int64 { inNanoseconds / 1_000_000 }
    package var inSeconds: Double { Double(inNanoseconds) / 1e9 }
}

/// The clocks a shell hands to what it runs; the simulator hands its own.
package protocol TimeSource: Sendable {
    var now: Instant { get }
    var wall: WallTime { get }
}
