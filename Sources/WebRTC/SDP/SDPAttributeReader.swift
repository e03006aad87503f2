// Typed attributes of sessions and sections. A known attribute with a wrong value is an error; an unknown one is skipped.

/// One `a=` line. Section and RFC stand at each case.
struct SDPAttributeReader {
    let name: String
    let value: Substring
    let line: Int

    func read(into session: inout SDP.Session) throws(SDPError) {
        switch name {
        case "group":   // RFC 5888 §5
            var words = value.split(separator: " ").map(String.init)
            guard !words.isEmpty else { throw malformed }
            let semantics = words.removeFirst()
            session.groups.append(SDP.Group(semantics: semantics, mids: words))
        case "ice-lite": session.iceLite = true
        case "extmap-allow-mixed": session.extmapAllowMixed = true
        case "extmap": if let extmap = try extmap() { try bounded(&session.extmaps, extmap, 255, "extmap lines") }
        default:
            if let direction = SDP.Direction(rawValue: name) { session.direction = direction; return }
            try read(into: &session.transport)
        }
    }

    func read(into media: inout SDP.Media) throws(SDPError) {
        switch name {
        case "mid": media.mid = try token(max: SDP.Limits.midBytes)                // RFC 5888 §4
        case "rtcp-mux": media.rtcpMux = true                                      // RFC 5761 §5.1
        case "rtcp-rsize": media.rtcpReducedSize = true                            // RFC 5506 §5
        case "bundle-only": media.bundleOnly = true                                // RFC 8843 §6
        case "candidate": try bounded(&media.candidates, try candidate(), SDP.Limits.candidates, "candidates")
        case "end-of-candidates": media.endOfCandidates = true
        case "content": media.content = String(value)
        case "sctp-port": media.sctpPort = UInt16(value)
        default:
            if let direction = SDP.Direction(rawValue: name) { media.direction = direction; return }
            if try readStreams(into: &media) { return }
            if try readFormats(into: &media) { return }
            try read(into: &media.transport)
        }
    }

    /// RFC 8866 §6.6, §6.15; RFC 4585 §4.2; RFC 8285 §8.
    private func readFormats(into media: inout SDP.Media) throws(SDPError) -> Bool {
        switch name {
        case "rtpmap":
            let map = try rtpmap()
            // One mapping a payload type (RFC 8866 §6.6): the first stands.
            guard !media.rtpmaps.contains(where: { $0.payloadType == map.payloadType }) else { return true }
            try bounded(&media.rtpmaps, map, SDP.Limits.formats, "rtpmap lines")
        case "fmtp":
            guard let (format, parameters) = pair() else { throw malformed }
            // Formats that are no payload types (SCTP's of old) carry no parameters we read.
            if let payloadType = Self.payloadType(format) { media.formatParameters[payloadType] = String(parameters) }
        case "rtcp-fb":
            guard let (format, parameters) = pair() else { throw malformed }
            guard format == "*" || Self.payloadType(format) != nil else { throw malformed }
            media.feedback.append(SDP.Feedback(payloadType: Self.payloadType(format), value: String(parameters)))
        case "extmap": if let extmap = try extmap() { try bounded(&media.extmaps, extmap, 255, "extmap lines") }
        default: return false
        }
        return true
    }

    /// RFC 8830, RFC 5576 §4, RFC 8851 §10, RFC 8853 §5.1.
    private func readStreams(into media: inout SDP.Media) throws(SDPError) -> Bool {
        switch name {
        case "msid":
            let words = value.split(separator: " ")
            guard let stream = words.first, words.count <= 2 else { throw malformed }
            try bounded(&media.msids, SDP.MSID(stream: String(stream), track: words.count == 2 ? String(words[1]) : nil), SDP.Limits.sources, "msid lines")
        case "ssrc": try bounded(&media.sources, try source(), SDP.Limits.sources * 4, "ssrc lines")
        case "ssrc-group":
            let words = value.split(separator: " ")
            guard let semantics = words.first else { throw malformed }
            var ssrcs: [UInt32] = []
            for word in words.dropFirst() { ssrcs.append(try number(word)) }
            try bounded(&media.sourceGroups, SDP.SourceGroup(semantics: String(semantics), ssrcs: ssrcs), SDP.Limits.sources, "ssrc-group lines")
        case "rid":
            let words = value.split(separator: " ", maxSplits: 2)
            guard words.count >= 2, words[1] == "send" || words[1] == "recv" else { throw malformed }
            guard Self.isRID(words[0]) else { throw malformed }
            try bounded(&media.rids, SDP.RID(id: String(words[0]), isSend: words[1] == "send"), SDP.Limits.restrictions, "rid lines")
        case "simulcast": media.simulcast = try simulcast()
        default: return false
        }
        return true
    }

    private func read(into transport: inout SDP.Transport) throws(SDPError) {
        switch name {
        case "ice-ufrag": transport.iceUfrag = try credential(atLeast: 4)          // RFC 8839 §5.4
        case "ice-pwd": transport.icePassword = try credential(atLeast: 22)
        case "ice-options": transport.iceOptions = value.split(separator: " ").map(String.init)
        case "fingerprint":                                                        // RFC 8122 §5
            guard let (algorithm, digest) = pair(), !digest.isEmpty, digest.utf8.allSatisfy(Self.isHexOrColon) else { throw malformed }
            try bounded(&transport.fingerprints, SDP.Fingerprint(algorithm: algorithm.lowercased(), digest: digest.uppercased()), 8, "fingerprints")
        case "setup":                                                              // RFC 4145 §4
            guard let setup = SDP.Setup(rawValue: String(value)) else { throw malformed }
            transport.setup = setup
        default: break
        }
    }

