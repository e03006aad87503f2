// VP9 payload descriptor (RFC 9628 §4.2).
//
//      0 1 2 3 4 5 6 7
//     +-+-+-+-+-+-+-+-+
//     |I|P|L|F|B|E|V|Z| (required)
//  I: |M| PICTURE ID  | (7 bits, or 15 with M)
//  L: | TID |U| SID |D|
//     |   TL0PICIDX   | (L without F)
// PF: | P_DIFF      |N| (one to three)
//  V: | SS            | N_S(3) Y G, then sizes and the picture group

package struct VP9Descriptor: Equatable, Sendable {
    package enum Limits {
        package static let references = 3   // P_DIFF fields, §4.2
    }
    package let pictureID: UInt16?
    package let isLongPictureID: Bool
    /// P: predicted from other pictures; clear on a key picture.
    package let isInterPredicted: Bool
    package let isFlexible: Bool
    /// B, E: first and last packet of a frame (one spatial layer of a picture).
    package let startsFrame: Bool
    package let endsFrame: Bool
    /// Z: not used for inter-layer prediction of the next picture's higher layers.
    package let isNotForUpperLayers: Bool
    package let temporalID: UInt8?
    package let spatialID: UInt8?
    /// U: a receiver may switch up to higher temporal layers after this frame.
    package let isSwitchingUpPoint: Bool
    /// D: depends on the spatial layer below within the picture.
    package let isInterLayerDependent: Bool
    package let tl0PictureIndex: UInt8?
    package let hasScalabilityStructure: Bool
    /// Of the highest spatial layer, where the scalability structure names sizes.
    package let size: VideoSize?
    /// Bytes before the VP9 payload.
    package let length: Int

    /// The packet begins a key picture, at its lowest spatial layer.
    package var isKeyFrame: Bool { startsFrame && !isInterPredicted && (spatialID ?? 0) == 0 }

    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(PayloadParseError) -> VP9Descriptor { try VP9Descriptor(bytes) }

    package init(_ bytes: UnsafeRawBufferPointer) throws(PayloadParseError) {
        guard let first = bytes.first else { throw .empty }
        var offset = 1
        isInterPredicted = first & 0x40 != 0
        isFlexible = first & 0x10 != 0
        startsFrame = first & 0x08 != 0
        endsFrame = first & 0x04 != 0
        hasScalabilityStructure = first & 0x02 != 0
        isNotForUpperLayers = first & 0x01 != 0
        if first & 0x80 != 0 {
            let high = try Self.byte(bytes, &offset)
            isLongPictureID = high & 0x80 != 0
            pictureID = isLongPictureID ? UInt16(high & 0x7F) << 8 | UInt16(try Self.byte(bytes, &offset)) : UInt16(high)
        } else {
            isLongPictureID = false
            pictureID = nil
        }
        if first & 0x20 != 0 {
            let layers = try Self.byte(bytes, &offset)
            temporalID = layers >> 5
            spatialID = layers >> 1 & 0x07
            isSwitchingUpPoint = layers & 0x10 != 0
            isInterLayerDependent = layers & 0x01 != 0
            tl0PictureIndex = isFlexible ? nil : try Self.byte(bytes, &offset)
        } else {
            (temporalID, spatialID, isSwitchingUpPoint, isInterLayerDependent, tl0PictureIndex) = (nil, nil, false, false, nil)
        }
        if isFlexible, isInterPredicted { try Self.skipReferences(bytes, &offset) }
        size = hasScalabilityStructure ? try Self.scalabilityStructure(bytes, &offset) : nil
        length = offset
    }

    private static func byte(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) throws(PayloadParseError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated }
        defer { offset += 1 }
        return bytes[offset]
    }
    private static func skipReferences(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) throws(PayloadParseError) {
        for _ in 0..<Limits.references where try byte(bytes, &offset) & 0x01 == 0 { return }
        // §4.2: N set on the third would announce a fourth.
        throw .reserved
    }
    /// §4.2.1: N_S + 1 spatial layers, optional sizes (Y), optional picture group (G).
    private static func scalabilityStructure(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) throws(PayloadParseError) -> VideoSize? {
        let head = try byte(bytes, &offset)
        var size: VideoSize?
        if head & 0x10 != 0 {
            for _ in 0...(head >> 5) {
                let width = UInt16(try byte(bytes, &offset)) << 8 | UInt16(try byte(bytes, &offset))
                let height = UInt16(try byte(bytes, &offset)) << 8 | UInt16(try byte(bytes, &offset))
                size = VideoSize(width: Int(width), height: Int(height))
            }
        }
        if head & 0x08 != 0 {
            for _ in 0..<(try byte(bytes, &offset)) {
                let picture = try byte(bytes, &offset)
                for _ in 0..<(picture >> 2 & 0x03) { _ = try byte(bytes, &offset) }
            }
        }
        return size
    }
}
