// Reading session descriptions (RFC 8866 §9): lines of `type=value`; unknown types and attributes are skipped (§5, §6).

extension SDP.Session {
    package static func parse(_ text: String) throws(SDPError) -> SDP.Session {
        // The parser reads bytes; a typed error cannot cross `withUTF8`, so the outcome does.
        var text = text
        return try text.withUTF8 { utf8 in Result { () throws(SDPError) in try parse(UnsafeRawBufferPointer(utf8)) } }.get()
    }

    /// - Parameter bytes: UTF-8, lines ended by CRLF or LF.
    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(SDPError) -> SDP.Session {
        guard bytes.count <= SDP.Limits.bytes else { throw .tooLarge(bytes: bytes.count) }
        var parser = SDPParser()
        var start = 0, number = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
            number += 1
            try parser.line(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), number: number)
            start = end + 1
        }
        return try parser.finish()
    }
}

/// Takes lines one by one: those before the first m= describe the session, the rest the section they follow.
struct SDPParser {
    private var session = SDP.Session()
    private var media: SDP.Media?
    private var attributeCount = 0
    private var sawVersion = false
    /// Of the current line, counted from 1; for errors.
    var number = 0

    mutating func line(_ raw: UnsafeRawBufferPointer, number: Int) throws(SDPError) {
        self.number = number
        guard raw.count <= SDP.Limits.lineBytes else { throw malformed("longer than \(SDP.Limits.lineBytes) bytes") }
        let bytes = raw.last == 0x0D ? UnsafeRawBufferPointer(rebasing: raw.dropLast()) : raw
        if bytes.isEmpty { return }
        guard !bytes.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) else { throw malformed("a control character") }
        guard bytes.count >= 2, bytes[1] == UInt8(ascii: "=") else { throw malformed("expected type=value") }
        guard let text = String(validating: bytes.dropFirst(2), as: UTF8.self) else { throw malformed("not UTF-8") }
        if !sawVersion {
            guard bytes[0] == UInt8(ascii: "v"), text == "0" else { throw malformed("expected v=0") }
            sawVersion = true
            return
        }
        switch bytes[0] {
        case UInt8(ascii: "o"): try origin(text)
        case UInt8(ascii: "m"): try beginMedia(text)
        case UInt8(ascii: "c"): media?.connection = text.split(separator: " ").last.map(String.init)
        case UInt8(ascii: "a"): try attribute(text)
        default: break
        }
    }

    mutating func finish() throws(SDPError) -> SDP.Session {
        guard sawVersion else { throw malformed("expected v=0") }
        endMedia()
        return session
    }

    func malformed(_ what: String) -> SDPError { .malformed(line: number, what) }

    /// RFC 8866 §5.2.
    private mutating func origin(_ text: String) throws(SDPError) {
        let fields = text.split(separator: " ")
        guard fields.count == 6, let version = UInt64(fields[2]) else { throw malformed("o= has six fields, the third a number") }
        session.userName = String(fields[0])
        session.sessionID = String(fields[1])
        session.version = version
    }

    /// RFC 8866 §5.14: m=<media> <port>["/"<number>] <proto> <fmt> …
    private mutating func beginMedia(_ text: String) throws(SDPError) {
        endMedia()
        guard session.media.count < SDP.Limits.media else { throw .tooMany("m-lines: at most \(SDP.Limits.media)") }
        let fields = text.split(separator: " ")
        guard fields.count >= 4 else { throw malformed("m= has a kind, a port, a protocol and formats") }
        guard let port = UInt16(fields[1].prefix { $0 != "/" }) else { throw malformed("the port of m= is not one") }
        guard fields.count - 3 <= SDP.Limits.formats else { throw .tooMany("formats: at most \(SDP.Limits.formats)") }
        media = SDP.Media(kind: SDP.Kind(String(fields[0])), port: port, proto: String(fields[2]), formats: fields[3...].map(String.init))
        attributeCount = 0
    }
    private mutating func endMedia() {
        if let media { session.media.append(media) }
        media = nil
    }

    private mutating func attribute(_ text: String) throws(SDPError) {
        attributeCount += 1
        guard attributeCount <= SDP.Limits.attributes else { throw .tooMany("attributes: at most \(SDP.Limits.attributes)") }
        let colon = text.firstIndex(of: ":")
        let name = colon.map { text[..<$0] } ?? text[...]
        let value = colon.map { text[text.index(after: $0)...] } ?? ""
        let reader = SDPAttributeReader(name: String(name), value: value, line: number)
        if var current = media {
            media = nil   // held once, so that its arrays grow in place
            defer { media = current }
            try reader.read(into: &current)
        } else {
            try reader.read(into: &session)
        }
    }
}
