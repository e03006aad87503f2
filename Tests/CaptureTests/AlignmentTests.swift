import Primitives
import RTP
import Testing
@testable import Capture

/// A publisher that flashes and beeps once a second, seen through clocks and networks that are all a little wrong. Virtual time only.
private struct Publisher {
    var name: ParticipantID = "ann"
    /// µs its wall clock is ahead, and how much faster it and the media clocks run.
    var wallOffset: Int64 = 0
    var wallDrift = 0.0
    var audioDrift = 0.0
    var videoDrift = 0.0
    var ingress: NodeName = "a"
    /// µs the ingress node's clock is ahead of the recorder's.
    var nodeOffset: Int64 = 0
    var delay: Int64 = 25_000
    var jitter: Int64 = 30_000
    static let start: Int64 = 1_700_000_000_000_000
    /// Packets every so many µs: enough for clocks, few enough for an hour in a test.
    static let audioEvery: Int64 = 200_000, videoEvery: Int64 = 250_000

    enum Report { case honest, none, hostile(UInt64) }

    /// What its ingress node wrote of one track, as a segment.
    func segment(_ codec: Codec, track: TrackID, seconds: Int64, every given: Int64? = nil, report: Report = .honest, seed: UInt64) -> [UInt8] {
        let every = given ?? (codec == .opus ? Self.audioEvery : Self.videoEvery), rate = Double(codec.clockRate), drift = codec == .opus ? audioDrift : videoDrift
        var random = SplitMix64(seed: seed), out: [(at: Int64, bytes: [UInt8])] = []
        func arrival(_ t: Int64) -> Int64 { Self.start + t + delay + Int64(random.next() % UInt64(max(1, jitter))) + nodeOffset }
        func ticks(_ t: Int64) -> UInt32 { UInt32(truncatingIfNeeded: 0xFFFF_0000 + Int64(Double(t) * (1 + wallDrift) * (1 + drift) * rate / 1e6)) }
        for (number, t) in stride(from: 0, to: seconds * 1_000_000, by: Int64.Stride(every)).enumerated() {
            let payload = codec == .opus ? opusFrame : VP8Sample.key
            out.append((arrival(t), rtp(UInt16(truncatingIfNeeded: number), ticks(t), payloadType: codec.defaultPayloadType, marker: codec != .opus, ssrc: 1, payload)))
        }
        for t in stride(from: 300_000, to: seconds * 1_000_000, by: 5_000_000) {
            let sent = Self.start + wallOffset + Int64(Double(t) * (1 + wallDrift))
            switch report {
            case .none: break
            case .honest: out.append((arrival(t), senderReport(sentAt: sent, timestamp: ticks(t))))
            case .hostile(let kind): out.append((arrival(t), hostileReport(kind, sent, ticks(t), t, &random)))
            }
        }
        out.sort { $0.at < $1.at }
        var header = sampleHeader(codec: codec, ingress: ingress)
        (header.track, header.participant) = (track, name)
        var bytes = JournalEncoder.header(header)
        for (at, packet) in out {
            _ = packet.withUnsafeBytes { JournalEncoder.record(PacketKind.isRTCP(secondByte: packet[1]) ? .rtcp : .rtp, receivedAt: at, $0, into: &bytes) }
        }
        JournalEncoder.event(.closed, at: out.last?.at ?? 0, into: &bytes)
        return bytes
    }
    private func hostileReport(_ kind: UInt64, _ sent: Int64, _ ticks: UInt32, _ t: Int64, _ random: inout SplitMix64) -> [UInt8] {
        switch kind % 6 {
        case 0: senderReport(sentAt: Int64(random.next() % 4_000_000_000_000_000), timestamp: UInt32(truncatingIfNeeded: random.next()))     // any time, any sample
        case 1: senderReport(sentAt: sent + 165_600_000_000 * (t % 2 == 0 ? 1 : -1), timestamp: ticks)                                      // 46 hours to and fro
        case 2: senderReport(sentAt: Self.start + t * 1_000, timestamp: ticks)                                                              // a clock a thousand times too fast
        case 3: senderReport(sentAt: sent, timestamp: ticks &+ UInt32(truncatingIfNeeded: t * 90))                                          // samples running away
        case 4: senderReport(sentAt: sent - t / 2, timestamp: ticks)                                                                        // later and later
        default: senderReport(sentAt: sent, timestamp: ticks &+ (random.next() % 2 == 0 ? 0 : 0x8000_0000))                                 // half the circle away
        }
    }
}

/// One participant's tracks, merged, on one clock, presented. - Returns: each track's frame times by number, µs from `Publisher.start`.
private func presented(_ segments: [(TrackID, Codec, [UInt8])], offsets: [String: Int64] = [:], zero: Int64 = Publisher.start) -> [(frames: [PresentedFrame], summary: PresentationSummary)] {
    let pinned = Pinned()
    let tracks = segments.map { track, _, bytes in
        Merged([pinned.pin(bytes)], track: track, offsets: offsets)!
    }
    let timings = tracks.map { $0.streams.map(\.timing) }
    let clock = ParticipantClock(timings.flatMap { $0 })
    return zip(tracks, timings).map { track, timings in
        var presenter = track.presenter(timings.map(clock.clock), zero: zero), frames: [PresentedFrame] = []
        while let frame = presenter.next() { if !frame.isFiller { frames.append(frame) } }
        return (frames, presenter.summary)
    }
}
private func percentile95(_ values: [Int64]) -> Int64 { values.map { abs($0) }.sorted()[values.count * 95 / 100] }

