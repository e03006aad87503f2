// One publication from another source: an outbound stream goes over without its receiver noticing (docs/decisions/0024-resume-and-move.md).
internal import Primitives
internal import RTP

/// The source an outbound stream is to go over to: another inbound track with the same content.
struct UpcomingSource {
    let track: UnsafeMutablePointer<InboundTrackState>
    /// Which of its encodings the stream is to get.
    var selection = EncodingSelection()
    /// The first packet of a key frame that came before the old source's last frames did.
    var held: Held?

    struct Held {
        let number: UInt64
        let encoding: UInt8
        let generation: UInt8
        let since: Instant
    }
}

extension RouterCore {
    package enum SwitchLimits {
        /// How long a key frame of the new source waits for frames of the old one that were captured before it.
        package static let hold = Duration.milliseconds(200)
        /// A source without a packet for so long has ended as far as a switch is concerned.
        package static let silence = Duration.milliseconds(200)
        /// Frames that may lie in one gap before it counts as a silence and not as lost frames.
        package static let framesMax: UInt32 = 100
    }

    /// Has an outbound track go over to another source of the same publication: with its SSRC, its sequence numbers and its timestamps
    /// going on, at that source's next key frame (audio: next packet). Until then it gets the source it has.
    /// A later call replaces an earlier one. `RouterEvent.switched` tells when it is done.
    /// - Returns: false when either is gone or the two are of different kinds.
    @discardableResult
    package func switchSource(_ outbound: OutboundTrack, to inbound: InboundTrack) -> Bool {
        guard let reader = find(outbound), let next = find(inbound), reader.pointee.track.pointee.kind == next.pointee.kind else { return false }
        abandonSwitch(reader)
        guard reader.pointee.track != next else { return true }
        var selection = EncodingSelection()
        _ = selection.retarget(active: next.pointee.active, preferred: reader.pointee.selection.preferred)
        reader.pointee.upcoming = UpcomingSource(track: next, selection: selection)
        next.pointee.waiting.append(reader)
        // The switch itself happens on the packet path, which may not allocate.
        next.pointee.readers.reserve(next.pointee.readers.count + next.pointee.waiting.count)
        requestKeyFrame(upcomingOf: reader)
        abandonFlush()
        return true
    }
    /// The source an outbound track reads now, and whether it waits for another.
    package func isSwitching(_ outbound: OutboundTrack) -> Bool { find(outbound)?.pointee.upcoming != nil }

    /// Does not wait for the source so far: the stream goes on with the new one's next key frame.
    package func switchNow(_ outbound: OutboundTrack) {
        guard let reader = find(outbound), reader.pointee.upcoming != nil else { return }
        cross(reader)
        requestKeyFrame(for: reader)
        abandonFlush()
    }

    // MARK: On the packet path

    /// Whether the reader can go over now, and if so does it.
    /// - Returns: which of the new source's arrivals is the next to look at.
    func goOver(_ reader: UnsafeMutablePointer<OutboundStream>, _ context: ForwardingContext) -> Int? {
        guard let upcoming = reader.pointee.upcoming else { return nil }
        if let held = upcoming.held { return goOverHeld(reader, held, upcoming.track, context) }
        for i in 0..<upcoming.track.pointee.arrivalCount {
            let arrival = upcoming.track.pointee.arrivals[i]
            guard arrival.encoding == upcoming.selection.target,
                let packet = upcoming.track.pointee.streams[Int(arrival.encoding)].cache.find(arrival.number), packet.pointee.facts.flags.contains(.keyFrame)
            else { continue }
            let gap = gap(before: packet, arrival.encoding, reader, upcoming.track, context.now)
            if gap.mayClose {
                reader.pointee.upcoming?.held = .init(number: arrival.number, encoding: arrival.encoding, generation: arrival.generation, since: context.now)
                return nil
            }
            count(gap)
            cross(reader)
            if reader.pointee.isTap { replay(to: reader, arrival.encoding, before: arrival.number) }
            return i
        }
        return nil
    }
    private func goOverHeld(
        _ reader: UnsafeMutablePointer<OutboundStream>, _ held: UpcomingSource.Held, _ next: UnsafeMutablePointer<InboundTrackState>, _ context: ForwardingContext
    ) -> Int? {
        let stream = next.pointee.streams + Int(held.encoding)
        guard stream.pointee.generation == held.generation, let packet = stream.pointee.cache.find(held.number),
            stream.pointee.gate.highest - held.number < ResendQueue.Limits.catchUpPackets
        else {
            reader.pointee.upcoming?.held = nil
            requestKeyFrame(upcomingOf: reader)
            return nil
        }
        let gap = gap(before: packet, held.encoding, reader, next, context.now)
        guard !gap.mayClose || context.now - held.since >= SwitchLimits.hold else { return nil }
        count(gap)
        cross(reader)
        resends.pointee.catchUp(reader.pointee.handle, encoding: held.encoding, after: held.number &- 1, through: stream.pointee.gate.highest)
        return next.pointee.arrivalCount
    }

