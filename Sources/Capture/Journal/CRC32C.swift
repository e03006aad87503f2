// CRC-32C (Castagnoli), the checksum of journal headers and records (RFC 3720 §12.1 gives the polynomial and vectors).

/// Slicing-by-8: eight tables of 256 words, about a byte a nanosecond.
package struct CRC32C: Sendable {
    /// Reflected form of 0x1EDC6F41.
    private static let polynomial: UInt32 = 0x82F6_3B78
    private static let tables = Tables()

    private final class Tables: Sendable {
        nonisolated(unsafe) let words: UnsafePointer<UInt32>
        init() {
            let words = UnsafeMutablePointer<UInt32>.allocate(capacity: 8 * 256)
            for i in 0..<256 {
                var crc = UInt32(i)
                for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ CRC32C.polynomial : crc >> 1 }
                words[i] = crc
            }
            for i in 256..<(8 * 256) { words[i] = words[i - 256] >> 8 ^ words[Int(words[i - 256] & 0xFF)] }
            self.words = UnsafePointer(words)
        }
        deinit { words.deallocate() }
    }

    private var state: UInt32 = .max
    package init() {}
    package var value: UInt32 { ~state }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard var p = bytes.baseAddress else { return }
        let table = Self.tables.words
        var crc = state, left = bytes.count
        while left >= 8 {
            let word = UInt64(littleEndian: p.loadUnaligned(as: UInt64.self)) ^ UInt64(crc)
            var next: UInt32 = 0
            for i in 0..<8 { next ^= table[(7 - i) << 8 + Int(word >> UInt64(8 * i) & 0xFF)] }
            crc = next
            p += 8
            left -= 8
        }
        while left > 0 {
            crc = table[Int(UInt8(truncatingIfNeeded: crc) ^ p.load(as: UInt8.self))] ^ crc >> 8
            p += 1
            left -= 1
        }
        state = crc
    }
    package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var crc = CRC32C()
        crc.update(bytes)
        return crc.value
    }
    package static func of(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { of($0) } }
}
