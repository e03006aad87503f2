// Which payload types and header extensions of a section we carry.
internal import Primitives
internal import RTP

/// `a=fmtp` parameters: "name=value;name=value".
struct FormatParameters {
    private let text: String
    init(_ text: String) { self.text = text }
    /// Names are compared without case (RFC 6838 §4.3).
    subscript(name: String) -> Substring? {
        for parameter in text.split(separator: ";") {
            let parts = parameter.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[0].trimmingSpaces.lowercased() == name else { continue }
            return parts[1].trimmingSpaces
        }
        return nil
    }
    func int(_ name: String, default value: Int) -> Int { self[name].flatMap { Int($0) } ?? value }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }
}

extension Codec {
    /// How well we like a configuration of this codec; lower is better, nil is not carried.
    ///
    /// One configuration of each codec is accepted, the one most receivers can decode: VP9 and AV1 in profile 0, H.264 with
    /// packetization-mode 1 and constrained baseline first (RFC 6184 §8.1).
    func preference(_ fmtp: String) -> Int? {
        let parameters = FormatParameters(fmtp)
        switch self {
        case .opus, .vp8: return 0
        case .vp9: return parameters.int("profile-id", default: 0) == 0 ? 0 : nil
        case .av1: return parameters.int("profile", default: 0) == 0 ? 0 : nil
        case .h264:
            let mode = parameters.int("packetization-mode", default: 0)
            guard mode == 0 || mode == 1 else { return nil }
            return (mode == 1 ? 0 : 10) + H264Profile(parameters).rawValue
        }
    }

    /// Whether a stream sent with `fmtp` decodes where `other` was described.
    func isSameConfiguration(_ fmtp: String, _ other: String) -> Bool {
        let (a, b) = (FormatParameters(fmtp), FormatParameters(other))
        switch self {
        case .opus, .vp8: return true
        case .vp9: return a.int("profile-id", default: 0) == b.int("profile-id", default: 0)
        case .av1: return a.int("profile", default: 0) == b.int("profile", default: 0)
        case .h264:
            return a.int("packetization-mode", default: 0) == b.int("packetization-mode", default: 0) && H264Profile(a) == H264Profile(b)
        }
    }
}

/// profile-level-id's profile (RFC 6184 §8.1 table 5), in the order we like them.
private enum H264Profile: Int {
    case constrainedBaseline, baseline, main, high, other
    init(_ parameters: FormatParameters) {
        // §8.1: left out, it is Baseline at level 1.
        guard let value = UInt32(parameters["profile-level-id"] ?? "42000a", radix: 16) else { self = .other; return }
        let constraints = UInt8(truncatingIfNeeded: value >> 8)
        switch UInt8(truncatingIfNeeded: value >> 16) {
        case 0x42: self = constraints & 0x40 != 0 ? .constrainedBaseline : .baseline
        case 0x4D: self = constraints & 0x80 != 0 ? .constrainedBaseline : .main
        case 0x58: self = constraints & 0xC0 == 0xC0 ? .constrainedBaseline : .other
        case 0x64: self = .high
        default: self = .other
        }
    }
}

extension SDP.Media {
    /// Every payload type of a codec we know, in the peer's order.
    package var configurations: [NegotiatedCodec] {
        guard let kind = kind.codecKind else { return [] }
        let retransmissions = retransmissionPayloadTypes
        return formats.compactMap { format in
            guard let payloadType = UInt8(format), let map = rtpmaps.first(where: { $0.payloadType == payloadType }),
                let codec = Codec(name: map.name), codec.kind == kind, codec.clockRate == map.clockRate
            else { return nil }
            return NegotiatedCodec(
                payloadType: payloadType, codec: codec, rtxPayloadType: retransmissions[payloadType], fmtp: formatParameters[payloadType] ?? "")
        }
    }
    /// What we accept of them: the best configuration of each codec.
    package var acceptableCodecs: [NegotiatedCodec] {
        let all = configurations
        var best: [Codec: (payloadType: UInt8, rank: Int)] = [:]
        for item in all {
            guard let rank = item.codec.preference(item.fmtp), rank < best[item.codec]?.rank ?? .max else { continue }
            best[item.codec] = (item.payloadType, rank)
        }
        return all.filter { best[$0.codec]?.payloadType == $0.payloadType }
    }
    /// RFC 4588 §8.6: apt names the payload type a retransmission stream repeats.
    private var retransmissionPayloadTypes: [UInt8: UInt8] {
        var result: [UInt8: UInt8] = [:]
        for map in rtpmaps where map.name.lowercased() == "rtx" {
            guard let apt = FormatParameters(formatParameters[map.payloadType] ?? "")["apt"].flatMap({ UInt8($0) }) else { continue }
            if result[apt] == nil { result[apt] = map.payloadType }
        }
        return result
    }

