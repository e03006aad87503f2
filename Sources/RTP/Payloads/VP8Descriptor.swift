// VP8 payload descriptor and the start of the payload header (RFC 7741 §4.2, §4.3).
//
//      0 1 2 3 4 5 6 7
//     +-+-+-+-+-+-+-+-+
//     |X|R|N|S|R| PID | (required)
//  X: |I|L|T|K|  RSV  |
//  I: |M| PictureID   | (7 bits, or 15 with M)
//  L: |   TL0PICIDX   |
// TK: |TID|Y| KEYIDX  |

package struct VP8Descriptor: Equatable, Sendable {
    /// N: no other frame refers to this one.
    package let isNonReference: Bool
    /// S with PID 0: the packet begins a frame.
    package let startsFrame: Bool
    package let partition: UInt8
    /// 7 or 15 bits.
    package let pictureID: UInt16?
    package let isLongPictureID: Bool
    package let tl0PictureIndex: UInt8?
    package let temporalID: UInt8?
    /// Y: the frame depends on the base layer only, so that a receiver may switch up here.
    package let isLayerSync: Bool
    package let keyIndex: UInt8?
    /// Bytes before the VP8 payload.
    package let length: Int
    /// The packet begins a key frame (§4.3: P bit of the payload header is 0).
    package let isKeyFrame: Bool
    /// Of a key frame whose header is in this packet, without scaling bits.
    package let size: VideoSize?

    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(PayloadParseError) -> VP8Descriptor { try VP8Descriptor(bytes) }

    package init(_ bytes: UnsafeRawBufferPointer) throws(PayloadParseError) {
        guard !bytes.isEmpty else { throw .empty }
        let first = bytes[0]
        isNonReference = first & 0x20 != 0
        partition = first & 0x07
        startsFrame = first & 0x10 != 0 && partition == 0
        var offset = 1
        var extensionBits: UInt8 = 0
        if first & 0x80 != 0 { extensionBits = try Self.byte(bytes, &offset) }
        if extensionBits & 0x80 != 0 {
            let high = try Self.byte(bytes, &offset)
            isLongPictureID = high & 0x80 != 0
            pictureID = isLongPictureID ? UInt16(high & 0x7F) << 8 | UInt16(try Self.byte(bytes, &offset)) : UInt16(high)
        } else {
            isLongPictureID = false
            pictureID = nil
        }
        tl0PictureIndex = extensionBits & 0x40 != 0 ? try Self.byte(bytes, &offset) : nil
        if extensionBits & 0x30 != 0 {
            let layers = try Self.byte(bytes, &offset)
            temporalID = extensionBits & 0x20 != 0 ? layers >> 6 : nil
            isLayerSync = extensionBits & 0x20 != 0 && layers & 0x20 != 0
            keyIndex = extensionBits & 0x10 != 0 ? layers & 0x1F : nil
        } else {
            temporalID = nil
            isLayerSync = false
            keyIndex = nil
        }
        length = offset
        isKeyFrame = startsFrame && offset < bytes.count && bytes[offset] & 0x01 == 0
        size = isKeyFrame ? Self.size(bytes, at: offset) : nil
    }

    /// Writes other numbers over the ones a descriptor carries, keeping its length: for continuity across a layer switch.
    /// - Parameter payload: writable bytes that begin with this very descriptor, at least `length` long.
    package func overwrite(_ payload: UnsafeMutableRawPointer, pictureID newID: UInt16, tl0PictureIndex newIndex: UInt8) {
        var offset = 2
        if pictureID != nil {
            if isLongPictureID {
                payload.storeBytes(of: 0x80 | UInt8(newID >> 8 & 0x7F), toByteOffset: offset, as: UInt8.self)
                payload.storeBytes(of: UInt8(truncatingIfNeeded: newID), toByteOffset: offset + 1, as: UInt8.self)
                offset += 2
            } else {
                payload.storeBytes(of: UInt8(truncatingIfNeeded: newID) & 0x7F, toByteOffset: offset, as: UInt8.self)
                offset += 1
            }
        }
        if tl0PictureIndex != nil { payload.storeBytes(of: newIndex, toByteOffset: offset, as: UInt8.self) }
    }

    private static func byte(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) throws(PayloadParseError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated }
        defer { offset += 1 }
        return bytes[offset]
    }
    /// RFC 6386 §9.1: three bytes of frame tag, the start code 9d 01 2a, then 14 bits of width and of height, little-endian.
    private static func size(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> VideoSize? {
        guard bytes.count - offset >= 10, bytes[offset + 3] == 0x9D, bytes[offset + 4] == 0x01, bytes[offset + 5] == 0x2A else { return nil }
        let width = Int(bytes[offset + 6]) | Int(bytes[offset + 7] & 0x3F) << 8
        let height = Int(bytes[offset + 8]) | Int(bytes[offset + 9] & 0x3F) << 8
        return VideoSize(width: width, height: height)
    }
}

/// In pixels.
package struct VideoSize: Hashable, Codable, Sendable {
    package let width: Int
    package let height: Int
    package init(width: Int, height: Int) { self.width = width; self.height = height }
}
