// Swift values to CBOR (RFC 8949): structs as maps of indefinite length with text keys, so that a reader of another
// release skips what it does not know; arrays of indefinite length; `[UInt8]` as a byte string; absent optionals left out.

/// Encodes `Codable` values. Streams: nothing is built in between, so a container may be written to only until its
/// parent is (else `CBORError.containerClosed`).
package enum CBOREncoder {
    package static func encode<T: Encodable>(_ value: T) throws -> [UInt8] {
        let buffer = CBORBuffer()
        try encode(value, into: buffer)
        return buffer.array
    }
    /// Appends one item. On an error `buffer` holds a torn item: truncate it.
    package static func encode<T: Encodable>(_ value: T, into buffer: CBORBuffer) throws {
        try CBOREncoding(buffer).put(value)
    }
}

/// State of one encode: the output and which containers are open.
final class CBOREncoding {
    struct Open {
        let serial: UInt32
        let isMap: Bool
    }
    let out: CBORBuffer
    private var open: [Open] = []
    private var serial: UInt32 = 0
    init(_ out: CBORBuffer) { self.out = out }

    var depth: Int { open.count }

    func begin(map: Bool) -> UInt32 {
        out.byte(map ? CBOR.beginMap : CBOR.beginArray)
        serial &+= 1
        open.append(Open(serial: serial, isMap: map))
        return serial
    }
    /// The serial of a container already begun at `level`, if it is of the kind asked for.
    func reopened(at level: Int, map: Bool) -> UInt32? {
        guard level < open.count, open[level].isMap == map else { return nil }
        return open[level].serial
    }
    func close(to level: Int) {
        while open.count > level {
            out.byte(CBOR.break)
            open.removeLast()
        }
    }
    /// Makes the container `serial` at `level` the innermost one.
    func enter(_ level: Int, _ serial: UInt32) throws(CBORError) {
        guard level < open.count, open[level].serial == serial else { throw .containerClosed }
        if open.count > level &+ 1 { close(to: level &+ 1) }
    }

    func put<T: Encodable>(_ value: T) throws {
        if putKnown(value) { return }
        guard open.count + 1 < CBOR.Limits.depth else { throw CBORError.tooDeep }
        let level = open.count, start = out.count
        try value.encode(to: CBORValueEncoder(state: self, level: level))
        close(to: level)
        // A type without stored properties writes nothing of itself.
        if out.count == start { out.head(CBOR.Major.map, 0) }
    }
    /// Types whose own `encode(to:)` would only lead back here.
    @inline(__always) private func putKnown<T: Encodable>(_ value: T) -> Bool {
        if T.self == String.self { out.text(unsafeBitCast(value, to: String.self)); return true }
        if T.self == Int.self { out.signed(Int64(unsafeBitCast(value, to: Int.self))); return true }
        if T.self == [UInt8].self {
            unsafeBitCast(value, to: [UInt8].self).withUnsafeBytes { out.byteString($0) }
            return true
        }
        if T.self == UInt64.self { out.unsigned(unsafeBitCast(value, to: UInt64.self)); return true }
        if T.self == Bool.self { out.bool(unsafeBitCast(value, to: Bool.self)); return true }
        if T.self == Double.self { out.double(unsafeBitCast(value, to: Double.self)); return true }
        return false
    }
}

struct CBORValueEncoder: Encoder, SingleValueEncodingContainer {
    let state: CBOREncoding
    let level: Int
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy: Key.Type) -> KeyedEncodingContainer<Key> {
        let serial = state.reopened(at: level, map: true) ?? state.begin(map: true)
        return KeyedEncodingContainer(CBORKeyedWriter<Key>(state: state, level: level, serial: serial))
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        let serial = state.reopened(at: level, map: false) ?? state.begin(map: false)
        return CBORUnkeyedWriter(state: state, level: level, serial: serial)
    }
    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func encodeNil() { state.out.null() }
    func encode(_ value: Bool) { state.out.bool(value) }
    func encode(_ value: String) { state.out.text(value) }
    func encode(_ value: Double) { state.out.double(value) }
    func encode(_ value: Float) { state.out.float(value) }
    func encode(_ value: Int) { state.out.signed(Int64(value)) }
    func encode(_ value: Int8) { state.out.signed(Int64(value)) }
    func encode(_ value: Int16) { state.out.signed(Int64(value)) }
    func encode(_ value: Int32) { state.out.signed(Int64(value)) }
    func encode(_ value: Int64) { state.out.signed(value) }
    func encode(_ value: UInt) { state.out.unsigned(UInt64(value)) }
    func encode(_ value: UInt8) { state.out.unsigned(UInt64(value)) }
    func encode(_ value: UInt16) { state.out.unsigned(UInt64(value)) }
    func encode(_ value: UInt32) { state.out.unsigned(UInt64(value)) }
    func encode(_ value: UInt64) { state.out.unsigned(value) }
    func encode<T: Encodable>(_ value: T) throws { try state.put(value) }
}