    /// A tap keeps every packet: what its new source had before a picture could begin comes after it, as it was.
    private func replay(to tap: UnsafeMutablePointer<OutboundStream>, _ encoding: UInt8, before first: UInt64) {
        let stream = tap.pointee.track.pointee.streams + Int(encoding)
        let kept = UInt64(stream.pointee.cache.packetCapacity)
        for number in max(stream.pointee.hiddenThrough + 1, first - min(first, kept))..<max(stream.pointee.hiddenThrough + 1, first) where stream.pointee.cache.find(number) != nil {
            if !resends.pointee.push(.init(reader: tap.pointee.handle, encoding: encoding, work: .original(number))) { counts.pointee.drop(.resendQueueFull) }
        }
    }
    /// The reader belongs to its upcoming source from now on. Does not allocate.
    func cross(_ reader: UnsafeMutablePointer<OutboundStream>) {
        guard let next = reader.pointee.upcoming?.track else { return }
        reader.pointee.track.pointee.readers.remove(reader)
        next.pointee.waiting.remove(reader)
        next.pointee.readers.append(reader)
        reader.pointee.goOver()
        counts.pointee.sourceSwitches &+= 1
        state.pointee.hasReportsToPass = true
        emit(.switched(reader.pointee.handle))
    }

    // MARK: What lies between the two

    /// The time from the last frame sent to the first of the next source.
    private struct Gap {
        var lostFrames: UInt32 = 0
        var isAfterSilence = false
        /// The source so far still sends, and both clocks say that frames of it are on their way.
        var mayClose = false
    }
    private func gap(
        before packet: UnsafePointer<CachedPacket>, _ encoding: UInt8, _ reader: UnsafeMutablePointer<OutboundStream>, _ next: UnsafeMutablePointer<InboundTrackState>,
        _ now: Instant
    ) -> Gap {
        guard let peer = reader.pointee.peer, reader.pointee.selection.current != EncodingSelection.none, !reader.pointee.isPaused else { return Gap() }
        let old = reader.pointee.track.pointee.streams + Int(reader.pointee.selection.current)
        guard now - old.pointee.lastPacketAt < SwitchLimits.silence else { return Gap(isAfterSilence: true) }
        let line = peer.pointee.timestamps, facts = packet.pointee.facts
        guard line.lastStep > 0, let place = line.place(
            of: facts.timestamp, clockRate: facts.codec.clockRate, old: reader.pointee.sentClock(of: reader.pointee.track, peer),
            new: next.pointee.streams[Int(encoding)].clock, now: now)
        else { return Gap() }
        let jump = Int32(bitPattern: place.timestamp &- line.lastOut)
        // Half a frame is the jitter of capture; what is more is a frame that is missing.
        guard jump > 0, UInt32(jump) > line.lastStep &+ line.lastStep / 2 else { return Gap() }
        let steps = (UInt32(jump) &+ line.lastStep / 2) / line.lastStep
        return Gap(lostFrames: min(steps, SwitchLimits.framesMax) &- 1, mayClose: place.isReported)
    }
    private func count(_ gap: Gap) {
        counts.pointee.framesLostAtSwitch &+= UInt64(gap.lostFrames)
        if gap.isAfterSilence { counts.pointee.switchesAfterSilence &+= 1 }
    }

    // MARK: Letting go

    /// The reader stays with the source it has.
    func abandonSwitch(_ reader: UnsafeMutablePointer<OutboundStream>) {
        guard let upcoming = reader.pointee.upcoming else { return }
        upcoming.track.pointee.waiting.remove(reader)
        reader.pointee.upcoming = nil
    }
    /// No reader looks for anything in the track any more.
    func forget(_ track: UnsafeMutablePointer<InboundTrackState>) {
        while track.pointee.waiting.count > 0 { abandonSwitch(track.pointee.waiting[0]) }
        for slot in 0..<state.pointee.readers.end {
            if let reader = state.pointee.readers[slot], reader.pointee.previous == track { reader.pointee.previous = nil }
        }
    }
}
