import RTP
import Testing

@Suite struct RTCPTests {
    let block = ReportBlock(ssrc: 0x0102_0304, fractionLost: 64, cumulativeLost: -3, highestSequence: 0x1_FFFF, jitter: 77, lastSenderReport: 9, delaySinceLastSenderReport: 10)
    let info = SenderInfo(ssrc: 1, ntp: NTPTime(rawValue: 0x1122_3344_5566_7788), rtpTimestamp: 2, packetCount: 3, octetCount: 4)

    /// What is written reads back, in one compound.
    @Test func compoundGoesThereAndBack() throws {
        let bytes = writing { w in
            w.senderReport(info, blocks: [block]) && w.sdes(ssrc: 1, cname: "studio@troupe")
                && w.receiverReport(ssrc: 2, blocks: [block, block]) && w.nack(sender: 2, media: 3, sequences: [65534, 65535, 0, 15, 16, 17])
                && w.pli(sender: 2, media: 3) && w.fir(sender: 2, media: 3, command: 9)
                && w.remb(sender: 2, bitrate: 1_500_000, ssrcs: [3, 4]) && w.bye([1, 2])
        }
        #expect(bytes.count % 4 == 0)
        try reading(bytes) {
            var reader = RTCPReader($0)
            guard case .senderReport(let sr) = try reader.next() else { Issue.record("SR"); return }
            #expect(sr.info == info && Array(sr.blocks) == [block])
            guard case .sdes(let sdes) = try reader.next() else { Issue.record("SDES"); return }
            #expect(sdes.firstCNAME.map { String(decoding: $0.name, as: UTF8.self) } == "studio@troupe" && sdes.firstCNAME?.ssrc == 1)
            guard case .receiverReport(let rr) = try reader.next() else { Issue.record("RR"); return }
            #expect(rr.ssrc == 2 && Array(rr.blocks) == [block, block])
            guard case .nack(let nack) = try reader.next() else { Issue.record("NACK"); return }
            #expect(nack.sender == 2 && nack.media == 3 && Array(nack) == [65534, 65535, 0, 15, 16, 17])
            guard case .pli(let pli) = try reader.next() else { Issue.record("PLI"); return }
            #expect(pli.media == 3)
            guard case .fir(let fir) = try reader.next() else { Issue.record("FIR"); return }
            #expect(fir.count == 1 && fir.entry(0)?.media == 3 && fir.entry(0)?.command == 9 && fir.entry(1) == nil)
            guard case .remb(let remb) = try reader.next() else { Issue.record("REMB"); return }
            #expect(remb.bitrate == 1_500_000 && remb.count == 2 && remb.ssrc(1) == 4)
            guard case .bye(let bye) = try reader.next() else { Issue.record("BYE"); return }
            #expect(bye.count == 2 && bye.ssrc(1) == 2)
            let end = try reader.next()
            #expect(end.map { _ in 0 } == nil)
        }
    }

    @Test func nackPairsOnTheWire() {
        let bytes = writing { $0.nack(sender: 1, media: 2, sequences: [100, 101, 116, 117]) }
        #expect(bytes == hex("81 cd 00 04 00 00 00 01 00 00 00 02 00 64 80 01 00 75 00 00"))
    }
    @Test func pliOnTheWire() {
        #expect(writing { $0.pli(sender: 1, media: 0xAABB_CCDD) } == hex("81 ce 00 02 00 00 00 01 aa bb cc dd"))
    }
    @Test func chunkEndsWithAZeroEvenWhenAligned() {
        // 4 + 2 + 6 = 12: four more zero bytes are due.
        #expect(writing { $0.sdes(ssrc: 1, cname: "abcdef") } == hex("81 ca 00 04 00 00 00 01 01 06 61 62 63 64 65 66 00 00 00 00"))
    }
    @Test func whatDoesNotFitIsNotWritten() {
        let bytes = writing(capacity: 20) { w in
            w.pli(sender: 1, media: 2) && !w.pli(sender: 1, media: 2) && !w.senderReport(info) && !w.nack(sender: 1, media: 2, sequences: [])
        }
        #expect(bytes.count == 12)
    }

