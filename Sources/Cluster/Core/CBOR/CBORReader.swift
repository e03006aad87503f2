// Reading CBOR items one after another (RFC 8949 §3). Every length is checked against what is there.

/// A cursor over borrowed bytes.
package struct CBORReader {
    package struct Head {
        package let major: UInt8
        /// Count, length, number, tag or simple value; unused when `isIndefinite`.
        package let value: UInt64
        package let isIndefinite: Bool
        /// Additional information as written: tells floats of 16, 32 and 64 bits apart.
        let info: UInt8
    }
    package let bytes: UnsafeRawBufferPointer
    package var offset: Int
    package init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }
    package var isAtEnd: Bool { offset >= bytes.count }
    package var remaining: Int { max(0, bytes.count &- offset) }

    /// Whether `bytes` is exactly one well-formed item: the entry for fuzzing.
    package static func parse(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var reader = CBORReader(bytes)
        do { try reader.skip() } catch { return false }
        return reader.isAtEnd
    }

    /// The next byte, not taken.
    package var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    package mutating func head() throws(CBORError) -> Head {
        guard offset < bytes.count else { throw .truncated }
        let first = bytes[offset]
        let info = first & 31
        if info < 24 {
            offset &+= 1
            return Head(major: first >> 5, value: UInt64(info), isIndefinite: false, info: info)
        }
        let value: UInt64
        switch info {
        case 24: value = UInt64(try load(UInt8.self))
        case 25: value = UInt64(try load(UInt16.self))
        case 26: value = UInt64(try load(UInt32.self))
        case 27: value = try load(UInt64.self)
        case 31:
            let major = first >> 5
            // Numbers and tags have no indefinite form (RFC 8949 §3.2.1); 0xFF is a break.
            guard major >= CBOR.Major.bytes, major != CBOR.Major.tag else { throw .malformed }
            offset &+= 1
            return Head(major: major, value: 0, isIndefinite: true, info: info)
        default: throw .malformed
        }
        // A simple value below 32 in two bytes is not well-formed (RFC 8949 §3.3).
        if info == 24, first >> 5 == CBOR.Major.simple, value < 32 { throw .malformed }
        return Head(major: first >> 5, value: value, isIndefinite: false, info: info)
    }
    /// The argument behind the byte at `offset`; moves past both.
    private mutating func load<T: FixedWidthInteger>(_: T.Type) throws(CBORError) -> T {
        guard remaining > MemoryLayout<T>.size else { throw .truncated }
        let value = T(bigEndian: bytes.loadUnaligned(fromByteOffset: offset &+ 1, as: T.self))
        offset &+= 1 &+ MemoryLayout<T>.size
        return value
    }
    /// The head of a data item, tags before it passed over (we give none a meaning).
    package mutating func dataHead() throws(CBORError) -> Head {
        var next = try head()
        while next.major == CBOR.Major.tag { next = try head() }
        return next
    }
    private mutating func take(_ count: UInt64) throws(CBORError) -> UnsafeRawBufferPointer {
        guard count <= UInt64(remaining) else { throw .truncated }
        defer { offset &+= Int(count) }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset &+ Int(count))])
    }

    // MARK: Items

    package mutating func unsigned() throws(CBORError) -> UInt64 {
        let next = try dataHead()
        guard next.major == CBOR.Major.unsigned else { throw .mismatch(expected: "a number that is not negative") }
        return next.value
    }
    package mutating func integer<T: FixedWidthInteger>(_: T.Type) throws(CBORError) -> T {
        let next = try dataHead()
        switch next.major {
        case CBOR.Major.unsigned:
            guard let value = T(exactly: next.value) else { throw .outOfRange(type: "\(T.self)") }
            return value
        case CBOR.Major.negative:
            guard next.value <= UInt64(Int64.max), let value = T(exactly: ~Int64(next.value)) else { throw .outOfRange(type: "\(T.self)") }
            return value
        default: throw .mismatch(expected: "an integer")
        }
    }
    package mutating func bool() throws(CBORError) -> Bool {
        let next = try dataHead()
        guard next.major == CBOR.Major.simple, next.info == 20 || next.info == 21 else { throw .mismatch(expected: "true or false") }
        return next.info == 21
    }
    package mutating func double() throws(CBORError) -> Double {
        let next = try dataHead()
        switch (next.major, next.info) {
        case (CBOR.Major.simple, 25): return Self.half(UInt16(truncatingIfNeeded: next.value))
        case (CBOR.Major.simple, 26): return Double(Float(bitPattern: UInt32(truncatingIfNeeded: next.value)))
        case (CBOR.Major.simple, 27): return Double(bitPattern: next.value)
        case (CBOR.Major.unsigned, _): return Double(next.value)
        case (CBOR.Major.negative, _): return -1 - Double(next.value)
        default: throw .mismatch(expected: "a number")
        }
    }
    /// IEEE 754 binary16 (RFC 8949 appendix D).
    private static func half(_ bits: UInt16) -> Double {
        let exponent = Int(bits >> 10 & 31), fraction = Double(bits & 1023)
        let size: Double
        switch exponent {
        case 0: size = fraction * 0x1p-24
        case 31: size = fraction == 0 ? .infinity : .nan
        default: size = (1024 + fraction) * Double(sign: .plus, exponent: exponent - 25, significand: 1)
        }
        return bits & 0x8000 == 0 ? size : -size
    }
    package mutating func text() throws(CBORError) -> String {
        let next = try dataHead()
        guard next.major == CBOR.Major.text else { throw .mismatch(expected: "text") }
        if next.isIndefinite { return try chunked(CBOR.Major.text).0 }
        return try Self.string(try take(next.value))
    }
    package mutating func byteString() throws(CBORError) -> [UInt8] {
        let next = try dataHead()
        guard next.major == CBOR.Major.bytes else { throw .mismatch(expected: "bytes") }
        if next.isIndefinite { return try chunked(CBOR.Major.bytes).1 }
        return Array(try take(next.value))
    }
    private static func string(_ utf8: UnsafeRawBufferPointer) throws(CBORError) -> String {
        guard let text = String(validating: utf8, as: UTF8.self) else { throw .invalidText }
        return text
    }
    /// Strings of indefinite length: definite chunks of the same kind up to a break (RFC 8949 §3.2.3).
    private mutating func chunked(_ major: UInt8) throws(CBORError) -> (String, [UInt8]) {
        var text = "", all: [UInt8] = []
        while true {
            let next = try head()
            if next.major == CBOR.Major.simple, next.isIndefinite { return (text, all) }
            guard next.major == major, !next.isIndefinite else { throw .malformed }
            let chunk = try take(next.value)
            if major == CBOR.Major.text { text += try Self.string(chunk) } else { all.append(contentsOf: chunk) }
        }
    }
    /// The number of items of a definite array.
    package mutating func arrayCount() throws(CBORError) -> Int {
        let next = try dataHead()
        guard next.major == CBOR.Major.array, !next.isIndefinite else { throw .mismatch(expected: "an array of known length") }
        // Each item takes a byte at least.
        guard next.value <= UInt64(remaining) else { throw .truncated }
        return Int(next.value)
    }
    /// Whether the next item is null or undefined; not taken.
    package var isNull: Bool {
        var ahead = self
        guard let next = try? ahead.dataHead() else { return false }
        return next.major == CBOR.Major.simple && (next.info == 22 || next.info == 23)
    }

    // MARK: Passing over

    /// Passes over one item, checking that it is well-formed.
    package mutating func skip(depth: Int = 0) throws(CBORError) {
        guard depth < CBOR.Limits.depth else { throw .tooDeep }
        let next = try dataHead()
        switch next.major {
        case CBOR.Major.unsigned, CBOR.Major.negative: return
        case CBOR.Major.bytes, CBOR.Major.text:
            if next.isIndefinite { _ = try chunked(next.major) } else { _ = try take(next.value) }
        case CBOR.Major.array: try skipItems(next, each: 1, depth)
        case CBOR.Major.map: try skipItems(next, each: 2, depth)
        default:
            if next.isIndefinite { throw .malformed }   // a break where an item belongs
        }
    }
    private mutating func skipItems(_ head: Head, each: Int, _ depth: Int) throws(CBORError) {
        var left = head.value
        while head.isIndefinite ? try !takeBreak() : left > 0 {
            for _ in 0..<each { try skip(depth: depth + 1) }
            if !head.isIndefinite { left -= 1 }
        }
    }
    /// Takes a break if one is next.
    mutating func takeBreak() throws(CBORError) -> Bool {
        guard let next = peek else { throw .truncated }
        guard next == CBOR.break else { return false }
        offset &+= 1
        return true
    }
}
