import Capture
import Glibc
import Primitives
import RTP
import Testing
@testable import Rendering

@Suite(.serialized, .timeLimit(.minutes(3))) struct FinaliserTests {
    @discardableResult
    private func finalise(_ room: RecordedRoom) throws -> WorkerVerdict { try Finaliser(path: room.folder, recording: "rec").run() }

    /// Every codec, bit for bit: what decodes from the file is what decodes from the encoder's own output.
    @Test(arguments: [Codec.vp8, .vp9, .h264, .av1])
    func remuxesWithoutTouchingAPicture(codec: Codec) throws {
        let room = RecordedRoom()
        let source = Synthesis.video(codec, seconds: codec == .av1 ? 2 : 4, size: codec == .av1 ? "192x144" : "320x240", into: room.storage.path)
        var packetiser = Packetiser(codec, ssrc: 0x1234_5678)
        room.write(room.header("cam", "ann", codec), room.items(source.frames, &packetiser))
        try room.writeFacts(seconds: 4)
        let verdict = try finalise(room)
        #expect(verdict.ok && verdict.complete && verdict.tracks == 1)
        let track = try #require(try room.manifest().tracks.first)
        let name = codec == .h264 ? "tracks/ann/cam.mkv" : "tracks/ann/cam.webm"
        #expect(track.files.map(\.path) == [name])
        #expect(track.files[0].frames == source.frames.count)
        #expect(track.files[0].width == (codec == .av1 ? 192 : 320) && track.files[0].height == (codec == .av1 ? 144 : 240))
        #expect(track.holes.isEmpty && track.integrity.complete && track.integrity.lost == 0)
        #expect(decodeErrors(room.file(name)) == "")
        #expect(probe(room.file(name), "stream=codec_name") == codec.rawValue)
        #expect(frameSums(room.file(name)) == frameSums(source.path))
    }

    @Test func twoPeopleOnOneTimeZero() throws {
        let room = RecordedRoom()
        let video = Synthesis.video(.vp8, seconds: 10, into: room.storage.path)
        let audio = Synthesis.opus(seconds: 10, into: room.storage.path)
        for (peer, start) in [("ann", 0), ("bob", 2_000_000)] as [(ParticipantID, Int64)] {
            var path = RecordedRoom.Path()
            path.start = start
            path.jitter = 3_000
            var picture = Packetiser(.vp8, ssrc: 1, sequence: 10), sound = Packetiser(.opus, ssrc: 2)
            room.write(room.header(TrackID("\(peer)-cam"), peer, .vp8), room.items(video.frames, &picture, path))
            path.delay = 60_000   // sound takes longer, lips must not care
            room.write(room.header(TrackID("\(peer)-mic"), peer, .opus), room.items(audio, &sound, path, seed: 2))
        }
        try room.writeFacts(seconds: 12, participants: [.init(id: "ann", name: "Ann", role: "host"), .init(id: "bob", name: "Bob")])
        var joined = RecordedEvent(.participantJoined, at: WallTime(microseconds: RecordedRoom.zero + 1_900_000), participant: "bob", name: "Bob")
        joined.role = "guest"
        try room.writeEvents([joined])
        let verdict = try finalise(room)
        #expect(verdict.outputPath == "rooms/room/rec/metadata.json")
        let manifest = try room.manifest()
        #expect(manifest.timeZeroMicroseconds == RecordedRoom.zero)
        #expect(manifest.timeZero == "2023-11-14T22:13:20.000Z")
        #expect(manifest.participants.map(\.name) == ["Ann", "Bob"] && manifest.participants[1].joinedAt == 1.9)
        for (peer, start) in [("ann", 0.0), ("bob", 2.0)] {
            for (suffix, codec) in [("cam", "vp8"), ("mic", "opus")] {
                let file = room.file("tracks/\(peer)/\(peer)-\(suffix).webm")
                #expect(decodeErrors(file) == "")
                #expect(probe(file, "stream=codec_name") == codec)
                let begin = try #require(Double(probe(file, "format=start_time"))), end = try #require(Double(probe(file, "format=duration")))
                // Muxers count the duration from zero.
                #expect(abs(begin - start) < 0.075, "\(file) begins at \(begin)")
                #expect(abs(end - start - 10) < 0.1, "\(file) ends at \(end)")
            }
            let starts = manifest.tracks.filter { $0.peerID.rawValue == peer }.compactMap(\.start)
            #expect(abs(starts[0] - starts[1]) < 0.005, "sound and picture taken at once start at \(starts)")
            #expect(manifest.tracks.allSatisfy { $0.clocks.allSatisfy { $0.method == .senderReports && $0.senderReports >= 9 } })
        }
        let timeline = try room.timeline()
        #expect(timeline.events.contains { $0.type == "participant_joined" && $0.t == 1900 && $0.peerID == "bob" })
        #expect(timeline.events.filter { $0.type == "track_started" }.count == 4)
        #expect(timeline.events.contains { $0.type == "layer" && $0.width == 320 && $0.height == 240 })
    }

    @Test func filesAreSeekable() throws {
        let room = RecordedRoom()
        let source = Synthesis.video(.vp8, seconds: 20, size: "160x120", into: room.storage.path)
        var packetiser = Packetiser(.vp8, ssrc: 1)
        room.write(room.header("cam", "ann", .vp8), room.items(source.frames, &packetiser))
        let sound = Synthesis.opus(seconds: 20, into: room.storage.path)
        var microphone = Packetiser(.opus, ssrc: 2)
        room.write(room.header("mic", "ann", .opus), room.items(sound, &microphone))
        try finalise(room)
        for track in ["cam", "mic"] {
            let file = room.file("tracks/ann/\(track).webm")
            // The cues element (Matroska id 1C 53 BB 6B) is there, and a seek near the end reads only the end.
            #expect(readFile(file).containsSequence([0x1C, 0x53, 0xBB, 0x6B]))
            let first = try #require(Double(run("ffprobe -v error -read_intervals 15%+#1 -show_entries packet=pts_time -of csv=p=0 '\(file)'").output.split(separator: "\n").first.map { String($0).trimmed } ?? ""))
            #expect(first > 9 && first <= 15.1)
        }
    }

    /// A publisher that loses packets: the picture freezes until the next key frame, sound stays in step, the manifest says it.
    @Test func lossIsSurvivedAndSaid() throws {
        let room = RecordedRoom()
        let video = Synthesis.video(.vp8, seconds: 6, into: room.storage.path)
        let audio = Synthesis.opus(seconds: 6, into: room.storage.path)
        var path = RecordedRoom.Path()
        path.isLost = { $0 == 150 || $0 == 151 }
        var picture = Packetiser(.vp8, ssrc: 1), sound = Packetiser(.opus, ssrc: 2)
        room.write(room.header("cam", "ann", .vp8), room.items(video.frames, &picture, path))
        path.isLost = { (100..<125).contains($0) }
        room.write(room.header("mic", "ann", .opus), room.items(audio, &sound, path))
        let verdict = try finalise(room)
        #expect(verdict.ok && !verdict.complete)
        let tracks = try room.manifest().tracks
        let cam = try #require(tracks.first { $0.trackID == "cam" }), mic = try #require(tracks.first { $0.trackID == "mic" })
        #expect(cam.integrity.lost == 2 && cam.holes.contains { $0.cause == .network && $0.packets == 2 })
        #expect(cam.holes.contains { $0.cause == .keyFrameWait && $0.to - $0.from <= 1.1 })
        #expect(cam.files[0].frames < video.frames.count && cam.files[0].frames >= video.frames.count - 31)
        #expect(mic.integrity.lost == 25 && mic.integrity.fillerFrames == 25)
        #expect(decodeErrors(room.file("tracks/ann/cam.webm")) == "")
        #expect(decodeErrors(room.file("tracks/ann/mic.webm")) == "")
        // Every 20 ms has its packet: a player that counts samples does not slip.
        #expect(probe(room.file("tracks/ann/mic.webm"), "stream=nb_read_packets", "-count_packets") == "\(audio.count)")
    }

    /// Primary and standby wrote overlapping parts, one was killed in the middle of a record: merged, nothing is missing.
    @Test func twoWritersMakeOneTrack() throws {
        let room = RecordedRoom()
        let source = Synthesis.video(.vp8, seconds: 6, into: room.storage.path)
        var packetiser = Packetiser(.vp8, ssrc: 1)
        let items = room.items(source.frames, &packetiser)
        let killed = room.write(room.header("cam", "ann", .vp8), items.prefix(items.count * 2 / 3), closed: false)
        writeFile(killed, Array(readFile(killed).dropLast(333)))
        room.write(room.header("cam", "ann", .vp8, writer: "b", epoch: 2), items.dropFirst(items.count / 3))
        let verdict = try finalise(room)
        #expect(verdict.ok && verdict.complete)
        let track = try #require(try room.manifest().tracks.first)
        #expect(track.writers == ["a", "b"] && track.epochs == [1, 2])
        #expect(track.integrity.tornBytes > 0 && track.integrity.duplicates > 0 && track.integrity.lost == 0)
        #expect(track.files[0].frames == source.frames.count)
        #expect(frameSums(room.file("tracks/ann/cam.webm")) == frameSums(source.path))
    }

    /// The recorder's node was killed at second 2 and came back at second 4: both parts are in one file, the hole is named.
    @Test func aKilledRecorderLeavesANamedHole() throws {
        let room = RecordedRoom()
        let source = Synthesis.video(.vp8, seconds: 6, into: room.storage.path)
        var packetiser = Packetiser(.vp8, ssrc: 1)
        let items = room.items(source.frames, &packetiser)
        room.write(room.header("cam", "ann", .vp8), items.filter { $0.at < RecordedRoom.zero + 2_000_000 }, closed: false)
        room.write(room.header("cam", "ann", .vp8, epoch: 2, segment: 1), items.filter { $0.at > RecordedRoom.zero + 4_000_000 }, closed: false)
        try room.writeFacts(seconds: 9)
        try finalise(room)
        let track = try #require(try room.manifest().tracks.first)
        let causes = track.holes.filter { $0.cause == .recorderDown }
        #expect(causes.count == 2)
        #expect(abs(causes[0].from - 2) < 0.1 && abs(causes[0].to - 4) < 0.1)
        #expect(abs(causes[1].from - 6) < 0.1 && abs(causes[1].to - 9) < 0.01)
        #expect(decodeErrors(room.file("tracks/ann/cam.webm")) == "")
        #expect(abs((Double(probe(room.file("tracks/ann/cam.webm"), "format=duration")) ?? 0) - 6) < 0.1)
    }

    @Test func aCodecChangeBeginsAPart() throws {
        let room = RecordedRoom()
        let first = Synthesis.video(.vp8, seconds: 2, into: room.storage.path), second = Synthesis.video(.h264, seconds: 2, into: room.storage.path)
        var one = Packetiser(.vp8, ssrc: 1, sequence: 1)
        var items = room.items(first.frames, &one)
        var two = Packetiser(.h264, ssrc: 1, sequence: one.sequence, timestamp: one.timestamp(2_000_000))
        var path = RecordedRoom.Path()
        path.start = 2_000_000
        items += room.items(second.frames, &two, path)
        room.write(room.header("cam", "ann", .vp8), items)
        try finalise(room)
        let files = try #require(try room.manifest().tracks.first).files
        #expect(files.map(\.path) == ["tracks/ann/cam.part1.webm", "tracks/ann/cam.part2.mkv"])
        #expect(files.map(\.frames) == [60, 60])
        for file in files { #expect(decodeErrors(room.file(file.path)) == "") }
        #expect(abs(files[1].start - 2) < 0.04)
    }

    /// Finishing again replaces everything, and leaves nothing behind.
    @Test func isRepeatable() throws {
        let room = RecordedRoom()
        let source = Synthesis.video(.vp8, seconds: 2, into: room.storage.path)
        var packetiser = Packetiser(.vp8, ssrc: 1)
        room.write(room.header("cam", "ann", .vp8), room.items(source.frames, &packetiser))
        try finalise(room)
        _ = system("touch '\(room.file("tracks/ann/old.part1.webm"))'")
        let before = try room.manifest()
        #expect(before.revision == 1)
        try finalise(room)
        var after = try room.manifest()
        for i in after.tracks.indices { for j in after.tracks[i].files.indices { after.tracks[i].files[j].size = before.tracks[i].files[j].size } }
        after.size = before.size
        after.revision = 1
        #expect(after == before)
        #expect(run("ls -A '\(room.file("tracks/ann"))'").output.trimmed == "cam.webm")
    }

    @Test func refusalsAreTyped() throws {
        let room = RecordedRoom()
        #expect { try finalise(room) } throws: { ($0 as? WorkerError)?.failure == .nothingCaptured }
        #expect { try Finaliser(path: "/nonexistent", recording: "rec").run() } throws: { ($0 as? WorkerError)?.failure == .missing }
        #expect { try Finaliser(path: room.folder, recording: "../x").run() } throws: { ($0 as? WorkerError)?.failure == .usage }
        let lock = try FolderLock(Folder(room.folder))
        #expect { try finalise(room) } throws: { ($0 as? WorkerError)?.failure == .busy }
        withExtendedLifetime(lock) {}
    }
}

extension Array where Element == UInt8 {
    func containsSequence(_ other: [UInt8]) -> Bool {
        guard count >= other.count else { return false }
        return (0...(count - other.count)).contains { self[$0] == other[0] && Array(self[$0..<($0 + other.count)]) == other }
    }
}
