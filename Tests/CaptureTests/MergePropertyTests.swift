import Primitives
import RTP
import Testing
@testable import Capture

/// Journals of several writers, cut anywhere, out of order, with copies and losses, against a merge that sorts all of it in memory.
@Suite struct MergeProperties {
    private struct Sent { var ssrc: UInt32; var number: Int; var at: Int64 }
    private static let first: UInt16 = 65_000     // wraps early

    private static func packet(_ sent: Sent) -> [UInt8] { rtp(first &+ UInt16(truncatingIfNeeded: sent.number), UInt32(truncatingIfNeeded: sent.number * 3_000), ssrc: sent.ssrc, [0x90, 1, 2]) }
    /// A writer's segments; the last one may lack its end.
    private static func segments(_ packets: [Sent], writer: NodeName, cut: Int, torn: Bool) -> [[UInt8]] {
        stride(from: 0, to: packets.count, by: cut).enumerated().map { number, start in
            var header = sampleHeader(ingress: "n")
            (header.writer, header.segment) = (writer, UInt32(number))
            header.wallStart = WallTime(microseconds: packets[start].at)
            var bytes = JournalEncoder.header(header)
            for sent in packets[start..<min(start + cut, packets.count)] { _ = packet(sent).withUnsafeBytes { JournalEncoder.record(.rtp, receivedAt: sent.at, $0, into: &bytes) } }
            if torn { bytes.removeLast(3) } else { JournalEncoder.event(.closed, at: packets[start].at, into: &bytes) }
            return bytes
        }
    }

    @Test(arguments: 0..<40) func nothingIsLostAndAllIsInOrder(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        func chance(_ percent: UInt64, _ random: inout SplitMix64) -> Bool { random.next() % 100 < percent }
        var arrived: [Sent] = []
        let streams = 1 + seed % 3
        for stream in 0..<streams {
            for number in 0..<800 where !chance(3, &random) {
                // Each stream has its time; some packets come again, or late after a request.
                let at = 1_000_000_000 + Int64(stream) * 20_000_000 + Int64(number) * 20_000
                arrived.append(Sent(ssrc: UInt32(stream + 1), number: number, at: at + (chance(4, &random) ? Int64(random.next() % 3_000_000) : 0)))
            }
        }
        arrived.sort { ($0.at, $0.ssrc, $0.number) < ($1.at, $1.ssrc, $1.number) }
        // Each writer lacks something else, and one of them began later.
        let one = arrived.filter { _ in !chance(5, &random) }, two = arrived.enumerated().filter { $0.offset > 200 && !chance(5, &random) }.map(\.element)
        var pieces = Self.segments(one, writer: "a", cut: 40 + Int(random.next() % 900), torn: false)
        if seed % 4 != 0 { pieces += Self.segments(two, writer: "b", cut: 40 + Int(random.next() % 900), torn: false) }
        // In any order, as a folder's names come.
        for index in pieces.indices.reversed() { pieces.swapAt(index, Int(random.next() % UInt64(index + 1))) }
        let pinned = Pinned(), merged = try #require(Merged(pieces.map(pinned.pin)))

        let had = seed % 4 != 0 ? one + two : one
        for (index, stream) in merged.streams.enumerated() {
            let expected = Set(had.filter { $0.ssrc == stream.ssrc }.map(\.number)).sorted()
            let start = merged.packets[index].first!.sequence
            #expect(merged.packets[index].map { Int($0.sequence - start) } == expected.map { $0 - expected[0] }, "seed \(seed)")
            let times = Set(had.lazy.filter { $0.ssrc == stream.ssrc }.map(\.at))
            #expect(merged.packets[index].allSatisfy { times.contains($0.receivedAt) })
            let missing = zip(expected, expected.dropFirst()).reduce(0) { $0 + UInt64($1.1 - $1.0 - 1) }
            #expect(stream.gaps.reduce(0) { $0 + $1.packets } == missing, "seed \(seed)")
        }
        #expect(merged.streams.count == streams && merged.counts.packets == merged.packets.reduce(0) { $0 + $1.count })
        #expect(merged.counts.packets + merged.counts.duplicates == had.count && merged.counts.beyondLimits == 0)
        #expect(merged.isClosed && merged.gaps.isEmpty)
    }

