// H.264 payload structure: which NAL units a packet holds or begins (RFC 6184 §5.2–5.8).
//
//     +-+-+-+-+-+-+-+-+
//     |F|NRI|  Type   |   1–23 one NAL unit, 24 STAP-A, 28 FU-A
//     +-+-+-+-+-+-+-+-+
// Packetization modes 0 and 1 only: STAP-B, MTAP and FU-B belong to mode 2 and are refused.

package struct H264Payload: Equatable, Sendable {
    package enum NAL {
        package static let slice: UInt8 = 1
        package static let idr: UInt8 = 5
        package static let sps: UInt8 = 7
        package static let pps: UInt8 = 8
        package static let stapA: UInt8 = 24
        package static let fuA: UInt8 = 28
    }
    /// Bit n: a NAL unit of type n begins in this packet.
    package let startingTypes: UInt32
    /// A fragment of a larger NAL unit: its type, and whether it is the first or last one.
    package let fragment: Fragment?

    package struct Fragment: Equatable, Sendable {
        package let type: UInt8
        package let isFirst: Bool
        package let isLast: Bool
    }

    /// Decoding may begin here: parameter sets or an IDR picture begin in the packet.
    package var isKeyFrame: Bool { containsIDR || containsSPS }
    package var containsIDR: Bool { startingTypes & 1 << NAL.idr != 0 }
    /// The stricter test, for senders that repeat their parameter sets in band as browsers do.
    package var containsSPS: Bool { startingTypes & 1 << NAL.sps != 0 }

    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(PayloadParseError) -> H264Payload { try H264Payload(bytes) }

    package init(_ bytes: UnsafeRawBufferPointer) throws(PayloadParseError) {
        guard let first = bytes.first else { throw .empty }
        let type = first & 0x1F
        switch type {
        case 1...23:
            startingTypes = 1 << UInt32(type)
            fragment = nil
        case NAL.stapA:
            startingTypes = try Self.aggregated(bytes)
            fragment = nil
        case NAL.fuA:
            guard bytes.count >= 2 else { throw .truncated }
            let head = bytes[1]
            let isFirst = head & 0x80 != 0
            fragment = Fragment(type: head & 0x1F, isFirst: isFirst, isLast: head & 0x40 != 0)
            startingTypes = isFirst ? 1 << UInt32(head & 0x1F) : 0
        default:
            throw .reserved
        }
    }

    /// §5.7.1: each unit behind its 16-bit size.
    private static func aggregated(_ bytes: UnsafeRawBufferPointer) throws(PayloadParseError) -> UInt32 {
        var offset = 1, types: UInt32 = 0
        while offset < bytes.count {
            guard bytes.count - offset >= 3 else { throw .truncated }
            let size = Int(bytes.be16(offset))
            guard size > 0, bytes.count - offset - 2 >= size else { throw .truncated }
            types |= 1 << UInt32(bytes[offset + 2] & 0x1F)
            offset += 2 + size
        }
        guard types != 0 else { throw .truncated }
        return types
    }
}
