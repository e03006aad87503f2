import Primitives
import RTP
import Testing

@Suite struct SequenceExtenderTests {
    static let starts: [UInt16] = [0, 1, 32767, 32768, 65534, 65535]

    @Test(arguments: starts)
    func growsByOneAcrossWraps(from start: UInt16) {
        var extender = SequenceExtender()
        var expected = 65_536 + UInt64(start)
        for i in 0..<200_000 {
            check(extender.extend(start &+ UInt16(truncatingIfNeeded: i)), expected)
            expected += 1
        }
    }
    @Test(arguments: starts)
    func latePacketsKeepTheirPlace(from start: UInt16) {
        var extender = SequenceExtender()
        let first = extender.extend(start)
        check(extender.extend(start &- 1), first - 1)
        check(extender.extend(start &+ 5), first + 5)
        check(extender.peek(start &+ 7), first + 7)
        check(extender.extend(start &+ 2), first + 2)
        #expect(extender.highest == first + 5)
        check(extender.extend(start &+ 5 &+ 32767), first + 5 + 32767)
    }
    @Test func timestamps() {
        var extender = TimestampExtender()
        let first = extender.extend(.max - 10)
        check(extender.extend(20), first + 31)
        check(extender.extend(.max), first + 10)
        #expect(UInt16(3).isNewer(than: 65535) && !UInt16(65535).isNewer(than: 3) && !UInt16(3).isNewer(than: 3))
        #expect(UInt32(3).isNewer(than: .max))
    }
}

@Suite struct NTPTimeTests {
    @Test func wallTimeGoesThereAndBack() {
        for micros in [0, 1, 999_999, 1_700_000_000_123_456, 1_700_000_000_999_999, -1] as [Int64] {
            let wall = WallTime(microseconds: micros)
            #expect(NTPTime(wall).wall == wall)
        }
        #expect(NTPTime(WallTime(seconds: 0)).rawValue == 2_208_988_800 << 32)
    }
    @Test func durations() {
        let a = NTPTime(rawValue: 100 << 32 | 0x8000_0000)
        #expect(a.duration(to: a + .milliseconds(2_250)) == .milliseconds(2_250))
        #expect(a.duration(to: NTPTime(rawValue: 99 << 32)) == .milliseconds(-1_500))
        #expect(a.middle == 100 << 16 | 0x8000)
        #expect(Duration.milliseconds(1_500).inCompactNTP == 0x1_8000)
        #expect(Duration(compactNTP: 0x1_8000) == .milliseconds(1_500))
        #expect(Duration.seconds(-1).inCompactNTP == 0 && Duration.seconds(70_000).inCompactNTP == .max)
    }
    /// The example of RFC 3550 §6.4.1, figure 2: A = b710:8000, LSR b705:2000, DLSR 0005:4000 → 6.125 s.
    @Test func roundTripOfTheRFC() {
        let block = ReportBlock(ssrc: 1, fractionLost: 0, cumulativeLost: 0, highestSequence: 0, jitter: 0, lastSenderReport: 0xB705_2000, delaySinceLastSenderReport: 0x0005_4000)
        #expect(block.roundTrip(now: NTPTime(rawValue: 0xB710_8000 << 16)) == .milliseconds(6_125))
        var without = block
        without.lastSenderReport = 0
        #expect(without.roundTrip(now: NTPTime(rawValue: 0xB710_8000 << 16)) == nil)
    }
}

@Suite struct ReceptionStatisticsTests {
    func at(_ ms: Int64) -> Instant { Instant(nanoseconds: ms * 1_000_000) }

    @Test(arguments: SequenceExtenderTests.starts)
    func lossOverAnInterval(from start: UInt16) throws {
        var statistics = ReceptionStatistics(ssrc: 5, clockRate: 48_000)
        check(statistics.makeReportBlock(now: at(0)), nil)
        for i in 0..<100 as Range<UInt16> where i % 4 != 3 {   // 25 lost; the last one not known yet
            statistics.received(sequence: start &+ i, timestamp: UInt32(i) * 960, now: at(Int64(i) * 20))
        }
        let block = try require(statistics.makeReportBlock(now: at(2_000)))
        #expect(block.ssrc == 5 && block.cumulativeLost == 24 && block.fractionLost == UInt8(24 * 256 / 99))
        #expect(block.highestSequence == UInt32(start) + 98 && block.jitter == 0)
        #expect(block.lastSenderReport == 0 && block.delaySinceLastSenderReport == 0)
        // A quiet interval reports no new loss; repaired packets lower the total.
        check(statistics.makeReportBlock(now: at(2_100))?.fractionLost, 0)
        for i in 0..<96 as Range<UInt16> where i % 4 == 3 { statistics.received(sequence: start &+ i, timestamp: UInt32(i) * 960, now: at(2_200)) }
        #expect(statistics.cumulativeLost == 0)
    }
    @Test func duplicatesMakeLossNegativeNotHuge() throws {
        var statistics = ReceptionStatistics(ssrc: 5, clockRate: 90_000)
        for _ in 0..<10 { statistics.received(sequence: 7, timestamp: 0, now: at(0)) }
        let block = try require(statistics.makeReportBlock(now: at(1)))
        #expect(block.cumulativeLost == -9 && block.fractionLost == 0)
    }
    /// A constant alternation of ±10 ms converges to 10 ms of jitter.
    @Test func jitterConverges() {
        var statistics = ReceptionStatistics(ssrc: 5, clockRate: 90_000)
        for i in 0..<2_000 as Range<UInt16> {
            statistics.received(sequence: i, timestamp: 4_000_000_000 &+ UInt32(i) * 1_800, now: at(Int64(i) * 20 + (i % 2 == 0 ? 0 : 10)))
        }
        #expect((895...905).contains(statistics.jitter))
    }
    @Test func delaySinceSenderReport() throws {
        var statistics = ReceptionStatistics(ssrc: 5, clockRate: 90_000)
        statistics.received(sequence: 1, timestamp: 1, now: at(0))
        statistics.receivedSenderReport(ntp: NTPTime(rawValue: 0x1234_5678_9ABC_DEF0), now: at(1_000))
        let block = try require(statistics.makeReportBlock(now: at(3_500)))
        #expect(block.lastSenderReport == 0x5678_9ABC && block.delaySinceLastSenderReport == 0x2_8000)
    }
}
