import Primitives
import RTP
import Testing
@testable import Capture

/// Journals that grow under the reader's eyes.
@Suite struct Following {
    /// A segment's bytes and, for every length it had, the receive time of what was added.
    private func segment(_ items: [(Int64, [UInt8])], writer: NodeName = "a", isClosed: Bool = true) -> [UInt8] {
        var header = sampleHeader(codec: .vp8, ingress: nil)
        header.writer = writer
        var bytes = JournalEncoder.header(header)
        for (at, packet) in items { _ = packet.withUnsafeBytes { JournalEncoder.record(.rtp, receivedAt: at, $0, into: &bytes) } }
        if isClosed { JournalEncoder.event(.closed, at: items.last?.0 ?? 0, into: &bytes) }
        return bytes
    }
    private func video(_ count: Int) -> [(Int64, [UInt8])] {
        var items: [(Int64, [UInt8])] = []
        for i in 0..<count {
            let sequence = UInt16(truncatingIfNeeded: 65_500 + i), at: Int64 = 1_000_000 + Int64(i) * 100_000 / 3
            items.append((at, rtp(sequence, UInt32(i) * 3_000, marker: true, i % 30 == 0 ? VP8Sample.key : VP8Sample.inter)))
        }
        return items
    }
    /// Everything a follower presents when the segments become readable bit by bit, in pieces of `step` bytes, 20 ms apart.
    private func follow(_ segments: [[UInt8]], step: Int, startedAt: Int64 = 1_000_000) -> (frames: [PresentedFrame], zero: Int64?, leftOut: Int) {
        let pinned = Pinned(), mapped = segments.map { pinned.pin($0) }
        var follower = RecordingFollower(recording: "rec1"), next = [Int](repeating: 0, count: segments.count), frames: [PresentedFrame] = []
        var length = 0
        while length < segments.map(\.count).max() ?? 0 {
            length += step
            for (index, bytes) in mapped.enumerated() {
                if let read = follower.read(UnsafeRawBufferPointer(rebasing: bytes[..<min(length, bytes.count)]), of: "cam1", from: next[index], offsets: [:]) {
                    #expect(read.next >= next[index] && read.next <= min(length, bytes.count))
                    next[index] = read.next
                }
            }
            if let latest = follower.latest { follower.advance(to: latest, startedAt: startedAt) }
            while let frame = follower.next(of: "cam1") { frames.append(frame) }
        }
        follower.advance(to: .max, startedAt: startedAt)
        while let frame = follower.next(of: "cam1") { frames.append(frame) }
        return (frames, follower.zero, follower.leftOut)
    }

