// RTCP the router makes: NACK and PLI to publishers, SR to subscribers, RR to publishers, publishers' SR to pipes and taps.
internal import Primitives
internal import RTP

extension RouterCore {
    enum ReportLimits {
        /// Bytes of one compound packet of ours.
        static let compoundBytes = 1_200
        /// Bytes kept free for one more SR with its SDES chunk, or one RR with its.
        static let oneReport = 28 + 4 + 4 + 2 + 255 + 4
        /// Sequence numbers in one NACK.
        static let nackNumbers = 64
    }

    // MARK: Feedback

    /// Writes every NACK and PLI that is due.
    func flushFeedback(into batch: SendBatch, now: Instant) -> Bool {
        guard let due = state.pointee.feedbackDueAt, due <= now else { return true }
        var next: Instant?
        for slot in 0..<state.pointee.tracks.end {
            guard let track = state.pointee.tracks[slot] else { continue }
            for i in 0..<track.pointee.streamCount {
                let stream = track.pointee.streams + i
                while let deadline = stream.pointee.feedbackDeadline, deadline <= now {
                    guard !batch.isFull else { return false }
                    writeFeedback(stream, track, into: batch, now: now)
                }
                if let deadline = stream.pointee.feedbackDeadline { next = min(next ?? deadline, deadline) }
            }
        }
        state.pointee.feedbackDueAt = next
        return true
    }

