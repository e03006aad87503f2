// Loss, duplicates, repair, delay and pauses, told from packets.
import Primitives
import RTP
import Testing
@testable import LoadClient

@Suite struct ReceivingTests {
    /// Sequence numbers arriving 20 ms apart.
    private func receive(_ numbers: [Int], from start: Int = 0, into stream: inout ReceiveStream) {
        for (index, number) in numbers.enumerated() { arrive(UInt16(truncatingIfNeeded: start + number), at: Int64(index) * 20_000, into: &stream) }
    }
    private func arrive(_ sequence: UInt16, at microseconds: Int64, sentAt: Int64? = nil, original: UInt16? = nil, into stream: inout ReceiveStream) {
        var bytes = [UInt8](repeating: 0, count: 12 + (original == nil ? 0 : 2) + 40)
        bytes.withUnsafeMutableBytes { raw in
            RTPHeader.write(to: raw.baseAddress!, payloadType: 96, marker: false, sequence: sequence, timestamp: UInt32(sequence) &* 960, ssrc: original == nil ? 7 : 8)
            if let original { raw.storeBytes(of: original.bigEndian, toByteOffset: 12, as: UInt16.self) }
            Stamp(number: 0, sentAt: sentAt ?? microseconds - 1000).write(atEndOf: raw)
        }
        bytes.withUnsafeBytes { raw in
            guard let header = try? RTPHeader.parse(raw) else { return }
            stream.receive(header, receivedAt: microseconds, now: Instant(nanoseconds: microseconds * 1000), isRepair: original != nil)
        }
    }
    private func stream() -> ReceiveStream { ReceiveStream(trackID: "t", participantID: "p", ssrc: 7, rtxSSRC: 8, codec: .vp8) }

    @Test(arguments: [0, 1, 32767, 32768, 65533, 65534, 65535])
    func lossIsCountedAcrossTheWrap(start: Int) {
        var stream = stream()
        receive([0, 1, 2, 5, 6, 4, 6], from: start, into: &stream)
        let counts = stream.counts
        #expect(counts.packets == 6 && counts.lost == 1 && counts.duplicates == 1)
    }
    @Test func whatCameBeforeTheFirstWasNotLost() {
        var stream = stream()
        receive([3, 1, 2], into: &stream)
        #expect(stream.counts.lost == 0 && stream.counts.packets == 3)
    }

    @Test func missingPacketsAreAskedForAndRepaired() {
        var stream = stream()
        receive([0, 1, 4], into: &stream)
        let late = Instant(nanoseconds: 40_000_000)
        let asked = [0, 10, 20].map { stream.takeMissing(now: late + .milliseconds($0)) }
        #expect(asked == [[], [2, 3], []])
        arrive(900, at: 60_000, original: 2, into: &stream)
        arrive(901, at: 61_000, original: 2, into: &stream)
        let again = stream.takeMissing(now: late + .milliseconds(80))
        #expect(again == [3])
        let counts = stream.counts
        #expect(counts.lost == 1 && counts.repaired == 1 && counts.duplicates == 1 && counts.nacksSent == 3 && counts.packets == 4)
    }
    @Test func askingEnds() {
        var missing = MissingPackets()
        missing.skipped(0..<10_000, now: .origin)
        var asked = 0
        for turn in 1...40 { asked += missing.takeDue(now: .origin + .milliseconds(100 * turn)).count }
        #expect(asked == MissingPackets.Limits.kept * MissingPackets.Limits.attempts && missing.isEmpty)
    }

    @Test func pausesAreNamed() {
        var stream = stream()
        for (sequence, at) in [(0, 0), (1, 200_000), (2, 400_001), (3, 1_000_000)] as [(UInt16, Int64)] { arrive(sequence, at: at, into: &stream) }
        #expect(stream.gaps == [Gap(trackID: "t", from: 200_000, microseconds: 200_001), Gap(trackID: "t", from: 400_001, microseconds: 599_999)])
        #expect(stream.firstArrival == 0)
    }

    @Test func delaysComeFromStamps() {
        var stream = stream()
        for index in 0..<100 { arrive(UInt16(index), at: Int64(index) * 20_000, sentAt: Int64(index) * 20_000 - Int64(index + 1) * 100, into: &stream) }
        #expect(stream.delay.total == 100 && stream.delay.largest == 10_000)
        for (q, exact) in [(0.5, 5000.0), (0.95, 9500), (0.99, 9900)] { #expect(abs((stream.delay.quantile(q) ?? 0) - exact) <= exact * 0.05) }
    }
    @Test func aReportTellsTheLoss() throws {
        var stream = stream()
        receive([0, 1, 2, 5], into: &stream)
        let made = stream.makeReportBlock(now: Instant(nanoseconds: 100_000_000))
        let block = try #require(made)
        #expect(block.ssrc == 7 && block.cumulativeLost == 2)
    }
}

@Suite struct DelayDistributionTests {
    @Test func emptyHasNoQuantile() { #expect(DelayDistribution().quantile(0.5) == nil) }
    @Test(arguments: [0, 1, 15, 16, 17, 1000, 123_456, 10_000_000, 3_600_000_000] as [Int64])
    func aValueIsFoundAgain(value: Int64) {
        var distribution = DelayDistribution()
        distribution.note(microseconds: value)
        let found = distribution.quantile(0.5) ?? -1
        #expect(abs(found - Double(value)) <= Double(value) * 0.05)
    }
    @Test func hugeAndNegativeValuesAreKept() {
        var distribution = DelayDistribution()
        distribution.note(microseconds: .max)
        distribution.note(microseconds: -5)
        #expect(distribution.total == 2 && distribution.quantile(0) == 0 && distribution.largest == .max)
    }
    @Test func mergingAdds() {
        var a = DelayDistribution(), b = DelayDistribution()
        a.note(microseconds: 10)
        b.note(microseconds: 1000)
        a.merge(b)
        #expect(a.total == 2 && a.largest == 1000 && a.quantile(0.25) == 10)
    }
}

@Suite struct SignalTests {
    @Test func numbersAndTextsAsIDs() throws {
        #expect(try ServerSignal.decode(Array(#"{"type":"ok","id":7}"#.utf8)).id == 7)
        let chat = try ServerSignal.decode(Array(#"{"type":"chat","id":"abc","text":"hi","future":{}}"#.utf8))
        #expect(chat.type == "chat" && chat.id == nil)
        #expect(throws: (any Error).self) { try ServerSignal.decode(Array("{}".utf8)) }
    }
    @Test func membersWithoutValueAreLeftOut() {
        #expect(String(decoding: ClientSignal("heartbeat").bytes, as: UTF8.self) == #"{"type":"heartbeat"}"#)
    }
}