    /// The queues hold seconds of a track, whatever its length, and segments are let go as they are passed.
    @Test(arguments: [(20, 1), (20, 2), (80, 1)]) func memoryDoesNotGrowWithLength(minutes: Int, writers: Int) throws {
        let packets = (0..<(minutes * 60 * 20)).map { Sent(ssrc: 1, number: $0, at: 1_000_000_000 + Int64($0) * 50_000) }
        var pieces: [[UInt8]] = []
        for writer in 0..<writers { pieces += Self.segments(packets, writer: NodeName("w\(writer)"), cut: 200 + writer * 7, torn: false) }
        let pinned = Pinned(), bytes = pieces.map(pinned.pin)
        var known = TrackSegments(recording: "rec1", track: "cam1")
        for (number, bytes) in bytes.enumerated() { known.add(bytes, number: number) }
        var merge = try #require(TrackMerge(known)), open: Set<Int> = [], most = (waiting: 0, open: 0), count = 0
        while true {
            while merge.next() != nil {
                count += 1
                most.waiting = max(most.waiting, merge.waiting)
            }
            guard let number = merge.wanted else { break }
            open = open.filter { !merge.isDone($0, held: nil) }
            open.insert(number)
            most.open = max(most.open, open.count)
            merge.open(bytes[number])
        }
        #expect(count == packets.count)
        // 15 s of 20 packets/s, and what one release gives; segments of ten seconds.
        #expect(most.waiting <= 2 * writers * 20 * 16 && most.open <= 4 * writers, "\(most)")
    }

    /// One that comes after its place was passed is a copy, or is listed as missing; it never turns anything back.
    @Test func whatComesTooLateIsLeftOut() {
        let pinned = Pinned()
        var items = (0..<1_000).map { (Int64($0) * 20_000, rtp(UInt16($0), UInt32($0) * 3_000, [0x90])) }
        items[100].0 += TrackMerge.Limits.late + 1_000_000
        items.sort { $0.0 < $1.0 }
        let got = evidence(pinned, items)
        #expect(got.packets[0].count == 999 && got.counts.duplicates == 1 && got.streams[0].gaps.map(\.packets) == [1])
        #expect(zip(got.packets[0], got.packets[0].dropFirst()).allSatisfy { $0.sequence < $1.sequence })
    }
    /// More at one moment than the queues hold: the oldest go on, nothing is lost.
    @Test func fullQueuesLoseNothing() {
        let pinned = Pinned(), count = TrackMerge.Limits.window + 20_000
        let got = evidence(pinned, (0..<count).map { (Int64($0), rtp(UInt16(truncatingIfNeeded: $0), UInt32($0), [0x90])) })
        #expect(got.counts.packets == count && got.streams[0].gaps.isEmpty)
    }
    /// 43,000 reports of a long track become few that still span it.
    @Test func reportsAreThinned() {
        let pinned = Pinned()
        let items = (0..<10_000).flatMap { second -> [(Int64, [UInt8])] in
            let at = Int64(second) * 1_000_000
            return [(at, rtp(UInt16(truncatingIfNeeded: second), UInt32(truncatingIfNeeded: second * 90_000), [0x90])), (at + 1, senderReport(sentAt: 1_700_000_000_000_000 + at, timestamp: UInt32(truncatingIfNeeded: second * 90_000)))]
        }
        let reports = evidence(pinned, items).streams[0].timing.reports
        #expect((TrackMerge.Limits.reports / 2...TrackMerge.Limits.reports).contains(reports.count))
        #expect(reports.first!.receivedAt < 10_000_000 && reports.last!.receivedAt > 9_980_000_000)
        #expect(zip(reports, reports.dropFirst()).allSatisfy { $0.timestamp < $1.timestamp })
    }
}
