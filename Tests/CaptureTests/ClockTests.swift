import Primitives
import RTP
import Testing
@testable import Capture

/// A sender whose clocks are known, seen through a network that is not.
private struct Sender {
    var wallOffset: Int64 = -3_600_000_000     // µs: an hour slow
    var wallDrift = 0.0                          // of the sender's wall clock
    var mediaDrift = 0.0                         // of the media clock against the sender's wall clock
    var delay: Int64 = 20_000
    var jitter: Int64 = 0
    var reportEvery: Int64 = 1_000_000
    let start: Int64 = 1_700_000_000_000_000

    /// - Returns: what the recorder sees of one stream over `seconds`.
    func timing(rate: UInt32, every: Int64, seconds: Int64, extraDelay: Int64 = 0, seed: UInt64) -> StreamTiming {
        var random = SplitMix64(seed: seed)
        func late() -> Int64 { delay + extraDelay + (jitter > 0 ? Int64(random.next() % UInt64(jitter)) : 0) }
        func ticks(_ t: Int64) -> UInt64 { 1 << 32 + UInt64(Double(t) * (1 + wallDrift) * (1 + mediaDrift) * Double(rate) / 1e6) }
        func senderWall(_ t: Int64) -> Int64 { start + wallOffset + Int64(Double(t) * (1 + wallDrift)) }
        var timing = StreamTiming(clockRate: rate, reports: [], arrivals: LowerEnvelope(), origin: (1 << 32, start + delay + extraDelay))
        for t in stride(from: 0, to: seconds * 1_000_000, by: Int64.Stride(every)) {
            let x = timing.microseconds(ticks(t))
            timing.arrivals.add(x: x, delay: start + t + late() - x)
        }
        for t in stride(from: 300_000, to: seconds * 1_000_000, by: Int64.Stride(reportEvery)) {
            timing.reports.append(ReportSample(receivedAt: start + t + late(), sentAt: senderWall(t), timestamp: ticks(t)))
        }
        return timing
    }
}

@Suite struct ClockAlignment {
    /// Lips and voice together within 5 ms, whatever the network does to each of them.
    @Test(arguments: [20, 600] as [Int64])
    func streamsOfOneSenderStayTogether(seconds: Int64) {
        var sender = Sender()
        sender.jitter = 30_000
        let audio = sender.timing(rate: 48_000, every: 20_000, seconds: seconds, extraDelay: 80_000, seed: 1)
        let video = sender.timing(rate: 90_000, every: 33_333, seconds: seconds, seed: 2)
        let clock = ParticipantClock([audio, video])
        let a = clock.clock(of: audio), v = clock.clock(of: video)
        #expect(a.method == .senderReports && v.method == .senderReports)
        for t in [0, seconds / 2, seconds] {
            let difference = a.wall(1 << 32 + UInt64(t) * 48_000) - v.wall(1 << 32 + UInt64(t) * 90_000)
            #expect(abs(difference) < 5_000, "\(difference) µs apart after \(t) s")
            // Against the truth: late by the network's best case, not by its jitter.
            let late = v.wall(1 << 32 + UInt64(t) * 90_000) - (sender.start + t * 1_000_000)
            #expect(late >= 19_000 && late < 30_000, "\(late) µs late after \(t) s")
        }
    }

    /// An hour of drifting clocks: nominal rates would be 180 ms and more off.
    @Test func driftIsFollowed() {
        var sender = Sender()
        (sender.wallDrift, sender.mediaDrift, sender.jitter, sender.reportEvery) = (50e-6, 40e-6, 10_000, 5_000_000)
        let video = sender.timing(rate: 90_000, every: 1_000_000, seconds: 3_600, seed: 3)
        let clock = ParticipantClock([video]).clock(of: video)
        for t in stride(from: 0, through: 3_600, by: 600) as StrideThrough<Int64> {
            let ticks = UInt64(Double(t) * 1.00005 * 1.00004 * 90_000)
            let late = clock.wall(1 << 32 + ticks) - (sender.start + t * 1_000_000)
            #expect(abs(late - 20_000) < 5_000, "\(late) µs after \(t) s")
        }
        #expect(abs(clock.drift + 90e-6) < 5e-6)
    }

