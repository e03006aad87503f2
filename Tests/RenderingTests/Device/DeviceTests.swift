import Capture
import Composition
import Glibc
import Primitives
import RTP
import Testing
@testable import Rendering

/// Browser-recorded chunks from the folder to the picture in an export.
@Suite(.serialized, .timeLimit(.minutes(4))) struct DeviceTests {
    init() { quietLibav() }
    private static let speech = BrowserRecording.speech(seconds: 64)

    /// What was sent and what was recorded, encoded once.
    private static let material = { () -> (frames: [EncodedFrame], chunks: [[UInt8]]) in
        let room = RecordedRoom()
        return (
            Synthesis.video(.vp8, seconds: 14, size: "160x120", picture: "color", into: room.storage.path).frames,
            BrowserRecording.chunks(BrowserRecording.webm(start: 1.3, seconds: 12.4, speech: speech, into: room.storage.path)))
    }()

    /// Fourteen seconds of ann; the server lost 5 s to 8 s of both. Her browser recorded from 1.3 s on, its clock 200 ms wrong.
    private func room() throws -> (RecordedRoom, [[UInt8]]) {
        let room = RecordedRoom()
        var camera = Packetiser(.vp8, ssrc: 1)
        room.write(room.header("cam", "ann", .vp8), room.without([5...8], room.items(Self.material.frames, &camera)))
        room.microphone(Self.speech, seconds: 14, lost: [5...8])
        try room.writeFacts(seconds: 14, participants: [.init(id: "ann", name: "Ann")])
        return (room, Self.material.chunks)
    }
    private func finalise(_ room: RecordedRoom, _ isolation: WorkerIsolation? = nil) throws -> Manifest {
        let verdict = try Finaliser(path: room.folder, recording: "rec", isolation: isolation).run()
        #expect(verdict.ok)
        return try room.manifest()
    }
    private func work(_ words: String) throws -> WorkerVerdict {
        let result = run("'\(mediaWorker)' \(words)")
        guard case .verdict(let verdict)? = result.output.split(separator: "\n").last.flatMap({ WorkerMessage(line: String($0)) }) else { throw ExportedRoom.NoVerdict(result: result) }
        #expect(result.status == 0, "\(result)")
        return verdict
    }

    @Test func theHoleShowsWhatTheBrowserRecorded() throws {
        let (room, chunks) = try room()
        #expect(chunks.count >= 12)
        var index = UploadIndex()
        try room.upload(&index, "u1", .camera, startedAt: 1.5, chunks) { $0 != 9 }
        _ = try work("finalise --dir '\(room.folder)' --recording rec")
        let manifest = try room.manifest()

        // What was joined, and where it stands.
        let devices = try #require(manifest.deviceTracks)
        #expect(devices.map(\.source) == ["camera", "microphone"] && devices.allSatisfy { $0.reason == nil && $0.chunks.missing == [[9, 9]] && $0.chunks.told == chunks.count - 1 })
        #expect(devices.compactMap(\.file?.path) == ["tracks/ann/camera-device.part1.webm", "tracks/ann/microphone-device.part1.webm"])
        let alignment = try #require(devices[0].alignment)
        #expect(alignment.method == .sound && abs(alignment.offset - 1_300_000) < 20_000 && abs((alignment.clockError ?? 0) + 200_000) < 20_000, "\(alignment)")
        for device in devices {
            let file = try #require(device.file)
            #expect(decodeErrors(room.file(file.path)) == "")
            #expect(abs(file.start - 1.3) < 0.03 && abs(file.start + file.duration - 13.7) < 0.1, "\(file)")
            let hole = try #require(device.holes.first)
            #expect(device.holes.count == 1 && hole.cause == .missingChunk && hole.from > 9 && hole.to < 13 && hole.to - hole.from < 2.5, "\(hole)")
        }
        // The edit list, and what the integrity reports say.
        let edits = try #require(manifest.edits)
        #expect(edits.map(\.source) == ["camera", "microphone"])
        for edit in edits {
            #expect(edit.pieces.map(\.origin) == [.server, .device, .server])
            #expect(abs(edit.pieces[1].from - 4.8) < 0.1 && abs(edit.pieces[1].to - 8.2) < 0.1 && edit.pieces[1].cause == .network, "\(edit)")
        }
        #expect(manifest.tracks.allSatisfy { ($0.integrity.repaired?.deviceHoles ?? 0) >= 1 && abs(($0.integrity.repaired?.deviceSeconds ?? 0) - 3) < 0.2 && $0.holes.contains { $0.isRepaired == true } })

        // Every second of the export and of the preview: the right one, from the right source, and sound in the hole.
        writeFile(room.file("c.json"), Array(#"{"layout": "single", "export": {"resolution": "360p", "fps": 30}}"#.utf8))
        let export = try work("export --dir '\(room.folder)' --composition '\(room.file("c.json"))' --format mp4")
        #expect(export.missing == [])
        let file = ExportedFile(path: room.file("processed/output.mp4"))
        let frames = file.colours(at: [(320, 60)]).map { $0[0] }
        #expect(abs(frames.count - 420) <= 3)
        for (number, colour) in frames.enumerated() where number % 30 > 2 && number % 30 < 28 {
            let time = Double(number) / 30
            #expect(Synthesis.second(ofLuma: Double(colour.y)) == Int(time), "frame \(number) shows \(colour)")
            if (5.0..<8).contains(time) { #expect(colour.u > 170, "frame \(number) is not the browser's: \(colour)") }
            if time < 4.7 || time > 8.3 { #expect(abs(colour.u - 128) < 12, "frame \(number) is not the server's: \(colour)") }
        }
        hears(file.samples())
        let preview = try work("preview --dir '\(room.folder)'")
        #expect(preview.complete)
        let playlist = room.file("preview/\(try room.previewIndex().peers[0].av.playlist)")
        #expect(decodeErrors(playlist) == "")
        let shown = lumas(playlist)
        for second in 0..<14 { #expect(Set(shown[(second * 15 + 1)..<min(shown.count, second * 15 + 14)].map(Synthesis.second(ofLuma:))) == [second], "second \(second) of the preview") }
        let blue = ExportedFile(path: playlist).colours(at: [(320, 60)]).map { $0[0].u > 170 }
        #expect(blue[80..<118].allSatisfy { $0 } && !blue[..<70].contains(true) && !blue[126...].contains(true))
        hears(ExportedFile(path: playlist).samples())
    }
    /// No packet of anybody was captured: all there is of ann is what her browser recorded, placed by its clock.
    @Test func withoutAnyPacketTheBrowsersRecordingIsAll() throws {
        let room = RecordedRoom(), chunks = BrowserRecording.chunks(BrowserRecording.webm(start: 1, seconds: 9, speech: Self.speech, into: room.storage.path))
        try room.writeFacts(seconds: 8, participants: [.init(id: "ann", name: "Ann")])
        #expect { try finalise(room) } throws: { ($0 as? WorkerError)?.failure == .nothingCaptured }
        var index = UploadIndex()
        try room.upload(&index, "u1", .camera, startedAt: 1, uncertainty: 10_000, chunks)
        let verdict = try work("finalise --dir '\(room.folder)' --recording rec")
        #expect(verdict.ok && verdict.tracks == 2 && !verdict.complete)
        let manifest = try room.manifest()
        #expect(manifest.tracks.isEmpty && manifest.edits?.map(\.source) == ["camera", "microphone"] && manifest.deviceTracks?.count == 2)
        for repair in manifest.repairs { #expect(abs(repair.piece.from - 1) < 0.05 && repair.piece.to == 8, "until the recording was stopped: \(repair)") }
        #expect(manifest.duration == 8 && manifest.size > 1_000)

        writeFile(room.file("c.json"), Array(#"{"layout": "single", "export": {"resolution": "360p", "fps": 30}}"#.utf8))
        #expect(try work("export --dir '\(room.folder)' --composition '\(room.file("c.json"))' --format mp4").missing == [])
        let file = ExportedFile(path: room.file("processed/output.mp4"))
        let frames = file.colours(at: [(320, 60)]).map { $0[0] }
        #expect(abs(frames.count - 240) <= 3)
        for (number, colour) in frames.enumerated() where number >= 34 && number % 30 > 3 && number % 30 < 27 {
            #expect(Synthesis.second(ofLuma: Double(colour.y)) == number / 30 && colour.u > 170, "frame \(number) shows \(colour)")
        }
        _ = try work("preview --dir '\(room.folder)'")
        let playlist = room.file("preview/\(try room.previewIndex().peers[0].av.playlist)")
        #expect(decodeErrors(playlist) == "")
        let shown = lumas(playlist)
        for second in 2..<8 { #expect(Set(shown[(second * 15 + 2)..<min(shown.count, second * 15 + 13)].map(Synthesis.second(ofLuma:))) == [second], "second \(second) of the preview") }
        #expect(try finalise(room) == manifest, "done again, it is the same")
        // Pictures of one colour do not stand on a thumbnail.
        let shot = run("ffmpeg -v error -y -f lavfi -i testsrc=s=160x120:r=10:d=9 -c:v libvpx -b:v 200k '\(room.file("tracks/ann/camera-device.part1.webm"))' </dev/null")
        #expect(shot.status == 0, "\(shot)")
        #expect(try work("thumbnail --dir '\(room.folder)'").tracks == 1)
    }
    /// In each second the words that were spoken in it: as loud as they were beside the seconds before the hole.
    private func hears(_ samples: [Float]) {
        func energy(_ samples: ArraySlice<Float>) -> Float { samples.reduce(0) { $0 + $1 * $1 } }
        var factors: [Float] = []
        for second in 0..<13 {
            let range = (second * 48_000)..<((second + 1) * 48_000)
            factors.append(energy(samples[range]) / energy(Self.speech[range]))
        }
        let usual = factors[..<4].sorted()[2]
        #expect(factors.allSatisfy { $0 > usual / 2 && $0 < usual * 2 }, "\(factors)")
    }

    /// Run again with what has arrived meanwhile; run again with nothing new, it changes nothing.
    @Test func laterChunksAreTakenInByAnotherRun() throws {
        let (room, chunks) = try room()
        var index = UploadIndex()
        try room.upload(&index, "u1", .camera, startedAt: 1.5, chunks) { $0 < 3 || $0 > 7 }
        let first = try finalise(room)
        #expect(first.deviceTracks?.allSatisfy { $0.chunks.missing == [[3, 7]] && $0.file != nil } == true)
        index = UploadIndex()
        try room.upload(&index, "u1", .camera, startedAt: 1.5, chunks)
        let second = try finalise(room)
        #expect(second.deviceTracks?.allSatisfy { $0.chunks.isWhole && $0.holes.isEmpty } == true)
        #expect(second.repairs.count == 2 && second.repairs.allSatisfy { $0.piece.to - $0.piece.from > 3.2 })
        #expect(first.revision == 1 && second.revision == 2)
        let third = try finalise(room)
        #expect(third == second, "its revision too: nothing need be made of it again")
        #expect(run("ls -A '\(room.file("tracks/ann"))'").output == "cam.webm\ncamera-device.part1.webm\nmic.webm\nmicrophone-device.part1.webm\n")
        _ = system("rm -r '\(room.file("chunks"))'")
        let without = try finalise(room)
        #expect(without.deviceTracks == nil && without.edits == nil && without.revision == 3)
        #expect(run("ls -A '\(room.file("tracks/ann"))'").output == "cam.webm\nmic.webm\n")
    }

    /// A clock 300 ms wrong either way, a crystal 100 ppm off, seconds lost at the server: within 20 ms at both ends.
    @Test(arguments: [(0.3, 0.0), (-0.3, 0.0001), (0.1, -0.0001)] as [(Double, Double)])
    func placesAreRightWithinTwentyMilliseconds(error: Double, drift: Double) throws {
        let room = RecordedRoom()
        room.microphone(Self.speech, seconds: 60, lost: [12...15, 33...34])
        try room.writeFacts(seconds: 60, participants: [.init(id: "ann", name: "Ann")])
        let bytes = BrowserRecording.webm(start: 3.7, seconds: 50, speech: Self.speech, drift: drift, hasPicture: false, into: room.storage.path)
        var index = UploadIndex()
        try room.upload(&index, "u1", .audio, startedAt: 3.7 + error, BrowserRecording.chunks(bytes)) { $0 != 20 }
        let manifest = try finalise(room)
        let device = try #require(manifest.deviceTracks?.first), alignment = try #require(device.alignment)
        #expect(alignment.method == .sound && alignment.agreeing >= 8, "\(alignment)")
        for time in [0.0, 25, 50] {
            let off = Double(try #require(alignment.recorded(Int64(time * 1e6)))) / 1e6 - (3.7 + time * (1 + drift))
            #expect(abs(off) < 0.02, "\(off) s off at \(time): \(alignment)")
        }
        #expect(manifest.edits?.first?.pieces.filter { $0.origin == .device }.count == 2)
    }

    /// From second 3 to second 6 ann was not to be recorded: her browser went on, and nothing of it is in a file.
    @Test func whoIsLeftOutIsInNoFile() throws {
        let (room, chunks) = try room()
        func event(_ kind: RecordedEvent.Kind, at second: Int64) -> RecordedEvent { RecordedEvent(kind, at: WallTime(microseconds: RecordedRoom.zero + second * 1_000_000), participant: "ann") }
        try room.writeEvents([event(.participantExcluded, at: 3), event(.participantIncluded, at: 6)])
        var index = UploadIndex()
        try room.upload(&index, "u1", .camera, startedAt: 1.32, uncertainty: 30_000, chunks)
        let manifest = try finalise(room)
        for device in try #require(manifest.deviceTracks) {
            let hole = try #require(device.holes.first), path = room.file(try #require(device.file).path)
            #expect(device.holes.count == 1 && hole.cause == .leftOut && hole.from <= 2.72 && hole.to >= 6, "\(device)")
            let times = run("ffprobe -v error -show_entries packet=pts_time -of csv=p=0 '\(path)'").output.split(separator: "\n").compactMap { Double(String($0).trimmed.filter { $0 != "," }) }
            #expect(times.count > 100 && !times.contains { $0 > 2.72 && $0 < 5.99 })
        }
        #expect(manifest.repairs.allSatisfy { $0.piece.from >= 6 })
    }

    /// Each upload fails alone, with its reason.
    @Test func hostileUploadsCostThemselves() throws {
        let (room, chunks) = try room()
        var index = UploadIndex()
        try room.upload(&index, "good", .camera, startedAt: 1.4, chunks)
        var random = SplitMix64(seed: 3)
        let noise = (0..<20_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try room.upload(&index, "noise", .screen, startedAt: 2, [noise, noise])
        try room.upload(&index, "headless", .screen, startedAt: 3, chunks) { $0 > 0 }
        try room.upload(&index, "head", .screen, startedAt: 4, [Array(chunks[0].prefix(240))])
        try room.upload(&index, "late", .audio, startedAt: 900_000, chunks)
        try room.upload(&index, "after", .audio, startedAt: 500, chunks)
        let damaged = chunks.enumerated().map { number, chunk in chunk.map { number > 1 && random.next() % 60 == 0 ? UInt8(truncatingIfNeeded: random.next()) : $0 } }
        try room.upload(&index, "muddled", .screen, startedAt: 5, damaged)
        // One chunk with other bytes than were told, one shorter, one a link, one gone.
        try room.upload(&index, "changed", .audio, startedAt: 1.4, chunks)
        let changed = try #require(index.upload("changed", .audio)).firstSequence
        writeFile(room.chunk(.audio, changed + 2), chunks[3].map { $0 ^ 1 } + [0])
        writeFile(room.chunk(.audio, changed + 5), Array(chunks[5].prefix(100)))
        _ = system("ln -sf /etc/passwd '\(room.chunk(.audio, changed + 7))'; rm '\(room.chunk(.audio, changed + 9))'")
        _ = system("mkdir '\(room.file("chunks/..x"))' '\(room.file("chunks/eve"))' && cp '\(room.file("chunks/ann/uploads.json"))' '\(room.file("chunks/eve/"))'")
        _ = try work("finalise --dir '\(room.folder)' --recording rec")
        let manifest = try room.manifest()
        func track(_ upload: String) throws -> Manifest.DeviceTrack { try #require(manifest.deviceTracks?.first { $0.upload == upload }) }
        let good = try track("good")
        #expect(good.reason == nil && manifest.repairs.count == 2)
        for (upload, reason) in [("noise", "no_header"), ("headless", "no_header"), ("head", "no_header"), ("late", "not_in_recording"), ("after", "not_in_recording")] {
            let found = try track(upload)
            #expect(found.reason == reason && found.file == nil, "\(found)")
        }
        // A damaged file is what can be read of it.
        let muddled = try track("muddled")
        #expect(muddled.chunks.leftOut > 1_000 && !muddled.holes.isEmpty)
        #expect(muddled.file.map { probe(room.file($0.path), "stream=codec_name") } == "vp8")
        let after = try track("changed")
        #expect(after.chunks.damaged == [changed + 2] && after.chunks.cutOff == [changed + 5] && after.chunks.missing == [[changed + 7, changed + 7], [changed + 9, changed + 9]])
        #expect(after.file.map { decodeErrors(room.file($0.path)) } == "")
        #expect(manifest.warnings.contains { $0.contains("eve") })
        #expect(manifest.tracks.count == 2 && manifest.tracks.allSatisfy { !$0.files.isEmpty })
        #expect(run("ls -A '\(room.folder)' '\(room.file("tracks/ann"))'").output.split(separator: "\n").allSatisfy { !$0.hasPrefix(".device") && !$0.hasSuffix(".new") })
        writeFile(room.file("chunks/ann/uploads.json"), Array("{".utf8))
        let unnamed = try finalise(room)
        #expect(unnamed.warnings.contains { $0.contains("uploads.json") })
    }

    /// The process that looks at an upload dies: that upload is told as crashed, the recording is finished.
    @Test(arguments: ["kill -SEGV $$", "exit 0", "echo '{\"type\":\"verdict\",\"ok\":true}'", "echo nonsense; exit 3"]) func aCrashIsTheUploadsAlone(script: String) throws {
        let (room, chunks) = try room()
        var index = UploadIndex()
        try room.upload(&index, "u1", .camera, startedAt: 1.4, chunks)
        let executable = "\(room.storage.path)/worker"
        writeFile(executable, Array("#!/bin/sh\n\(script)\n".utf8))
        chmod(executable, 0o700)
        let manifest = try finalise(room, WorkerIsolation(executable: executable))
        #expect(manifest.tracks.count == 2 && manifest.edits == [])
        #expect(["crashed", "missing"].contains(manifest.deviceTracks?.first?.reason ?? ""), "\(manifest.deviceTracks ?? [])")
    }
}
