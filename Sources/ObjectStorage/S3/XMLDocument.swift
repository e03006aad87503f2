// As much of XML (1.0, fifth edition) as S3's answers use: elements and text; attributes, comments and declarations are passed over.

/// One element with its text or its children.
package struct XMLElement: Sendable, Equatable {
    package enum Limits {
        package static let depth = 16
        static let elements = 100_000
    }
    var name: String
    var text = ""
    package var children: [XMLElement] = []

    func first(_ name: String) -> XMLElement? { children.first { $0.name == name } }
    /// The text of the first child of this name.
    subscript(_ name: String) -> String? { first(name)?.text }

    /// Text as it stands between tags.
    static func escaped(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            default: out.append(character)
            }
        }
        return out
    }

    /// - Returns: the root; nil for what is not well-formed or exceeds a bound.
    package static func parse(_ bytes: [UInt8]) -> XMLElement? {
        var reader = XMLReader(bytes: bytes)
        return reader.document()
    }
}

private struct XMLReader {
    let bytes: [UInt8]
    var position = 0
    var elements = 0
    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() -> XMLElement? {
        var open: [XMLElement] = []
        while position < bytes.count {
            guard bytes[position] == UInt8(ascii: "<") else {
                let text = takeText()
                guard let decoded = Self.decode(text) else { return nil }
                if open.isEmpty {
                    guard text.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) || $0 >= 0x80 }) else { return nil }
                } else {
                    open[open.count - 1].text += decoded
                }
                continue
            }
            if starts("<?") { guard skip(past: "?>") else { return nil }; continue }
            if starts("<!--") { guard skip(past: "-->") else { return nil }; continue }
            // No document types: nothing of ours has entities of its own.
            if starts("<!") { return nil }
            guard let tag = takeTag() else { return nil }
            if tag.isClosing {
                guard let element = open.popLast(), element.name == tag.name else { return nil }
                if open.isEmpty { return element }
                open[open.count - 1].children.append(element)
                continue
            }
            elements += 1
            guard elements <= XMLElement.Limits.elements, open.count < XMLElement.Limits.depth else { return nil }
            let element = XMLElement(name: tag.name)
            if !tag.isEmpty { open.append(element); continue }
            if open.isEmpty { return element }
            open[open.count - 1].children.append(element)
        }
        return nil
    }

    private func starts(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { wanted in bytes[position...].prefix(wanted.count).elementsEqual(wanted) }
    }
    private mutating func skip(past text: StaticString) -> Bool {
        while position < bytes.count {
            if starts(text) { position += text.utf8CodeUnitCount; return true }
            position += 1
        }
        return false
    }
    private mutating func takeText() -> ArraySlice<UInt8> {
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "<") { position += 1 }
        return bytes[start..<position]
    }

    /// `<name attributes>`, `</name>` or `<name/>`; a prefix of the name is dropped.
    private mutating func takeTag() -> (name: String, isClosing: Bool, isEmpty: Bool)? {
        let start = position + 1
        var quote: UInt8?
        while position < bytes.count {
            let byte = bytes[position]
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: ">") {
                break
            }
            position += 1
        }
        guard position < bytes.count else { return nil }
        var inside = bytes[start..<position]
        position += 1
        let isClosing = inside.first == UInt8(ascii: "/")
        if isClosing { inside.removeFirst() }
        let isEmpty = !isClosing && inside.last == UInt8(ascii: "/")
        if isEmpty { inside.removeLast() }
        let full = inside.prefix { $0 > 0x20 }
        let name = full.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).last ?? full
        guard !name.isEmpty else { return nil }
        return (String(decoding: name, as: UTF8.self), isClosing, isEmpty)
    }

    private static func decode(_ text: ArraySlice<UInt8>) -> String? {
        guard text.contains(UInt8(ascii: "&")) else { return String(decoding: text, as: UTF8.self) }
        var out = "", first = true
        for part in text.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
            if first { out = String(decoding: part, as: UTF8.self); first = false; continue }
            guard let end = part.firstIndex(of: UInt8(ascii: ";")), let scalar = scalar(String(decoding: part[..<end], as: UTF8.self)) else { return nil }
            out.unicodeScalars.append(scalar)
            out += String(decoding: part[(end + 1)...], as: UTF8.self)
        }
        return out
    }
    private static func scalar(_ name: String) -> Unicode.Scalar? {
        switch name {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard name.first == "#" else { return nil }
            let digits = name.dropFirst()
            let value = digits.first == "x" ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return value.flatMap(Unicode.Scalar.init)
        }
    }
}