    @Test func withoutReportsArrivalsDo() {
        var sender = Sender()
        sender.jitter = 40_000
        var audio = sender.timing(rate: 48_000, every: 20_000, seconds: 20, seed: 4)
        audio.reports = []
        let clock = ParticipantClock([audio]).clock(of: audio)
        #expect(clock.method == .arrival)
        #expect(abs(clock.wall(1 << 32) - sender.start - 20_000) < 2_000)
    }

    /// Reports that contradict the packets by more than a network can are not believed.
    @Test func nonsenseReportsAreNotBelieved() {
        var audio = Sender().timing(rate: 48_000, every: 20_000, seconds: 20, seed: 5)
        for i in audio.reports.indices { audio.reports[i].timestamp &+= 48_000 * 3_600 }
        let clock = ParticipantClock([audio]).clock(of: audio)
        #expect(clock.method == .arrival)
    }

    /// A few reports with a wrong timestamp do not bend the line.
    @Test func outliersAreLeftOut() {
        let sender = Sender()
        var video = sender.timing(rate: 90_000, every: 33_333, seconds: 60, seed: 6)
        for i in [10, 30, 50] { video.reports[i].timestamp &+= 90_000 * 2 }
        let clock = ParticipantClock([video]).clock(of: video)
        #expect(clock.method == .senderReports && clock.reportCount == video.reports.count - 3)
        #expect(abs(clock.wall(1 << 32) - sender.start - 20_000) < 2_000)
    }

    @Test func extremeValuesNeverTrap() {
        let extremes: [Int64] = [.min, -1, 0, 1, .max]
        for a in extremes {
            for b in extremes {
                var envelope = LowerEnvelope()
                envelope.add(x: a, delay: b)
                envelope.add(x: b, delay: a)
                envelope.add(x: 0, delay: 0)
                _ = envelope.line
                let report = ReportSample(receivedAt: 5, sentAt: a, timestamp: UInt64(bitPattern: b))
                let timing = StreamTiming(clockRate: 90_000, reports: [report, report], arrivals: envelope, origin: (1 << 32, 0))
                let clock = ParticipantClock([timing]).clock(of: timing)
                _ = clock.wall(.max)
                _ = clock.wall(0)
            }
        }
    }
}

@Suite struct Envelope {
    @Test func shortSpansAreLevelAtTheLowest() throws {
        var envelope = LowerEnvelope()
        for (x, delay) in [(0, 9_000), (1_000_000, 4_000), (2_000_000, 7_000)] as [(Int64, Int64)] { envelope.add(x: x, delay: delay) }
        let line = try #require(envelope.line)
        #expect(line.drift == 0 && line.offset == 4_000)
    }
    @Test func liesBelowEveryPoint() throws {
        var random = SplitMix64(seed: 9), envelope = LowerEnvelope(), points: [(Int64, Int64)] = []
        for i in 0..<10_000 as Range<Int64> {
            let x = i * 60_000
            let y = 1_000 + Int64(Double(x) * 100e-6) + Int64(random.next() % 20_000)
            points.append((x, y))
            envelope.add(x: x, delay: y)
        }
        let line = try #require(envelope.line)
        #expect(abs(line.drift - 100e-6) < 2e-6)
        for (x, y) in points { #expect(Double(line.offset) + line.drift * Double(x) <= Double(y) + 2) }
    }
}

@Suite struct Calendar {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (1_700_000_000_123_456, "2023-11-14T22:13:20.123Z"), (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"), (4_102_444_799_999_999, "2099-12-31T23:59:59.999Z"),
    ] as [(Int64, String)])
    func isRFC3339(time: Int64, text: String) { #expect(WallTime(microseconds: time).rfc3339 == text) }
}
