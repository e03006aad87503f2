// Which sequence numbers of one source are believed (RFC 3550 A.1).

/// Extends 16-bit sequence numbers to 64 bits and tells a stray number from a source that started over.
///
/// Extended numbers only ever grow, also over a restart, so that a number names one packet for the life of the stream.
/// A pure value, owned by `InboundStream`.
struct SequenceGate {
    enum Limits {
        /// Packets a number may be ahead of the highest one (A.1 MAX_DROPOUT).
        static let ahead = 3_000
        /// Packets behind the highest one that still have a place in the cache.
        static let behind = 511
        /// Packets behind which are late rather than strange.
        static let late = 4_096
        /// Packets in a row that make a restart of strange numbers (A.1 says 2) …
        static let restartRun = 2
        /// … and of merely late ones.
        static let lateRestartRun = 32
    }
    enum Verdict: Equatable {
        /// Higher than all before; the first one too.
        case newest(UInt64)
        case late(UInt64)
        case tooOld
        case jump
        /// The source numbers from elsewhere now.
        case restart(UInt64)
    }
    /// 0 before the first packet.
    private(set) var highest: UInt64 = 0
    private var strangeNext: UInt16 = 0
    private var strangeRun = 0

    mutating func admit(_ sequence: UInt16) -> Verdict {
        guard highest != 0 else { return begin(1 << 16 | UInt64(sequence)) }
        let delta = Self.delta(sequence, highest)
        switch delta {
        case 1...Limits.ahead:
            highest &+= UInt64(delta)
            strangeRun = 0
            return .newest(highest)
        case -Limits.behind...0:
            strangeRun = 0
            return .late(highest &- UInt64(-delta))
        default:
            return strange(sequence, isLate: delta < 0 && delta >= -Limits.late)
        }
    }

    /// For retransmissions: the number's place, without believing anything new of the source.
    func place(_ sequence: UInt16) -> UInt64? {
        guard highest != 0 else { return nil }
        let delta = Self.delta(sequence, highest)
        return delta <= 0 && delta >= -Limits.behind ? highest &- UInt64(-delta) : nil
    }

    private mutating func strange(_ sequence: UInt16, isLate: Bool) -> Verdict {
        strangeRun = sequence == strangeNext && strangeRun > 0 ? strangeRun + 1 : 1
        strangeNext = sequence &+ 1
        guard strangeRun >= (isLate ? Limits.lateRestartRun : Limits.restartRun) else { return isLate ? .tooOld : .jump }
        strangeRun = 0
        // Two cycles on: no number of before comes within reach again.
        highest = ((highest >> 16) &+ 2) << 16 | UInt64(sequence)
        return .restart(highest)
    }
    private mutating func begin(_ number: UInt64) -> Verdict {
        highest = number
        return .newest(number)
    }
    /// The stream has another SSRC: the next number begins anew, above all before.
    mutating func startOver(_ sequence: UInt16) -> UInt64 {
        strangeRun = 0
        highest = highest == 0 ? 1 << 16 | UInt64(sequence) : ((highest >> 16) &+ 2) << 16 | UInt64(sequence)
        return highest
    }
    private static func delta(_ sequence: UInt16, _ highest: UInt64) -> Int {
        Int(Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest)))
    }
}
