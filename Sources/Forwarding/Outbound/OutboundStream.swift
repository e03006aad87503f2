// One reader of a track: a subscribing peer, a pipe to another node, or a tap of a recording.
internal import Primitives
internal import RTP

/// What a reader shares with its track while packets are forwarded.
struct ForwardingContext {
    let now: Instant
    let counters: UnsafeMutablePointer<RouterCounters>
    let resends: UnsafeMutablePointer<ResendQueue>
}

/// The state of one outbound track. Lives behind a pointer in the router.
struct OutboundStream {
    let handle: OutboundTrack
    let transport: TransportIndex
    let transportState: UnsafeMutablePointer<TransportState>
    private(set) var track: UnsafeMutablePointer<InboundTrackState>
    /// The source this stream is to go over to.
    var upcoming: UpcomingSource?
    /// The source before `track`, while it is there: it answers NACKs of what it sent.
    var previous: UnsafeMutablePointer<InboundTrackState>?
    /// The next splice is the first of a new source.
    private(set) var isCrossing = false
    let kind: ForwardedPacket.Kind
    let streamID: UInt32
    /// Dense number on the transport; the RTX stream's is the next one.
    let streamNumber: Int32
    /// nil for pipes and taps.
    let peer: UnsafeMutablePointer<PeerStream>?
    var selection: EncodingSelection
    var isPaused = false
    private(set) var packets: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    private(set) var resent: UInt64 = 0
    /// For pipes: matches the far end's report blocks.
    var pipeReports = SenderReports()
    /// Number and encoding of the last publisher's report passed on.
    var passedReport: (encoding: UInt8, number: UInt32) = (EncodingSelection.none, 0)

    init(handle: OutboundTrack, _ configuration: OutboundConfiguration, track: UnsafeMutablePointer<InboundTrackState>, transport state: UnsafeMutablePointer<TransportState>, streamNumber: Int32) {
        transportState = state
        self.handle = handle
        self.track = track
        self.streamNumber = streamNumber
        transport = configuration.transport
        switch configuration.sink {
        case .peer(let sink):
            kind = .rtp
            streamID = 0
            let pointer = UnsafeMutablePointer<PeerStream>.allocate(capacity: 1)
            pointer.initialize(to: PeerStream(sink, kind: track.pointee.kind))
            peer = pointer
        case .pipe(let id):
            (kind, streamID, peer) = (.pipeRTP, id, nil)
        case .tap(let tag):
            (kind, streamID, peer) = (.tapRTP, tag, nil)
        }
        selection = EncodingSelection(startsAnywhere: peer == nil)
    }
    func deallocate() {
        guard let peer else { return }
        peer.pointee.deallocate()
        peer.deinitialize(count: 1)
        peer.deallocate()
    }
    var isPipe: Bool { kind == .pipeRTP }
    var isTap: Bool { kind == .tapRTP }
    var rtcpKind: ForwardedPacket.Kind { isPipe ? .pipeRTCP : isTap ? .tapRTCP : .rtcp }
    var roundTrip: Duration? { peer?.pointee.reports.roundTrip ?? pipeReports.roundTrip }

    // MARK: Forwarding

    /// Sends an arrival on, or says why not.
    /// - Parameter target: the batch's next packet.
    /// - Returns: true when `target` was filled.
    @inline(__always) mutating func forward(_ arrival: Arrival, into target: UnsafeMutablePointer<ForwardedPacket>, _ context: ForwardingContext) -> Bool {
        let stream = track.pointee.streams + Int(arrival.encoding)
        guard arrival.encoding == selection.current || arrival.encoding == selection.target else { return drop(.otherEncoding, context) }
        guard let packet = stream.pointee.cache.find(arrival.number) else { return drop(.evicted, context) }
        guard !isPaused else { return drop(.paused, context) }
        let before = selection.current
        switch selection.step(encoding: arrival.encoding, generation: arrival.generation, canBegin: packet.pointee.facts.flags.contains(.keyFrame)) {
        case .skip(let reason): return drop(reason, context)
        case .splice: splice(packet, arrival, before: before, context)
        case .forward: break
        }
        let source = stream.pointee.cache.bytes(of: packet)
        guard let peer else { return pass(packet, source, into: target) }
        switch peer.pointee.step(packet, now: context.now) {
        case .send(let sent, let timestamp): return send(packet, source, sent, timestamp, peer, into: target, context)
        case .fill(let sent, let timestamp):
            let layout = HeaderRewriter.writeFiller(sent, timestamp: timestamp, profile: peer.pointee.profile.pointee, to: target.pointee.wire)
            fill(target, layout, payload: nil, length: 0, isRTX: false, receivedAt: packet.pointee.receivedAt, peer)
            return true
        case .skip(let reason): return drop(reason, context)
        }
    }

