// A node's two clocks as functions of the world's time.
import Primitives

/// A monotonic clock that begins somewhere and runs a little fast or slow, and a wall clock that is off and may step.
package struct SimulatedClock: Sendable {
    package enum Limits {
        /// Where the simulation begins on a true wall clock: 2026-01-01T00:00:00Z, in microseconds.
        package static let epoch: Int64 = 1_767_225_600_000_000
    }
    /// Nanoseconds on the monotonic clock at the world's zero.
    package var origin: Int64 = 0
    /// Parts per million the monotonic and the wall clock run fast.
    package var drift: Int64 = 0
    /// Microseconds the wall clock is ahead.
    package var skew: Int64 = 0
    package init(origin: Int64 = 0, drift: Int64 = 0, skew: Int64 = 0) { self.origin = origin; self.drift = drift; self.skew = skew }

    package func monotonic(_ world: Int64) -> Instant { Instant(nanoseconds: origin + world + world / 1_000_000 * drift) }
    package func wall(_ world: Int64) -> WallTime { WallTime(microseconds: Limits.epoch + skew + (world + world / 1_000_000 * drift) / 1000) }
    /// The earliest time of the world at which this clock shows `instant` or later.
    package func world(_ instant: Instant) -> Int64 {
        let local = instant.nanoseconds - origin
        var world = local - local / (1_000_000 + drift) * drift
        while monotonic(world) < instant { world += max(1, (instant - monotonic(world)).inNanoseconds / 2) }
        return world
    }
}
