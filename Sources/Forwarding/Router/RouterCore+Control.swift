// Control calls: tracks come and go. The only part of a router that allocates.
internal import Primitives
internal import RTP

extension RouterCore {
    package func addInbound(_ configuration: InboundConfiguration) -> InboundTrack {
        let track = state.pointee.tracks.insert { slot, generation in
            InboundTrackState(handle: InboundTrack(slot: slot, generation: generation), configuration, reportDueAt: .origin)
        }
        let transport = transport(for: configuration.transport)
        transport.pointee.tracks.append(track)
        state.pointee.queuedTracks.reserve(state.pointee.tracks.count)
        state.pointee.inbound.reserve(state.pointee.tracks.count * InboundConfiguration.Limits.encodings * RouterState.Limits.ssrcsPerEncoding)
        register(track)
        if state.pointee.tickDueAt == nil { state.pointee.tickDueAt = .origin }
        return track.pointee.handle
    }

    /// After a renegotiation: codecs, extension ids, encodings. What is known of streams that stay is kept; origin and transport stay.
    package func updateInbound(_ track: InboundTrack, _ configuration: InboundConfiguration) {
        guard let track = find(track) else { return }
        unregister(track)
        track.pointee.update(configuration)
        register(track)
    }

    /// Removes the track and all its outbound tracks.
    package func removeInbound(_ track: InboundTrack) {
        if let track = find(track) { remove(track) }
    }

    /// While muted, packets are received and reported on but go nowhere; nothing is asked for again.
    package func setMuted(_ track: InboundTrack, _ muted: Bool) {
        guard let track = find(track), track.pointee.isMuted != muted else { return }
        track.pointee.isMuted = muted
        guard !muted else { return }
        for i in 0..<track.pointee.readers.count { track.pointee.readers[i].pointee.selection.interrupt() }
        requestKeyFrames(track)
    }

    /// - Returns: nil when the inbound track is gone.
    package func addOutbound(of track: InboundTrack, _ configuration: OutboundConfiguration) -> OutboundTrack? {
        guard let track = find(track) else { return nil }
        let transport = transport(for: configuration.transport)
        let number = transport.pointee.freeStreamNumber()
        let reader = state.pointee.readers.insert { slot, generation in
            OutboundStream(handle: OutboundTrack(slot: slot, generation: generation), configuration, track: track, transport: transport, streamNumber: number)
        }
        track.pointee.readers.append(reader)
        transport.pointee.readers.append(reader)
        state.pointee.outbound.reserve(state.pointee.readers.count)
        if let key = feedbackKey(reader) { _ = state.pointee.outbound.insert(key, reader.pointee.handle.slot) }
        _ = reader.pointee.selection.retarget(active: track.pointee.active)
        requestKeyFrame(for: reader)
        startReports(reader)
        return reader.pointee.handle
    }

    package func removeOutbound(_ track: OutboundTrack) {
        if let reader = find(track) { remove(reader) }
    }

    /// A paused subscriber gets nothing; it goes on with a key frame.
    package func setPaused(_ track: OutboundTrack, _ paused: Bool) {
        guard let reader = find(track), reader.pointee.isPaused != paused else { return }
        reader.pointee.isPaused = paused
        guard !paused else { return }
        reader.pointee.selection.interrupt()
        requestKeyFrame(for: reader)
    }

    package func setPreferredLayer(_ track: OutboundTrack, _ layer: LayerPreference) {
        guard let reader = find(track) else { return }
        reader.pointee.peer?.pointee.temporal.setTarget(layer.temporal)
        if reader.pointee.selection.retarget(active: reader.pointee.track.pointee.active, preferred: layer.spatial) { requestKeyFrame(for: reader) }
    }

    /// Removes every track that came from or went to the transport.
    package func removeTransport(_ index: TransportIndex) {
        while let transport = state.pointee.transport(index), transport.pointee.readers.count > 0 { remove(transport.pointee.readers[0]) }
        while let transport = state.pointee.transport(index), transport.pointee.tracks.count > 0 { remove(transport.pointee.tracks[0]) }
    }

    // MARK: Finding

    func find(_ track: InboundTrack) -> UnsafeMutablePointer<InboundTrackState>? { state.pointee.tracks.find(track.slot, track.generation) }
    func find(_ track: OutboundTrack) -> UnsafeMutablePointer<OutboundStream>? { state.pointee.readers.find(track.slot, track.generation) }

