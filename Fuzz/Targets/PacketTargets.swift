// STUN, RTP and RTCP: what arrives on a media port.
internal import Primitives
internal import RTP
internal import WebRTC

extension FuzzTarget {
    /// RFC 8489. Seeds: a Binding request as browsers send it, and its success response.
    static let stun = FuzzTarget("stun", longest: 1_500) {
        [
            hex("""
                0001 0050 2112a442 b7e7a701bc34d686fa87dfae
                0006 0009 6162636433783a5a5a000000 0024 0004 6e0001ff 0025 0000 802a 0008 932ff9b151263b36
                0008 0014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 8028 0004 e57a3bcf
                """),
            hex("0101 000c 2112a442 b7e7a701bc34d686fa87dfae 0020 0008 0001a147e112a643"),
            hex("0111 0014 2112a442 b7e7a701bc34d686fa87dfae 0009 0010 00000457526f6c6520436f6e666c696374"),
        ]
    } run: { bytes in
        guard let message = try? STUN.Message.parse(bytes) else { return }
        check(bytes.count <= 1_500 || bytes.count % 4 == 0, "a message's length is a multiple of four")
        _ = message.hasIntegrity
        _ = STUN.username(of: bytes)
    }

    /// RFC 3550, RFC 8285 and the codecs' payload formats. Seeds: audio with a level, video with two-byte elements, padding.
    static let rtp = FuzzTarget("rtp", longest: 1_500) {
        [
            hex("90ef 1234 00012345 cafebabe bede 0002 10 e5 30 61 22 00 01 02 78 01 02 03 04"),
            hex("b060 ffff fffffffe 00000001 1000 0001 0101 ff 00 90 80 01 10 02 9d012a 0005 d002 0000 04"),
            hex("8163 0000 00000000 12345678 00000009 7c85 b804"),
            hex("806d 0001 00000001 12345678 78 00 05 67 42e0 1f 00 00 03 68ce3c"),
            hex("80ad 0001 00000001 12345678 08 0a 0b 00 00 00 24 c4 ff df 3f fe"),
        ]
    } run: { bytes in
        _ = PacketKind.of(firstByte: bytes.first ?? 0)
        guard let header = try? RTPHeader.parse(bytes) else { return }
        check(header.payloadOffset + header.payloadLength + header.paddingLength == bytes.count, "header, payload and padding are the packet")
        check(header.extensionOffset + header.extensionLength <= header.payloadOffset, "elements lie before the payload")
        for index in 0..<header.contributorCount { _ = header.contributor(index) }
        var elements = 0
        for element in header.extensions {
            elements += 1
            check(element.id != 0, "an element has an id")
            check(element.value.count <= header.extensionLength, "an element lies in its block")
        }
        check(elements <= header.extensionLength, "elements end")
        for codec in Codec.allCases { _ = isKeyFrame(codec: codec, payload: header.payload) }
        _ = try? VP8Descriptor(header.payload)
        _ = try? VP9Descriptor(header.payload)
        _ = try? H264Payload.parse(header.payload)
        var units = AV1Elements(header.payload)
        while let unit = try? units.next() { check(unit.count <= header.payloadLength, "an OBU element lies in its packet") }
    }

    /// RFC 3550 §6, RFC 4585, RFC 5104. Seeds: SR with SDES, RR, NACK, PLI, FIR, REMB, BYE.
    static let rtcp = FuzzTarget("rtcp", longest: 1_500) {
        [
            hex("80c8 0006 00000001 e6a1b2c3 d4e5f607 00012345 00000010 00001000 81ca 0003 00000001 01 04 61626364 00 00"),
            hex("81c9 0007 00000002 00000001 10 000005 00010203 00000007 b2c3d4e5 00010000"),
            hex("81cd 0003 00000002 00000001 1234 8001"),
            hex("81ce 0002 00000002 00000001 84ce 0004 00000002 00000000 00000001 05000000"),
            hex("8fce 0005 00000002 00000000 52454d42 01 0b f424 00000001"),
            hex("8fcd 0005 00000002 00000001 0001 0003 0a0b0c 00 2003 04 05 06 00 00 00"),
            hex("a1cb 0003 00000001 03627965 00000004"),
        ]
    } run: { bytes in
        var reader = RTCPReader(bytes), packets = 0
        while let packet = try? reader.next() {
            packets += 1
            if case .nack(let nack) = packet { for sequence in nack { _ = sequence } }
            if case .fir(let request) = packet { for index in 0..<4 { _ = request.entry(index) } }
            if case .remb(let estimate) = packet { for index in 0..<4 { _ = estimate.ssrc(index) } }
        }
        check(packets * 4 <= bytes.count, "every packet has a head")
        if let count = try? RTCPReader.parse(bytes) { check(count == packets, "both ways of reading agree") }
    }
}
