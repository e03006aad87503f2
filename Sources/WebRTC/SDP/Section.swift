// One m-line of a negotiated session, seen from the server.
internal import RTP

/// Its index never changes; a stopped one may be used anew under another mid (RFC 8829 §5.2.2).
struct Section: Equatable, Sendable {
    var mid: String
    var kind: SDP.Kind
    /// An offer of ours made it: the peer only receives in it unless it says otherwise.
    var isOurs: Bool
    /// Port 0 on both sides.
    var isStopped = false
    /// As the peer wrote them, for a section that is no RTP of ours and must still be repeated (m=application).
    var proto = SDP.Media.rtpProtocol
    var formats: [String] = []
    /// The track we send here, as it was described to the peer.
    var outbound: OutboundTrack?
    /// The peer's last description of the section; nil before its first and after a stop.
    var remote: SDP.Media?
    /// From the peer's side.
    var remoteDirection = SDP.Direction.inactive
    /// The peer has sent here before.
    var hasReceived = false

    mutating func stop() {
        isStopped = true
        outbound = nil
        remote = nil
        remoteDirection = .inactive
        hasReceived = false
    }
    mutating func described(_ media: SDP.Media, direction: SDP.Direction) {
        remote = media
        remoteDirection = direction
        hasReceived = hasReceived || direction.sends
    }
    /// What we offer: to receive wherever the peer made the section or sends in it.
    var offeredDirection: SDP.Direction {
        SDP.Direction(sends: outbound != nil, receives: !isOurs || remoteDirection.sends)
    }
    /// What we answer to the peer's direction (RFC 3264 §6.1).
    var answeredDirection: SDP.Direction {
        SDP.Direction(sends: outbound != nil && remoteDirection.receives, receives: remoteDirection.sends)
    }

    /// The track the peer sends here, if it ever did.
    func inbound(taken: Set<String>) -> InboundMedia? {
        guard !isStopped, hasReceived, let remote, let kind = kind.codecKind else { return nil }
        let msid = remote.firstMSID
        let track = msid?.track.flatMap { taken.contains($0) ? nil : $0 } ?? mid
        return InboundMedia(
            mid: mid, kind: kind, trackID: track, streamID: msid.map { $0.stream == "-" ? "" : $0.stream } ?? "",
            codecs: answeredCodecs, extensions: remote.extensions(peerSends: true), encodings: remote.sentEncodings, active: remoteDirection.sends)
    }

    /// The outbound track's numbers; nil without one or before the peer described the section.
    var outboundMedia: OutboundMedia? {
        guard let track = outbound, let remote, let chosen = configuration(of: track) else { return nil }
        return OutboundMedia(
            id: track.id, mid: mid, payloadType: chosen.payloadType, rtxPayloadType: track.rtxSSRC == nil ? nil : chosen.rtxPayloadType,
            extensions: remote.extensions(peerSends: false), ssrc: track.ssrc, rtxSSRC: chosen.rtxPayloadType == nil ? nil : track.rtxSSRC,
            accepted: remoteDirection.receives)
    }
    /// The peer's payload type for the track's codec and profile in this section.
    func configuration(of track: OutboundTrack) -> NegotiatedCodec? {
        remote?.configurations.first { track.fits($0) }
    }

    /// What we accept of the peer's codecs, with the parameters we ask for (RFC 7587 §7: an answer says what we receive).
    var answeredCodecs: [NegotiatedCodec] {
        guard let remote else { return [] }
        return remote.acceptableCodecs.map { offered in
            var item = offered
            switch offered.codec {
            case .opus:
                let parameters = FormatParameters(offered.fmtp)
                item.fmtp = Codec.opus.defaultFormatParameters
                for name in ["stereo", "usedtx"] where parameters.int(name, default: 0) == 1 { item.fmtp += ";\(name)=1" }
            case .vp8: item.fmtp = ""   // the offer's limits are for what we send
            case .vp9, .h264, .av1: if offered.fmtp.isEmpty, offered.codec != .h264 { item.fmtp = offered.codec.defaultFormatParameters }
            }
            return item
        }
    }
}