struct CBORKeyedWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let state: CBOREncoding
    let level: Int
    let serial: UInt32
    var codingPath: [any CodingKey] { [] }

    private func key(_ key: some CodingKey) throws(CBORError) -> CBORBuffer {
        try state.enter(level, serial)
        state.out.text(key.stringValue)
        return state.out
    }
    func encodeNil(forKey k: Key) throws { try key(k).null() }
    func encode(_ value: Bool, forKey k: Key) throws { try key(k).bool(value) }
    func encode(_ value: String, forKey k: Key) throws { try key(k).text(value) }
    func encode(_ value: Double, forKey k: Key) throws { try key(k).double(value) }
    func encode(_ value: Float, forKey k: Key) throws { try key(k).float(value) }
    func encode(_ value: Int, forKey k: Key) throws { try key(k).signed(Int64(value)) }
    func encode(_ value: Int8, forKey k: Key) throws { try key(k).signed(Int64(value)) }
    func encode(_ value: Int16, forKey k: Key) throws { try key(k).signed(Int64(value)) }
    func encode(_ value: Int32, forKey k: Key) throws { try key(k).signed(Int64(value)) }
    func encode(_ value: Int64, forKey k: Key) throws { try key(k).signed(value) }
    func encode(_ value: UInt, forKey k: Key) throws { try key(k).unsigned(UInt64(value)) }
    func encode(_ value: UInt8, forKey k: Key) throws { try key(k).unsigned(UInt64(value)) }
    func encode(_ value: UInt16, forKey k: Key) throws { try key(k).unsigned(UInt64(value)) }
    func encode(_ value: UInt32, forKey k: Key) throws { try key(k).unsigned(UInt64(value)) }
    func encode(_ value: UInt64, forKey k: Key) throws { try key(k).unsigned(value) }
    func encode<T: Encodable>(_ value: T, forKey k: Key) throws {
        _ = try key(k)
        try state.put(value)
    }

    // These cannot throw; a container begun out of turn is refused at its first write.
    func nestedContainer<Nested: CodingKey>(keyedBy: Nested.Type, forKey k: Key) -> KeyedEncodingContainer<Nested> {
        guard (try? key(k)) != nil else { return KeyedEncodingContainer(CBORKeyedWriter<Nested>(state: state, level: .max, serial: 0)) }
        return KeyedEncodingContainer(CBORKeyedWriter<Nested>(state: state, level: state.depth, serial: state.begin(map: true)))
    }
    func nestedUnkeyedContainer(forKey k: Key) -> any UnkeyedEncodingContainer {
        guard (try? key(k)) != nil else { return CBORUnkeyedWriter(state: state, level: .max, serial: 0) }
        return CBORUnkeyedWriter(state: state, level: state.depth, serial: state.begin(map: false))
    }
    func superEncoder() -> any Encoder { nestedEncoder(CBORSuperKey()) }
    func superEncoder(forKey k: Key) -> any Encoder { nestedEncoder(k) }
    private func nestedEncoder(_ k: some CodingKey) -> any Encoder {
        _ = try? key(k)
        return CBORValueEncoder(state: state, level: state.depth)
    }
}

struct CBORSuperKey: CodingKey {
    var stringValue: String { "super" }
    var intValue: Int? { nil }
    init() {}
    init?(stringValue: String) { if stringValue != "super" { return nil } }
    init?(intValue: Int) { nil }
}

struct CBORUnkeyedWriter: UnkeyedEncodingContainer {
    let state: CBOREncoding
    let level: Int
    let serial: UInt32
    private(set) var count = 0
    var codingPath: [any CodingKey] { [] }
    init(state: CBOREncoding, level: Int, serial: UInt32) { self.state = state; self.level = level; self.serial = serial }

    private mutating func next() throws(CBORError) -> CBORBuffer {
        try state.enter(level, serial)
        count &+= 1
        return state.out
    }
    mutating func encodeNil() throws { try next().null() }
    mutating func encode(_ value: Bool) throws { try next().bool(value) }
    mutating func encode(_ value: String) throws { try next().text(value) }
    mutating func encode(_ value: Double) throws { try next().double(value) }
    mutating func encode(_ value: Float) throws { try next().float(value) }
    mutating func encode(_ value: Int) throws { try next().signed(Int64(value)) }
    mutating func encode(_ value: Int8) throws { try next().signed(Int64(value)) }
    mutating func encode(_ value: Int16) throws { try next().signed(Int64(value)) }
    mutating func encode(_ value: Int32) throws { try next().signed(Int64(value)) }
    mutating func encode(_ value: Int64) throws { try next().signed(value) }
    mutating func encode(_ value: UInt) throws { try next().unsigned(UInt64(value)) }
    mutating func encode(_ value: UInt8) throws { try next().unsigned(UInt64(value)) }
    mutating func encode(_ value: UInt16) throws { try next().unsigned(UInt64(value)) }
    mutating func encode(_ value: UInt32) throws { try next().unsigned(UInt64(value)) }
    mutating func encode(_ value: UInt64) throws { try next().unsigned(value) }
    mutating func encode<T: Encodable>(_ value: T) throws {
        _ = try next()
        try state.put(value)
    }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy: Nested.Type) -> KeyedEncodingContainer<Nested> {
        guard (try? next()) != nil else { return KeyedEncodingContainer(CBORKeyedWriter<Nested>(state: state, level: .max, serial: 0)) }
        return KeyedEncodingContainer(CBORKeyedWriter<Nested>(state: state, level: state.depth, serial: state.begin(map: true)))
    }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        guard (try? next()) != nil else { return CBORUnkeyedWriter(state: state, level: .max, serial: 0) }
        return CBORUnkeyedWriter(state: state, level: state.depth, serial: state.begin(map: false))
    }
    mutating func superEncoder() -> any Encoder {
        _ = try? next()
        return CBORValueEncoder(state: state, level: state.depth)
    }
}
