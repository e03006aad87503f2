// What forwarding needs to know of a packet's payload and header extensions, read once on arrival.
internal import RTP

enum PayloadInspector {


    static func facts(of header: RTPHeader, codec: Codec, extensions map: ExtensionMap) -> PacketFacts {
        var facts = PacketFacts()
        facts.timestamp = header.timestamp
        facts.payloadType = header.payloadType
        facts.codec = codec
        if header.marker { facts.flags.insert(.marker) }
        if header.extensionLength > 0 { facts.extensions = passedThrough(header, map) }
        guard header.payloadLength > 0 else {
            facts.flags.insert(.paddingOnly)
            return facts
        }
        switch codec {
        case .opus: facts.flags.insert(.startsKeyFrame)
        case .vp8: readVP8(header.payload, into: &facts)
        case .vp9: readVP9(header.payload, into: &facts)
        case .h264: readH264(header.payload, into: &facts)
        case .av1: readAV1(header.payload, into: &facts)
        }
        return facts
    }

    private static func readVP8(_ payload: UnsafeRawBufferPointer, into facts: inout PacketFacts) {
        guard let vp8 = try? VP8Descriptor(payload) else { return }
        facts.descriptorLength = UInt8(truncatingIfNeeded: vp8.length)
        facts.temporalID = vp8.temporalID ?? 0
        if vp8.isKeyFrame { facts.flags.insert(.keyFrame) }
        if vp8.startsFrame { facts.flags.insert(.startsFrame) }
        if vp8.isLayerSync { facts.flags.insert(.layerSync) }
        if let id = vp8.pictureID {
            facts.pictureID = id
            facts.flags.insert(.pictureID)
            if vp8.isLongPictureID { facts.flags.insert(.longPictureID) }
        }
        if let index = vp8.tl0PictureIndex {
            facts.tl0PictureIndex = index
            facts.flags.insert(.tl0PictureIndex)
        }
    }
    private static func readVP9(_ payload: UnsafeRawBufferPointer, into facts: inout PacketFacts) {
        guard let vp9 = try? VP9Descriptor(payload) else { return }
        facts.temporalID = vp9.temporalID ?? 0
        if vp9.isKeyFrame { facts.flags.insert(.keyFrame) }
        if vp9.startsFrame { facts.flags.insert(.startsFrame) }
        if vp9.isSwitchingUpPoint { facts.flags.insert(.layerSync) }
    }
    private static func readH264(_ payload: UnsafeRawBufferPointer, into facts: inout PacketFacts) {
        guard let h264 = try? H264Payload(payload) else { return }
        if h264.isKeyFrame { facts.flags.insert(.startsKeyFrame) }
    }
    private static func readAV1(_ payload: UnsafeRawBufferPointer, into facts: inout PacketFacts) {
        guard let av1 = try? AV1Payload(payload) else { return }
        // Temporal ids stand in OBU extension headers, which not every packet repeats: AV1 is not thinned without a dependency descriptor.
        if av1.isKeyFrame { facts.flags.insert(.keyFrame) }
        if !av1.continuesPrevious { facts.flags.insert(.startsFrame) }
    }

    /// Where the extensions stand that reach subscribers. All others end here: MID is written anew, RID names our side only.
    private static func passedThrough(_ header: RTPHeader, _ map: ExtensionMap) -> SIMD4<UInt32> {
        var found = SIMD4<UInt32>(), count = 0
        guard let base = header.bytes.baseAddress else { return found }
        var elements = header.extensions
        while count < 4, let element = elements.next() {
            guard let uri = map.uri(of: element.id), isPassedThrough(uri), let value = element.value.baseAddress else { continue }
            found[count] = UInt32(uri.rawValue) << 24 | UInt32(min(element.value.count, 255)) << 16 | UInt32(value - base)
            count += 1
        }
        return found
    }
    @inline(__always) private static func isPassedThrough(_ uri: ExtensionURI) -> Bool {
        switch uri {
        case .audioLevel, .videoOrientation, .playoutDelay, .absCaptureTime: true
        default: false
        }
    }
}
