// Compound RTCP packets, read in place (RFC 3550 §6, RFC 4585 §6, RFC 5104 §4.3).
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |V=2|P| count/FMT |  packet type |  length in 32-bit words − 1   |
// |                     SSRC of the sender                         |
// |                     …                                          |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Disposition of each type: SR, RR, SDES, BYE, NACK, PLI, FIR consumed and generated; REMB and transport-cc
// read, not asked for in SDP; APP, XR and the rest answered as `unknown` and ignored.

package enum RTCPParseError: UInt8, Error, Equatable, Sendable {
    case truncated, badVersion, badPadding, badCount, badLength
}

/// One packet of a compound. Views borrow the bytes.
package enum RTCPPacket {
    case senderReport(SenderReport)
    case receiverReport(ReceiverReport)
    case sdes(SourceDescription)
    case bye(Goodbye)
    case nack(NackFeedback)
    case pli(PictureLossIndication)
    case fir(FullIntraRequest)
    case remb(ReceiverEstimatedBitrate)
    case transportCC(TransportFeedback)
    case unknown(UnknownRTCP)
}

package enum RTCPType {
    package static let senderReport: UInt8 = 200
    package static let receiverReport: UInt8 = 201
    package static let sdes: UInt8 = 202
    package static let bye: UInt8 = 203
    package static let app: UInt8 = 204
    package static let transportFeedback: UInt8 = 205
    package static let payloadFeedback: UInt8 = 206
}

/// Iterates a compound packet. A malformed member ends the iteration with an error; what came before it was good.
package struct RTCPReader {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Walks the whole compound, for callers that only want to know whether it is well formed.
    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(RTCPParseError) -> Int {
        var reader = RTCPReader(bytes), count = 0
        while try reader.next() != nil { count += 1 }
        return count
    }

    /// The next packet, or nil at the end.
    package mutating func next() throws(RTCPParseError) -> RTCPPacket? {
        guard offset < bytes.count else { return nil }
        let start = offset
        offset = bytes.count   // an error ends the iteration
        guard bytes.count - start >= 4 else { throw .truncated }
        let first = bytes[start]
        guard first >> 6 == RTPHeader.version else { throw .badVersion }
        let length = 4 * (Int(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 2, as: UInt16.self))) + 1)
        guard length <= bytes.count - start else { throw .truncated }
        var end = start + length
        if first & 0x20 != 0 {
            let padding = Int(bytes[end - 1])
            guard padding > 0, padding <= length - 4 else { throw .badPadding }
            end -= padding
        }
        let body = UnsafeRawBufferPointer(rebasing: bytes[(start + 4)..<end])
        let packet = try Self.decode(type: bytes[start + 1], count: first & 0x1F, body: body)
        offset = start + length
        return packet
    }

    private static func decode(type: UInt8, count: UInt8, body: UnsafeRawBufferPointer) throws(RTCPParseError) -> RTCPPacket {
        switch type {
        case RTCPType.senderReport: .senderReport(try SenderReport(body, count: Int(count)))
        case RTCPType.receiverReport: .receiverReport(try ReceiverReport(body, count: Int(count)))
        case RTCPType.sdes: .sdes(SourceDescription(body, count: Int(count)))
        case RTCPType.bye: .bye(try Goodbye(body, count: Int(count)))
        case RTCPType.transportFeedback: try transportLayerFeedback(format: count, body: body)
        case RTCPType.payloadFeedback: try payloadFeedback(format: count, body: body)
        default: .unknown(UnknownRTCP(type: type, count: count, body: body))
        }
    }
    private static func transportLayerFeedback(format: UInt8, body: UnsafeRawBufferPointer) throws(RTCPParseError) -> RTCPPacket {
        switch format {
        case 1: .nack(try NackFeedback(body))
        case 15: .transportCC(try TransportFeedback(body))
        default: .unknown(UnknownRTCP(type: RTCPType.transportFeedback, count: format, body: body))
        }
    }
    private static func payloadFeedback(format: UInt8, body: UnsafeRawBufferPointer) throws(RTCPParseError) -> RTCPPacket {
        switch format {
        case 1: return .pli(try PictureLossIndication(body))
        case 4: return .fir(try FullIntraRequest(body))
        case 15:
            if let remb = try ReceiverEstimatedBitrate(body) { return .remb(remb) }
            fallthrough
        default: return .unknown(UnknownRTCP(type: RTCPType.payloadFeedback, count: format, body: body))
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Network order; the caller has checked the bounds.
    @inline(__always) func be16(_ offset: Int) -> UInt16 { UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self)) }
    @inline(__always) func be32(_ offset: Int) -> UInt32 { UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
}
