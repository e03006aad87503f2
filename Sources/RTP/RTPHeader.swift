// The RTP fixed header, contributors, extension block and padding (RFC 3550 §5.1, §5.3.1).
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |V=2|P|X|  CC   |M|     PT      |       sequence number         |
// |                           timestamp                           |
// |                              SSRC                             |
// |                         CSRC × CC                             |
// |  extension profile (if X)     |  length in 32-bit words       |
// |                 extension elements (RFC 8285)                 |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

/// Why bytes are not an RTP packet. Normal for hostile input: dropped and counted.
package enum RTPParseError: UInt8, Error, Equatable, Sendable {
    case truncated, badVersion, truncatedContributors, truncatedExtension, badPadding
}

/// A view of one RTP packet: the numbers are read out, the rest stays where it is. No allocation.
///
/// It borrows the packet's bytes and must not outlive them.
package struct RTPHeader {
    package static let fixedLength = 12
    package static let version: UInt8 = 2
    package static let oneByteProfile: UInt16 = 0xBEDE
    package static let twoByteProfile: UInt16 = 0x1000

    /// The whole packet.
    package let bytes: UnsafeRawBufferPointer
    package let marker: Bool
    package let payloadType: UInt8
    package let sequence: UInt16
    package let timestamp: UInt32
    package let ssrc: UInt32
    package let contributorCount: Int
    /// The extension block's profile; 0 without a block.
    package let extensionProfile: UInt16
    /// Where the elements begin, and how many bytes they take (padding elements included).
    package let extensionOffset: Int
    package let extensionLength: Int
    /// Header length: where the payload begins.
    package let payloadOffset: Int
    /// Payload bytes without padding; 0 for a padding-only packet.
    package let payloadLength: Int
    package let paddingLength: Int

    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(RTPParseError) -> RTPHeader { try RTPHeader(bytes) }

    package init(_ bytes: UnsafeRawBufferPointer) throws(RTPParseError) {
        guard bytes.count >= Self.fixedLength else { throw .truncated }
        let first = bytes[0]
        guard first >> 6 == Self.version else { throw .badVersion }
        self.bytes = bytes
        marker = bytes[1] & 0x80 != 0
        payloadType = bytes[1] & 0x7F
        sequence = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        timestamp = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        ssrc = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        contributorCount = Int(first & 0x0F)

        var offset = Self.fixedLength + 4 * contributorCount
        guard offset <= bytes.count else { throw .truncatedContributors }
        if first & 0x10 != 0 {
            guard bytes.count - offset >= 4 else { throw .truncatedExtension }
            extensionProfile = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            extensionLength = 4 * Int(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 2, as: UInt16.self)))
            extensionOffset = offset + 4
            offset += 4 + extensionLength
            guard offset <= bytes.count else { throw .truncatedExtension }
        } else {
            extensionProfile = 0
            extensionLength = 0
            extensionOffset = offset
        }
        payloadOffset = offset
        if first & 0x20 != 0 {
            // RFC 3550 §5.1: the last byte counts the padding, itself included.
            guard offset < bytes.count else { throw .badPadding }
            paddingLength = Int(bytes[bytes.count - 1])
            guard paddingLength > 0, paddingLength <= bytes.count - offset else { throw .badPadding }
        } else {
            paddingLength = 0
        }
        payloadLength = bytes.count - offset - paddingLength
    }

    package var hasExtensionBlock: Bool { extensionProfile != 0 || extensionOffset > Self.fixedLength + 4 * contributorCount }
    package var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[payloadOffset..<(payloadOffset + payloadLength)])
    }
    package func contributor(_ index: Int) -> UInt32? {
        guard index >= 0, index < contributorCount else { return nil }
        return UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: Self.fixedLength + 4 * index, as: UInt32.self))
    }

    /// The elements of the extension block, in wire order; empty for profiles RFC 8285 does not define.
    package var extensions: ExtensionElements {
        ExtensionElements(bytes: bytes, profile: extensionProfile, from: extensionOffset, to: extensionOffset + extensionLength)
    }

    /// The value of the first element with this id, or nil.
    package func extensionElement(id: UInt8) -> UnsafeRawBufferPointer? {
        guard id != 0, extensionLength != 0 else { return nil }
        var elements = extensions
        while let element = elements.next() {
            if element.id == id { return element.value }
        }
        return nil
    }
}

/// One header extension element. `value` is empty for a two-byte element of length 0.
package struct ExtensionElement {
    package let id: UInt8
    package let value: UnsafeRawBufferPointer
}

/// Walks an extension block (RFC 8285 §4.2 one-byte, §4.3 two-byte). Stops quietly at a truncated element.
package struct ExtensionElements: IteratorProtocol, Sequence {
    private let bytes: UnsafeRawBufferPointer
    private let isTwoByte: Bool
    private var offset: Int
    private let end: Int

    init(bytes: UnsafeRawBufferPointer, profile: UInt16, from: Int, to: Int) {
        self.bytes = bytes
        isTwoByte = profile & 0xFFF0 == RTPHeader.twoByteProfile
        offset = from
        end = isTwoByte || profile == RTPHeader.oneByteProfile ? to : from
    }

    package mutating func next() -> ExtensionElement? {
        while offset < end {
            let head = bytes[offset]
            if head == 0 { offset += 1; continue }   // padding
            let id: UInt8, length: Int, start: Int
            if isTwoByte {
                guard offset + 2 <= end else { break }
                (id, length, start) = (head, Int(bytes[offset + 1]), offset + 2)
            } else {
                (id, length, start) = (head >> 4, Int(head & 0x0F) + 1, offset + 1)
                // §4.2: 15 is reserved, processing stops there; id 0 with a length is padding of that length here.
                if id == 15 { break }
            }
            guard start + length <= end else { break }
            offset = start + length
            if id == 0 { continue }
            return ExtensionElement(id: id, value: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + length)]))
        }
        offset = end
        return nil
    }
}
