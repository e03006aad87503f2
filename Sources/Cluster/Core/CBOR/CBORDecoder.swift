// CBOR to Swift values: fields in any order, unknown ones skipped, absent optionals nil, depth bounded.

package enum CBORDecoder {
    /// Decodes one item that fills `bytes`.
    package static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8], userInfo: [CodingUserInfoKey: Any] = [:]) throws -> T {
        try bytes.withUnsafeBytes { raw in
            var offset = 0
            let value = try decode(type, from: raw, at: &offset, userInfo: userInfo)
            guard offset == raw.count else { throw CBORError.malformed }
            return value
        }
    }
    /// Decodes the item at `offset` and moves behind it. The borrowed bytes are not kept.
    package static func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer, at offset: inout Int, userInfo: [CodingUserInfoKey: Any] = [:]) throws -> T {
        var end = CBORReader(bytes, at: offset)
        try end.skip()
        let value = try CBORDecoding(bytes, userInfo).value(type, at: offset, depth: 0)
        offset = end.offset
        return value
    }
}

/// State of one decode. Lives no longer than the bytes it borrows.
final class CBORDecoding {
    let bytes: UnsafeRawBufferPointer
    let userInfo: [CodingUserInfoKey: Any]
    init(_ bytes: UnsafeRawBufferPointer, _ userInfo: [CodingUserInfoKey: Any]) {
        self.bytes = bytes
        self.userInfo = userInfo
    }
    func reader(at offset: Int) -> CBORReader { CBORReader(bytes, at: offset) }

    func value<T: Decodable>(_ type: T.Type, at offset: Int, depth: Int) throws -> T {
        var reader = reader(at: offset)
        if T.self == String.self { return unsafeBitCast(try reader.text(), to: T.self) }
        if T.self == Int.self { return unsafeBitCast(try reader.integer(Int.self), to: T.self) }
        if T.self == UInt64.self { return unsafeBitCast(try reader.integer(UInt64.self), to: T.self) }
        if T.self == Bool.self { return unsafeBitCast(try reader.bool(), to: T.self) }
        if T.self == Double.self { return unsafeBitCast(try reader.double(), to: T.self) }
        if T.self == [UInt8].self, isByteString(at: offset) { return unsafeBitCast(try reader.byteString(), to: T.self) }
        guard depth < CBOR.Limits.depth else { throw CBORError.tooDeep }
        return try T(from: CBORValueDecoder(state: self, offset: offset, depth: depth))
    }
    private func isByteString(at offset: Int) -> Bool {
        var reader = reader(at: offset)
        return (try? reader.dataHead())?.major == CBOR.Major.bytes
    }
}

struct CBORValueDecoder: Decoder, SingleValueDecodingContainer {
    let state: CBORDecoding
    let offset: Int
    let depth: Int
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { state.userInfo }

    func container<Key: CodingKey>(keyedBy: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(try CBORKeyedReader<Key>(state, offset, depth))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { try CBORUnkeyedReader(state, offset, depth) }
    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    private func read<T>(_ body: (inout CBORReader) throws -> T) throws -> T {
        var reader = state.reader(at: offset)
        return try body(&reader)
    }
    func decodeNil() -> Bool { state.reader(at: offset).isNull }
    func decode(_: Bool.Type) throws -> Bool { try read { try $0.bool() } }
    func decode(_: String.Type) throws -> String { try read { try $0.text() } }
    func decode(_: Double.Type) throws -> Double { try read { try $0.double() } }
    func decode(_: Float.Type) throws -> Float { try read { Float(try $0.double()) } }
    func decode(_: Int.Type) throws -> Int { try read { try $0.integer(Int.self) } }
    func decode(_: Int8.Type) throws -> Int8 { try read { try $0.integer(Int8.self) } }
    func decode(_: Int16.Type) throws -> Int16 { try read { try $0.integer(Int16.self) } }
    func decode(_: Int32.Type) throws -> Int32 { try read { try $0.integer(Int32.self) } }
    func decode(_: Int64.Type) throws -> Int64 { try read { try $0.integer(Int64.self) } }
    func decode(_: UInt.Type) throws -> UInt { try read { try $0.integer(UInt.self) } }
    func decode(_: UInt8.Type) throws -> UInt8 { try read { try $0.integer(UInt8.self) } }
    func decode(_: UInt16.Type) throws -> UInt16 { try read { try $0.integer(UInt16.self) } }
    func decode(_: UInt32.Type) throws -> UInt32 { try read { try $0.integer(UInt32.self) } }
    func decode(_: UInt64.Type) throws -> UInt64 { try read { try $0.integer(UInt64.self) } }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try state.value(type, at: offset, depth: depth + 1) }
}

