// Reading codec headers bit by bit, from bytes nobody vouches for.

/// Most significant bit first; `nil` means the input ended or a value is out of bounds.
struct BitReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0   // bits
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { bytes.count * 8 - offset }

    /// - Parameter count: 0…32.
    mutating func bits(_ count: Int) -> UInt32? {
        guard count >= 0, count <= 32, remaining >= count else { return nil }
        var value: UInt32 = 0
        for _ in 0..<count {
            value = value << 1 | UInt32(bytes[offset >> 3] >> UInt8(7 - offset & 7) & 1)
            offset += 1
        }
        return value
    }
    mutating func flag() -> Bool? { bits(1).map { $0 != 0 } }
    mutating func skip(_ count: Int) -> Bool {
        guard count >= 0, remaining >= count else { return false }
        offset += count
        return true
    }
    /// Exp-Golomb, unsigned (H.264 §9.1).
    mutating func ue() -> UInt32? {
        var zeros = 0
        while let bit = bits(1), bit == 0 {
            zeros += 1
            guard zeros <= 31 else { return nil }
        }
        guard remaining >= zeros, let rest = bits(zeros) else { return nil }
        return zeros == 0 ? 0 : (1 << UInt32(zeros)) - 1 + rest
    }
    /// Exp-Golomb, signed (H.264 §9.1.1).
    mutating func se() -> Int32? {
        guard let value = ue() else { return nil }
        let half = Int32(truncatingIfNeeded: (UInt64(value) + 1) / 2)
        return value & 1 == 1 ? half : -half
    }
    /// Unsigned variable length (AV1 §4.10.3).
    mutating func uvlc() -> UInt32? {
        var zeros = 0
        while let bit = bits(1), bit == 0 {
            zeros += 1
            guard zeros < 32 else { return nil }
        }
        guard let rest = bits(zeros) else { return nil }
        return zeros == 0 ? 0 : (1 << UInt32(zeros)) - 1 + rest
    }
}
