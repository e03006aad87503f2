// What goes into and comes out of a negotiation.
package import Primitives
package import RTP

/// Our end of the one transport a peer connection has.
package struct LocalTransport: Equatable, Sendable {
    package var iceUfrag: String
    package var icePassword: String
    /// SHA-256 of our certificate: "AB:CD:…".
    package var fingerprint: String
    /// Host candidates, the preferred first.
    package var candidates: [SocketAddress]
    package init(iceUfrag: String, icePassword: String, fingerprint: String, candidates: [SocketAddress]) {
        self.iceUfrag = iceUfrag; self.icePassword = icePassword; self.fingerprint = fingerprint; self.candidates = candidates
    }
}

/// The peer's end, as its description names it.
package struct RemoteTransport: Equatable, Sendable {
    package var iceUfrag: String
    package var icePassword: String
    /// "sha-256" where the peer gave it, else the strongest it gave.
    package var fingerprintAlgorithm: String
    package var fingerprint: String
    package var setup: SDP.Setup
    /// ICE-lite: the peer answers checks and sends none (RFC 8445 §2.5).
    package var isLite: Bool
    /// UDP candidates with numeric addresses, each once, in the peer's order.
    package var candidates: [SocketAddress]

    /// Whether `other` starts ICE anew (RFC 8839 §4.4.1.1.1).
    package func restarts(_ other: RemoteTransport?) -> Bool {
        guard let other else { return false }
        return iceUfrag != other.iceUfrag || icePassword != other.icePassword
    }
}

package struct NegotiatedCodec: Hashable, Codable, Sendable {
    package var payloadType: UInt8
    package var codec: Codec
    package var rtxPayloadType: UInt8?
    package var fmtp: String
    package init(payloadType: UInt8, codec: Codec, rtxPayloadType: UInt8?, fmtp: String) {
        self.payloadType = payloadType; self.codec = codec; self.rtxPayloadType = rtxPayloadType; self.fmtp = fmtp
    }
}

/// One encoding of a track the peer sends. What is nil is learned from packets (mid, rid and repaired-rid extensions).
package struct InboundEncoding: Hashable, Codable, Sendable {
    package var rid: String?
    package var ssrc: UInt32?
    package var rtxSSRC: UInt32?
    package init(rid: String? = nil, ssrc: UInt32? = nil, rtxSSRC: UInt32? = nil) { self.rid = rid; self.ssrc = ssrc; self.rtxSSRC = rtxSSRC }
}

/// A track the peer sends, or has sent in this section.
package struct InboundMedia: Equatable, Sendable {
    package var mid: String
    package var kind: Codec.Kind
    /// The msid's track, or the mid where there is none or another section has it too.
    package var trackID: String
    package var streamID: String
    /// What may arrive, the peer's first choice first.
    package var codecs: [NegotiatedCodec]
    package var extensions: ExtensionMap
    package var encodings: [InboundEncoding]
    /// false while the peer has set the section not to send.
    package var active: Bool
}

/// A track we want to send to the peer.
package struct OutboundTrack: Equatable, Sendable {
    package var id: String
    /// msid's stream and the CNAME: tracks of one participant play in sync.
    package var streamID: String
    package var kind: Codec.Kind
    package var codec: Codec
    /// The publisher's format parameters; they choose among profiles.
    package var fmtp: String
    package var ssrc: UInt32
    package var rtxSSRC: UInt32?
    /// "screen_share" is told to the peer as a=content:slides (RFC 4796).
    package var source: String?
    package init(id: String, streamID: String, kind: Codec.Kind, codec: Codec, fmtp: String = "", ssrc: UInt32, rtxSSRC: UInt32? = nil, source: String? = nil) {
        self.id = id; self.streamID = streamID; self.kind = kind; self.codec = codec; self.fmtp = fmtp
        self.ssrc = ssrc; self.rtxSSRC = rtxSSRC; self.source = source
    }
    /// What is written: the publisher's parameters, or our defaults.
    var offeredFormat: String { fmtp.isEmpty ? codec.defaultFormatParameters : fmtp }
    /// Whether a peer that described `other` decodes it there.
    func fits(_ other: NegotiatedCodec) -> Bool { other.codec == codec && codec.isSameConfiguration(offeredFormat, other.fmtp) }
}

/// An outbound track's place in the session.
package struct OutboundMedia: Equatable, Sendable {
    package var id: String
    package var mid: String
    package var payloadType: UInt8
    package var rtxPayloadType: UInt8?
    package var extensions: ExtensionMap
    package var ssrc: UInt32
    package var rtxSSRC: UInt32?
    /// The peer is willing to receive it: media may flow.
    package var accepted: Bool
    package init(id: String, mid: String, payloadType: UInt8, rtxPayloadType: UInt8?, extensions: ExtensionMap, ssrc: UInt32, rtxSSRC: UInt32?, accepted: Bool) {
        self.id = id; self.mid = mid; self.payloadType = payloadType; self.rtxPayloadType = rtxPayloadType
        self.extensions = extensions; self.ssrc = ssrc; self.rtxSSRC = rtxSSRC; self.accepted = accepted
    }
}

/// A completed exchange.
package struct Accepted: Equatable, Sendable {
    /// To send back; nil after an answer.
    package var answer: String?
    package var remote: RemoteTransport
    /// Our transport from now on: differs from before after a restart of ICE.
    package var local: LocalTransport
    package var inbound: [InboundMedia]
    /// Tracks that have a place. One that was offered and is not here was refused: the peer has not its codec, or stopped its section.
    package var outbound: [OutboundMedia]
    /// The peer's ICE credentials changed with this exchange.
    package var iceRestarted: Bool
    /// An offer of ours was withdrawn for the peer's; ask `makeOffer` again.
    package var rolledBack: Bool
}