@Suite struct Alignment {
    /// A frame of each second's flash against the sound of its beep.
    @Test(arguments: [(200e-6, 0, 0), (-200e-6, 0, 0), (0, 200e-6, -200e-6), (0, -200e-6, 200e-6), (200e-6, 200e-6, 200e-6), (-200e-6, -200e-6, -200e-6)] as [(Double, Double, Double)])
    func flashAndBeepStayTogetherForAnHour(wall: Double, audio: Double, video: Double) throws {
        var ann = Publisher()
        (ann.wallDrift, ann.audioDrift, ann.videoDrift, ann.wallOffset) = (wall, audio, video, 3_600_000_000)
        let found = presented([("mic", .opus, ann.segment(.opus, track: "mic", seconds: 3_600, seed: 1)), ("cam", .vp8, ann.segment(.vp8, track: "cam", seconds: 3_600, seed: 2))])
        try #require(found[0].frames.count == 18_000 && found[1].frames.count == 14_400)
        let offsets = (0..<3_600).map { found[0].frames[$0 * 5].time - found[1].frames[$0 * 4].time }
        #expect(percentile95(offsets) <= 40_000, "A/V offset p95 \(percentile95(offsets)) µs")
        let early = offsets.prefix(600).reduce(0, +) / 600, late = offsets.suffix(600).reduce(0, +) / 600
        #expect(abs(late - early) <= 5_000, "from \(early) µs in the first ten minutes to \(late) µs in the last")
        // Not only together, but on the recorder's time: an hour is an hour.
        #expect(abs(found[1].frames[4 * 3_599].time - 3_599_000_000) <= 60_000)
    }

    /// Their own clocks an hour apart, their nodes' five seconds, one network three times as slow.
    @Test func twoPublishersFlashTogether() throws {
        var ann = Publisher(), ben = Publisher()
        (ann.wallOffset, ben.wallOffset) = (1_800_000_000, -1_800_000_000)
        (ben.name, ben.ingress, ben.nodeOffset, ben.delay) = ("ben", "b", 5_000_000, 75_000)
        // The links measured the nodes' difference 3 ms wrong.
        let offsets = ["b": -5_003_000 as Int64]
        let a = presented([("cam", .vp8, ann.segment(.vp8, track: "cam", seconds: 600, seed: 3))], offsets: offsets)[0].frames
        let b = presented([("cam", .vp8, ben.segment(.vp8, track: "cam", seconds: 600, seed: 4))], offsets: offsets)[0].frames
        try #require(a.count == 2_400 && b.count == 2_400)
        let apart = (0..<600).map { a[$0 * 4].time - b[$0 * 4].time }
        #expect(percentile95(apart) <= 80_000, "p95 \(percentile95(apart)) µs")
    }

    /// Whatever its sender reports say, nothing of a track is put farther from when it came than the network could hold it up.
    @Test(arguments: 0..<24 as Range<UInt64>)
    func aLyingReportMovesNothing(seed: UInt64) throws {
        var eve = Publisher()
        eve.wallOffset = Int64(seed) * 7_000_000_000
        let seconds: Int64 = 120
        let kind: Publisher.Report = .hostile(seed)
        let found = presented([
            ("mic", .opus, eve.segment(.opus, track: "mic", seconds: seconds, report: kind, seed: seed)),
            ("cam", .vp8, eve.segment(.vp8, track: "cam", seconds: seconds, report: seed % 2 == 0 ? kind : .honest, seed: seed + 100)),
        ])
        for (index, (frames, summary)) in found.enumerated() {
            let every = index == 0 ? Publisher.audioEvery : Publisher.videoEvery
            let end = try #require(summary.end)
            #expect(end <= seconds * 1_000_000 + 10_000_000, "track \(index) ends at \(end) µs")
            // A clock that is believed keeps every frame within reach of its arrival; the rest is left out and counted.
            #expect(frames.allSatisfy { $0.time >= -1 && $0.time <= seconds * 1_000_000 + 10_000_000 })
            #expect(frames.count + summary.skipped >= Int(seconds * 1_000_000 / every))
            #expect(frames.count >= Int(seconds * 1_000_000 / every) * 9 / 10, "track \(index): \(frames.count) frames, \(summary.skipped) left out")
        }
    }

    /// Sequence numbers wrap, timestamps wrap, clocks drift: the last frame is where twelve hours end, and a packet costs 40 bytes of memory.
    @Test func twelveHoursAreTwelveHours() throws {
        var ann = Publisher()
        (ann.wallDrift, ann.videoDrift) = (100e-6, -60e-6)
        let (frames, summary) = presented([("cam", .vp8, ann.segment(.vp8, track: "cam", seconds: 43_200, every: 600_000, seed: 12))])[0]
        try #require(frames.count == 72_000 && summary.skipped == 0)
        let off = stride(from: 0, to: 72_000, by: 100).map { frames[$0].time - Int64($0) * 600_000 - 25_000 }
        #expect(percentile95(off) <= 40_000, "p95 \(percentile95(off)) µs")
        #expect(MemoryLayout<CapturedPacket>.stride == 40)
    }

    @Test func withoutReportsArrivalPlacesThem() throws {
        let dan = Publisher()
        let frames = presented([("cam", .vp8, dan.segment(.vp8, track: "cam", seconds: 120, report: .none, seed: 9))])[0].frames
        #expect(frames.enumerated().allSatisfy { abs($0.element.time - Int64($0.offset) * Publisher.videoEvery - 25_000) < 35_000 })
    }
}
