// Feedback messages (RFC 4585 §6.2.1 NACK, §6.3.1 PLI; RFC 5104 §4.3.1 FIR; REMB and transport-cc drafts).

/// Generic NACK: which packets of `media` are missing. Iterates the sequence numbers, PID first, then the bits of BLP.
package struct NackFeedback: Sequence {
    package let sender: UInt32
    package let media: UInt32
    private let body: UnsafeRawBufferPointer
    init(_ body: UnsafeRawBufferPointer) throws(RTCPParseError) {
        guard body.count >= 8 else { throw .truncated }
        guard (body.count - 8) % 4 == 0 else { throw .badLength }
        sender = body.be32(0)
        media = body.be32(4)
        self.body = body
    }
    package func makeIterator() -> Iterator { Iterator(body: body) }

    package struct Iterator: IteratorProtocol {
        fileprivate let body: UnsafeRawBufferPointer
        private var offset = 8
        private var base: UInt16 = 0
        private var bits: UInt16 = 0
        private var bit: UInt16 = 0
        fileprivate init(body: UnsafeRawBufferPointer) { self.body = body }

        package mutating func next() -> UInt16? {
            if bits != 0 {
                bit = UInt16(bits.trailingZeroBitCount)
                bits &= bits &- 1
                return base &+ bit &+ 1
            }
            guard offset + 4 <= body.count else { return nil }
            base = body.be16(offset)
            bits = body.be16(offset + 2)
            offset += 4
            return base
        }
    }
}

package struct PictureLossIndication: Equatable, Sendable {
    package let sender: UInt32
    package let media: UInt32
    init(_ body: UnsafeRawBufferPointer) throws(RTCPParseError) {
        guard body.count >= 8 else { throw .truncated }
        sender = body.be32(0)
        media = body.be32(4)
    }
}

/// Full Intra Request: entries of (media SSRC, command sequence number).
package struct FullIntraRequest {
    package let sender: UInt32
    package let count: Int
    private let body: UnsafeRawBufferPointer
    init(_ body: UnsafeRawBufferPointer) throws(RTCPParseError) {
        guard body.count >= 8 else { throw .truncated }
        guard (body.count - 8) % 8 == 0 else { throw .badLength }
        sender = body.be32(0)
        count = (body.count - 8) / 8
        self.body = body
    }
    package func entry(_ index: Int) -> (media: UInt32, command: UInt8)? {
        guard index >= 0, index < count else { return nil }
        return (body.be32(8 + 8 * index), body[12 + 8 * index])
    }
}

/// REMB (draft-alvestrand-rmcat-remb-03 §2.2).
package struct ReceiverEstimatedBitrate {
    package let sender: UInt32
    /// Bits per second, saturating.
    package let bitrate: UInt64
    package let count: Int
    private let body: UnsafeRawBufferPointer

    /// nil: an application-layer feedback message that is not REMB.
    init?(_ body: UnsafeRawBufferPointer) throws(RTCPParseError) {
        guard body.count >= 8 else { throw .truncated }
        guard body.count >= 16, body.be32(8) == 0x5245_4D42 else { return nil }   // "REMB"
        count = Int(body[12])
        guard body.count - 16 >= 4 * count else { throw .badCount }
        sender = body.be32(0)
        let exponent = UInt64(body[13] >> 2)
        let mantissa = UInt64(body[13] & 3) << 16 | UInt64(body.be16(14))
        bitrate = mantissa != 0 && exponent > UInt64(mantissa.leadingZeroBitCount) ? .max : mantissa << exponent
        self.body = body
    }
    package func ssrc(_ index: Int) -> UInt32? { index >= 0 && index < count ? body.be32(16 + 4 * index) : nil }
}

/// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). Only its head is read here.
package struct TransportFeedback {
    package let sender: UInt32
    package let media: UInt32
    package let baseSequence: UInt16
    package let statusCount: UInt16
    /// In multiples of 64 ms; 24 bits, signed in the draft's second reading, unsigned here.
    package let referenceTime: UInt32
    package let feedbackCount: UInt8
    /// Status chunks and receive deltas.
    package let chunks: UnsafeRawBufferPointer
    init(_ body: UnsafeRawBufferPointer) throws(RTCPParseError) {
        guard body.count >= 16 else { throw .truncated }
        sender = body.be32(0)
        media = body.be32(4)
        baseSequence = body.be16(8)
        statusCount = body.be16(10)
        referenceTime = body.be32(12) >> 8
        feedbackCount = body[15]
        chunks = UnsafeRawBufferPointer(rebasing: body[16...])
    }
}
