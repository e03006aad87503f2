// Sender and receiver reports, SDES and BYE (RFC 3550 §6.4–6.6).

/// What one receiver says about one source (RFC 3550 §6.4.1).
package struct ReportBlock: Equatable, Sendable {
    package static let length = 24
    package var ssrc: UInt32
    /// Loss since the last report, in 1/256.
    package var fractionLost: UInt8
    /// Packets lost since the beginning; may be negative with duplicates. 24 bits on the wire.
    package var cumulativeLost: Int32
    /// Highest sequence number received, with its cycles in the upper 16 bits.
    package var highestSequence: UInt32
    /// In RTP timestamp units.
    package var jitter: UInt32
    /// Middle bits of the last sender report's NTP time; 0 when none was received.
    package var lastSenderReport: UInt32
    /// Time since that report in 1/65,536 s.
    package var delaySinceLastSenderReport: UInt32

    package init(ssrc: UInt32, fractionLost: UInt8, cumulativeLost: Int32, highestSequence: UInt32, jitter: UInt32, lastSenderReport: UInt32, delaySinceLastSenderReport: UInt32) {
        self.ssrc = ssrc; self.fractionLost = fractionLost; self.cumulativeLost = cumulativeLost; self.highestSequence = highestSequence
        self.jitter = jitter; self.lastSenderReport = lastSenderReport; self.delaySinceLastSenderReport = delaySinceLastSenderReport
    }
    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        let loss = bytes.be32(offset + 4)
        ssrc = bytes.be32(offset)
        fractionLost = UInt8(truncatingIfNeeded: loss >> 24)
        cumulativeLost = Int32(bitPattern: loss << 8) >> 8   // sign of 24 bits
        highestSequence = bytes.be32(offset + 8)
        jitter = bytes.be32(offset + 12)
        lastSenderReport = bytes.be32(offset + 16)
        delaySinceLastSenderReport = bytes.be32(offset + 20)
    }
    /// Round trip to the reporter, when it had a sender report of ours (RFC 3550 §6.4.1, DLSR).
    package func roundTrip(now: NTPTime) -> Duration? {
        guard lastSenderReport != 0 else { return nil }
        let elapsed = now.middle &- lastSenderReport &- delaySinceLastSenderReport
        return elapsed < 0x8000_0000 ? Duration(compactNTP: elapsed) : nil
    }
}

/// Report blocks in place.
package struct ReportBlocks: RandomAccessCollection {
    private let bytes: UnsafeRawBufferPointer
    private let offset: Int
    package let count: Int
    init(_ bytes: UnsafeRawBufferPointer, from offset: Int, count: Int) throws(RTCPParseError) {
        guard bytes.count - offset >= count * ReportBlock.length else { throw .badCount }
        self.bytes = bytes; self.offset = offset; self.count = count
    }
    package var startIndex: Int { 0 }
    package var endIndex: Int { count }
    package subscript(index: Int) -> ReportBlock {
        precondition(index >= 0 && index < count)
        return ReportBlock(bytes, at: offset + index * ReportBlock.length)
    }
}

/// What a sender says about its own stream.
package struct SenderInfo: Equatable, Sendable {
    package var ssrc: UInt32
    package var ntp: NTPTime
    package var rtpTimestamp: UInt32
    package var packetCount: UInt32
    package var octetCount: UInt32
    package init(ssrc: UInt32, ntp: NTPTime, rtpTimestamp: UInt32, packetCount: UInt32, octetCount: UInt32) {
        self.ssrc = ssrc; self.ntp = ntp; self.rtpTimestamp = rtpTimestamp; self.packetCount = packetCount; self.octetCount = octetCount
    }
}

package struct SenderReport {
    package let info: SenderInfo
    package let blocks: ReportBlocks
    init(_ body: UnsafeRawBufferPointer, count: Int) throws(RTCPParseError) {
        guard body.count >= 24 else { throw .truncated }
        info = SenderInfo(
            ssrc: body.be32(0), ntp: NTPTime(rawValue: UInt64(body.be32(4)) << 32 | UInt64(body.be32(8))),
            rtpTimestamp: body.be32(12), packetCount: body.be32(16), octetCount: body.be32(20))
        blocks = try ReportBlocks(body, from: 24, count: count)
    }
}

package struct ReceiverReport {
    /// Who reports.
    package let ssrc: UInt32
    package let blocks: ReportBlocks
    init(_ body: UnsafeRawBufferPointer, count: Int) throws(RTCPParseError) {
        guard body.count >= 4 else { throw .truncated }
        ssrc = body.be32(0)
        blocks = try ReportBlocks(body, from: 4, count: count)
    }
}

/// SDES chunks in place (RFC 3550 §6.5).
package struct SourceDescription {
    package static let cname: UInt8 = 1
    package let body: UnsafeRawBufferPointer
    package let chunkCount: Int
    init(_ body: UnsafeRawBufferPointer, count: Int) { self.body = body; chunkCount = count }

    /// The CNAME of the first chunk that has one; nil when there is none or the chunks are malformed.
    package var firstCNAME: (ssrc: UInt32, name: UnsafeRawBufferPointer)? {
        var offset = 0
        for _ in 0..<chunkCount {
            guard body.count - offset >= 4 else { return nil }
            let ssrc = body.be32(offset)
            offset += 4
            while offset < body.count, body[offset] != 0 {
                guard body.count - offset >= 2, body.count - offset - 2 >= Int(body[offset + 1]) else { return nil }
                let value = body[(offset + 2)..<(offset + 2 + Int(body[offset + 1]))]
                if body[offset] == Self.cname { return (ssrc, UnsafeRawBufferPointer(rebasing: value)) }
                offset = value.endIndex
            }
            offset = (offset + 4) & ~3   // the end mark and padding to 32 bits
        }
        return nil
    }
}

/// BYE (RFC 3550 §6.6); the reason text is not read.
package struct Goodbye {
    private let body: UnsafeRawBufferPointer
    package let count: Int
    init(_ body: UnsafeRawBufferPointer, count: Int) throws(RTCPParseError) {
        guard body.count >= 4 * count else { throw .badCount }
        self.body = body; self.count = count
    }
    package func ssrc(_ index: Int) -> UInt32? { index >= 0 && index < count ? body.be32(4 * index) : nil }
}

package struct UnknownRTCP {
    package let type: UInt8
    /// The five bits after the padding bit: a count or a feedback format.
    package let count: UInt8
    /// After the four bytes of common header, padding removed.
    package let body: UnsafeRawBufferPointer
}