    private func writeFeedback(_ stream: UnsafeMutablePointer<InboundStream>, _ track: UnsafeMutablePointer<InboundTrackState>, into batch: SendBatch, now: Instant) {
        if !isRead(stream.pointee.index, of: track) { stream.pointee.keyFrames.satisfy() }
        let wantsPicture = stream.pointee.keyFrames.takeDue(now: now), givenUp = stream.pointee.nack.givenUp
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: ReportLimits.nackNumbers) { numbers in
            let missing = stream.pointee.nack.takeDue(now: now, into: numbers)
            counts.pointee.unrecovered &+= stream.pointee.nack.givenUp &- givenUp
            // Nobody to ask before the first packet told the SSRC, and nobody asks on behalf of no reader.
            guard let media = stream.pointee.ssrc, wantsPicture || missing > 0, track.pointee.isWanted, !track.pointee.isMuted else { return }
            var writer = RTCPWriter(compound(in: batch))
            beginCompound(&writer)
            if missing > 0, writer.nack(sender: state.pointee.feedbackSSRC, media: media, sequences: UnsafeBufferPointer(rebasing: numbers[..<missing])) {
                counts.pointee.nacksOut &+= UInt64(missing)
            }
            if wantsPicture, writer.pli(sender: state.pointee.feedbackSSRC, media: media) { counts.pointee.keyFrameRequestsOut &+= 1 }
            finish(writer, in: batch, to: track.pointee.transport, kind: track.pointee.isPipe ? .pipeRTCP : .rtcp, streamID: track.pointee.pipeStream)
        }
    }

    /// Whether a reader gets the encoding, or waits for it.
    private func isRead(_ encoding: UInt8, of track: UnsafeMutablePointer<InboundTrackState>) -> Bool {
        for i in 0..<track.pointee.readers.count {
            let selection = track.pointee.readers[i].pointee.selection
            if selection.target == encoding || selection.current == encoding { return true }
        }
        for i in 0..<track.pointee.waiting.count where track.pointee.waiting[i].pointee.upcoming?.selection.target == encoding { return true }
        return false
    }

    /// RFC 3550 §6.1: a compound packet begins with a report and names its sender.
    private func beginCompound(_ writer: inout RTCPWriter) {
        _ = writer.receiverReport(ssrc: state.pointee.feedbackSSRC, blocks: UnsafeBufferPointer(start: nil, count: 0))
        _ = writer.sdes(ssrc: state.pointee.feedbackSSRC, cname: UnsafeRawBufferPointer(state.pointee.cname))
    }

    // MARK: Reports

    /// Writes the SR and RR that are due, those of one transport in one compound packet.
    func flushReports(into batch: SendBatch, now: Instant) -> Bool {
        guard let due = state.pointee.reportsDueAt, due <= now else { return true }
        var next: Instant?
        for slot in 0..<state.pointee.transports.end {
            guard let transport = state.pointee.transports[slot] else { continue }
            while let due = transport.pointee.reportDueAt, due <= now {
                guard !batch.isFull else { return false }
                writeReports(transport, into: batch, now: now)
            }
            if let due = transport.pointee.reportDueAt { next = min(next ?? due, due) }
        }
        state.pointee.reportsDueAt = next
        return true
    }

    /// Writes one compound packet, and sets the transport's next due time.
    private func writeReports(_ transport: UnsafeMutablePointer<TransportState>, into batch: SendBatch, now: Instant) {
        let soon = now + TransportState.Limits.coalescing
        var writer = RTCPWriter(compound(in: batch)), next: Instant?
        var pipe: UnsafeMutablePointer<InboundTrackState>?
        for i in 0..<transport.pointee.readers.count {
            let reader = transport.pointee.readers[i]
            guard let peer = reader.pointee.peer, let due = peer.pointee.reports.dueAt else { continue }
            if due <= soon, ReportLimits.compoundBytes - writer.count >= ReportLimits.oneReport { writeSenderReport(reader, peer, &writer, now: now) }
            if let due = peer.pointee.reports.dueAt { next = min(next ?? due, due) }
        }
        for i in 0..<transport.pointee.tracks.count {
            let track = transport.pointee.tracks[i]
            guard track.pointee.active != 0 else { continue }
            // Over a pipe each stream id has packets of its own.
            let isMine = track.pointee.isPipe ? writer.count == 0 : pipe == nil
            if track.pointee.reportDueAt <= soon, isMine, ReportLimits.compoundBytes - writer.count >= ReportLimits.oneReport {
                writeReceiverReport(track, &writer, now: now)
                if track.pointee.isPipe { pipe = track }
            }
            next = min(next ?? track.pointee.reportDueAt, track.pointee.reportDueAt)
        }
        transport.pointee.reportDueAt = next
        guard writer.count > 0 else { return }
        finish(writer, in: batch, to: transport.pointee.index, kind: pipe == nil ? .rtcp : .pipeRTCP, streamID: pipe?.pointee.pipeStream ?? 0)
    }

    /// The publisher's wall clock and the subscriber's timestamps, both now (RFC 3550 §6.4.1): tracks of one publisher stay in step.
    private func writeSenderReport(_ reader: UnsafeMutablePointer<OutboundStream>, _ peer: UnsafeMutablePointer<PeerStream>, _ writer: inout RTCPWriter, now: Instant) {
        let track = reader.pointee.track, encoding = Int(peer.pointee.encoding)
        guard encoding < track.pointee.streamCount, track.pointee.streams[encoding].generation == peer.pointee.generation, peer.pointee.packets > 0,
            let report = track.pointee.streams[encoding].report
        else { return peer.pointee.reports.postpone(now: now) }
        let elapsed = now - report.at, profile = peer.pointee.profile
        let ntp = report.info.ntp + elapsed
        let timestamp = report.info.rtpTimestamp &+ TimestampLine.ticks(elapsed, profile.pointee.codec.clockRate) &+ peer.pointee.timestamps.offset
        let info = SenderInfo(
            ssrc: profile.pointee.ssrc, ntp: ntp, rtpTimestamp: timestamp, packetCount: peer.pointee.packets, octetCount: peer.pointee.octets)
        peer.pointee.reports.reported(ntp: ntp, kind: track.pointee.kind, now: now)
        guard writer.senderReport(info, blocks: UnsafeBufferPointer(start: nil, count: 0)) else { return }
        _ = writer.sdes(ssrc: profile.pointee.ssrc, cname: peer.pointee.cnameBytes)
    }

    private func writeReceiverReport(_ track: UnsafeMutablePointer<InboundTrackState>, _ writer: inout RTCPWriter, now: Instant) {
        track.pointee.reportDueAt = now + InboundStream.Limits.reportInterval
        withUnsafeTemporaryAllocation(of: ReportBlock.self, capacity: InboundConfiguration.Limits.encodings) { blocks in
            var count = 0
            for i in 0..<track.pointee.streamCount {
                guard let block = track.pointee.streams[i].makeReportBlock(now: now) else { continue }
                (blocks.baseAddress! + count).initialize(to: block)
                count += 1
            }
            guard count > 0, writer.receiverReport(ssrc: state.pointee.feedbackSSRC, blocks: UnsafeBufferPointer(rebasing: blocks[..<count])) else { return }
            _ = writer.sdes(ssrc: state.pointee.feedbackSSRC, cname: UnsafeRawBufferPointer(state.pointee.cname))
        }
    }

    // MARK: Passing on

    /// Sends publishers' sender reports on to pipes and taps, as they are, each once.
    func passReports(into batch: SendBatch, now: Instant) -> Bool {
        guard state.pointee.hasReportsToPass else { return true }
        for slot in 0..<state.pointee.readers.end {
            guard let reader = state.pointee.readers[slot], reader.pointee.peer == nil, !reader.pointee.isPaused else { continue }
            let track = reader.pointee.track, encoding = reader.pointee.selection.current
            guard Int(encoding) < track.pointee.streamCount, !track.pointee.isMuted else { continue }
            let stream = track.pointee.streams + Int(encoding)
            guard let report = stream.pointee.report, reader.pointee.passedReport != (encoding, stream.pointee.reportNumber) else { continue }
            guard !batch.isFull else { return false }
            reader.pointee.passedReport = (encoding, stream.pointee.reportNumber)
            reader.pointee.pipeReports.remember(report.info.ntp, now: now)
            var writer = RTCPWriter(compound(in: batch))
            guard writer.senderReport(report.info, blocks: UnsafeBufferPointer(start: nil, count: 0)) else { continue }
            finish(
                writer, in: batch, to: reader.pointee.transport, kind: reader.pointee.rtcpKind, streamID: reader.pointee.streamID,
                receivedAt: report.receivedAt)
        }
        state.pointee.hasReportsToPass = false
        return true
    }

    // MARK: Parts

    private func compound(in batch: SendBatch) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: batch.packets[batch.count].wire, count: ReportLimits.compoundBytes)
    }
    private func finish(
        _ writer: RTCPWriter, in batch: SendBatch, to transport: TransportIndex, kind: ForwardedPacket.Kind, streamID: UInt32, receivedAt: Int64 = 0
    ) {
        let target = batch.packets + batch.count
        target.pointee.kind = kind
        target.pointee.transport = transport
        target.pointee.stream = -1
        target.pointee.ssrc = state.pointee.feedbackSSRC
        target.pointee.headerLength = Int32(writer.count)
        target.pointee.prefixLength = 0
        target.pointee.payload = nil
        target.pointee.payloadLength = 0
        target.pointee.streamID = streamID
        target.pointee.receivedAt = receivedAt
        batch.count += 1
        counts.pointee.rtcpOut &+= 1
    }
}
