// What arrives from the node, and the reports and requests that answer it.
internal import Forwarding
internal import Primitives
internal import RTP
internal import Transport

extension Attachment: PacketSink {
    enum ControlLimits {
        static let bytes = 1200                     // of one compound packet
        static let blocks = RTCPWriter.Limits.reportBlocks
    }

    func receive(_ packet: UnsafeRawBufferPointer, isRTCP: Bool, from: TransportIndex, receivedAt: Int64, now: Instant) {
        arrivedAt = now
        if isRTCP { return receiveControl(packet, now: now) }
        guard let header = try? RTPHeader.parse(packet) else { return }
        let isRepair = receives[header.ssrc] == nil
        guard let ssrc = isRepair ? repairs[header.ssrc] : header.ssrc, let payload = receives[ssrc]?.receive(header, receivedAt: receivedAt, now: now, isRepair: isRepair) else { return }
        owner.arrived(payload, of: receives[ssrc]!, endsFrame: header.marker, at: receivedAt)
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
        guard let track = owner.sends.firstIndex(where: { $0.outlet(number)?.ssrc == nack.media }) else { return }
        for sequence in nack { if let packet = owner.sends[track].repair(sequence, outlet: number) { transmit(packet, track: track) } }
    }
    private func keyFrame(for ssrc: UInt32) {
        guard let track = owner.sends.firstIndex(where: { $0.outlet(number)?.ssrc == ssrc }) else {
            receivedPLIsForNobody += 1
            return
        }
        owner.sends[track].keyFrameRequested()
    }

    /// RFC 3550 §6.4: a report for each track sent, and one about everything received.
    func report(now: Instant, wall: WallTime) {
        guard isConnected else { return }
        for stream in owner.sends {
            guard let info = stream.senderInfo(now: now, wall: wall, outlet: number) else { continue }
            write { $0.senderReport(info) && $0.sdes(ssrc: info.ssrc, cname: owner.credentials?.participant_id ?? owner.name) }
        }
        var blocks: [ReportBlock] = []
        for ssrc in Array(receives.keys) { if let block = receives[ssrc]!.makeReportBlock(now: now) { blocks.append(block) } }
        for start in stride(from: 0, to: blocks.count, by: ControlLimits.blocks) {
            write { $0.receiverReport(ssrc: reportSSRC, blocks: Array(blocks[start..<min(start + ControlLimits.blocks, blocks.count)])) && $0.sdes(ssrc: reportSSRC, cname: owner.name) }
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
