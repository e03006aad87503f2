// Reads JSON from outside: strict (RFC 8259), bounded in depth and size, no recursion beyond the bound.

package enum JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    case tooDeep, tooManyMembers, tooLong
    case duplicateName(String)
    case notUTF8
    /// What was expected, and the byte offset where something else stood.
    case unexpected(String, offset: Int)

    package var description: String {
        switch self {
        case .tooDeep: "JSON is nested deeper than \(JSONParser.Limits.depth) levels; flatten it"
        case .tooManyMembers: "a JSON object has more than \(JSONParser.Limits.members) members; send fewer"
        case .tooLong: "JSON is longer than \(JSONParser.Limits.bytes) bytes; send less"
        case .duplicateName(let name): "the JSON member `\(name)` appears twice; send it once"
        case .notUTF8: "JSON must be UTF-8 (RFC 8259 section 8.1)"
        case .unexpected(let expected, let offset): "malformed JSON at byte \(offset): expected \(expected)"
        }
    }
}

/// One pass over the bytes. `JSONParser.parse(bytes)` is the way in.
package struct JSONParser {
    package enum Limits {
        package static let depth = 32            // nested arrays and objects
        package static let members = 512         // of one object: looked up one after another
        package static let bytes = 1 << 20
    }
    private let bytes: UnsafeBufferPointer<UInt8>
    private var offset = 0

    package static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSON {
        let result: Result<JSON, JSONError> = bytes.withUnsafeBufferPointer { buffer in
            do throws(JSONError) { return .success(try parse(buffer)) } catch { return .failure(error) }
        }
        return try result.get()
    }
    package static func parse(_ text: String) throws(JSONError) -> JSON { try parse(Array(text.utf8)) }
    package static func parse(_ buffer: UnsafeBufferPointer<UInt8>) throws(JSONError) -> JSON {
        guard buffer.count <= Limits.bytes else { throw .tooLong }
        var parser = JSONParser(bytes: buffer)
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.offset == buffer.count else { throw .unexpected("the end", offset: parser.offset) }
        return value
    }
    private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    private var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }
    private mutating func skipSpace() {
        while let c = current, c == 0x20 || c == 0x0A || c == 0x0D || c == 0x09 { offset += 1 }
    }
    private mutating func expect(_ c: Character) throws(JSONError) {
        guard current == c.asciiValue else { throw .unexpected("`\(c)`", offset: offset) }
        offset += 1
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSON {
        guard depth < Limits.depth else { throw .tooDeep }
        skipSpace()
        switch current {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }
    private mutating func word(_ text: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        let count = text.utf8CodeUnitCount
        guard bytes.count - offset >= count else { throw .unexpected("`\(text)`", offset: offset) }
        for i in 0..<count where bytes[offset + i] != text.utf8Start[i] { throw .unexpected("`\(text)`", offset: offset) }
        offset += count
        return value
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSON {
        try expect("{")
        var members: [JSONObject.Member] = []
        var names = Set<String>()
        skipSpace()
        if current == UInt8(ascii: "}") { offset += 1; return .object(JSONObject()) }
        while true {
            skipSpace()
            let name = try string()
            guard names.insert(name).inserted else { throw .duplicateName(name) }
            guard members.count < Limits.members else { throw .tooManyMembers }
            skipSpace()
            try expect(":")
            members.append(.init(name: name, value: try value(depth: depth + 1)))
            skipSpace()
            if current == UInt8(ascii: ",") { offset += 1; continue }
            try expect("}")
            return .object(JSONObject(members))
        }
    }
    private mutating func array(depth: Int) throws(JSONError) -> JSON {
        try expect("[")
        var elements: [JSON] = []
        skipSpace()
        if current == UInt8(ascii: "]") { offset += 1; return .array([]) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if current == UInt8(ascii: ",") { offset += 1; continue }
            try expect("]")
            return .array(elements)
        }
    }

    private mutating func number() throws(JSONError) -> JSON {
        let start = offset
        var whole = true
        if current == UInt8(ascii: "-") { offset += 1 }
        let first = current
        guard digits() else { throw .unexpected("a value", offset: offset) }
        let signed = bytes[start] == UInt8(ascii: "-") ? 1 : 0
        guard first != UInt8(ascii: "0") || offset - start - signed == 1 else { throw .unexpected("no leading zero", offset: start) }
        if current == UInt8(ascii: ".") {
            whole = false
            offset += 1
            guard digits() else { throw .unexpected("a digit", offset: offset) }
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            whole = false
            offset += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { offset += 1 }
            guard digits() else { throw .unexpected("a digit", offset: offset) }
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if whole, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw .unexpected("a number in range", offset: start) }
        return .number(value)
    }
    private mutating func digits() -> Bool {
        let start = offset
        while let c = current, c >= 0x30, c <= 0x39 { offset += 1 }
        return offset > start
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) -> String {
        guard current == UInt8(ascii: "\"") else { throw .unexpected("a string", offset: offset) }
        offset += 1
        var out: [UInt8] = []
        while let c = current {
            offset += 1
            switch c {
            case UInt8(ascii: "\""):
                guard let text = String(validating: out, as: UTF8.self) else { throw .notUTF8 }
                return text
            case UInt8(ascii: "\\"): try escape(into: &out)
            case 0..<0x20: throw .unexpected("no control character", offset: offset - 1)
            default: out.append(c)
            }
        }
        throw .unexpected("the end of a string", offset: offset)
    }
    private mutating func escape(into out: inout [UInt8]) throws(JSONError) {
        guard let c = current else { throw .unexpected("an escape", offset: offset) }
        offset += 1
        switch c {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(c)
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "f"): out.append(0x0C)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "u"): out.append(contentsOf: String(Character(try scalar())).utf8)
        default: throw .unexpected("an escape", offset: offset - 1)
        }
    }
    /// RFC 8259 section 7: characters outside the basic plane come as a surrogate pair; a lone half is an error.
    private mutating func scalar() throws(JSONError) -> Unicode.Scalar {
        let start = offset
        let unit = try hexUnit()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard unit < 0xDC00, current == UInt8(ascii: "\\") else { throw .unexpected("a surrogate pair", offset: start) }
        offset += 1
        guard current == UInt8(ascii: "u") else { throw .unexpected("a surrogate pair", offset: start) }
        offset += 1
        let low = try hexUnit()
        guard low >= 0xDC00, low < 0xE000, let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)) else {
            throw .unexpected("a surrogate pair", offset: start)
        }
        return scalar
    }
    private mutating func hexUnit() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let c = current, let digit = Character(Unicode.Scalar(c)).hexDigitValue else { throw .unexpected("four hex digits", offset: offset) }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }
}
