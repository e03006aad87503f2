// NTP timestamps as sender reports carry them (RFC 3550 §4).
package import Primitives

/// Seconds since 1900-01-01 in 32.32 fixed point. Era 0 only, as RTCP does: it wraps in 2036.
package struct NTPTime: Hashable, Sendable, Codable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Seconds from the NTP epoch (1900) to the Unix epoch (1970).
    private static let unixOffset: Int64 = 2_208_988_800

    package init(_ wall: WallTime) {
        var (seconds, micros) = wall.microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        if micros < 0 { seconds -= 1; micros += 1_000_000 }
        let fraction = (UInt64(micros) << 32) / 1_000_000
        rawValue = UInt64(bitPattern: (seconds &+ Self.unixOffset) << 32) | fraction
    }
    /// Rounded to the nearest microsecond.
    package var wall: WallTime {
        let seconds = Int64(rawValue >> 32) - Self.unixOffset
        let micros = Int64(((rawValue & 0xFFFF_FFFF) * 1_000_000 + 0x8000_0000) >> 32)
        return WallTime(microseconds: seconds * 1_000_000 + micros)
    }
    /// The middle 32 bits, in 1/65,536 s: LSR and DLSR arithmetic (RFC 3550 §6.4.1).
    package var middle: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 16) }

    /// Time from this to `later`; right within ±68 years across the wrap.
    package func duration(to later: NTPTime) -> Duration {
        let delta = Int64(bitPattern: later.rawValue &- rawValue)
        let seconds = delta >> 32
        let nanos = (Int64(delta & 0xFFFF_FFFF) * 1_000_000_000) >> 32
        return .seconds(seconds) + .nanoseconds(nanos)
    }
    package static func + (a: NTPTime, d: Duration) -> NTPTime {
        let (seconds, atto) = d.components
        let fraction = ((atto / 1_000_000_000) << 32) / 1_000_000_000
        return NTPTime(rawValue: a.rawValue &+ UInt64(bitPattern: seconds << 32) &+ UInt64(bitPattern: fraction))
    }
}

extension Duration {
    /// In 1/65,536 s as RTCP's compact form, saturating at 0 and `UInt32.max` (about 18 hours).
    package var inCompactNTP: UInt32 {
        let ns = inNanoseconds
        guard ns > 0 else { return 0 }
        let (seconds, rest) = ns.quotientAndRemainder(dividingBy: 1_000_000_000)
        guard seconds < 65_536 else { return .max }
        return UInt32(seconds << 16 | (rest << 16) / 1_000_000_000)
    }
    package init(compactNTP value: UInt32) {
        self = .nanoseconds((Int64(value) * 1_000_000_000) >> 16)
    }
}
