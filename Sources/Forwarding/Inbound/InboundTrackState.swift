// A publication as it arrives: its encodings, its codecs, and who reads it.
internal import Primitives
internal import RTP

/// One packet that waits for the next flush.
struct Arrival {
    var number: UInt64
    var encoding: UInt8
    var generation: UInt8
}

/// The state of one inbound track. Lives behind a pointer in the router.
struct InboundTrackState {
    enum Limits {
        /// Packets of one track between two flushes.
        static let arrivals = 128
        /// Payload types of one track.
        static let payloadTypes = 16
    }
    let handle: InboundTrack
    let transport: TransportIndex
    let origin: InboundConfiguration.Origin
    let kind: Codec.Kind
    private(set) var mid: ShortName
    private(set) var extensions: ExtensionMap
    let streams: UnsafeMutablePointer<InboundStream>
    private(set) var streamCount: Int
    var readers = PointerList<OutboundStream>()
    /// Readers of another source that are to go over to this one.
    var waiting = PointerList<OutboundStream>()
    var isMuted = false
    /// Bit n: encoding n delivers packets.
    var active: UInt8 = 0
    /// True while the track stands in the router's list of tracks to flush.
    var isQueued = false
    let arrivals: UnsafeMutablePointer<Arrival>
    private(set) var arrivalCount = 0
    private var arrivalsFrom: (UInt64, UInt64, UInt64, UInt64) = (.max, .max, .max, .max)
    private var mappings = InlineArray<16, (payloadType: UInt8, rtx: UInt8, codec: Codec)>(repeating: (0xFF, 0xFF, .opus))
    var reportDueAt: Instant

    init(handle: InboundTrack, _ configuration: InboundConfiguration, reportDueAt: Instant) {
        self.handle = handle
        self.reportDueAt = reportDueAt
        transport = configuration.transport
        origin = configuration.origin
        kind = configuration.kind
        mid = ShortName(configuration.mid)
        extensions = configuration.extensions
        streams = .allocate(capacity: InboundConfiguration.Limits.encodings)
        streamCount = 0
        arrivals = .allocate(capacity: Limits.arrivals)
        arrivals.initialize(repeating: Arrival(number: 0, encoding: 0, generation: 0), count: Limits.arrivals)
        update(configuration)
    }
    func deallocate() {
        for i in 0..<streamCount { streams[i].deallocate() }
        streams.deinitialize(count: streamCount)
        streams.deallocate()
        arrivals.deallocate()
        readers.deallocate()
        waiting.deallocate()
    }
    /// Somebody gets its packets, or is about to.
    var isWanted: Bool { readers.count > 0 || waiting.count > 0 }

    var isPipe: Bool { if case .pipe = origin { true } else { false } }
    var pipeStream: UInt32 { if case .pipe(let id) = origin { id } else { 0 } }

    /// Takes over what signalling says; encodings keep their place, new ones are added behind, SSRCs learned from packets stay.
    mutating func update(_ configuration: InboundConfiguration) {
        mid = ShortName(configuration.mid)
        extensions = configuration.extensions
        for i in 0..<Limits.payloadTypes {
            guard i < configuration.codecs.count else { mappings[i] = (0xFF, 0xFF, .opus); continue }
            let mapping = configuration.codecs[i]
            mappings[i] = (mapping.payloadType, mapping.rtxPayloadType ?? 0xFF, mapping.codec)
        }
        let encodings = configuration.encodings.isEmpty ? [EncodingDescription()] : configuration.encodings
        for (i, encoding) in encodings.prefix(InboundConfiguration.Limits.encodings).enumerated() {
            if i < streamCount {
                streams[i].rename(encoding.rid)
                if let ssrc = encoding.ssrc, streams[i].packets == 0 { streams[i].ssrc = ssrc }
                if let ssrc = encoding.rtxSSRC { streams[i].rtxSSRC = ssrc }
            } else {
                (streams + i).initialize(to: InboundStream(index: UInt8(i), kind: kind, description: encoding))
                streamCount += 1
            }
        }
    }

    /// The codec of a payload type, and the payload type an RTX one repeats.
    @inline(__always) func codec(of payloadType: UInt8) -> Codec? {
        for i in 0..<Limits.payloadTypes {
            let mapping = mappings[i]
            if mapping.payloadType == payloadType { return mapping.codec }
            if mapping.payloadType == 0xFF { return nil }
        }
        return nil
    }
    func original(ofRTX payloadType: UInt8) -> UInt8? {
        for i in 0..<Limits.payloadTypes where mappings[i].rtx == payloadType && mappings[i].payloadType != 0xFF { return mappings[i].payloadType }
        return nil
    }

    // MARK: Arrivals

    /// Cache position from which on this encoding's bytes wait to be forwarded.
    func keeping(_ encoding: Int) -> UInt64 {
        switch encoding { case 0: arrivalsFrom.0; case 1: arrivalsFrom.1; case 2: arrivalsFrom.2; default: arrivalsFrom.3 }
    }
    var isFull: Bool { arrivalCount == Limits.arrivals }

    mutating func append(_ packet: UnsafePointer<CachedPacket>, encoding: UInt8, generation: UInt8) {
        arrivals[arrivalCount] = Arrival(number: packet.pointee.number, encoding: encoding, generation: generation)
        arrivalCount += 1
        let position = packet.pointee.position
        switch encoding {
        case 0: arrivalsFrom.0 = min(arrivalsFrom.0, position)
        case 1: arrivalsFrom.1 = min(arrivalsFrom.1, position)
        case 2: arrivalsFrom.2 = min(arrivalsFrom.2, position)
        default: arrivalsFrom.3 = min(arrivalsFrom.3, position)
        }
    }
    mutating func clearArrivals() {
        arrivalCount = 0
        arrivalsFrom = (.max, .max, .max, .max)
        isQueued = false
    }
}
