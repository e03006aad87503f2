import Primitives
import RTP
import Testing
@testable import Capture

/// A VP8 stream of one-packet frames at 30 a second, a key frame wherever `isKey` says.
private func video(_ count: Int, ssrc: UInt32 = 1, from: Int64 = 0, sequence: UInt16 = 100, isKey: (Int) -> Bool = { $0 % 30 == 0 }, without: Set<Int> = []) -> [(Int64, [UInt8])] {
    (0..<count).filter { !without.contains($0) }.map { i in
        (from + Int64(i) * 100_000 / 3, rtp(sequence &+ UInt16(i), UInt32(i) * 3_000, marker: true, ssrc: ssrc, isKey(i) ? VP8Sample.key : VP8Sample.inter))
    }
}

@Suite struct VideoPresentation {
    @Test func framesComeInOrderWithTheirDurations() {
        let pinned = Pinned()
        let (frames, summary) = present(evidence(pinned, video(60)))
        #expect(frames.count == 60 && summary.frames == 60 && summary.keyFrames == 2 && summary.skipped == 0)
        #expect(frames[0].time == 0 && frames[0].configuration == .vp8(VideoSize(width: 320, height: 240)))
        #expect(frames[1].configuration == nil && frames[30].configuration == nil)
        #expect(frames.allSatisfy { (33_332...33_334).contains($0.duration) })
    }
    @Test func nothingBeforeTheFirstKeyFrame() {
        let pinned = Pinned()
        let (frames, summary) = present(evidence(pinned, video(60, isKey: { $0 == 10 })))
        #expect(frames.count == 50 && frames[0].isKey && summary.skipped == 10)
        #expect((333_000...334_000).contains(summary.keyFrameWait))
    }
    @Test func afterALossThePictureWaitsForAKeyFrame() {
        let pinned = Pinned()
        let (frames, summary) = present(evidence(pinned, video(90, without: [40])))
        #expect(frames.count == 90 - 20)
        #expect(summary.frozen.count == 1)
        #expect(abs(summary.frozen[0].lowerBound - 39 * 33_333) < 100 && abs(summary.frozen[0].upperBound - 60 * 33_333) < 100)
    }
    /// A frame whose middle packet is lost is left out whole; padding in between is no loss.
    @Test func halfFramesAreLeftOut() {
        let pinned = Pinned()
        let items: [(Int64, [UInt8])] = [
            (0, rtp(1, 0, marker: true, VP8Sample.key)), (1, rtp(2, 0, [])), (33_000, rtp(3, 3_000, VP8Sample.inter)), (33_001, rtp(5, 3_000, marker: true, VP8Sample.more)),
            (66_000, rtp(6, 6_000, marker: true, VP8Sample.key)), (99_000, rtp(7, 9_000, marker: true, VP8Sample.inter)),
        ]
        let (frames, summary) = present(evidence(pinned, items))
        #expect(frames.map(\.isKey) == [true, true, false])
        #expect(summary.incomplete == 1)
    }
    /// An encoder that forgets its markers: the next timestamp ends the frame.
    @Test func timestampsEndFramesToo() {
        let pinned = Pinned()
        var items: [(Int64, [UInt8])] = []
        for i in 0..<5 { items.append((Int64(i) * 33_333, rtp(UInt16(i), UInt32(i) * 3_000, i == 0 ? VP8Sample.key : VP8Sample.inter))) }
        #expect(present(evidence(pinned, items)).frames.count == 4)   // nothing ends the last one
    }
    /// Up and down again between two encodings: each change at a key frame, no frame twice, no hole.
    @Test func encodingsAreJoinedAtKeyFrames() {
        let pinned = Pinned()
        let low = video(30, ssrc: 1)
        let high = video(33, ssrc: 2, from: 990_000, sequence: 9_000, isKey: { $0 == 0 })
        var back: [(Int64, [UInt8])] = []
        for i in 0..<30 {
            let packet = rtp(2_000 + UInt16(i), UInt32(63 + i) * 3_000, marker: true, ssrc: 1, i == 0 ? VP8Sample.key : VP8Sample.inter)
            back.append((2_100_000 + Int64(i) * 33_333, packet))
        }
        let all = evidence(pinned, low + high + back)
        let (frames, summary) = present(all)
        #expect(frames.count == 93 && summary.keyFrames == 3)
        #expect(zip(frames, frames.dropFirst()).allSatisfy { $0.time < $1.time })
        #expect(LossLedger.holes(all.evidence, until: nil).isEmpty)
    }
    /// Two encodings captured at once: the one that is current stays, so that no picture is shown twice.
    @Test func aRunningEncodingIsNotLeft() {
        let pinned = Pinned()
        let (frames, summary) = present(evidence(pinned, video(90, ssrc: 1) + video(90, ssrc: 2, from: 5_000, sequence: 40_000)))
        #expect(frames.count == 90 && summary.skipped == 90)
    }
}

@Suite struct AudioPresentation {
    private func audio(_ numbers: [Int], ssrc: UInt32 = 1, from: Int64 = 0) -> [(Int64, [UInt8])] {
        numbers.map { (from + Int64($0) * 20_000, rtp(UInt16($0), UInt32($0) * 960, payloadType: 111, ssrc: ssrc, opusFrame)) }
    }
    @Test func holesAreFilledWithSilence() {
        let pinned = Pinned()
        let (frames, summary) = present(evidence(pinned, codec: .opus, audio(Array(0..<10) + Array(20..<30))))
        #expect(frames.count == 30 && summary.fillers == 10 && summary.frames == 20)
        let grid: [Int64] = (0..<30).map { $0 * 20_000 }
        #expect(frames.map(\.time) == grid)
        #expect(frames[10..<20].allSatisfy { $0.isFiller && $0.data == [0xF8, 0xFF, 0xFE] })
        #expect(summary.end == 600_000)
    }
    @Test func aNewSourceGoesOnAfterTheOld() {
        let pinned = Pinned()
        let (frames, _) = present(evidence(pinned, codec: .opus, audio(Array(0..<10)) + audio(Array(0..<10), ssrc: 2, from: 300_000)))
        #expect(zip(frames, frames.dropFirst()).allSatisfy { $0.time <= $1.time })
        #expect(frames.filter { !$0.isFiller }.count == 20)
        #expect(frames.filter(\.isFiller).reduce(0) { $0 + $1.duration } == 100_000)
    }
    @Test func speechIsFound() {
        var detector = SpeakingDetector()
        for i in 0..<500 as Range<Int64> {
            let isSpeech = (100..<200).contains(i) || (300..<305).contains(i)
            let byte: UInt8 = isSpeech ? 0x80 | 20 : 110
            detector.add([byte].withUnsafeBytes { AudioLevel($0)! }, at: i * 20_000)
        }
        let stretches = detector.finish()
        #expect(stretches.count == 1)
        #expect(abs(stretches[0].lowerBound - 2_000_000) < 300_000 && abs(stretches[0].upperBound - 4_000_000) < 300_000)
    }
}
