import RTP
import Testing

@Suite struct RTPHeaderTests {
    @Test func plainPacket() throws {
        try reading(hex("80 ef 12 34 00 00 10 00 de ad be ef 01 02 03")) {
            let header = try RTPHeader($0)
            #expect(header.marker && header.payloadType == 111 && header.sequence == 0x1234)
            #expect(header.timestamp == 0x1000 && header.ssrc == 0xDEAD_BEEF)
            #expect(header.contributorCount == 0 && !header.hasExtensionBlock)
            #expect(header.payloadOffset == 12 && Array(header.payload) == [1, 2, 3] && header.paddingLength == 0)
            #expect(header.extensionElement(id: 1) == nil)
        }
    }

    @Test func contributorsExtensionAndPadding() throws {
        // CC 2, X, P; one-byte block: id 1 "ab", padding, id 4 one byte; payload 2, padding 3.
        let packet = hex("b2 60 ff ff 80 00 00 00 00 00 00 01 00 00 00 0a 00 00 00 0b be de 00 02 11 61 62 00 40 99 00 00 aa bb 00 00 03")
        try reading(packet) {
            let header = try RTPHeader($0)
            #expect(header.contributorCount == 2 && header.contributor(1) == 11 && header.contributor(2) == nil)
            #expect(header.extensionProfile == 0xBEDE && header.extensionOffset == 24 && header.extensionLength == 8)
            #expect(header.extensionElement(id: 1).map(Array.init) == [0x61, 0x62])
            #expect(header.extensionElement(id: 4).map(Array.init) == [0x99])
            #expect(header.extensionElement(id: 5) == nil && header.extensionElement(id: 0) == nil)
            #expect(Array(header.payload) == [0xAA, 0xBB] && header.paddingLength == 3)
        }
    }

    @Test func twoByteForm() throws {
        // appbits set; id 200 of 17 bytes, id 2 of length 0.
        let value = [UInt8](repeating: 7, count: 17)
        let packet = hex("90 60 00 01 00 00 00 00 00 00 00 01 10 05 00 06 c8 11") + value + hex("00 02 00 00 00")
        try reading(packet) {
            let header = try RTPHeader($0)
            #expect(header.extensions.map(\.id) == [200, 2])
            #expect(header.extensionElement(id: 200).map(Array.init) == value)
            #expect(header.extensionElement(id: 2)?.count == 0)
        }
    }

    @Test(arguments: [
        ("80 6f 00 01 00 00 00 00 00 00 00", RTPParseError.truncated),
        ("", .truncated),
        ("40 6f 00 01 00 00 00 00 00 00 00 01", .badVersion),
        ("81 6f 00 01 00 00 00 00 00 00 00 01 00 00 00", .truncatedContributors),
        ("90 6f 00 01 00 00 00 00 00 00 00 01 be de 00", .truncatedExtension),
        ("90 6f 00 01 00 00 00 00 00 00 00 01 be de 00 02 00 00 00 00", .truncatedExtension),
        ("a0 6f 00 01 00 00 00 00 00 00 00 01", .badPadding),
        ("a0 6f 00 01 00 00 00 00 00 00 00 01 00", .badPadding),
        ("a0 6f 00 01 00 00 00 00 00 00 00 01 aa 03", .badPadding),
    ])
    func refused(_ text: String, _ error: RTPParseError) {
        reading(hex(text)) { bytes in
            #expect(throws: error) { _ = try RTPHeader(bytes) }
        }
    }

    @Test func paddingOnlyPacketHasNoPayload() throws {
        try reading(hex("a0 6f 00 01 00 00 00 00 00 00 00 01 00 00 00 04")) {
            let header = try RTPHeader($0)
            #expect(header.payloadLength == 0 && header.paddingLength == 4)
        }
    }

    /// A truncated element ends the walk; what stood before it is found; nothing reads past the block.
    @Test func truncatedElementEndsTheWalk() throws {
        try reading(hex("90 6f 00 01 00 00 00 00 00 00 00 01 be de 00 01 10 aa 2f bb cc cc cc cc")) {
            let ids = try RTPHeader($0).extensions.map(\.id)
            #expect(ids == [1])
        }
        try reading(hex("90 6f 00 01 00 00 00 00 00 00 00 01 be de 00 01 f0 aa 10 bb")) {
            let ids = try RTPHeader($0).extensions.map(\.id)
            #expect(ids == [], "15 stops the walk")
        }
        try reading(hex("90 6f 00 01 00 00 00 00 00 00 00 01 12 34 00 01 10 aa 10 bb")) {
            let header = try RTPHeader($0)
            #expect(header.extensions.map(\.id) == [] && header.hasExtensionBlock, "an unknown profile has no elements")
        }
    }

