// Serial numbers that wrap, made into numbers that do not (RFC 3550 A.1, RFC 1982).

/// Extends 16-bit RTP sequence numbers to 64 bits.
///
/// The first number lands in cycle 1 (65,536 + it), so that packets from just before the first still have a number.
package struct SequenceExtender: Equatable, Sendable {
    /// The highest extended number so far; nil before the first.
    package private(set) var highest: UInt64?
    package init() {}

    /// The extended number nearest to the highest one; remembers it when it is higher.
    package mutating func extend(_ sequence: UInt16) -> UInt64 {
        let value = peek(sequence)
        if highest.map({ value > $0 }) ?? true { highest = value }
        return value
    }
    /// As `extend`, without remembering.
    package func peek(_ sequence: UInt16) -> UInt64 {
        guard let highest else { return 1 << 16 | UInt64(sequence) }
        let delta = Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest))
        return highest &+ UInt64(bitPattern: Int64(delta))
    }
}

/// Extends 32-bit RTP timestamps to 64 bits. The first lands in cycle 1, as in `SequenceExtender`.
package struct TimestampExtender: Equatable, Sendable {
    package private(set) var highest: UInt64?
    package init() {}

    package mutating func extend(_ timestamp: UInt32) -> UInt64 {
        let value = peek(timestamp)
        if highest.map({ value > $0 }) ?? true { highest = value }
        return value
    }
    package func peek(_ timestamp: UInt32) -> UInt64 {
        guard let highest else { return 1 << 32 | UInt64(timestamp) }
        let delta = Int32(bitPattern: timestamp &- UInt32(truncatingIfNeeded: highest))
        return highest &+ UInt64(bitPattern: Int64(delta))
    }
}

extension UInt16 {
    /// Serial number arithmetic (RFC 1982): is this after `other`? Exactly half the circle apart counts as not after.
    package func isNewer(than other: UInt16) -> Bool { Int16(bitPattern: self &- other) > 0 }
}
extension UInt32 {
    package func isNewer(than other: UInt32) -> Bool { Int32(bitPattern: self &- other) > 0 }
}
