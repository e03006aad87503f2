// What the control side tells a router about tracks coming in and going out.
package import RTP

/// Slot of a transport in its media loop's table: peers, pipes and taps alike.
package typealias TransportIndex = Int32

/// What a router says of itself in the RTCP it makes.
package struct RouterConfiguration: Sendable {
    /// The router's own SSRC: sender of RR, NACK and PLI.
    package var feedbackSSRC: UInt32
    /// CNAME beside it (RFC 3550 §6.5.1).
    package var cname: String
    package init(feedbackSSRC: UInt32 = 1, cname: String = "troupe") {
        self.feedbackSSRC = feedbackSSRC
        self.cname = cname
    }
}

/// Names one inbound track of a router. A handle that was removed is never mistaken for a later one.
package struct InboundTrack: Hashable, Sendable {
    let slot: Int32
    let generation: UInt32
}

/// Names one outbound track of a router.
package struct OutboundTrack: Hashable, Sendable {
    let slot: Int32
    let generation: UInt32
}

/// A payload type of an inbound track, and that of its RTX stream.
package struct PayloadMapping: Hashable, Sendable {
    package var payloadType: UInt8
    package var codec: Codec
    package var rtxPayloadType: UInt8?
    package init(payloadType: UInt8, codec: Codec, rtxPayloadType: UInt8? = nil) {
        self.payloadType = payloadType; self.codec = codec; self.rtxPayloadType = rtxPayloadType
    }
}

/// One encoding of a publication: what signalling knows of its RID (RFC 8851) and SSRCs. What it does not know is learned from packets.
package struct EncodingDescription: Hashable, Sendable {
    package var rid: String?
    package var ssrc: UInt32?
    package var rtxSSRC: UInt32?
    package init(rid: String? = nil, ssrc: UInt32? = nil, rtxSSRC: UInt32? = nil) {
        self.rid = rid; self.ssrc = ssrc; self.rtxSSRC = rtxSSRC
    }
}

/// A track that arrives: from a peer, or from another node over a pipe.
package struct InboundConfiguration: Sendable {
    package enum Limits {
        /// Encodings of one track; more are ignored.
        package static let encodings = 4
    }
    package enum Origin: Hashable, Sendable {
        case peer
        /// Original packets of the selected encoding, by the pipe's stream id.
        case pipe(streamID: UInt32)
    }
    package var transport: TransportIndex
    package var origin: Origin
    package var kind: Codec.Kind
    package var mid: String
    package var codecs: [PayloadMapping]
    package var extensions: ExtensionMap
    /// Lowest quality first. Empty means one encoding nothing is known about.
    package var encodings: [EncodingDescription]

    package init(
        transport: TransportIndex, origin: Origin = .peer, kind: Codec.Kind, mid: String = "", codecs: [PayloadMapping],
        extensions: ExtensionMap = ExtensionMap(), encodings: [EncodingDescription] = []
    ) {
        self.transport = transport; self.origin = origin; self.kind = kind; self.mid = mid
        self.codecs = codecs; self.extensions = extensions; self.encodings = encodings
    }
}

/// What a subscribing peer's SDP agreed on for one track.
package struct PeerSink: Sendable {
    package var ssrc: UInt32
    package var rtxSSRC: UInt32?
    package var codec: Codec
    package var payloadType: UInt8
    package var rtxPayloadType: UInt8?
    package var extensions: ExtensionMap
    package var mid: String
    /// CNAME of the publishing participant: tracks that play in step share it. At most 255 bytes of UTF-8.
    package var cname: String
    /// Sequence number of the first packet; below 2^15 (RFC 3711 §3.3.1).
    package var firstSequence: UInt16

    package init(
        ssrc: UInt32, rtxSSRC: UInt32? = nil, codec: Codec, payloadType: UInt8, rtxPayloadType: UInt8? = nil,
        extensions: ExtensionMap = ExtensionMap(), mid: String = "", cname: String = "", firstSequence: UInt16 = 1
    ) {
        self.ssrc = ssrc; self.rtxSSRC = rtxSSRC; self.codec = codec; self.payloadType = payloadType; self.rtxPayloadType = rtxPayloadType
        self.extensions = extensions; self.mid = mid; self.cname = cname; self.firstSequence = firstSequence
    }
}

/// Where a track goes.
package struct OutboundConfiguration: Sendable {
    package enum Sink: Sendable {
        /// Rewritten: SSRC, numbers, payload type, extension ids.
        case peer(PeerSink)
        /// Original packets and the publisher's sender reports, to another node.
        case pipe(streamID: UInt32)
        /// Original packets and the publisher's sender reports, to a journal; the tag comes back as `ForwardedPacket.streamID`.
        case tap(tag: UInt32)
    }
    package var transport: TransportIndex
    package var sink: Sink
    package init(transport: TransportIndex, sink: Sink) { self.transport = transport; self.sink = sink }
}

/// Which layer a subscriber wants at most. `spatial` counts encodings from the lowest; both saturate.
package struct LayerPreference: Hashable, Sendable {
    package var spatial: UInt8
    package var temporal: UInt8
    package init(spatial: UInt8 = .max, temporal: UInt8 = .max) { self.spatial = spatial; self.temporal = temporal }
    package static let highest = LayerPreference()
}
