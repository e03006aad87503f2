// Writing session descriptions, lines in the order of RFC 8866 §5 and RFC 8829 §5.2.1.
package import Primitives

extension SDP.Session {
    /// The description's text, lines ended by CRLF.
    package var text: String {
        var out = SDPLines()
        out.add("v=0")
        out.add("o=\(userName) \(sessionID) \(version) IN IP4 127.0.0.1")
        out.add("s=-")
        out.add("t=0 0")
        for group in groups { out.add("a=group:" + ([group.semantics] + group.mids).joined(separator: " ")) }
        if extmapAllowMixed { out.add("a=extmap-allow-mixed") }
        out.add("a=msid-semantic: WMS *")
        if iceLite { out.add("a=ice-lite") }
        if let direction { out.add("a=\(direction.rawValue)") }
        out.add(transport)
        for extmap in extmaps { out.add(extmap) }
        for section in media { section.write(to: &out) }
        return out.text
    }
}

extension SDP.Media {
    fileprivate func write(to out: inout SDPLines) {
        out.add("m=\(kind.text) \(port) \(proto) \(formats.joined(separator: " "))")
        let address = connection ?? "0.0.0.0"
        out.add("c=IN \(address.contains(":") ? "IP6" : "IP4") \(address)")
        if let mid { out.add("a=mid:\(mid)") }
        if let direction { out.add("a=\(direction.rawValue)") }
        out.add(transport)
        for extmap in extmaps { out.add(extmap) }
        if let content { out.add("a=content:\(content)") }
        writeFormats(to: &out)
        writeStreams(to: &out)
        if let sctpPort { out.add("a=sctp-port:\(sctpPort)") }
        for candidate in candidates { out.add("a=" + candidate.text) }
        if endOfCandidates { out.add("a=end-of-candidates") }
    }

    private func writeFormats(to out: inout SDPLines) {
        if rtcpMux { out.add("a=rtcp-mux") }
        if rtcpReducedSize { out.add("a=rtcp-rsize") }
        if bundleOnly { out.add("a=bundle-only") }
        for map in rtpmaps {
            let channels = map.channels.map { "/\($0)" } ?? ""
            out.add("a=rtpmap:\(map.payloadType) \(map.name)/\(map.clockRate)\(channels)")
            if let parameters = formatParameters[map.payloadType] { out.add("a=fmtp:\(map.payloadType) \(parameters)") }
            for item in feedback where item.payloadType == map.payloadType { out.add("a=rtcp-fb:\(map.payloadType) \(item.value)") }
        }
        for item in feedback where item.payloadType == nil { out.add("a=rtcp-fb:* \(item.value)") }
    }

    private func writeStreams(to out: inout SDPLines) {
        for msid in msids { out.add("a=msid:\(msid.stream)" + (msid.track.map { " \($0)" } ?? "")) }
        for group in sourceGroups { out.add("a=ssrc-group:\(group.semantics) " + group.ssrcs.map(String.init).joined(separator: " ")) }
        for source in sources {
            let attribute = source.name.isEmpty ? "" : " \(source.name)" + (source.value.isEmpty ? "" : ":\(source.value)")
            out.add("a=ssrc:\(source.ssrc)\(attribute)")
        }
        for rid in rids { out.add("a=rid:\(rid.id) \(rid.isSend ? "send" : "recv")") }
        if let simulcast, !(simulcast.send.isEmpty && simulcast.receive.isEmpty) {
            let send = simulcast.send.isEmpty ? [] : ["send " + simulcast.send.joined(separator: ";")]
            let receive = simulcast.receive.isEmpty ? [] : ["recv " + simulcast.receive.joined(separator: ";")]
            out.add("a=simulcast:" + (send + receive).joined(separator: " "))
        }
    }
}

extension SDP.Candidate {
    /// As after `a=`, and as clients trickle it (RFC 8839 §5.1).
    package var text: String { "candidate:\(foundation) \(component) \(transport) \(priority) \(host) \(port) typ \(type)" }

    /// A host candidate over UDP. Earlier ones are preferred (RFC 8445 §5.1.2.1).
    package static func host(_ address: SocketAddress, index: Int) -> SDP.Candidate {
        let localPreference = UInt32(65_535 - min(max(index, 0), 65_535))
        return SDP.Candidate(
            foundation: String(index + 1), component: 1, transport: "udp", priority: 126 << 24 | localPreference << 8 | 255,
            host: address.host, port: address.port, type: "host")
    }
}

/// Collects lines.
private struct SDPLines {
    private(set) var text = ""
    mutating func add(_ line: String) { text += line; text += "\r\n" }
    mutating func add(_ transport: SDP.Transport) {
        if let ufrag = transport.iceUfrag { add("a=ice-ufrag:\(ufrag)") }
        if let password = transport.icePassword { add("a=ice-pwd:\(password)") }
        if !transport.iceOptions.isEmpty { add("a=ice-options:" + transport.iceOptions.joined(separator: " ")) }
        for fingerprint in transport.fingerprints { add("a=fingerprint:\(fingerprint.algorithm) \(fingerprint.digest)") }
        if let setup = transport.setup { add("a=setup:\(setup.rawValue)") }
    }
    mutating func add(_ extmap: SDP.Extmap) {
        add("a=extmap:\(extmap.id)\(extmap.direction.map { "/\($0.rawValue)" } ?? "") \(extmap.uri)")
    }
}
