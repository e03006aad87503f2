// What arrives from the node, and the reports and requests that answer it.
internal import Forwarding
internal import Primitives
internal import RTP
internal import Transport

extension Participant: PacketSink {
    enum ControlLimits {
        static let bytes = 1200                     // of one compound packet
        static let blocks = RTCPWriter.Limits.reportBlocks
    }

    func receive(_ packet: UnsafeRawBufferPointer, isRTCP: Bool, from: TransportIndex, receivedAt: Int64, now: Instant) {
        if isRTCP { return receiveControl(packet, now: now) }
        guard let header = try? RTPHeader.parse(packet) else { return }
        if receives[header.ssrc] != nil {
            receives[header.ssrc]!.receive(header, receivedAt: receivedAt, now: now)
        } else if let original = repairs[header.ssrc] {
            receives[original]?.receive(header, receivedAt: receivedAt, now: now, isRepair: true)
        }
    }
    private func receiveControl(_ packet: UnsafeRawBufferPointer, now: Instant) {
        var reader = RTCPReader(packet)
        while let part = try? reader.next() {
            switch part {
            case .nack(let nack): repair(nack)
            case .pli(let pli): keyFrame(for: pli.media)
            case .fir(let fir): for index in 0..<fir.count { if let entry = fir.entry(index) { keyFrame(for: entry.media) } }
            case .senderReport(let report): receives[report.info.ssrc]?.receivedSenderReport(report.info, now: now)
            default: break
            }
        }
    }
    private func repair(_ nack: NackFeedback) {
        guard let track = sends.firstIndex(where: { $0.ssrc == nack.media }) else { return }
        for sequence in nack { if let packet = sends[track].repair(sequence) { transmit(packet, track: track) } }
    }
    private func keyFrame(for ssrc: UInt32) {
        guard let track = sends.firstIndex(where: { $0.ssrc == ssrc }) else {
            receivedPLIsForNobody += 1
            return
        }
        sends[track].keyFrameRequested()
    }

    /// RFC 3550 §6.4: a report for each track sent, and one about everything received.
    func report(now: Instant, wall: WallTime) {
        guard isConnected else { return }
        for stream in sends {
            guard let info = stream.senderInfo(now: now, wall: wall) else { continue }
            write { $0.senderReport(info) && $0.sdes(ssrc: info.ssrc, cname: credentials?.participant_id ?? name) }
        }
        var blocks: [ReportBlock] = []
        for ssrc in Array(receives.keys) { if let block = receives[ssrc]!.makeReportBlock(now: now) { blocks.append(block) } }
        for start in stride(from: 0, to: blocks.count, by: ControlLimits.blocks) {
            write { $0.receiverReport(ssrc: reportSSRC, blocks: Array(blocks[start..<min(start + ControlLimits.blocks, blocks.count)])) && $0.sdes(ssrc: reportSSRC, cname: name) }
        }
    }
    /// Asks again for what is missing.
    func askAgain(now: Instant) {
        for ssrc in receives.values.filter(\.isMissingPackets).map(\.ssrc) {
            let wanted = receives[ssrc]!.takeMissing(now: now)
            if !wanted.isEmpty { write { $0.receiverReport(ssrc: reportSSRC) && $0.nack(sender: reportSSRC, media: ssrc, sequences: wanted) } }
        }
    }
    private func write(_ compose: (inout RTCPWriter) -> Bool) {
        withUnsafeTemporaryAllocation(byteCount: ControlLimits.bytes, alignment: 8) { buffer in
            var writer = RTCPWriter(buffer)
            if compose(&writer) { transmitControl(writer.written) }
        }
    }
}
