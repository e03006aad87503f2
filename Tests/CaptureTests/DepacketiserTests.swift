import Primitives
import RTP
import Testing
@testable import Capture

private func frame(_ codec: Codec, _ payloads: [[UInt8]]) throws -> FrameBody {
    let pinned = Pinned()
    defer { withExtendedLifetime(pinned) {} }
    var depacketiser = Depacketiser(codec: codec)
    return try depacketiser.frame(payloads.map(pinned.pin))
}

@Suite struct OpusFrames {
    /// RFC 6716 §3.1: every configuration, and the counts of code 3.
    @Test(arguments: [
        ([0x00], 480), ([0x08], 960), ([0x18], 2_880), ([0x60], 480), ([0x68], 960), ([0x80], 120), ([0x98], 960), ([0xF8], 960),
        ([0xF9], 1_920), ([0xFA], 1_920), ([0xFB, 3], 2_880), ([0x1B, 2], 5_760),
    ] as [([UInt8], UInt32)])
    func durations(bytes: [UInt8], expected: UInt32) throws { #expect(try frame(.opus, [bytes]).duration == expected) }

    @Test(arguments: [[0xFB], [0xFB, 0], [0x1B, 3], [0xFB, 0x3F]] as [[UInt8]])
    func impossibleLengthsAreMalformed(bytes: [UInt8]) { #expect(throws: FrameError.malformed) { try frame(.opus, [bytes]) } }

    @Test func silenceIsTheLongestThatFits() {
        #expect(OpusDepacketiser.silence(atMost: 119) == nil)
        for (missing, expected) in [(120, 120), (479, 240), (959, 480), (5_000, 960)] as [(UInt64, UInt32)] {
            let silence = OpusDepacketiser.silence(atMost: missing)
            #expect(silence?.duration == expected)
            #expect(silence?.data.withUnsafeBytes { OpusDepacketiser.duration(of: $0) } == expected)
        }
    }
}

@Suite struct VP8Frames {
    @Test func joinsAndStrips() throws {
        let body = try frame(.vp8, [VP8Sample.key, VP8Sample.more])
        #expect(body.isKey && body.configuration == .vp8(VideoSize(width: 320, height: 240)))
        #expect(body.data == Array(VP8Sample.key.dropFirst()) + [0xCC, 0xDD])
        #expect(try !frame(.vp8, [VP8Sample.inter]).isKey)
    }
    @Test func refusesWhatBeginsWrong() {
        #expect(throws: FrameError.badOrder) { try frame(.vp8, [VP8Sample.more]) }
        #expect(throws: FrameError.badOrder) { try frame(.vp8, [VP8Sample.inter, VP8Sample.inter]) }
        #expect(throws: FrameError.empty) { try frame(.vp8, [[0x10]]) }
        #expect(throws: FrameError.malformed) { try frame(.vp8, [[0x90]]) }
        #expect(throws: FrameError.malformed) { try frame(.vp8, [[0x10, 0x10, 0x02]]) }   // a key frame without a size
    }
}

@Suite struct VP9Frames {
    /// Uncompressed header of a profile 0 key frame of 320×240 (VP9 §6.2): marker 10, profile 0, shown, sync code, colour, size.
    static let keyHeader: [UInt8] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xF0, 0x0E, 0xF0, 0x00]

    @Test func sizeComesFromTheHeader() throws {
        let body = try frame(.vp9, [[0x0C] + Self.keyHeader])
        #expect(body.isKey && body.configuration == .vp9(VideoSize(width: 320, height: 240)))
        #expect(body.data == Self.keyHeader)
    }
    /// Two spatial layers: two frames and an index (annex B).
    @Test func layersBecomeASuperframe() throws {
        let lower: [UInt8] = [0x2C, 0x00, 0x00] + Self.keyHeader      // L with TID 0, SID 0; not flexible: TL0PICIDX
        let upper: [UInt8] = [0x2C, 0x03, 0x00, 0x86, 1, 2]           // SID 1, inter-layer predicted
        let body = try frame(.vp9, [lower, upper])
        #expect(body.data == Self.keyHeader + [0x86, 1, 2] + [0xC1, 10, 3, 0xC1])
    }
    @Test func indexWidths() {
        #expect(VP9Depacketiser.superframeIndex([255, 1]) == [0xC1, 255, 1, 0xC1])
        #expect(VP9Depacketiser.superframeIndex([256, 1]) == [0xC9, 0, 1, 1, 0, 0xC9])
        #expect(VP9Depacketiser.superframeIndex([65_536, 1]) == [0xD1, 0, 0, 1, 1, 0, 0, 0xD1])
    }
    @Test func refusesHalves() {
        #expect(throws: FrameError.badOrder) { try frame(.vp9, [[0x08] + Self.keyHeader]) }
        #expect(throws: FrameError.badOrder) { try frame(.vp9, [[0x04, 1]]) }
        #expect(throws: FrameError.empty) { try frame(.vp9, [[0x0C]]) }
        #expect(throws: FrameError.malformed) { try frame(.vp9, [[0x0C, 0xFF]]) }
    }
}

@Suite struct H264Frames {
    /// Baseline, 320×240 (20×15 macroblocks), as x264 writes it.
    static let sps: [UInt8] = [0x67, 0x42, 0xC0, 0x0D, 0xD9, 0x01, 0x41, 0xFB, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xC0, 0xF1, 0x42, 0xA4, 0x80]
    static let pps: [UInt8] = [0x68, 0xCB, 0x83, 0xCB, 0x20]
    static var stap: [UInt8] { [0x78, 0, UInt8(sps.count)] + sps + [0, UInt8(pps.count)] + pps }

