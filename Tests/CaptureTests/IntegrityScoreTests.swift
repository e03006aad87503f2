import Primitives
import RTP
import Testing
@testable import Capture

@Suite struct IntegrityScores {
    private typealias Missing = IntegrityScore.Missing
    private func score(_ missing: [(Int64, Int64, Double)] = [], quiet: [ClosedRange<Int64>] = [], seconds: Int64 = 100) -> Int {
        IntegrityScore.score(
            span: (0, seconds * 1_000_000), missing: missing.map { Missing(from: $0 * 1_000_000, to: $1 * 1_000_000, weight: $2) },
            quiet: quiet.map { $0.lowerBound * 1_000_000...min($0.upperBound, 1_000_000) * 1_000_000 })
    }
    @Test func isTheShareThatIsThere() {
        #expect(score() == 100)
        #expect(score([(10, 20, 1)]) == 90)
        #expect(score([(0, 100, 1)]) == 0)
        #expect(score([(10, 20, 0.5)]) == 95)
        #expect(score([(10, 20, 0.25)]) == 97, "rounded down")
        #expect(score([(99, 1_000, 1)]) == 99 && score([(-5, 1, 1)]) == 99, "no more than the track's own time")
    }
    @Test func theWorstCountsWhereSeveralMeet() {
        #expect(score([(10, 20, 1), (10, 20, 1)]) == 90)
        #expect(score([(10, 20, 1), (15, 25, 0.5)]) == 87)
        #expect(score([(10, 40, 0.5), (20, 30, 1)]) == 80)
    }
    @Test func quietTimesDoNotCount() {
        #expect(score(quiet: [0...100]) == 100, "muted all the time: nothing is missing")
        #expect(score([(10, 20, 1)], quiet: [10...20]) == 100)
        #expect(score([(10, 20, 1)], quiet: [50...100]) == 80, "half the time is left, a fifth of it is missing")
        #expect(score([(10, 20, 1)], quiet: [50...80, 60...1_000_000_000]) == 80, "without an end, and overlapping")
    }
    @Test func anyMissingPacketIsLessThanAHundred() {
        #expect(IntegrityScore.score(span: (0, 43_200_000_000), missing: [Missing(from: 5, to: 20_005, weight: 1)], quiet: []) == 99)
        #expect(IntegrityScore.score(span: (5, 5), missing: [], quiet: []) == 0 && IntegrityScore.score(span: (9, 5), missing: [], quiet: []) == 0)
    }

    /// Two writers, each with holes of its own; 20 was sent again, 23 overtaken on the way: the report says what saved what.
    @Test func repairsAreCounted() throws {
        let pinned = Pinned()
        func segment(_ writer: NodeName, _ numbers: [Int]) -> [UInt8] {
            var header = sampleHeader(codec: .opus, ingress: "n")
            header.writer = writer
            var bytes = JournalEncoder.header(header)
            for number in numbers {
                // 20 came 150 ms late, after a request.
                let at = Int64(number) * 20_000 + (number == 20 ? 150_000 : number == 23 ? 30_000 : 0)
                _ = rtp(UInt16(number), UInt32(number) * 960, payloadType: Codec.opus.defaultPayloadType, opusFrame).withUnsafeBytes {
                    JournalEncoder.record(.rtp, receivedAt: at, isRecovered: number == 20, $0, into: &bytes)
                }
            }
            JournalEncoder.event(.closed, at: 2_000_000, into: &bytes)
            return bytes
        }
        let order = Array(0..<20) + [21, 22, 24, 23, 25, 26, 27, 20] + Array(28..<100)
        let merged = try #require(Merged([
            pinned.pin(segment("a", order.filter { !(40..<45).contains($0) && $0 != 70 })), pinned.pin(segment("b", order.filter { $0 >= 30 && $0 != 70 })),
        ]))
        let evidence = merged.evidence
        #expect(evidence.counts.packets == 99 && evidence.counts.byStandby == 5 && evidence.counts.recovered == 1 && evidence.counts.reordered == 1)
        let (_, summary) = present(merged)
        let holes = LossLedger.holes(evidence, until: nil)
        let clocks = evidence.streams.map { _ in StreamClock(originTimestamp: 1 << 32, originWall: 0, clockRate: 48_000) }
        let file = Manifest.File(path: "tracks/p/t.webm", codec: .opus, container: "webm", start: 0, duration: 2, size: 1, width: nil, height: nil, frames: 99, keyFrames: 99)
        let integrity = ManifestBuilder.track(evidence, clocks: clocks, holes: holes, summary: summary, files: [file], zero: 0).integrity
        #expect(integrity.lost == 1 && integrity.holes == 1 && integrity.holeSeconds == 0.04 && integrity.freezes == 0)
        #expect(integrity.repaired == Manifest.Repaired(retransmission: 1, standby: 5) && integrity.reordered == 1 && integrity.layerSwitches == 0)
        #expect(integrity.score == 97)
        #expect(ManifestBuilder.track(evidence, clocks: clocks, holes: [], summary: summary, files: [], zero: 0).integrity.score == 0, "no file, nothing there")
    }

    /// A packet counts once, however many writers have it and whichever of them knows.
    /// `copies`: writer, receive time in ms, and the writer's mark of packet 2, which the packets 1, 3 and 4 surround.
    @Test(arguments: [
        ("both know", [("a", 50, true), ("b", 50, true)], 1, 0),
        ("the other's node, or one on the way to it, is of an earlier release", [("a", 50, true), ("b", 50, false)], 1, 0),
        ("nobody knows: a repetition on the same SSRC, or overtaken", [("a", 50, false), ("b", 50, false)], 0, 1),
        ("it came directly first, then again by RTX", [("a", 25, false), ("a", 50, true), ("b", 50, true)], 0, 0),
        ("by RTX first, then the one that was late", [("a", 50, true), ("b", 55, false)], 1, 0),
        ("by RTX and in time", [("b", 25, true)], 1, 0),
    ] as [(String, [(NodeName, Int64, Bool)], Int, Int)])
    func aRetransmissionCountsOnce(name: String, copies: [(NodeName, Int64, Bool)], recovered: Int, reordered: Int) throws {
        let pinned = Pinned()
        let segments = (["a", "b"] as [NodeName]).map { writer in
            var header = sampleHeader(codec: .opus, ingress: "n")
            header.writer = writer
            var bytes = JournalEncoder.header(header)
            let others: [(UInt16, Int64, Bool)] = [(1, 20, false), (3, 30, false), (4, 60, false)]
            for (number, at, mark) in (others + copies.filter { $0.0 == writer }.map { (2, $0.1, $0.2) }).sorted(by: { $0.1 < $1.1 }) {
                _ = rtp(number, UInt32(number) * 960, payloadType: Codec.opus.defaultPayloadType, opusFrame).withUnsafeBytes {
                    JournalEncoder.record(.rtp, receivedAt: at * 1000, isRecovered: mark, $0, into: &bytes)
                }
            }
            return pinned.pin(bytes)
        }
        let counts = try #require(Merged(segments)).evidence.counts
        #expect(counts.packets == 4 && counts.recovered == recovered && counts.reordered == reordered, "\(name)")
    }
}
