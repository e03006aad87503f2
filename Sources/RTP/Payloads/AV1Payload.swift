// AV1 aggregation header and the OBUs behind it (AV1 RTP payload specification §4.3, §4.4).
//
//      0 1 2 3 4 5 6 7
//     +-+-+-+-+-+-+-+-+
//     |Z|Y| W |N|- - -|   then OBU elements, each behind a LEB128 length; with W > 0 the last has none
//     +-+-+-+-+-+-+-+-+

package struct AV1Payload: Equatable, Sendable {
    package enum OBU {
        package static let sequenceHeader: UInt8 = 1
        package static let frameHeader: UInt8 = 3
        package static let frame: UInt8 = 6
    }
    package enum Limits {
        package static let elements = 64        // OBU elements looked at in one packet
        package static let leb128Bytes = 8      // AV1 §4.10.5
    }
    /// Z: the first element continues one of the packet before.
    package let continuesPrevious: Bool
    /// Y: the last element goes on in the next packet.
    package let continuesInNext: Bool
    /// W: number of elements, 0 when every element has a length.
    package let elementCount: UInt8
    /// N: first packet of a coded video sequence.
    package let startsSequence: Bool
    /// A sequence header OBU begins in this packet.
    package let containsSequenceHeader: Bool
    /// From the first OBU extension header that begins here.
    package let temporalID: UInt8?
    package let spatialID: UInt8?

    /// Decoding may begin here. §4.4: N comes with a sequence header and a key frame.
    package var isKeyFrame: Bool { !continuesPrevious && (startsSequence || containsSequenceHeader) }

    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(PayloadParseError) -> AV1Payload { try AV1Payload(bytes) }

    package init(_ bytes: UnsafeRawBufferPointer) throws(PayloadParseError) {
        guard let first = bytes.first else { throw .empty }
        guard bytes.count > 1 else { throw .truncated }
        continuesPrevious = first & 0x80 != 0
        continuesInNext = first & 0x40 != 0
        elementCount = first >> 4 & 0x03
        startsSequence = first & 0x08 != 0
        if continuesPrevious, startsSequence { throw .reserved }   // §4.4: N requires Z = 0

        var elements = AV1Elements(bytes)
        var hasSequenceHeader = false, layers: UInt8?, index = 0
        while index < Limits.elements, let element = try elements.next() {
            defer { index += 1 }
            guard !(index == 0 && first & 0x80 != 0), let head = element.first else { continue }
            if head >> 3 & 0x0F == OBU.sequenceHeader { hasSequenceHeader = true }
            if layers == nil, head & 0x04 != 0, element.count >= 2 { layers = element[1] }
        }
        containsSequenceHeader = hasSequenceHeader
        temporalID = layers.map { $0 >> 5 }
        spatialID = layers.map { $0 >> 3 & 0x03 }
    }
}

/// Walks the OBU elements of one packet, without joining fragments.
package struct AV1Elements {
    private let bytes: UnsafeRawBufferPointer
    private let count: Int
    private var offset = 1
    private var index = 0

    /// - Parameter payload: beginning with the aggregation header.
    package init(_ payload: UnsafeRawBufferPointer) {
        bytes = payload
        count = payload.isEmpty ? 0 : Int(payload[0] >> 4 & 0x03)
    }

    /// The next element, or nil at the end.
    package mutating func next() throws(PayloadParseError) -> UnsafeRawBufferPointer? {
        guard offset < bytes.count, count == 0 || index < count else { return nil }
        index += 1
        let length = index == count ? bytes.count - offset : try leb128()
        guard length <= bytes.count - offset else { throw .truncated }
        defer { offset += length }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + length)])
    }

    /// AV1 §4.10.5, as far as it fits a packet.
    private mutating func leb128() throws(PayloadParseError) -> Int {
        var value = 0
        for i in 0..<AV1Payload.Limits.leb128Bytes {
            guard offset < bytes.count else { throw .truncated }
            let byte = bytes[offset]
            offset += 1
            value |= Int(byte & 0x7F) << (7 * i)
            if byte & 0x80 == 0 { return value }
        }
        throw .reserved
    }
}