    @inline(__always) private mutating func send(
        _ packet: UnsafePointer<CachedPacket>, _ source: UnsafeRawPointer, _ sent: SentPacket, _ timestamp: UInt32, _ peer: UnsafeMutablePointer<PeerStream>,
        into target: UnsafeMutablePointer<ForwardedPacket>, _ context: ForwardingContext
    ) -> Bool {
        guard let layout = HeaderRewriter.write(
            packet, source, as: sent, timestamp: timestamp, rewritesPicture: peer.pointee.rewritesPicture(packet.pointee.facts),
            profile: peer.pointee.profile, rtxSequence: nil, to: target.pointee.wire, capacity: SendBatch.Limits.payloadBytes)
        else { return drop(.wireTooSmall, context) }
        let length = Int(packet.pointee.payloadLength)
        fill(target, layout, payload: source + Int(packet.pointee.payloadOffset), length: length, isRTX: false, receivedAt: packet.pointee.receivedAt, peer)
        peer.pointee.count(payload: length)
        return true
    }

    @inline(__always) private mutating func fill(
        _ target: UnsafeMutablePointer<ForwardedPacket>, _ layout: HeaderRewriter.Layout, payload: UnsafeRawPointer?, length: Int, isRTX: Bool,
        receivedAt: Int64, _ peer: UnsafeMutablePointer<PeerStream>
    ) {
        target.pointee.kind = .rtp
        target.pointee.transport = transport
        target.pointee.stream = isRTX ? streamNumber &+ 1 : streamNumber
        target.pointee.ssrc = isRTX ? peer.pointee.profile.pointee.rtxSSRC : peer.pointee.profile.pointee.ssrc
        target.pointee.headerLength = Int32(layout.header)
        target.pointee.prefixLength = Int32(layout.prefix)
        target.pointee.payload = payload.map { $0 + layout.skipped }
        target.pointee.payloadLength = Int32(length &- layout.skipped)
        target.pointee.streamID = 0
        target.pointee.receivedAt = receivedAt
        packets &+= 1
        bytes &+= UInt64(target.pointee.length)
    }

    /// The original packet, whole, for a pipe or a tap.
    private mutating func pass(_ packet: UnsafePointer<CachedPacket>, _ source: UnsafeRawPointer, into target: UnsafeMutablePointer<ForwardedPacket>) -> Bool {
        target.pointee.kind = kind
        target.pointee.isRecovered = packet.pointee.facts.flags.contains(.recovered)
        target.pointee.transport = transport
        target.pointee.stream = -1
        target.pointee.ssrc = track.pointee.streams[Int(selection.current)].ssrc ?? 0
        target.pointee.headerLength = 0
        target.pointee.prefixLength = 0
        target.pointee.payload = source
        target.pointee.payloadLength = Int32(packet.pointee.length)
        target.pointee.streamID = streamID
        target.pointee.receivedAt = packet.pointee.receivedAt
        packets &+= 1
        bytes &+= UInt64(packet.pointee.length)
        return true
    }

