// Reading and writing network byte order without allocation per field.

/// A cursor over bytes from outside. Every read is checked; `nil` means the input ended.
package struct ByteReader {
    package let bytes: UnsafeRawBufferPointer
    package private(set) var offset = 0
    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    package var remaining: Int { bytes.count - offset }
    package mutating func skip(_ count: Int) -> Bool {
        guard count >= 0, remaining >= count else { return false }
        offset += count
        return true
    }
    package mutating func u8() -> UInt8? {
        guard remaining >= 1 else { return nil }
        defer { offset += 1 }
        return bytes[offset]
    }
    package mutating func u16() -> UInt16? { load(UInt16.self) }
    package mutating func u24() -> UInt32? {
        guard remaining >= 3 else { return nil }
        defer { offset += 3 }
        return UInt32(bytes[offset]) << 16 | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2])
    }
    package mutating func u32() -> UInt32? { load(UInt32.self) }
    package mutating func u64() -> UInt64? { load(UInt64.self) }
    /// The next `count` bytes, borrowed from the input.
    package mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, remaining >= count else { return nil }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
    }
    private mutating func load<T: FixedWidthInteger>(_: T.Type) -> T? {
        guard remaining >= MemoryLayout<T>.size else { return nil }
        defer { offset += MemoryLayout<T>.size }
        return T(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

/// An appending writer in network byte order.
package struct ByteWriter {
    package var bytes: [UInt8]
    package init(capacity: Int = 64) { bytes = []; bytes.reserveCapacity(capacity) }
    package var count: Int { bytes.count }
    package mutating func u8(_ v: UInt8) { bytes.append(v) }
    package mutating func u16(_ v: UInt16) { bytes.append(UInt8(v >> 8)); bytes.append(UInt8(truncatingIfNeeded: v)) }
    package mutating func u24(_ v: UInt32) { bytes.append(UInt8(truncatingIfNeeded: v >> 16)); u16(UInt16(truncatingIfNeeded: v)) }
    package mutating func u32(_ v: UInt32) { u16(UInt16(v >> 16)); u16(UInt16(truncatingIfNeeded: v)) }
    package mutating func u64(_ v: UInt64) { u32(UInt32(v >> 32)); u32(UInt32(truncatingIfNeeded: v)) }
    package mutating func append(_ b: some Sequence<UInt8>) { bytes.append(contentsOf: b) }
    /// Overwrites two bytes written before, for lengths known late.
    package mutating func patchU16(_ v: UInt16, at offset: Int) {
        bytes[offset] = UInt8(v >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: v)
    }
}