    /// Ids of extensions we carry in this section, for packets the peer sends (or receives).
    func extensions(peerSends: Bool) -> ExtensionMap {
        var map = ExtensionMap()
        for extmap in extmaps {
            guard let uri = ExtensionURI(uri: extmap.uri), isCarried(uri) else { continue }
            if let direction = extmap.direction, !(peerSends ? direction.sends : direction.receives) { continue }
            if !map.contains(uri) { map.set(uri, id: extmap.id) }
        }
        return map
    }
    /// video-orientation is left out on purpose: without it a sender turns its pictures itself, so that recordings and receivers
    /// that do not know the extension (Firefox) show them upright. Others would be forwarded by nobody.
    func isCarried(_ uri: ExtensionURI) -> Bool { Self.carried(kind).contains(uri) }
    static func carried(_ kind: SDP.Kind) -> [ExtensionURI] {
        switch kind {
        case .audio: [.mid, .audioLevel]
        case .video: [.mid, .rid, .repairedRid]
        default: []
        }
    }

    /// Feedback we give and understand; only this is offered, and of this only what the peer offers is answered.
    static func feedback(_ kind: SDP.Kind) -> [String] {
        switch kind {
        case .audio: ["nack"]
        case .video: ["nack", "nack pli", "ccm fir"]
        default: []
        }
    }
    package func offersFeedback(_ value: String, payloadType: UInt8) -> Bool {
        feedback.contains { $0.value == value && ($0.payloadType ?? payloadType) == payloadType }
    }

    // MARK: - Streams

    var firstMSID: SDP.MSID? {
        if let msid = msids.first { return msid }
        guard let attribute = sources.first(where: { $0.name == "msid" }) else { return nil }   // plan B's form, still sent by Chromium
        let words = attribute.value.split(separator: " ")
        return words.first.map { SDP.MSID(stream: String($0), track: words.count > 1 ? String(words[1]) : nil) }
    }

    /// RIDs the peer sends (RFC 8853 §5.1), at most `Negotiation.Limits.encodings`.
    var sentRIDs: [String] {
        guard kind == .video else { return [] }
        let ids = simulcast?.send ?? rids.filter(\.isSend).map(\.id)
        return Array(ids.prefix(Negotiation.Limits.encodings))
    }

    /// Encodings by RID; by SSRC where there are none. Firefox gives SSRCs beside RIDs without saying which belong together.
    package var sentEncodings: [InboundEncoding] {
        let ids = sentRIDs
        if !ids.isEmpty { return ids.map { InboundEncoding(rid: $0) } }
        var repairs: [UInt32: UInt32] = [:]
        for group in sourceGroups where group.semantics == "FID" && group.ssrcs.count == 2 { repairs[group.ssrcs[0]] = group.ssrcs[1] }
        let primaries = sourceGroups.first { $0.semantics == "SIM" }?.ssrcs
            ?? (sourceGroups.first { $0.semantics == "FID" }?.ssrcs.first ?? sources.first?.ssrc).map { [$0] } ?? []
        if primaries.isEmpty { return [InboundEncoding()] }
        return primaries.prefix(Negotiation.Limits.encodings).map { InboundEncoding(ssrc: $0, rtxSSRC: repairs[$0]) }
    }
}

extension SDP.Session {
    /// The transport of the whole BUNDLE group: that of its first living section (RFC 8843 §7.1.1).
    func remoteTransport(living: [SDP.Media]) throws(SDPError) -> RemoteTransport {
        let tagged = bundle?.lazy.compactMap { mid in living.first { $0.mid == mid } }.first ?? living.first
        guard let tagged = tagged ?? media.first else { throw .missing("m=") }
        let found = transport(of: tagged)
        guard let ufrag = found.iceUfrag else { throw .missing("a=ice-ufrag") }
        guard let password = found.icePassword else { throw .missing("a=ice-pwd") }
        let strongest = ["sha-256", "sha-512", "sha-384"].lazy.compactMap { name in found.fingerprints.first { $0.algorithm == name } }.first
        guard let fingerprint = strongest else {
            throw found.fingerprints.isEmpty ? .missing("a=fingerprint") : .unsupported("fingerprint by \(found.fingerprints[0].algorithm)")
        }
        var candidates: [SocketAddress] = []
        for candidate in tagged.candidates where candidate.isUDP && candidate.component == 1 {
            if let address = candidate.address, !candidates.contains(address) { candidates.append(address) }
        }
        return RemoteTransport(
            iceUfrag: ufrag, icePassword: password, fingerprintAlgorithm: fingerprint.algorithm, fingerprint: fingerprint.digest,
            setup: found.setup ?? .active, isLite: iceLite, candidates: candidates)   // RFC 4145 §4: active when nothing is said
    }
}
