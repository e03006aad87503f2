import Capture
import Glibc
import Primitives
import RTP
import Testing
@testable import Rendering

/// One published track whose stream, codec or parameters change: a part each, one manifest entry, previews and exports go through all of them.
@Suite(.serialized, .timeLimit(.minutes(3))) struct PartTests {
    private let room = RecordedRoom()

    /// Frames of each source one after the other, two seconds each.
    private func items(_ sources: [(frames: [EncodedFrame], codec: Codec, ssrc: UInt32)]) -> [RecordedRoom.Item] {
        var items: [RecordedRoom.Item] = []
        for (index, source) in sources.enumerated() {
            var packetiser = Packetiser(source.codec, ssrc: source.ssrc, sequence: UInt16(index * 5_000), timestamp: UInt32(index) * 1_000_000)
            var path = RecordedRoom.Path()
            path.start = Int64(index) * 2_000_000
            items += room.items(source.frames, &packetiser, path)
        }
        return items
    }
    private func finish() throws -> Manifest.Track {
        try room.writeFacts(seconds: 6)
        try Finaliser(path: room.folder, recording: "rec").run()
        let tracks = try room.manifest().tracks
        #expect(tracks.count == 1, "one published track is one entry")
        let track = try #require(tracks.first)
        for file in track.files { #expect(decodeErrors(room.file(file.path)) == "", "\(file.path)") }
        #expect(zip(track.files, track.files.dropFirst()).allSatisfy { $0.start + $0.duration <= $1.start + 0.04 }, "in order of time")
        return track
    }

    @Test func anotherStreamBeginsAPart() throws {
        let video = Synthesis.video(.vp8, seconds: 2, into: room.storage.path).frames
        room.write(room.header("cam", "ann", .vp8), items([(video, .vp8, 1), (video, .vp8, 2), (video, .vp8, 3)]))
        let track = try finish()
        #expect(track.files.map(\.path) == (1...3).map { "tracks/ann/cam.part\($0).webm" })
        #expect(track.files.map(\.frames) == [60, 60, 60] && track.integrity.layerSwitches == 2)
        for (file, start) in zip(track.files, [0.0, 2, 4]) { #expect(abs(file.start - start) < 0.05) }
        #expect(track.clocks.map(\.ssrc) == [1, 2, 3] && track.integrity.score == 100)
    }

    @Test func newParameterSetsBeginAPart() throws {
        let small = Synthesis.video(.h264, seconds: 2, into: room.storage.path).frames, large = Synthesis.video(.h264, seconds: 2, size: "640x360", into: room.storage.path).frames
        // The same stream goes on: only what its encoder says is new.
        var one = Packetiser(.h264, ssrc: 1, sequence: 1), path = RecordedRoom.Path()
        var items = room.items(small, &one)
        var two = Packetiser(.h264, ssrc: 1, sequence: one.sequence, timestamp: one.timestamp(2_000_000))
        path.start = 2_000_000
        items += room.items(large, &two, path)
        room.write(room.header("cam", "ann", .h264), items)
        let track = try finish()
        #expect(track.files.map(\.path) == ["tracks/ann/cam.part1.mkv", "tracks/ann/cam.part2.mkv"])
        #expect(track.files.map(\.width) == [320, 640] && track.files.map(\.frames) == [60, 60])
        #expect(track.clocks.count == 1 && track.integrity.layerSwitches == 0)
    }

    @Test func soundThatComesBackIsASecondPart() throws {
        let sound = Synthesis.opus(seconds: 2, into: room.storage.path)
        room.write(room.header("mic", "ann", .opus), items([(sound, .opus, 7), (sound, .opus, 8)]))
        let track = try finish()
        #expect(track.files.map(\.path) == ["tracks/ann/mic.part1.webm", "tracks/ann/mic.part2.webm"])
        #expect(abs((track.files.last?.start ?? 0) - 2) < 0.06)
    }

    /// A publisher whose layers come and go does not make a file each time.
    @Test func streamsHaveABound() throws {
        let frame = Array(Synthesis.video(.vp8, seconds: 0.1, into: room.storage.path).frames.prefix(2))
        var items: [RecordedRoom.Item] = []
        for index in 0..<(TrackFiles.Limits.streamParts + 30) {
            var packetiser = Packetiser(.vp8, ssrc: UInt32(index + 1)), path = RecordedRoom.Path()
            path.start = Int64(index) * 1_200_000
            items += room.items(frame, &packetiser, path)
        }
        room.write(room.header("cam", "ann", .vp8), items)
        try Finaliser(path: room.folder, recording: "rec").run()
        let track = try #require(try room.manifest().tracks.first)
        #expect(track.files.count == TrackFiles.Limits.streamParts)
        #expect(track.files.reduce(0) { $0 + $1.frames } == 2 * (TrackFiles.Limits.streamParts + 30), "nothing is left out")
    }

    /// Of finished parts, and of journals that were not finished: the preview shows six seconds of picture either way.
    @Test(arguments: [true, false]) func previewsReadAllParts(isFinished: Bool) throws {
        quietLibav()
        let vp8 = Synthesis.video(.vp8, seconds: 2, picture: "color", into: room.storage.path).frames
        let small = Synthesis.video(.h264, seconds: 2, picture: "color", into: room.storage.path).frames
        let large = Synthesis.video(.h264, seconds: 2, size: "640x360", picture: "color", into: room.storage.path).frames
        room.write(room.header("cam", "ann", .vp8), items([(vp8, .vp8, 1), (small, .h264, 2), (large, .h264, 3)]))
        try room.writeFacts(seconds: 6)
        if isFinished { #expect(try finish().files.count == 3) }
        let verdict = try Previewer(path: room.folder, settings: PreviewSettings()).run()
        #expect(verdict.ok && (verdict.segments ?? 0) >= 3)
        let playlist = room.file("preview/peers/ann/av.m3u8")
        #expect(decodeErrors(playlist) == "")
        let shown = lumas(playlist)
        try #require(shown.count >= 90)
        // Each source counts its own seconds.
        for second in 0..<6 { #expect(Set(shown[(second * 15 + 1)..<(second * 15 + 14)].map(Synthesis.second(ofLuma:))) == [second % 2], "second \(second)") }
    }
}
