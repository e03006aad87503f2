// Compound RTCP packets, written into a caller's buffer (RFC 3550 §6, RFC 4585 §6, RFC 5104 §4.3).

/// Appends packets one after the other. Each call answers false when the packet does not fit: nothing of it was written then,
/// and what stood before stays good. No allocation.
package struct RTCPWriter {
    package enum Limits {
        package static let reportBlocks = 31     // 5-bit count (RFC 3550 §6.4.1)
        package static let cnameBytes = 255      // 8-bit length (RFC 3550 §6.5)
        package static let byeSources = 31       // 5-bit count
    }
    private let buffer: UnsafeMutableRawBufferPointer
    /// Bytes written so far.
    package private(set) var count = 0

    package init(_ buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }
    package var written: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[..<count]) }
    package mutating func reset() { count = 0 }

    package mutating func senderReport(_ info: SenderInfo, blocks: UnsafeBufferPointer<ReportBlock>) -> Bool {
        guard blocks.count <= Limits.reportBlocks, begin(RTCPType.senderReport, UInt8(blocks.count), body: 24 + blocks.count * ReportBlock.length) else { return false }
        put32(info.ssrc)
        put32(UInt32(truncatingIfNeeded: info.ntp.rawValue >> 32))
        put32(UInt32(truncatingIfNeeded: info.ntp.rawValue))
        put32(info.rtpTimestamp)
        put32(info.packetCount)
        put32(info.octetCount)
        for block in blocks { put(block) }
        return true
    }
    package mutating func senderReport(_ info: SenderInfo, blocks: [ReportBlock] = []) -> Bool {
        blocks.withUnsafeBufferPointer { senderReport(info, blocks: $0) }
    }

    package mutating func receiverReport(ssrc: UInt32, blocks: UnsafeBufferPointer<ReportBlock>) -> Bool {
        guard blocks.count <= Limits.reportBlocks, begin(RTCPType.receiverReport, UInt8(blocks.count), body: 4 + blocks.count * ReportBlock.length) else { return false }
        put32(ssrc)
        for block in blocks { put(block) }
        return true
    }
    package mutating func receiverReport(ssrc: UInt32, blocks: [ReportBlock] = []) -> Bool {
        blocks.withUnsafeBufferPointer { receiverReport(ssrc: ssrc, blocks: $0) }
    }

    /// One chunk with one CNAME item (RFC 3550 §6.5.1).
    package mutating func sdes(ssrc: UInt32, cname: UnsafeRawBufferPointer) -> Bool {
        guard cname.count <= Limits.cnameBytes else { return false }
        let body = (4 + 2 + cname.count + 1 + 3) & ~3   // at least one zero byte ends the chunk
        guard begin(RTCPType.sdes, 1, body: body) else { return false }
        let end = count + body
        put32(ssrc)
        put8(SourceDescription.cname)
        put8(UInt8(cname.count))
        if let base = cname.baseAddress { (buffer.baseAddress! + count).copyMemory(from: base, byteCount: cname.count) }
        count += cname.count
        while count < end { put8(0) }
        return true
    }
    package mutating func sdes(ssrc: UInt32, cname: String) -> Bool {
        var cname = cname
        return cname.withUTF8 { sdes(ssrc: ssrc, cname: UnsafeRawBufferPointer($0)) }
    }

    package mutating func bye(_ ssrcs: UnsafeBufferPointer<UInt32>) -> Bool {
        guard ssrcs.count <= Limits.byeSources, begin(RTCPType.bye, UInt8(ssrcs.count), body: 4 * ssrcs.count) else { return false }
        for ssrc in ssrcs { put32(ssrc) }
        return true
    }
    package mutating func bye(_ ssrcs: [UInt32]) -> Bool { ssrcs.withUnsafeBufferPointer { bye($0) } }

    /// Generic NACK. `sequences` in ascending serial order, so that neighbours share one PID/BLP pair; at least one.
    package mutating func nack(sender: UInt32, media: UInt32, sequences: UnsafeBufferPointer<UInt16>) -> Bool {
        guard !sequences.isEmpty else { return false }
        var pairs = 0
        Self.forEachPair(sequences) { _, _ in pairs += 1 }
        guard begin(RTCPType.transportFeedback, 1, body: 8 + 4 * pairs) else { return false }
        put32(sender)
        put32(media)
        Self.forEachPair(sequences) { pid, blp in put32(UInt32(pid) << 16 | UInt32(blp)) }
        return true
    }
    package mutating func nack(sender: UInt32, media: UInt32, sequences: [UInt16]) -> Bool {
        sequences.withUnsafeBufferPointer { nack(sender: sender, media: media, sequences: $0) }
    }

    package mutating func pli(sender: UInt32, media: UInt32) -> Bool {
        guard begin(RTCPType.payloadFeedback, 1, body: 8) else { return false }
        put32(sender)
        put32(media)
        return true
    }

    /// - Parameter command: grows by one for each new request; repeats keep it (RFC 5104 §4.3.1.2).
    package mutating func fir(sender: UInt32, media: UInt32, command: UInt8) -> Bool {
        guard begin(RTCPType.payloadFeedback, 4, body: 16) else { return false }
        put32(sender)
        put32(0)
        put32(media)
        put32(UInt32(command) << 24)
        return true
    }

    /// - Parameter bitrate: bits per second; rounded down to 18 significant bits.
    package mutating func remb(sender: UInt32, bitrate: UInt64, ssrcs: UnsafeBufferPointer<UInt32>) -> Bool {
        guard ssrcs.count <= 255, begin(RTCPType.payloadFeedback, 15, body: 16 + 4 * ssrcs.count) else { return false }
        let exponent = max(0, 46 - bitrate.leadingZeroBitCount)
        let mantissa = UInt32(truncatingIfNeeded: bitrate >> UInt64(exponent))
        put32(sender)
        put32(0)
        put32(0x5245_4D42)
        put32(UInt32(ssrcs.count) << 24 | UInt32(exponent) << 18 | mantissa)
        for ssrc in ssrcs { put32(ssrc) }
        return true
    }
    package mutating func remb(sender: UInt32, bitrate: UInt64, ssrcs: [UInt32]) -> Bool {
        ssrcs.withUnsafeBufferPointer { remb(sender: sender, bitrate: bitrate, ssrcs: $0) }
    }

    // MARK: - Parts

    /// RFC 4585 §6.2.1: PID, and a mask of the sixteen numbers after it.
    private static func forEachPair(_ sequences: UnsafeBufferPointer<UInt16>, _ body: (UInt16, UInt16) -> Void) {
        var pid = sequences[0], blp: UInt16 = 0
        for sequence in sequences.dropFirst() {
            let distance = sequence &- pid
            if distance == 0 { continue }
            if distance <= 16 { blp |= 1 << (distance - 1); continue }
            body(pid, blp)
            (pid, blp) = (sequence, 0)
        }
        body(pid, blp)
    }

    /// Writes the common header when header and body fit.
    private mutating func begin(_ type: UInt8, _ field: UInt8, body: Int) -> Bool {
        guard buffer.count - count >= 4 + body, body / 4 <= 0xFFFF else { return false }
        put8(RTPHeader.version << 6 | field)
        put8(type)
        let words = UInt16(body / 4)
        put8(UInt8(words >> 8))
        put8(UInt8(truncatingIfNeeded: words))
        return true
    }
    private mutating func put(_ block: ReportBlock) {
        put32(block.ssrc)
        let lost = min(max(block.cumulativeLost, -0x80_0000), 0x7F_FFFF)
        put32(UInt32(block.fractionLost) << 24 | UInt32(bitPattern: lost) & 0xFF_FFFF)
        put32(block.highestSequence)
        put32(block.jitter)
        put32(block.lastSenderReport)
        put32(block.delaySinceLastSenderReport)
    }
    private mutating func put8(_ value: UInt8) { buffer[count] = value; count += 1 }
    private mutating func put32(_ value: UInt32) {
        buffer.storeBytes(of: value.bigEndian, toByteOffset: count, as: UInt32.self)
        count += 4
    }
}
