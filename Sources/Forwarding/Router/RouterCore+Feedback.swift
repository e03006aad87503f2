// RTCP from peers and pipes: reports, NACK, PLI, FIR (RFC 3550 §6.4, RFC 4585 §6, RFC 5104 §4.3).
internal import Primitives
internal import RTP

/// Where a compound packet came from.
private struct Source {
    let transport: TransportIndex
    let pipeStream: UInt32?
    let receivedAt: Int64
    let now: Instant
    func key(_ ssrc: UInt32) -> UInt64 { StreamTable.key(transport, pipeStream ?? ssrc) }
}

extension RouterCore {
    func receiveCompound(_ bytes: UnsafeRawBufferPointer, from: TransportIndex, pipeStream: UInt32?, receivedAt: Int64, now: Instant) {
        counts.pointee.rtcpIn &+= 1
        let source = Source(transport: from, pipeStream: pipeStream, receivedAt: receivedAt, now: now)
        var reader = RTCPReader(bytes)
        do {
            while let packet = try reader.next() { receive(packet, source) }
        } catch {
            counts.pointee.drop(.malformedRTCP)
        }
    }

    private func receive(_ packet: RTCPPacket, _ source: Source) {
        switch packet {
        case .senderReport(let report):
            receive(report.info, source)
            for block in report.blocks { receive(block, source) }
        case .receiverReport(let report): for block in report.blocks { receive(block, source) }
        case .nack(let nack): receive(nack, source)
        case .pli(let pli): receiveKeyFrameRequest(pli.media, source)
        case .fir(let fir):
            for i in 0..<fir.count { if let entry = fir.entry(i) { receiveKeyFrameRequest(entry.media, source) } }
        case .sdes, .bye, .remb, .transportCC, .unknown: break   // consumed without effect: signalling tells who leaves, no bandwidth is estimated
        }
    }

    /// A publisher ties its timestamps to a wall clock.
    private func receive(_ info: SenderInfo, _ source: Source) {
        let value = state.pointee.inbound.find(source.key(info.ssrc))
        guard value >= 0, let track = state.pointee.tracks[StreamReference(rawValue: value).track] else { return }
        for i in 0..<track.pointee.streamCount where track.pointee.streams[i].ssrc == info.ssrc {
            track.pointee.streams[i].received(info, receivedAt: source.receivedAt, now: source.now)
            state.pointee.hasReportsToPass = true
            for j in 0..<track.pointee.readers.count {
                let reader = track.pointee.readers[j]
                guard let peer = reader.pointee.peer, peer.pointee.reports.start(now: source.now) else { continue }
                if let transport = state.pointee.transport(reader.pointee.transport) { state.pointee.wantReport(transport, at: source.now) }
            }
        }
    }

    /// A receiver reports on what we send it.
    private func receive(_ block: ReportBlock, _ source: Source) {
        guard let reader = reader(block.ssrc, source) else { return }
        if let peer = reader.pointee.peer {
            peer.pointee.reports.received(block, now: source.now)
            peer.pointee.knowsMID = true
        } else {
            reader.pointee.pipeReports.received(block, now: source.now)
        }
    }

    private func receive(_ nack: NackFeedback, _ source: Source) {
        guard let reader = reader(nack.media, source) else { return counts.pointee.drop(.unknownFeedbackTarget) }
        let handle = reader.pointee.handle, track = reader.pointee.track
        let encoding = reader.pointee.isPipe ? (0..<track.pointee.streamCount).first { track.pointee.streams[$0].ssrc == nack.media } ?? 0 : 0
        for sequence in nack {
            counts.pointee.nacksIn &+= 1
            let work: ResendQueue.Work
            if reader.pointee.isPipe {
                guard let number = track.pointee.streams[encoding].gate.place(sequence) else { counts.pointee.drop(.resendUnknown); continue }
                work = .original(number)
            } else {
                work = .again(sequence)
            }
            if !resends.pointee.push(ResendQueue.Job(reader: handle, encoding: UInt8(encoding), work: work)) {
                counts.pointee.drop(.resendQueueFull)
            }
        }
    }

    private func receiveKeyFrameRequest(_ media: UInt32, _ source: Source) {
        guard let reader = reader(media, source) else { return counts.pointee.drop(.unknownFeedbackTarget) }
        counts.pointee.keyFrameRequestsIn &+= 1
        let track = reader.pointee.track, current = reader.pointee.selection.current
        guard track.pointee.kind == .video, !reader.pointee.isPaused, !track.pointee.isMuted else { return }
        if current == EncodingSelection.none { requestKeyFrame(for: reader) } else { requestKeyFrame(of: Int(current), track) }
    }

    private func reader(_ media: UInt32, _ source: Source) -> UnsafeMutablePointer<OutboundStream>? {
        let slot = state.pointee.outbound.find(source.key(media))
        return slot < 0 ? nil : state.pointee.readers[Int(slot)]
    }
}