    /// A receiver report, then a PLI, as Chromium sends them; transport-cc and an unknown APP packet.
    @Test func foreignPackets() throws {
        reading(hex("81 c9 00 01 00 00 00 01")) { bytes in
            #expect(throws: RTCPParseError.badCount) { try RTCPReader.parse(bytes) }
        }
        try reading(hex("80 c9 00 01 00 00 00 01 8f cd 00 06 fa 17 fa 17 43 03 2f a0 00 01 00 02 f1 a4 4e 07 40 02 1c 00 00 00 00 00 80 cc 00 02 00 00 00 01 6e 61 6d 65")) {
            var reader = RTCPReader($0)
            guard case .receiverReport(let rr) = try reader.next() else { Issue.record("RR"); return }
            #expect(rr.blocks.isEmpty)
            guard case .transportCC(let cc) = try reader.next() else { Issue.record("TWCC"); return }
            #expect(cc.baseSequence == 1 && cc.statusCount == 2 && cc.referenceTime == 0xF1A44E && cc.feedbackCount == 7 && cc.chunks.count == 8)
            guard case .unknown(let app) = try reader.next() else { Issue.record("APP"); return }
            #expect(app.type == RTCPType.app && app.body.count == 8)
        }
    }

    @Test(arguments: [
        ("80 c8 00", RTCPParseError.truncated), ("40 c8 00 01 00 00 00 00", .badVersion), ("80 c8 00 02 00 00 00 00", .truncated),
        ("a0 c9 00 01 00 00 00 00", .badPadding), ("a0 c9 00 01 00 00 00 05", .badPadding), ("81 cd 00 01 00 00 00 01", .truncated),
        ("81 cb 00 00", .badCount), ("80 c8 00 01 00 00 00 01", .truncated), ("84 ce 00 03 00 00 00 01 00 00 00 00 00 00 00 02", .badLength),
    ])
    func refused(_ text: String, _ error: RTCPParseError) {
        reading(hex(text)) { bytes in #expect(throws: error) { try RTCPReader.parse(bytes) } }
    }
    @Test func whatCameBeforeAnErrorIsGood() throws {
        try reading(hex("80 c9 00 01 00 00 00 01 80 c8 00 09")) {
            var reader = RTCPReader($0)
            let good = try reader.next()
            #expect(good.map { _ in 0 } != nil)
            do { _ = try reader.next(); Issue.record("truncated") } catch let error as RTCPParseError { #expect(error == .truncated) }
            let end = try reader.next()
            #expect(end.map { _ in 0 } == nil)
        }
    }
    @Test(arguments: [0, 1, 0x3FFFF, 0x40000, 123_456_789_000, UInt64.max])
    func rembRoundsDown(_ bitrate: UInt64) throws {
        try reading(writing { $0.remb(sender: 1, bitrate: bitrate, ssrcs: []) }) {
            var reader = RTCPReader($0)
            guard case .remb(let remb) = try reader.next() else { Issue.record("REMB"); return }
            #expect(remb.bitrate <= bitrate && bitrate - remb.bitrate <= bitrate >> 17)
        }
    }
    @Test func oversizedREMBSaturates() throws {
        try reading(hex("8f ce 00 04 00 00 00 01 00 00 00 00 52 45 4d 42 00 ff ff ff")) {
            var reader = RTCPReader($0)
            guard case .remb(let remb) = try reader.next() else { Issue.record("REMB"); return }
            #expect(remb.bitrate == .max)
        }
    }
    @Test func randomBytesNeverTrap() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<10_000 {
            var bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            if bytes.count > 3 {
                bytes[0] = bytes[0] & 0x3F | 0x80
                bytes[1] = UInt8.random(in: 199...207, using: &random)
                bytes[2] = 0
                bytes[3] = UInt8.random(in: 0...UInt8(max(0, bytes.count / 4 - 1)), using: &random)
            }
            reading(bytes) {
                var reader = RTCPReader($0)
                while let packet = try? reader.next() {
                    switch packet {
                    case .sdes(let sdes): _ = sdes.firstCNAME
                    case .nack(let nack): #expect(Array(nack).count <= 17 * 16)
                    case .receiverReport(let rr): _ = Array(rr.blocks)
                    case .senderReport(let sr): _ = Array(sr.blocks)
                    default: break
                    }
                }
            }
        }
    }
}