    @Test(arguments: [false, true])
    func writtenBlockReadsBack(twoByte: Bool) throws {
        var packet = [UInt8](repeating: 0xEE, count: 64)
        let length = packet.withUnsafeMutableBytes { buffer in
            let base = buffer.baseAddress!
            RTPHeader.write(to: base, payloadType: 96, marker: true, sequence: 65535, timestamp: .max, ssrc: 7, hasExtensionBlock: true)
            var block = ExtensionBlockWriter(to: base + 12, capacity: 20, twoByte: twoByte)
            let appended = [
                reading([1, 2, 3]) { block.append(id: 3, $0) }, reading([9]) { block.append(id: 14, $0) },
                reading([UInt8](repeating: 1, count: 12)) { block.append(id: 5, $0) },   // no room
                reading([]) { block.append(id: 0, $0) }, reading([9]) { block.append(id: 200, $0) },
            ]
            #expect(appended == [true, true, false, false, twoByte])
            return 12 + block.finish()
        }
        try reading(Array(packet[..<length])) {
            let header = try RTPHeader($0)
            #expect(header.sequence == 65535 && header.timestamp == .max && header.ssrc == 7 && header.marker)
            #expect(header.extensions.map(\.id) == (twoByte ? [3, 14, 200] : [3, 14]))
            #expect(header.extensionElement(id: 3).map(Array.init) == [1, 2, 3])
            #expect(header.payloadLength == 0)
        }
        #expect(packet[length] == 0xEE)
    }

    @Test func emptyBlockIsNoBlock() {
        var bytes = [UInt8](repeating: 0, count: 8)
        let length = bytes.withUnsafeMutableBytes { (buffer: UnsafeMutableRawBufferPointer) -> Int in
            var block = ExtensionBlockWriter(to: buffer.baseAddress!, capacity: 8)
            return block.finish()
        }
        #expect(length == 0)
    }

    /// Any bytes: a typed error or a view whose every part lies inside.
    @Test func randomBytesNeverTrap() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<5_000 {
            var bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            if !bytes.isEmpty { bytes[0] = bytes[0] & 0x3F | 0x80 }
            if bytes.count > 13, Bool.random() { bytes[12] = 0xBE; bytes[13] = 0xDE }
            reading(bytes) {
                guard let header = try? RTPHeader($0) else { return }
                #expect(header.payloadOffset + header.payloadLength + header.paddingLength == bytes.count)
                for element in header.extensions { #expect(element.value.count <= header.extensionLength) }
                for codec in Codec.allCases { _ = isKeyFrame(codec: codec, payload: header.payload) }
            }
        }
    }
}

@Suite struct PacketKindTests {
    @Test(arguments: [
        (0, PacketKind.stun), (3, .stun), (4, .unknown), (15, .unknown), (16, .zrtp), (19, .zrtp), (20, .dtls), (63, .dtls),
        (64, .turnChannel), (79, .turnChannel), (80, .unknown), (127, .unknown), (128, .media), (191, .media), (192, .unknown), (255, .unknown),
    ] as [(UInt8, PacketKind)])
    func firstByte(_ byte: UInt8, _ kind: PacketKind) { #expect(PacketKind.of(firstByte: byte) == kind) }

    @Test func rtcpByPayloadType() {
        for (second, kind) in [(191, PacketKind.media), (192, .rtcp), (200, .rtcp), (223, .rtcp), (224, .media)] as [(UInt8, PacketKind)] {
            #expect(reading([0x80, second]) { PacketKind.of($0) } == kind)
        }
        #expect(reading([]) { PacketKind.of($0) } == .unknown)
        #expect(reading([0x80]) { PacketKind.of($0) } == .unknown)
        #expect(reading([0x16]) { PacketKind.of($0) } == .dtls)
    }
}

@Suite struct ExtensionMapTests {
    @Test func bothWays() {
        var map = ExtensionMap([.mid: 4, .rid: 10, .audioLevel: 1, .colorSpace: 30])
        #expect(map.id(of: .mid) == 4 && map.uri(of: 10) == .rid && map.uri(of: 30) == .colorSpace)
        #expect(map.uri(of: 0) == nil && map.uri(of: 2) == nil && map.id(of: .absSendTime) == 0)
        #expect(map.needsTwoByteForm)
        map.set(.videoOrientation, id: 4)
        #expect(map.uri(of: 4) == .videoOrientation && !map.contains(.mid), "an id has one owner")
        map.set(.videoOrientation, id: 5)
        #expect(map.uri(of: 4) == nil && map.uri(of: 5) == .videoOrientation)
        map.remove(.colorSpace)
        #expect(!map.needsTwoByteForm && map.entries.map(\.id) == [10, 1, 5])
        #expect(map == [.rid: 10, .audioLevel: 1, .videoOrientation: 5].reduce(into: ExtensionMap()) { $0.set($1.key, id: $1.value) })
    }
    @Test func everyURIHasItsName() {
        for uri in ExtensionURI.allCases { #expect(ExtensionURI(uri: uri.uri) == uri) }
        #expect(ExtensionURI(uri: "urn:example") == nil)
    }
}