    private mutating func splice(_ packet: UnsafePointer<CachedPacket>, _ arrival: Arrival, before: UInt8, _ context: ForwardingContext) {
        let streams = track.pointee.streams, crossed = isCrossing
        isCrossing = false
        guard let peer else { return }
        peer.pointee.splice(
            packet, encoding: arrival.encoding, generation: arrival.generation, old: sentClock(of: crossed ? previous : track, peer),
            new: streams[Int(arrival.encoding)].clock, isOtherSource: crossed, now: context.now)
        // A key frame whose first packet came late (it was lost and repaired): what followed it waits in the cache.
        context.resends.pointee.catchUp(
            self.handle, encoding: arrival.encoding, after: arrival.number, through: streams[Int(arrival.encoding)].gate.highest)
    }

    /// The clock of the encoding sent last, if it is still in the same life.
    func sentClock(of source: UnsafeMutablePointer<InboundTrackState>?, _ peer: UnsafeMutablePointer<PeerStream>) -> ClockReference? {
        let encoding = Int(peer.pointee.encoding)
        guard let source, encoding < source.pointee.streamCount, source.pointee.streams[encoding].generation == peer.pointee.generation else { return nil }
        return source.pointee.streams[encoding].clock
    }

    /// Everything from here on comes from the upcoming source, beginning with a key frame of it.
    mutating func goOver() {
        guard let next = upcoming else { return }
        previous = track
        track = next.track
        selection = EncodingSelection(startsAnywhere: peer == nil)
        _ = selection.retarget(active: track.pointee.active, preferred: next.selection.preferred)
        passedReport = (EncodingSelection.none, 0)
        isCrossing = true
        upcoming = nil
    }

    /// Sends a packet again that the peer asked for: by RTX where it was negotiated, else byte for byte.
    mutating func resend(_ sequence: UInt16, into target: UnsafeMutablePointer<ForwardedPacket>, _ context: ForwardingContext) -> Bool {
        guard let peer, let sent = peer.pointee.history.find(sequence), !sent.pointee.isFiller,
            let source = peer.pointee.isOfEarlierSource(sent.pointee) ? previous : track, Int(sent.pointee.encoding) < source.pointee.streamCount,
            let offset = peer.pointee.timestamps.offset(of: sent.pointee.splice)
        else { return drop(.resendUnknown, context) }
        let cache = source.pointee.streams[Int(sent.pointee.encoding)].cache
        guard let packet = cache.find(sent.pointee.number) else { return drop(.resendUnknown, context) }
        guard SentHistory.admitsResend(sent, roundTrip: roundTrip, now: context.now) else { return drop(.resendTooSoon, context) }
        let facts = packet.pointee.facts, hasRTX = peer.pointee.profile.pointee.hasRTX
        let rewrites = facts.codec.is(.vp8) && (facts.flags.contains(.pictureID) || facts.flags.contains(.tl0PictureIndex))
        guard let layout = HeaderRewriter.write(
            packet, cache.bytes(of: packet), as: sent.pointee, timestamp: facts.timestamp &+ offset, rewritesPicture: rewrites, profile: peer.pointee.profile,
            rtxSequence: hasRTX ? peer.pointee.nextRTXSequence() : nil, to: target.pointee.wire, capacity: SendBatch.Limits.payloadBytes)
        else { return drop(.wireTooSmall, context) }
        fill(
            target, layout, payload: cache.bytes(of: packet) + Int(packet.pointee.payloadOffset), length: Int(packet.pointee.payloadLength), isRTX: hasRTX,
            receivedAt: packet.pointee.receivedAt, peer)
        countResent(context)
        return true
    }

    /// Sends an original again over a pipe.
    mutating func passAgain(encoding: UInt8, number: UInt64, into target: UnsafeMutablePointer<ForwardedPacket>, _ context: ForwardingContext) -> Bool {
        let cache = track.pointee.streams[Int(encoding)].cache
        guard selection.current == encoding, let packet = cache.find(number) else { return drop(.resendUnknown, context) }
        countResent(context)
        return pass(packet, cache.bytes(of: packet), into: target)
    }
    private mutating func countResent(_ context: ForwardingContext) {
        resent &+= 1
        context.counters.pointee.resent &+= 1
    }
    @inline(__always) private func drop(_ reason: DropReason, _ context: ForwardingContext) -> Bool {
        context.counters.pointee.drop(reason)
        return false
    }
}