    /// Whatever the pieces, also such as end within a record: the same frames as from the finished journal.
    @Test(arguments: [37, 500, 4_096, 1 << 20]) func givesWhatTheFinishedJournalGives(step: Int) {
        let items = video(300), pinned = Pinned()
        let expected = present(evidence(pinned, items), zero: 1_000_000).frames
        let (frames, zero, leftOut) = follow([segment(items)], step: step)
        #expect(abs((zero ?? 0) - 1_000_000) <= 1 && leftOut == 0)
        #expect(frames.map(\.data) == expected.map(\.data) && frames.map(\.isKey) == expected.map(\.isKey))
        #expect(zip(frames, expected).allSatisfy { abs($0.time - $1.time) <= 2 })
    }
    /// Each of two writers missed something else; what both have is presented once.
    @Test func twoWritersMakeOne() {
        let items = video(300)
        var first: [(Int64, [UInt8])] = [], second: [(Int64, [UInt8])] = []
        for (number, item) in items.enumerated() {
            if number % 7 != 3 { first.append(item) }
            if number % 5 != 4 || number % 7 == 3 { second.append(item) }
        }
        let (frames, _, leftOut) = follow([segment(first), segment(second, writer: "b")], step: 900)
        #expect(frames.count == 300 && leftOut > 150)
    }
    /// A retransmission within the holdback is in its place; one beyond it costs its group of pictures, not what follows.
    @Test(arguments: [(900_000, 300), (3_000_000, 270)] as [(Int64, Int)]) func retransmissionsAreWaitedFor(late: Int64, expected: Int) {
        var items = video(300)
        items[120].0 += late
        items.sort { $0.0 < $1.0 }
        #expect(follow([segment(items)], step: 300).frames.count == expected)
    }
    @Test func zeroIsTheFirstPacketsWhereTheRecordingBeganLater() {
        let zero = follow([segment(video(90))], step: 300, startedAt: 5_000_000).zero
        #expect(abs((zero ?? 0) - 1_000_000) <= 1)
    }
    /// Damaged segments, wild clocks, sequence numbers that jump: counted or presented, never a trap, and always to an end.
    @Test(arguments: 0..<40 as Range<UInt64>) func noiseNeverTraps(seed: UInt64) {
        var random = SplitMix64(seed: seed), items = video(200)
        for index in items.indices where random.next() % 6 == 0 {
            switch random.next() % 4 {
            case 0: items[index].0 = Int64(bitPattern: random.next())
            case 1: items[index].1 = rtp(UInt16(truncatingIfNeeded: random.next()), UInt32(truncatingIfNeeded: random.next()), marker: true, VP8Sample.key)
            case 2: items[index].1 = (0..<Int(random.next() % 40 + 12)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            default: items[index].1 = rtp(UInt16(truncatingIfNeeded: index), UInt32(index) * 3_000, ssrc: UInt32(random.next() % 4), VP8Sample.inter)
            }
        }
        var bytes = segment(items)
        for _ in 0..<(random.next() % 30) { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
        let (frames, _, _) = follow([bytes, segment(video(100), writer: "b")], step: Int(random.next() % 3_000) + 50, startedAt: Int64(bitPattern: random.next()) >> 8)
        #expect(zip(frames, frames.dropFirst()).allSatisfy { $0.time < $1.time })
    }
    @Test func anotherRecordingsJournalIsNotRead() {
        let pinned = Pinned()
        var follower = RecordingFollower(recording: "other")
        #expect(follower.read(pinned.pin(segment(video(3))), of: "cam1", from: 0, offsets: [:]) == nil)
        #expect(follower.latest == nil)
    }
}

@Suite struct Grid {
    @Test(arguments: [(2, 15), (4, 15), (2, 30), (4, 24)]) func everyPictureAndEverySampleBelongsToOneSegment(seconds: Int, rate: Int) {
        let grid = PreviewGrid(segmentSeconds: seconds, frameRate: rate)
        let total = grid.frames(in: 61_234_567), count = grid.segments(frames: total)
        #expect(grid.time(total) >= 61_234_567 && grid.time(total - 1) < 61_234_567)
        var frame = 0, sound: Int64 = 0
        for index in 0..<count {
            let pictures = grid.frames(of: index, total: total), samples = grid.audioFrames(pictures)
            #expect(pictures.lowerBound == frame && samples.lowerBound == sound && !pictures.isEmpty)
            #expect(grid.time(pictures.lowerBound) == Int64(index * seconds) * 1_000_000)
            #expect(abs(samples.lowerBound * 1_024 - grid.sample(pictures.lowerBound)) < 1_024)
            (frame, sound) = (pictures.upperBound, samples.upperBound)
        }
        #expect(frame == total)
    }
    @Test func lengthsFromOutsideDoNotTrap() {
        let grid = PreviewGrid(segmentSeconds: 2, frameRate: 30)
        #expect(grid.frames(in: -5) == 0 && grid.segments(frames: 0) == 0)
        #expect(grid.segments(frames: grid.frames(in: .max)) == PreviewGrid.Limits.segments)
    }
    @Test func playlistsTellWhatTheyHave() {
        var playlist = MediaPlaylist(name: "av", head: "init.mp4", segmentSeconds: 2)
        playlist.durations = [2, 2, 1.0666666]
        #expect(playlist.text(count: 2) == """
            #EXTM3U
            #EXT-X-VERSION:7
            #EXT-X-TARGETDURATION:2
            #EXT-X-PLAYLIST-TYPE:EVENT
            #EXT-X-MEDIA-SEQUENCE:0
            #EXT-X-INDEPENDENT-SEGMENTS
            #EXT-X-MAP:URI="init.mp4"
            #EXTINF:2.000000,
            av_0000.m4s
            #EXTINF:2.000000,
            av_0001.m4s

            """)
        playlist.isEnded = true
        #expect(playlist.text(count: 3).hasSuffix("#EXTINF:1.066667,\nav_0002.m4s\n#EXT-X-ENDLIST\n"))
        #expect(MediaPlaylist.segment("av", 12_345) == "av_12345.m4s")
    }
}
