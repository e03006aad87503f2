// A packet arrives: whose it is, what it repeats, and its place among those that wait for the flush.
internal import Primitives
internal import RTP

extension RouterCore {
    func receive(
        _ packet: UnsafeMutableRawBufferPointer, from: TransportIndex, pipeStream: UInt32?, isRecovered: Bool, receivedAt: Int64, now: Instant
    ) -> Disposition {
        counts.pointee.rtpIn &+= 1
        counts.pointee.rtpBytesIn &+= UInt64(packet.count)
        guard let header = try? RTPHeader(UnsafeRawBufferPointer(packet)) else { return drop(.malformed) }
        let known = state.pointee.inbound.find(StreamTable.key(from, pipeStream ?? header.ssrc))
        guard known >= 0 else {
            guard pipeStream == nil, let learned = learn(header, from: from, now: now) else { return drop(.unknownStream) }
            return receive(packet, header, learned, isRecovered: isRecovered, receivedAt: receivedAt, now: now)
        }
        return receive(packet, header, StreamReference(rawValue: known), isRecovered: isRecovered, receivedAt: receivedAt, now: now)
    }

    private func receive(
        _ packet: UnsafeMutableRawBufferPointer, _ header: RTPHeader, _ reference: StreamReference, isRecovered: Bool, receivedAt: Int64, now: Instant
    ) -> Disposition {
        guard let track = state.pointee.tracks[reference.track] else { return drop(.unknownStream) }
        if reference.isRTX { return receiveRetransmission(packet, header, track, reference.encoding, receivedAt: receivedAt, now: now) }
        guard let codec = track.pointee.codec(of: header.payloadType) else { return drop(.unknownPayloadType) }
        var encoding = Int(reference.encoding)
        if reference.encoding == StreamReference.anyEncoding {
            guard let found = pipeEncoding(header, codec, track, now: now) else { return drop(.tooOld) }
            encoding = found
        }
        return accept(header, codec, track, encoding, isRecovered ? .pipedRetransmission : .direct, receivedAt: receivedAt, now: now)
    }

    /// RFC 4588 §4: the packet becomes the one it repeats, in place.
    private func receiveRetransmission(
        _ packet: UnsafeMutableRawBufferPointer, _ header: RTPHeader, _ track: UnsafeMutablePointer<InboundTrackState>, _ encoding: UInt8,
        receivedAt: Int64, now: Instant
    ) -> Disposition {
        let stream = track.pointee.streams + Int(encoding)
        guard let ssrc = stream.pointee.ssrc else { return drop(.orphanRetransmission) }
        guard let payloadType = track.pointee.original(ofRTX: header.payloadType), let codec = track.pointee.codec(of: payloadType) else {
            return drop(.unknownPayloadType)
        }
        guard let original = Retransmission.unwrap(packet, header: header, ssrc: ssrc, payloadType: payloadType) else {
            return drop(.emptyRetransmission)
        }
        guard let inner = try? RTPHeader(UnsafeRawBufferPointer(original)) else { return drop(.malformed) }
        return accept(inner, codec, track, Int(encoding), .retransmission, receivedAt: receivedAt, now: now)
    }

    private func accept(
        _ header: RTPHeader, _ codec: Codec, _ track: UnsafeMutablePointer<InboundTrackState>, _ encoding: Int, _ way: InboundStream.Way,
        receivedAt: Int64, now: Instant
    ) -> Disposition {
        guard !track.pointee.isFull else { return drop(.arrivalsFull) }
        let stream = track.pointee.streams + encoding
        let generation = stream.pointee.generation, keyFrames = stream.pointee.keyFrameCount, recovered = stream.pointee.recovered
        let outcome = stream.pointee.receive(
            header, codec: codec, extensions: track.pointee.extensions, way: way, receivedAt: receivedAt,
            keeping: track.pointee.keeping(encoding), now: now)
        guard case .cached(let packet) = outcome else {
            guard case .dropped(let reason) = outcome else { return .accepted }
            return drop(reason)
        }
        counts.pointee.recovered &+= stream.pointee.recovered &- recovered
        if stream.pointee.becomesActive() { activated(stream, track, now: now) }
        if stream.pointee.generation != generation { restarted(stream, track) }
        if stream.pointee.keyFrameCount != keyFrames {
            stream.pointee.keyFrames.satisfy()   // also what the two lines above wished for: here it is
            emit(.keyFrame(track.pointee.handle, encoding: UInt8(encoding)))
        }
        guard !track.pointee.isMuted else {
            stream.pointee.nack.abandon()
            stream.pointee.hiddenThrough = max(stream.pointee.hiddenThrough, packet.pointee.number)
            return drop(.muted)
        }
        state.pointee.wantFeedback(at: stream.pointee.feedbackDeadline)
        if track.pointee.isWanted { enqueue(packet, track, stream) }
        return .accepted
    }