/// One map. Reading fields in the order they were written costs one pass; any other order a search from the start.
final class CBORKeyedReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let state: CBORDecoding
    private let depth: Int
    private let first: Int
    private let count: UInt64
    private let isIndefinite: Bool
    /// Where a key begins, where its value begins, how many entries precede it.
    private typealias Entry = (key: Int, value: Int, index: UInt64)
    /// The entry found last.
    private var current: Entry?
    var codingPath: [any CodingKey] { [] }

    init(_ state: CBORDecoding, _ offset: Int, _ depth: Int) throws {
        var reader = state.reader(at: offset)
        let head = try reader.dataHead()
        guard head.major == CBOR.Major.map else { throw CBORError.mismatch(expected: "a map") }
        self.state = state
        self.depth = depth
        first = reader.offset
        count = head.value
        isIndefinite = head.isIndefinite
    }

    private func entry(at offset: Int, index: UInt64) throws(CBORError) -> Entry? {
        var reader = state.reader(at: offset)
        if isIndefinite { if try reader.takeBreak() { return nil } } else if index >= count { return nil }
        try reader.skip(depth: depth)
        return (offset, reader.offset, index)
    }
    private func entry(after entry: Entry) throws(CBORError) -> Entry? {
        var reader = state.reader(at: entry.value)
        try reader.skip(depth: depth)
        return try self.entry(at: reader.offset, index: entry.index + 1)
    }
    private func matches(_ offset: Int, _ name: String) -> Bool {
        var reader = state.reader(at: offset)
        guard let head = try? reader.dataHead(), head.major == CBOR.Major.text else { return false }
        guard !head.isIndefinite else { return (try? textKey(offset)) == name }
        var name = name
        return name.withUTF8 { utf8 in
            utf8.count == head.value && utf8.elementsEqual(state.bytes[reader.offset..<(reader.offset + utf8.count)])
        }
    }
    private func textKey(_ offset: Int) throws(CBORError) -> String {
        var reader = state.reader(at: offset)
        return try reader.text()
    }
    /// Where the value of `key` begins: from the entry found last to the end, then from the start up to it.
    private func find(_ key: some CodingKey) throws(CBORError) -> Int? {
        let name = key.stringValue
        let from = current
        var next = from
        while let entry = next {
            if matches(entry.key, name) { return take(entry) }
            next = try self.entry(after: entry)
        }
        next = try entry(at: first, index: 0)
        while let entry = next, from.map({ entry.index < $0.index }) ?? true {
            if matches(entry.key, name) { return take(entry) }
            next = try self.entry(after: entry)
        }
        return nil
    }
    private func take(_ entry: Entry) -> Int {
        current = entry
        return entry.value
    }
    private func require(_ key: some CodingKey) throws -> Int {
        guard let offset = try find(key) else {
            throw DecodingError.keyNotFound(key, .init(codingPath: [], debugDescription: "no field \(key.stringValue)"))
        }
        return offset
    }
    private func read<T>(_ key: Key, _ body: (inout CBORReader) throws -> T) throws -> T {
        var reader = state.reader(at: try require(key))
        return try body(&reader)
    }

    var allKeys: [Key] {
        var keys: [Key] = []
        var next = try? entry(at: first, index: 0)
        while let entry = next {
            if let name = try? textKey(entry.key), let key = Key(stringValue: name) { keys.append(key) }
            next = try? self.entry(after: entry)
        }
        return keys
    }
    func contains(_ key: Key) -> Bool { (try? find(key)) != nil }
    func decodeNil(forKey key: Key) throws -> Bool { state.reader(at: try require(key)).isNull }
    func decode(_: Bool.Type, forKey key: Key) throws -> Bool { try read(key) { try $0.bool() } }
    func decode(_: String.Type, forKey key: Key) throws -> String { try read(key) { try $0.text() } }
    func decode(_: Double.Type, forKey key: Key) throws -> Double { try read(key) { try $0.double() } }
    func decode(_: Float.Type, forKey key: Key) throws -> Float { try read(key) { Float(try $0.double()) } }
    func decode(_: Int.Type, forKey key: Key) throws -> Int { try read(key) { try $0.integer(Int.self) } }
    func decode(_: Int8.Type, forKey key: Key) throws -> Int8 { try read(key) { try $0.integer(Int8.self) } }
    func decode(_: Int16.Type, forKey key: Key) throws -> Int16 { try read(key) { try $0.integer(Int16.self) } }
    func decode(_: Int32.Type, forKey key: Key) throws -> Int32 { try read(key) { try $0.integer(Int32.self) } }
    func decode(_: Int64.Type, forKey key: Key) throws -> Int64 { try read(key) { try $0.integer(Int64.self) } }
    func decode(_: UInt.Type, forKey key: Key) throws -> UInt { try read(key) { try $0.integer(UInt.self) } }
    func decode(_: UInt8.Type, forKey key: Key) throws -> UInt8 { try read(key) { try $0.integer(UInt8.self) } }
    func decode(_: UInt16.Type, forKey key: Key) throws -> UInt16 { try read(key) { try $0.integer(UInt16.self) } }
    func decode(_: UInt32.Type, forKey key: Key) throws -> UInt32 { try read(key) { try $0.integer(UInt32.self) } }
    func decode(_: UInt64.Type, forKey key: Key) throws -> UInt64 { try read(key) { try $0.integer(UInt64.self) } }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try state.value(type, at: try require(key), depth: depth + 1)
    }
    private func nested(_ key: some CodingKey) throws -> CBORValueDecoder {
        guard depth + 1 < CBOR.Limits.depth else { throw CBORError.tooDeep }
        return CBORValueDecoder(state: state, offset: try require(key), depth: depth + 1)
    }
    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        try nested(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try nested(key).unkeyedContainer() }
    func superDecoder() throws -> any Decoder { try nested(CBORSuperKey()) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try nested(key) }
}