    // MARK: - Values

    /// <pt> <name>/<rate>[/<channels>]
    private func rtpmap() throws(SDPError) -> SDP.RTPMap {
        guard let (format, encoding) = pair(), let payloadType = Self.payloadType(format) else { throw malformed }
        let parts = encoding.split(separator: "/")
        guard parts.count >= 2, parts.count <= 3, let rate = UInt32(parts[1]), rate > 0 else { throw malformed }
        return SDP.RTPMap(payloadType: payloadType, name: String(parts[0]), clockRate: rate, channels: parts.count == 3 ? Int(parts[2]) : nil)
    }
    /// <id>["/"<direction>] <uri> [<attributes>]
    private func extmap() throws(SDPError) -> SDP.Extmap? {
        let words = value.split(separator: " ")
        guard words.count >= 2 else { throw malformed }
        let head = words[0].split(separator: "/")
        guard let id = head.first.flatMap({ UInt16($0) }), id >= 1 else { throw malformed }
        // Ids 4096… are placeholders of an offerer with too many (RFC 8285 §7); they cannot be used and are skipped.
        guard id <= 255 else { return nil }
        return SDP.Extmap(id: UInt8(id), direction: head.count > 1 ? SDP.Direction(rawValue: String(head[1])) : nil, uri: String(words[1]))
    }
    /// <foundation> <component> <transport> <priority> <address> <port> typ <type> …
    private func candidate() throws(SDPError) -> SDP.Candidate {
        let words = value.split(separator: " ")
        guard words.count >= 8, words[6] == "typ", let component = Int(words[1]), let port = UInt16(words[5]) else { throw malformed }
        return SDP.Candidate(
            foundation: String(words[0]), component: component, transport: String(words[2]), priority: try number(words[3]),
            host: String(words[4]), port: port, type: String(words[7]))
    }
    /// <ssrc> <attribute>[:<value>]
    private func source() throws(SDPError) -> SDP.SourceAttribute {
        guard let space = value.firstIndex(of: " ") else { return SDP.SourceAttribute(ssrc: try number(value), name: "", value: "") }
        let rest = value[value.index(after: space)...]
        let colon = rest.firstIndex(of: ":") ?? rest.endIndex
        return SDP.SourceAttribute(
            ssrc: try number(value[..<space]), name: String(rest[..<colon]), value: colon == rest.endIndex ? "" : String(rest[rest.index(after: colon)...]))
    }
    /// send q;~h,h2;f recv … (order free). Streams beyond the limit are refused.
    private func simulcast() throws(SDPError) -> SDP.Simulcast {
        let words = value.split(separator: " ")
        guard words.count == 2 || words.count == 4 else { throw malformed }
        var result = SDP.Simulcast()
        for i in stride(from: 0, to: words.count, by: 2) {
            var ids: [String] = []
            for stream in words[i + 1].split(separator: ";") {
                guard let first = stream.split(separator: ",").first else { throw malformed }
                let id = first.first == "~" ? first.dropFirst() : first
                guard Self.isRID(id) else { throw malformed }
                try bounded(&ids, String(id), SDP.Limits.restrictions, "simulcast streams")
            }
            switch words[i] {
            case "send": result.send = ids
            case "recv": result.receive = ids
            default: throw malformed
            }
        }
        return result
    }

    // MARK: - Parts

    private var malformed: SDPError { .malformed(line: line, "a=\(name) is not well formed") }

    /// Splits at the first space.
    private func pair() -> (Substring, Substring)? {
        guard let space = value.firstIndex(of: " ") else { return nil }
        return (value[..<space], value[value.index(after: space)...].drop { $0 == " " })
    }
    private func number(_ text: Substring) throws(SDPError) -> UInt32 {
        guard let number = UInt32(text) else { throw malformed }
        return number
    }
    private func token(max: Int) throws(SDPError) -> String {
        guard (1...max).contains(value.utf8.count), value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw malformed }
        return String(value)
    }
    private func credential(atLeast: Int) throws(SDPError) -> String {
        guard (atLeast...SDP.Limits.credentialBytes).contains(value.utf8.count), value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw malformed }
        return String(value)
    }
    private func bounded<T>(_ array: inout [T], _ element: T, _ limit: Int, _ what: String) throws(SDPError) {
        guard array.count < limit else { throw .tooMany("\(what): at most \(limit)") }
        array.append(element)
    }
    private static func payloadType(_ text: Substring) -> UInt8? { UInt8(text).flatMap { $0 < 128 ? $0 : nil } }
    /// RFC 8852 §3: letters and digits only; RFC 8851's "-" and "_" are let through, as browsers do.
    private static func isRID(_ text: Substring) -> Bool {
        (1...SDP.Limits.ridBytes).contains(text.utf8.count)
            && text.utf8.allSatisfy { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A || $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2D || $0 == 0x5F }
    }
    private static func isHexOrColon(_ byte: UInt8) -> Bool {
        byte >= 0x30 && byte <= 0x3A || (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66
    }
}