    private func transport(for index: TransportIndex) -> UnsafeMutablePointer<TransportState> {
        if let known = state.pointee.transport(index) { return known }
        var taken: Int32 = 0
        let transport = state.pointee.transports.insert { slot, _ in
            taken = slot
            return TransportState(index: index)
        }
        state.pointee.transportSlots.reserve(state.pointee.transports.count)
        _ = state.pointee.transportSlots.insert(StreamTable.key(index, 0), taken)
        state.pointee.queuedTransports.reserve(state.pointee.transports.count)
        return transport
    }
    private func releaseIfUnused(_ index: TransportIndex) {
        guard let transport = state.pointee.transport(index), transport.pointee.isUnused else { return }
        let key = StreamTable.key(index, 0), slot = state.pointee.transportSlots.find(key)
        transport.pointee.deallocate()
        state.pointee.transportSlots.remove(key)
        state.pointee.transports.remove(slot)
    }

    // MARK: Registering

    private func register(_ track: UnsafeMutablePointer<InboundTrackState>) {
        let slot = track.pointee.handle.slot, from = track.pointee.transport
        if track.pointee.isPipe {
            let reference = StreamReference(track: slot, encoding: StreamReference.anyEncoding, isRTX: false)
            _ = state.pointee.inbound.insert(StreamTable.key(from, track.pointee.pipeStream), reference.rawValue)
            return
        }
        for i in 0..<track.pointee.streamCount {
            if let ssrc = track.pointee.streams[i].ssrc { _ = claim(ssrc, track, encoding: UInt8(i), isRTX: false) }
            if let ssrc = track.pointee.streams[i].rtxSSRC { _ = claim(ssrc, track, encoding: UInt8(i), isRTX: true) }
        }
    }
    /// Notes whose an SSRC is. Does not allocate: packets teach SSRCs too.
    func claim(_ ssrc: UInt32, _ track: UnsafeMutablePointer<InboundTrackState>, encoding: UInt8, isRTX: Bool) -> Bool {
        let reference = StreamReference(track: track.pointee.handle.slot, encoding: encoding, isRTX: isRTX)
        return state.pointee.inbound.insert(StreamTable.key(track.pointee.transport, ssrc), reference.rawValue)
    }
    /// Forgets an SSRC, unless another track claimed it since.
    func release(_ ssrc: UInt32, _ track: UnsafeMutablePointer<InboundTrackState>) {
        let key = StreamTable.key(track.pointee.transport, ssrc), value = state.pointee.inbound.find(key)
        if value >= 0, StreamReference(rawValue: value).track == Int(track.pointee.handle.slot) { state.pointee.inbound.remove(key) }
    }
    private func unregister(_ track: UnsafeMutablePointer<InboundTrackState>) {
        if track.pointee.isPipe { return release(track.pointee.pipeStream, track) }
        for i in 0..<track.pointee.streamCount {
            if let ssrc = track.pointee.streams[i].ssrc { release(ssrc, track) }
            if let ssrc = track.pointee.streams[i].rtxSSRC { release(ssrc, track) }
        }
    }
    /// What feedback names the reader by: its SSRC, or a pipe's stream id. Taps give none.
    private func feedbackKey(_ reader: UnsafeMutablePointer<OutboundStream>) -> UInt64? {
        if let peer = reader.pointee.peer { return StreamTable.key(reader.pointee.transport, peer.pointee.profile.pointee.ssrc) }
        return reader.pointee.isPipe ? StreamTable.key(reader.pointee.transport, reader.pointee.streamID) : nil
    }

    // MARK: Removing

    private func remove(_ reader: UnsafeMutablePointer<OutboundStream>) {
        let transport = reader.pointee.transport
        if let key = feedbackKey(reader), state.pointee.outbound.find(key) == reader.pointee.handle.slot { state.pointee.outbound.remove(key) }
        reader.pointee.track.pointee.readers.remove(reader)
        abandonSwitch(reader)
        state.pointee.transport(transport)?.pointee.readers.remove(reader)
        abandonFlush()
        reader.pointee.deallocate()
        state.pointee.readers.remove(reader.pointee.handle.slot)
        releaseIfUnused(transport)
    }
    func remove(_ track: UnsafeMutablePointer<InboundTrackState>) {
        while track.pointee.readers.count > 0 {
            // A reader that has somewhere to go goes there now, and on at that source's next key frame.
            if track.pointee.readers[0].pointee.upcoming != nil { cross(track.pointee.readers[0]) } else { remove(track.pointee.readers[0]) }
        }
        forget(track)
        let transport = track.pointee.transport
        unregister(track)
        state.pointee.transport(transport)?.pointee.tracks.remove(track)
        abandonFlush()
        state.pointee.queuedTracks.remove(track)
        track.pointee.deallocate()
        state.pointee.tracks.remove(track.pointee.handle.slot)
        releaseIfUnused(transport)
    }
    /// A control call between two halves of a flush: the half that was not sent is collected anew; what went out is recognised.
    func abandonFlush() {
        for i in 0..<state.pointee.queuedTransports.count { state.pointee.queuedTransports[i].pointee.isQueued = false }
        state.pointee.queuedTransports.removeAll()
        state.pointee.cursor = RouterState.Cursor()
    }
}
