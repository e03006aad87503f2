// Our own m-sections, as offers and answers carry them (RFC 8829 §5.2.1, §5.3.1).
internal import Primitives
internal import RTP

extension SDP.Media {
    static let rtpProtocol = "UDP/TLS/RTP/SAVPF"

    /// A section of ours.
    /// - Parameters:
    ///   - codecs: with their retransmission streams.
    ///   - answering: the peer's section; only feedback it offers is answered. nil in an offer.
    init(kind: SDP.Kind, mid: String, direction: SDP.Direction, codecs: [NegotiatedCodec], extmaps: [SDP.Extmap], answering remote: SDP.Media?) {
        self.init(kind: kind, port: 9, proto: remote?.proto ?? Self.rtpProtocol, formats: [])
        self.mid = mid
        self.direction = direction
        self.extmaps = extmaps
        rtcpMux = true
        rtcpReducedSize = remote?.rtcpReducedSize ?? true
        for item in codecs { add(item, answering: remote) }
    }

    private mutating func add(_ item: NegotiatedCodec, answering remote: SDP.Media?) {
        guard !formats.contains(String(item.payloadType)) else { return }
        formats.append(String(item.payloadType))
        rtpmaps.append(SDP.RTPMap(payloadType: item.payloadType, name: item.codec.name, clockRate: item.codec.clockRate, channels: item.codec.channels))
        if !item.fmtp.isEmpty { formatParameters[item.payloadType] = item.fmtp }
        for value in Self.feedback(kind) where remote?.offersFeedback(value, payloadType: item.payloadType) ?? true {
            feedback.append(SDP.Feedback(payloadType: item.payloadType, value: value))
        }
        guard let rtx = item.rtxPayloadType else { return }
        formats.append(String(rtx))
        rtpmaps.append(SDP.RTPMap(payloadType: rtx, name: "rtx", clockRate: item.codec.clockRate))
        formatParameters[rtx] = "apt=\(item.payloadType)"
    }

    /// The stream we send in it.
    mutating func add(_ track: OutboundTrack) {
        msids = [SDP.MSID(stream: track.streamID.sdpToken, track: track.id.sdpToken)]
        let ssrcs = [track.ssrc] + (track.rtxSSRC.map { [$0] } ?? [])
        if ssrcs.count == 2 { sourceGroups = [SDP.SourceGroup(semantics: "FID", ssrcs: ssrcs)] }   // RFC 5576 §4.2
        sources = ssrcs.map { SDP.SourceAttribute(ssrc: $0, name: "cname", value: track.streamID.sdpToken) }
        if track.source == "screen_share" { content = "slides" }
    }

    /// The RIDs of the peer's simulcast, as we receive them (RFC 8853 §5.3.2).
    mutating func receiveEncodings(of remote: SDP.Media) {
        let ids = remote.sentRIDs
        rids = ids.map { SDP.RID(id: $0, isSend: false) }
        if remote.simulcast != nil, !ids.isEmpty { simulcast = SDP.Simulcast(receive: ids) }
    }

    mutating func add(_ local: LocalTransport, setup: SDP.Setup) {
        port = local.candidates.first?.port ?? 9
        connection = local.candidates.first?.host
        transport.iceUfrag = local.iceUfrag
        transport.icePassword = local.icePassword
        transport.fingerprints = [SDP.Fingerprint(algorithm: "sha-256", digest: local.fingerprint)]
        transport.setup = setup
        candidates = local.candidates.enumerated().map { .host($0.element, index: $0.offset) }
        endOfCandidates = true
    }

    /// Makes it a section nobody uses. Transport attributes stay: aiortc asks for them even here.
    mutating func reject() {
        port = 0
        connection = nil
        direction = .inactive
        candidates = []
        endOfCandidates = false
        if formats.isEmpty { formats = ["0"] }
    }
}

extension String {
    /// With what is not a token character (RFC 8866 §9) replaced, so that an id cannot break a line.
    var sdpToken: String {
        guard !isEmpty else { return "-" }
        return String(decoding: utf8.map { ($0 > 0x20 && $0 < 0x7F) ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
    }
}
