import RTP
import Testing

@Suite struct VP8DescriptorTests {
    @Test func chromiumKeyFrame() throws {
        // X, S; I L T; picture id 15 bits 0x1234, TL0PICIDX 9, TID 1 Y; frame tag of a key frame, start code, 640×360.
        try reading(hex("90 e0 92 34 09 60 10 02 00 9d 01 2a 80 02 68 01")) {
            let vp8 = try VP8Descriptor($0)
            #expect(vp8.pictureID == 0x1234 && vp8.isLongPictureID && vp8.tl0PictureIndex == 9)
            #expect(vp8.temporalID == 1 && vp8.isLayerSync && vp8.keyIndex == nil && vp8.length == 6)
            #expect(vp8.startsFrame && vp8.isKeyFrame && vp8.size == VideoSize(width: 640, height: 360))
            #expect(isKeyFrame(codec: .vp8, payload: $0))
        }
    }
    @Test(arguments: [
        ("10 01", false), ("10 00", true), ("00 00", false), ("11 00", false), ("10", false), ("90 80 05 00", true), ("b0 10 03 00", true),
    ])
    func keyFrames(_ text: String, _ isKey: Bool) { reading(hex(text)) { #expect(isKeyFrame(codec: .vp8, payload: $0) == isKey) } }

    @Test(arguments: ["90", "90 80", "90 80 80", "90 c0 01", "90 20"])
    func truncated(_ text: String) { reading(hex(text)) { bytes in #expect(throws: PayloadParseError.truncated) { _ = try VP8Descriptor(bytes) } } }

    @Test(arguments: [("90 e0 92 34 09 60 10", 0x7FFF, 0xAA, "90 e0 ff ff aa 60 10"), ("90 c0 12 09 10", 0x0145, 3, "90 c0 45 03 10"), ("90 40 09 10", 5, 3, "90 40 03 10"), ("10 10", 5, 3, "10 10")] as [(String, UInt16, UInt8, String)])
    func numbersAreOverwrittenInPlace(_ before: String, _ id: UInt16, _ index: UInt8, _ after: String) throws {
        var bytes = hex(before)
        try bytes.withUnsafeMutableBytes { try VP8Descriptor(UnsafeRawBufferPointer($0)).overwrite($0.baseAddress!, pictureID: id, tl0PictureIndex: index) }
        #expect(bytes == hex(after))
    }
}

@Suite struct VP9DescriptorTests {
    @Test func keyPictureWithStructure() throws {
        // I L B E V; picture id 15 bits; TID 0 SID 0; TL0PICIDX 5; SS: N_S 1, Y, G: 320×180, 640×360, two pictures with 1 and 0 references.
        try reading(hex("ae 81 02 00 05 38 01 40 00 b4 02 80 01 68 02 04 01 20 ff")) {
            let vp9 = try VP9Descriptor($0)
            #expect(vp9.pictureID == 0x0102 && vp9.tl0PictureIndex == 5 && vp9.temporalID == 0 && vp9.spatialID == 0)
            #expect(vp9.isKeyFrame && vp9.hasScalabilityStructure && vp9.size == VideoSize(width: 640, height: 360) && vp9.length == 18)
        }
    }
    @Test func flexibleModeWithReferences() throws {
        // I P L F B; picture id 7 bits; TID 2 U SID 1 D; P_DIFF 1 (more), 2.
        try reading(hex("f8 07 53 03 04 aa")) {
            let vp9 = try VP9Descriptor($0)
            #expect(vp9.pictureID == 7 && vp9.temporalID == 2 && vp9.spatialID == 1 && vp9.isSwitchingUpPoint && vp9.isInterLayerDependent)
            #expect(vp9.tl0PictureIndex == nil && vp9.length == 5 && !vp9.isKeyFrame)
        }
    }
    @Test func upperLayerOfAKeyPictureIsNotItsBeginning() throws {
        try reading(hex("a8 07 03 00 aa")) { let isKey = try VP9Descriptor($0).isKeyFrame; #expect(!isKey) }
        try reading(hex("a8 07 00 00 aa")) { let isKey = try VP9Descriptor($0).isKeyFrame; #expect(isKey) }
    }
    @Test(arguments: [("80", PayloadParseError.truncated), ("80 80", .truncated), ("20 00", .truncated), ("50 01 01 01", .reserved), ("02 f8", .truncated), ("02 08 05 00", .truncated), ("", .empty)])
    func refused(_ text: String, _ error: PayloadParseError) { reading(hex(text)) { bytes in #expect(throws: error) { _ = try VP9Descriptor(bytes) } } }
}

@Suite struct H264PayloadTests {
    @Test(arguments: [
        ("65 88", true), ("67 42", true), ("68 ce", false), ("41 9a", false), ("06 05", false),
        ("78 00 02 67 42 00 01 68", true), ("78 00 01 68 00 01 06", false), ("7c 85 00", true), ("7c 05 00", false), ("7c 45 00", false), ("5c 81 00", false), ("7c 87 00", true),
        ("78 00 05 67", false), ("79 00", false), ("", false),
    ])
    func keyFrames(_ text: String, _ isKey: Bool) { reading(hex(text)) { #expect(isKeyFrame(codec: .h264, payload: $0) == isKey) } }

    @Test func whatBegins() throws {
        try reading(hex("78 00 02 67 42 00 01 68 00 01 65")) {
            let h264 = try H264Payload($0)
            #expect(h264.containsSPS && h264.containsIDR && h264.startingTypes == 1 << 7 | 1 << 8 | 1 << 5 && h264.fragment == nil)
        }
        try reading(hex("7c 45 00")) {
            let h264 = try H264Payload($0)
            #expect(h264.fragment?.type == 5 && h264.fragment?.isFirst == false && h264.fragment?.isLast == true && h264.startingTypes == 0)
        }
    }
    @Test(arguments: [("78", PayloadParseError.truncated), ("78 00 00 67", .truncated), ("78 00 02 67", .truncated), ("7c", .truncated), ("7d 85", .reserved), ("60", .reserved)])
    func refused(_ text: String, _ error: PayloadParseError) { reading(hex(text)) { bytes in #expect(throws: error) { _ = try H264Payload(bytes) } } }
}

@Suite struct AV1PayloadTests {
    @Test(arguments: [
        ("18 0a 0b", true),          // W 1, N
        ("20 02 08 00 30 00", true), // W 2: a sequence header, a frame
        ("10 30 00", false),         // W 1: a frame
        ("90 08 00", false),         // continues: not the beginning
        ("00 02 10 00 02 08 00", true), // W 0: temporal delimiter, sequence header
        ("00 05 08", false), ("18", false), ("98 08", false), ("00 ff ff ff ff ff ff ff ff ff", false),
    ])
    func keyFrames(_ text: String, _ isKey: Bool) { reading(hex(text)) { #expect(isKeyFrame(codec: .av1, payload: $0) == isKey) } }

    @Test func layersAndElements() throws {
        try reading(hex("50 34 48 aa bb")) {
            let av1 = try AV1Payload($0)
            #expect(av1.temporalID == 2 && av1.spatialID == 1 && av1.continuesInNext && av1.elementCount == 1)
        }
        try reading(hex("30 01 aa 02 bb cc dd ee")) {
            var elements = AV1Elements($0)
            var found: [[UInt8]] = []
            while let element = try elements.next() { found.append(Array(element)) }
            #expect(found == [[0xAA], [0xBB, 0xCC], [0xDD, 0xEE]])
        }
    }
}

@Suite struct RetransmissionTests {
    let original = hex("b0 e0 00 07 00 00 00 10 00 00 00 01 be de 00 01 10 aa 00 00 01 02 03 00 00 03")

    @Test func thereAndBack() throws {
        try reading(original) { (bytes) throws -> Void in
            let header = try RTPHeader(bytes)
            var wire = [UInt8](repeating: 0, count: 64)
            let wrapped = wire.withUnsafeMutableBytes { Retransmission.wrap(header, ssrc: 2, payloadType: 97, sequence: 500, into: $0) }
            let length = try #require(wrapped)
            #expect(Array(wire[..<length]) == hex("90 e1 01 f4 00 00 00 10 00 00 00 02 be de 00 01 10 aa 00 00 00 07 01 02 03"))
            try wire.withUnsafeMutableBytes { buffer in
                let packet = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
                let rtx = try RTPHeader(UnsafeRawBufferPointer(packet))
                #expect(Retransmission.originalSequence(of: rtx) == 7)
                let unwrapped = Retransmission.unwrap(packet, header: rtx, ssrc: 1, payloadType: 96)
                let back = try #require(unwrapped)
                #expect(Array(back) == hex("90 e0 00 07 00 00 00 10 00 00 00 01 be de 00 01 10 aa 00 00 01 02 03"))
            }
            let tooSmall = wire.withUnsafeMutableBytes { Retransmission.wrap(header, ssrc: 2, payloadType: 97, sequence: 500, into: .init(rebasing: $0[..<10])) }
            #expect(tooSmall == nil)
        }
    }
    @Test func probesCarryNothing() throws {
        var probe = hex("a0 61 00 01 00 00 00 00 00 00 00 02 00 00 03")
        try probe.withUnsafeMutableBytes {
            let header = try RTPHeader(UnsafeRawBufferPointer($0))
            let carried = Retransmission.unwrap($0, header: header, ssrc: 1, payloadType: 96)
                #expect(carried == nil)
        }
    }
}