/// One array.
struct CBORUnkeyedReader: UnkeyedDecodingContainer {
    private let state: CBORDecoding
    private let depth: Int
    private var offset: Int
    private let length: UInt64
    private let isIndefinite: Bool
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { [] }
    /// Not told: a count from outside must not decide how much memory is reserved.
    var count: Int? { nil }

    init(_ state: CBORDecoding, _ offset: Int, _ depth: Int) throws {
        var reader = state.reader(at: offset)
        let head = try reader.dataHead()
        guard head.major == CBOR.Major.array else { throw CBORError.mismatch(expected: "an array") }
        self.state = state
        self.depth = depth
        self.offset = reader.offset
        length = head.value
        isIndefinite = head.isIndefinite
    }
    var isAtEnd: Bool { isIndefinite ? state.reader(at: offset).peek == CBOR.break : UInt64(currentIndex) >= length }

    private mutating func read<T>(_ body: (inout CBORReader) throws -> T) throws -> T {
        guard !isAtEnd else { throw CBORError.truncated }
        var reader = state.reader(at: offset)
        let value = try body(&reader)
        offset = reader.offset
        currentIndex += 1
        return value
    }
    private mutating func pass() throws -> CBORValueDecoder {
        guard depth + 1 < CBOR.Limits.depth else { throw CBORError.tooDeep }
        let start = offset
        try read { try $0.skip() }
        return CBORValueDecoder(state: state, offset: start, depth: depth + 1)
    }
    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd else { throw CBORError.truncated }
        guard state.reader(at: offset).isNull else { return false }
        try read { try $0.skip() }
        return true
    }
    mutating func decode(_: Bool.Type) throws -> Bool { try read { try $0.bool() } }
    mutating func decode(_: String.Type) throws -> String { try read { try $0.text() } }
    mutating func decode(_: Double.Type) throws -> Double { try read { try $0.double() } }
    mutating func decode(_: Float.Type) throws -> Float { try read { Float(try $0.double()) } }
    mutating func decode(_: Int.Type) throws -> Int { try read { try $0.integer(Int.self) } }
    mutating func decode(_: Int8.Type) throws -> Int8 { try read { try $0.integer(Int8.self) } }
    mutating func decode(_: Int16.Type) throws -> Int16 { try read { try $0.integer(Int16.self) } }
    mutating func decode(_: Int32.Type) throws -> Int32 { try read { try $0.integer(Int32.self) } }
    mutating func decode(_: Int64.Type) throws -> Int64 { try read { try $0.integer(Int64.self) } }
    mutating func decode(_: UInt.Type) throws -> UInt { try read { try $0.integer(UInt.self) } }
    mutating func decode(_: UInt8.Type) throws -> UInt8 { try read { try $0.integer(UInt8.self) } }
    mutating func decode(_: UInt16.Type) throws -> UInt16 { try read { try $0.integer(UInt16.self) } }
    mutating func decode(_: UInt32.Type) throws -> UInt32 { try read { try $0.integer(UInt32.self) } }
    mutating func decode(_: UInt64.Type) throws -> UInt64 { try read { try $0.integer(UInt64.self) } }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        guard !isAtEnd else { throw CBORError.truncated }
        let value = try state.value(type, at: offset, depth: depth + 1)
        try read { try $0.skip() }
        return value
    }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
        try pass().container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try pass().unkeyedContainer() }
    mutating func superDecoder() throws -> any Decoder { try pass() }
}
