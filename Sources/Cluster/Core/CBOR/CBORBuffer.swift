// Bytes an encoder appends to: one allocation kept over many messages.

/// A growing buffer of CBOR items. Not thread-safe; owned by one link or one encode.
package final class CBORBuffer {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    package private(set) var count = 0

    package init(capacity: Int = 512) {
        self.capacity = max(64, capacity)
        base = .allocate(byteCount: self.capacity, alignment: 8)
    }
    deinit { base.deallocate() }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
    package var array: [UInt8] { Array(bytes) }
    package func removeAll() { count = 0 }
    /// Drops everything from `length` on: how a half-written message is taken back.
    package func truncate(to length: Int) { count = min(count, max(0, length)) }
    /// Gives memory back after an unusually large message.
    package func shrink(to bound: Int) {
        guard count == 0, capacity > bound else { return }
        base.deallocate()
        capacity = max(64, bound)
        base = .allocate(byteCount: capacity, alignment: 8)
    }

    @inline(__always) private func reserve(_ more: Int) {
        if capacity &- count < more { grow(more) }
    }
    @inline(never) private func grow(_ more: Int) {
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
        larger.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = larger
    }

    package func byte(_ value: UInt8) {
        reserve(1)
        base.storeBytes(of: value, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }
    package func raw(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        (base + count).copyMemory(from: source, byteCount: bytes.count)
        count &+= bytes.count
    }
    /// A big-endian number outside CBOR: frame lengths.
    package func u32(_ value: UInt32) {
        reserve(4)
        base.storeBytes(of: value.bigEndian, toByteOffset: count, as: UInt32.self)
        count &+= 4
    }
    package func patchU32(_ value: UInt32, at offset: Int) {
        precondition(offset >= 0 && offset + 4 <= count)
        base.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// The head of an item: major type and argument in their shortest form (RFC 8949 §4.2.1).
    package func head(_ major: UInt8, _ value: UInt64) {
        reserve(9)
        let kind = major << 5
        if value < 24 {
            base.storeBytes(of: kind | UInt8(truncatingIfNeeded: value), toByteOffset: count, as: UInt8.self)
            count &+= 1
        } else if value <= 0xFF {
            put(kind | 24, UInt8(truncatingIfNeeded: value))
        } else if value <= 0xFFFF {
            put(kind | 25, UInt16(truncatingIfNeeded: value))
        } else if value <= 0xFFFF_FFFF {
            put(kind | 26, UInt32(truncatingIfNeeded: value))
        } else {
            put(kind | 27, value)
        }
    }
    private func put<T: FixedWidthInteger>(_ first: UInt8, _ value: T) {
        base.storeBytes(of: first, toByteOffset: count, as: UInt8.self)
        base.storeBytes(of: value.bigEndian, toByteOffset: count &+ 1, as: T.self)
        count &+= 1 &+ MemoryLayout<T>.size
    }
    package func unsigned(_ value: UInt64) { head(CBOR.Major.unsigned, value) }
    package func signed(_ value: Int64) {
        if value >= 0 { head(CBOR.Major.unsigned, UInt64(value)) } else { head(CBOR.Major.negative, UInt64(bitPattern: ~value)) }
    }
    package func bool(_ value: Bool) { byte(value ? 0xF5 : 0xF4) }
    package func null() { byte(CBOR.null) }
    package func double(_ value: Double) { reserve(9); put(0xFB, value.bitPattern) }
    package func float(_ value: Float) { reserve(5); put(0xFA, value.bitPattern) }
    package func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            head(CBOR.Major.text, UInt64(utf8.count))
            raw(UnsafeRawBufferPointer(utf8))
        }
    }
    package func byteString(_ bytes: UnsafeRawBufferPointer) {
        head(CBOR.Major.bytes, UInt64(bytes.count))
        raw(bytes)
    }
    package func array(count: Int) { head(CBOR.Major.array, UInt64(count)) }
}