    @inline(__always) private func enqueue(
        _ packet: UnsafePointer<CachedPacket>, _ track: UnsafeMutablePointer<InboundTrackState>, _ stream: UnsafeMutablePointer<InboundStream>
    ) {
        track.pointee.append(packet, encoding: stream.pointee.index, generation: stream.pointee.generation)
        if !track.pointee.isQueued {
            track.pointee.isQueued = true
            state.pointee.queuedTracks.append(track)
        }
    }

    // MARK: Changes of a stream

    /// An encoding delivers packets, for the first time or after a silence.
    private func activated(_ stream: UnsafeMutablePointer<InboundStream>, _ track: UnsafeMutablePointer<InboundTrackState>, now: Instant) {
        track.pointee.active |= 1 << stream.pointee.index
        emit(.active(track.pointee.handle, encoding: stream.pointee.index))
        retarget(track)
        remindOfWaiting(track)
        if let transport = state.pointee.transport(track.pointee.transport) {
            track.pointee.reportDueAt = max(track.pointee.reportDueAt, now + InboundStream.Limits.reportInterval)
            state.pointee.wantReport(transport, at: track.pointee.reportDueAt)
        }
    }
    /// The numbers of an encoding began anew: whoever reads it needs a key frame.
    private func restarted(_ stream: UnsafeMutablePointer<InboundStream>, _ track: UnsafeMutablePointer<InboundTrackState>) {
        guard track.pointee.kind == .video else { return }
        let encoding = stream.pointee.index
        for i in 0..<track.pointee.readers.count where track.pointee.readers[i].pointee.selection.target == encoding { stream.pointee.keyFrames.request() }
    }
    func retarget(_ track: UnsafeMutablePointer<InboundTrackState>) {
        for i in 0..<track.pointee.readers.count {
            let reader = track.pointee.readers[i]
            if reader.pointee.selection.retarget(active: track.pointee.active) { requestKeyFrame(for: reader) }
        }
        for i in 0..<track.pointee.waiting.count { _ = track.pointee.waiting[i].pointee.upcoming?.selection.retarget(active: track.pointee.active) }
    }
    /// Asks again for readers still without a picture, should the arbiter have given up on them.
    private func remindOfWaiting(_ track: UnsafeMutablePointer<InboundTrackState>) {
        guard track.pointee.kind == .video, track.pointee.active != 0 else { return }
        for i in 0..<track.pointee.readers.count {
            let selection = track.pointee.readers[i].pointee.selection
            if selection.isWaiting, !selection.startsAnywhere || selection.current != EncodingSelection.none { requestKeyFrame(for: track.pointee.readers[i]) }
        }
        for i in 0..<track.pointee.waiting.count { requestKeyFrame(upcomingOf: track.pointee.waiting[i]) }
    }
    func lookForSilence(now: Instant) {
        for slot in 0..<state.pointee.tracks.end {
            guard let track = state.pointee.tracks[slot] else { continue }
            for i in 0..<track.pointee.streamCount where track.pointee.streams[i].becomesSilent(now: now) {
                track.pointee.active &= ~(1 << UInt8(i))
                emit(.silent(track.pointee.handle, encoding: UInt8(i)))
                retarget(track)
            }
            remindOfWaiting(track)
        }
    }
}