    @Test func readsTheSizeOfAParameterSet() throws {
        let parameters = try #require(Self.sps.withUnsafeBytes { H264SequenceParameters($0) })
        #expect(parameters.size == VideoSize(width: 320, height: 240) && parameters.profile == 0x42 && parameters.level == 13)
        for cut in 0..<8 { #expect(Self.sps.prefix(cut).withUnsafeBytes { H264SequenceParameters($0) } == nil) }
    }
    @Test func joinsEveryForm() throws {
        let fragments: [[UInt8]] = [[0x7C, 0x85, 1, 2], [0x7C, 0x05, 3], [0x7C, 0x45, 4]]
        let body = try frame(.h264, [Self.stap] + fragments)
        #expect(body.isKey)
        #expect(body.configuration == .h264(VideoSize(width: 320, height: 240), sps: Self.sps, pps: Self.pps))
        let expected: [UInt8] = [0, 0, 0, UInt8(Self.sps.count)] + Self.sps + [0, 0, 0, UInt8(Self.pps.count)] + Self.pps + [0, 0, 0, 5, 0x65, 1, 2, 3, 4]
        #expect(body.data == expected)
        #expect(try frame(.h264, [[0x09, 0xF0], [0x41, 7]]).data == [0, 0, 0, 2, 0x41, 7])   // the delimiter is left out
    }
    @Test func refusesHalves() {
        #expect(throws: FrameError.badOrder) { try frame(.h264, [[0x7C, 0x05, 3]]) }
        #expect(throws: FrameError.badOrder) { try frame(.h264, [[0x7C, 0x85, 3]]) }
        #expect(throws: FrameError.badOrder) { try frame(.h264, [[0x7C, 0x85, 3], [0x41, 1]]) }
        #expect(throws: FrameError.malformed) { try frame(.h264, [[0x78, 0, 9, 1]]) }
        #expect(throws: FrameError.malformed) { try frame(.h264, [[0x79, 1]]) }
        #expect(throws: FrameError.malformed) { try frame(.h264, [[0x65, 1]]) }              // an IDR without parameter sets
        #expect(throws: FrameError.empty) { try frame(.h264, [Self.stap]) }
    }
    @Test func configurationRecord() {
        #expect(AVCConfiguration.record(sps: [0x67, 0x42, 0xC0, 0x0D], pps: [0x68, 1]) == [1, 0x42, 0xC0, 0x0D, 0xFF, 0xE1, 0, 4, 0x67, 0x42, 0xC0, 0x0D, 1, 0, 2, 0x68, 1])
        #expect(AVCConfiguration.record(sps: [0x67], pps: [0x68]) == nil)
    }
}

@Suite struct AV1Frames {
    /// Sequence header OBU without size field: profile 0, reduced header off, one operating point, 16-bit sizes of 320×240.
    static var sequenceHeader: [UInt8] {
        var bits = ""
        bits += "000" + "0" + "0"          // profile, still, reduced
        bits += "0" + "0" + "00000"        // timing, display delay, one operating point
        bits += "000000000000" + "00000"   // operating point idc, level 2.0
        bits += "1000" + "0111"            // 9 and 8 bits of size
        bits += "100111111" + "11101111"   // 319, 239
        while bits.count % 8 != 0 { bits += "0" }
        var bytes: [UInt8] = [0x08]
        var rest = bits[...]
        while !rest.isEmpty {
            bytes.append(UInt8(rest.prefix(8), radix: 2)!)
            rest = rest.dropFirst(8)
        }
        return bytes
    }
    @Test func givesEveryOBUItsSize() throws {
        let header = Self.sequenceHeader
        let body = try frame(.av1, [[0x18] + header, [0x10, 0x30, 1, 2, 3]])
        #expect(body.isKey && body.configuration?.size == VideoSize(width: 320, height: 240))
        let sized: [UInt8] = [0x0A, UInt8(header.count - 1)] + header.dropFirst()
        #expect(body.data == sized + [0x32, 3, 1, 2, 3])
        #expect(body.configuration == .av1(VideoSize(width: 320, height: 240), sequenceHeader: sized))
    }
    @Test func joinsFragmentsAndSeveralElements() throws {
        // One packet: an element with a length and the first part of another; two more packets with its rest.
        let body = try frame(.av1, [[0x60, 2, 0x30, 9, 0x30, 1], [0xD0, 2], [0x90, 3]])
        #expect(!body.isKey)
        #expect(body.data == [0x32, 1, 9, 0x32, 3, 1, 2, 3])
    }
    @Test func dropsDelimitersAndKeepsGivenSizes() throws {
        #expect(try frame(.av1, [[0x00, 1, 0x10, 4, 0x32, 2, 7, 8]]).data == [0x32, 2, 7, 8])
    }
    @Test func refusesHalves() {
        #expect(throws: FrameError.badOrder) { try frame(.av1, [[0x90, 1]]) }
        #expect(throws: FrameError.badOrder) { try frame(.av1, [[0x50, 0x30, 1]]) }
        #expect(throws: FrameError.malformed) { try frame(.av1, [[0x00, 9, 1]]) }
        #expect(throws: FrameError.malformed) { try frame(.av1, [[0x10, 0x32, 9, 1]]) }
        #expect(throws: FrameError.malformed) { try frame(.av1, [[0x10, 0xB0, 1]]) }   // forbidden bit
    }
}

@Suite struct NoiseOnDepacketisers {
    /// Seeded noise with a plausible first byte: an error or a frame, never a trap.
    @Test(arguments: Codec.allCases)
    func neverTraps(codec: Codec) {
        var random = SplitMix64(seed: 77)
        for _ in 0..<20_000 {
            let count = Int(random.next() % 4) + 1
            let payloads = (0..<count).map { _ in (0..<Int(random.next() % 40)).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
            _ = try? frame(codec, payloads)
        }
    }
}
