import Capture
import Composition
import Glibc
import Primitives
import RTP
import Testing

/// The whole command on whole files: who is where, who is heard, from when to when.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ExportTests {
    private typealias YUV = (y: Int, u: Int, v: Int)
    private static let picture = VideoSize(width: 640, height: 360)
    private static let small = "'export': {'resolution': '360p', 'fps': 30}"

    private func centre(_ place: Rectangle) -> (x: Int, y: Int) { (place.x + place.width / 2, place.y + place.height / 2) }
    /// The second of the recording ann's grey stands for; nil for another colour.
    private func second(_ colour: YUV) -> Int? {
        guard abs(colour.u - 128) < 8, abs(colour.v - 128) < 8 else { return nil }
        let at = (Double(colour.y) - 40) / 20
        return abs(at - at.rounded()) < 0.3 && at > -0.3 ? Int(at.rounded()) : nil
    }
    private func isGreen(_ colour: YUV) -> Bool { colour.u < 105 && colour.v < 100 }
    private func isBlue(_ colour: YUV) -> Bool { colour.u > 170 && colour.v < 128 }
    /// Of who has no picture: Captions' own colour, or a letter in it.
    private func isPlaceholder(_ colour: YUV) -> Bool { abs(colour.u - 136) < 12 && abs(colour.v - 122) < 12 && !isBlue(colour) }

    @Test func everyoneIsInTheirPlaceAtTheirTime() throws {
        let room = ExportedRoom()
        let (verdict, status, lines) = try room.export("{\(Self.small)}")
        #expect(status == 0 && verdict.ok && verdict.complete && verdict.missing == [] && verdict.missingCount == 0 && verdict.tracks == 5 && verdict.duration == 10)
        #expect(verdict.outputPath == "rooms/room/rec/processed/output.mp4")
        let file = ExportedFile(path: room.file("processed/output.mp4"))
        #expect(verdict.size == Int64(readFile(file.path).count))
        #expect(probe(file.path, "stream=codec_name,width,height,r_frame_rate", "-select_streams v") == "h264\n640\n360\n30/1")
        #expect(probe(file.path, "stream=codec_name,sample_rate,channels", "-select_streams a") == "aac\n48000\n2")
        #expect(probe(file.path, "format_tags=title") == "A meeting")
        for stream in ["v", "a"] { #expect(abs((Double(probe(file.path, "stream=duration", "-select_streams \(stream)")) ?? 0) - 10) < 0.034) }
        let boxes = file.boxes()
        #expect(try #require(boxes.firstIndex(of: "moov")) < #require(boxes.firstIndex(of: "mdat")), "\(boxes)")
        #expect(decodeErrors(file.path) == "")
        let two = Arrangement(Self.picture).grid(2).map(centre), three = Arrangement(Self.picture).grid(3).map(centre)
        let frames = file.colours(at: two + three)
        #expect(frames.count == 300)
        for (number, colours) in frames.enumerated() {
            let time = Double(number) / 30
            let (ann, bob) = time < 2 ? (colours[0], colours[1]) : (colours[2], colours[3])
            #expect(second(ann) == number / 30, "frame \(number) shows \(ann)")
            #expect(isGreen(bob), "frame \(number) shows \(bob)")
            if time >= 2.05, time < 6.95 { #expect(isBlue(colours[4]), "frame \(number) shows \(colours[4])") }
            if time >= 7.05 { #expect(isPlaceholder((colours[4].y, colours[4].u, colours[4].v)), "frame \(number) shows \(colours[4])") }
        }
        // A portrait picture keeps its shape: beside it is the frame's dark.
        let tile = Arrangement(Self.picture).grid(2)[1]
        let sides = file.colours(at: [(tile.x + 20, tile.y + 40), (tile.x + tile.width - 20, tile.y + 40)])[10]
        #expect(sides.allSatisfy { $0.y < 30 && abs($0.u - 128) < 6 })
        var last = 0.0
        for case .progress(_, let done, let eta)? in lines.map(WorkerMessage.init(line:)) {
            #expect(done >= last && (eta ?? 0) >= 0)
            last = done
        }
        #expect(last == 1 && lines.count > 10)
        #expect(run("ls -A '\(room.file("processed"))'").output.trimmed == "output.mp4")
    }

    @Test func aCutTakesOutExactlyItsSpan() throws {
        let room = ExportedRoom()
        let (verdict, _, _) = try room.export("{'layout': 'single', 'timeline': [{'t': 2000, 'type': 'cut', 'until': 4500}, {'t': 9000, 'type': 'cut', 'until': 10000}, {'t': 0, 'type': 'pin', 'peer_id': 'ann'}], \(Self.small)}")
        #expect(verdict.duration == 6.5)
        let file = ExportedFile(path: room.file("processed/output.mp4"))
        let seconds = file.colours(at: [(320, 100)]).map { second($0[0]) ?? -1 }
        #expect(seconds == (0..<195).map { ($0 < 60 ? $0 : $0 + 75) / 30 }, "\(seconds)")
        // bob's pause from 4 s to 5 s is half cut away: silent from 2.0 s to 2.5 s of the output, and nowhere else.
        let samples = file.samples()
        #expect(abs(samples.count - 312_000) < 1_600)
        for tenth in 1..<64 {
            let loud = tone(880, in: samples[(tenth * 4_800 + 600)..<min(samples.count, tenth * 4_800 + 4_200)])
            if (20..<25).contains(tenth) { #expect(loud < 0.01, "at \(tenth)") } else { #expect(loud > 0.05, "at \(tenth): \(loud)") }
        }
    }

    @Test func aMuteSilencesOnePersonAlone() throws {
        let room = ExportedRoom()
        _ = try room.export("{'timeline': [{'t': 2000, 'type': 'mute', 'peer_id': 'ann', 'until': 3500}], 'tracks': [{'peer_id': 'bob', 'gain_db': -6}], \(Self.small)}", "--format m4a")
        let file = ExportedFile(path: room.file("processed/output.m4a"))
        #expect(probe(file.path, "stream=codec_name") == "aac")
        let samples = file.samples()
        for tenth in 1..<98 {
            let part = samples[(tenth * 4_800 + 480)..<(tenth * 4_800 + 4_320)]
            let ann = tone(440, in: part), bob = tone(880, in: part)
            if (20..<35).contains(tenth) { #expect(ann < 0.005, "at \(tenth): \(ann)") } else { #expect(ann > 0.1, "at \(tenth): \(ann)") }
            if !(39..<51).contains(tenth) { #expect(abs(bob / ann - 0.5) < 0.05 || (20..<35).contains(tenth), "6 dB less at \(tenth): \(bob) beside \(ann)") }
        }
    }

    @Test(arguments: [-20, 12]) func loudnessIsNormalised(gain: Int) throws {
        let room = ExportedRoom()
        let (verdict, _, _) = try room.export("{'tracks': [{'peer_id': 'ann', 'gain_db': \(gain)}, {'peer_id': 'bob', 'gain_db': \(gain)}]}", "--format m4a")
        let loudness = try #require(ExportedFile(path: room.file("processed/output.m4a")).loudness())
        #expect(abs(loudness + 16) < 1, "\(loudness)")
        let before = try #require(verdict.loudness)
        #expect(abs(before - (-18.5 + Double(gain))) < 1.5, "\(before)")
    }

    @Test func whoSpeaksIsLargeFromTheirFirstWord() throws {
        let room = ExportedRoom()
        for (peer, from, to) in [("ann", 0, 2_900), ("bob", 3_000, 5_900), ("cid", 6_000, 6_900)] as [(ParticipantID, Int64, Int64)] {
            var entry = Timeline.Entry(t: from, type: "speaking", peerID: peer, trackID: TrackID(peer == "cid" ? "cid-cam" : "\(peer)-mic"))
            entry.until = to
            room.events.append(entry)
        }
        _ = try room.export("{'layout': 'speaker', 'timeline': [{'t': 8000, 'type': 'layout', 'layout': 'sidebar'}, {'t': 8000, 'type': 'hide', 'peer_id': 'cid'}], \(Self.small)}")
        let arrangement = Arrangement(Self.picture)
        let file = ExportedFile(path: room.file("processed/output.mp4"))
        let frames = file.colours(at: [centre(arrangement.speaker(others: 2).main), centre(arrangement.sidebar(others: 1).main)])
        for (number, colours) in frames.enumerated() where !(58...62).contains(number) {
            switch number {
            case 0..<90: #expect(second(colours[0]) == number / 30, "frame \(number) shows \(colours[0])")
            case 90..<180: #expect(isGreen(colours[0]), "frame \(number) shows \(colours[0])")
            case 181..<209: #expect(isBlue(colours[0]), "frame \(number) shows \(colours[0])")
            case 211..<240: #expect(isPlaceholder(colours[0]), "frame \(number) shows \(colours[0])")
            case 240...: #expect(second(colours[1]) == number / 30, "whoever came first: frame \(number) shows \(colours[1])")
            default: break
            }
        }
    }

    @Test func chaptersAndFramesPerSecondAreAsWritten() throws {
        let room = ExportedRoom()
        let (verdict, _, _) = try room.export(
            "{'timeline': [{'t': 0, 'type': 'chapter', 'title': 'One'}, {'t': 2500, 'type': 'chapter', 'title': 'Zwei; = #'}, {'t': 1000, 'type': 'cut', 'until': 2000}], 'export': {'resolution': '480p', 'fps': 24}}",
            "--out processed/exports/e1.mp4 --preset fast")
        #expect(verdict.chapters == 2 && verdict.outputPath == "rooms/room/rec/processed/exports/e1.mp4")
        let path = room.file("processed/exports/e1.mp4")
        let chapters = run("ffprobe -v error -show_chapters -show_entries chapter=start_time,end_time:chapter_tags=title -of csv=p=0 '\(path)'").output.split(separator: "\n").map { String($0) }
        #expect(chapters == ["0.000000,1.500000,One", "1.500000,9.000000,Zwei; = #"])
        #expect(probe(path, "stream=width,height,r_frame_rate,nb_frames", "-select_streams v") == "854\n480\n24/1\n216")
        #expect(run("ls -A '\(room.file("processed/exports"))'").output.trimmed == "e1.mp4")
    }

    @Test func webmIsVP8AndOpus() throws {
        let room = ExportedRoom()
        let (verdict, _, _) = try room.export(nil, "")
        #expect(verdict.ok && verdict.outputPath == "rooms/room/rec/processed/output.webm")
        let path = room.file("processed/output.webm")
        #expect(probe(path, "stream=codec_name") == "vp8\nopus")
        #expect(decodeErrors(path) == "")
        #expect(abs((Double(probe(path, "format=duration")) ?? 0) - 10) < 0.05)
        let loudness = try #require(ExportedFile(path: path).loudness())
        #expect(abs(loudness + 16) < 1)
        let places = Arrangement(VideoSize(width: 1280, height: 720)).grid(3).map(centre)
        let frame = ExportedFile(path: path).colours(at: places)[150]
        #expect(second(frame[0]) == 5 && isGreen(frame[1]) && isBlue(frame[2]))
    }

    /// What is there is exported, what is not is named.
    @Test func aDamagedRecordingIsExportedAsFarAsItGoes() throws {
        let room = ExportedRoom()
        unlink(room.file("tracks/bob/cam.mkv"))
        writeFile(room.file("tracks/ann/mic.webm"), Array("not a film".utf8))
        let torn = readFile(room.file("tracks/ann/cam.webm"))
        writeFile(room.file("tracks/ann/cam.webm"), Array(torn.prefix(torn.count * 6 / 10)))
        room.manifest.tracks.append(ExportedRoom.track("bob", "second", .vp8, "webm", 3, 2))
        room.manifest.tracks[5].files = []
        room.manifest.complete = false
        let (verdict, status, _) = try room.export("{\(Self.small)}")
        #expect(status == 0 && verdict.ok && !verdict.complete && verdict.message.contains("3 parts"))
        let missing = try #require(verdict.missing).sorted { $0.trackID < $1.trackID }
        #expect(missing == [
            .init(peerID: "ann", trackID: "ann-mic", from: 0, to: 10, cause: "unreadable_file"), .init(peerID: "bob", trackID: "bob-cam", from: 0, to: 10, cause: "unreadable_file"),
            .init(peerID: "bob", trackID: "bob-second", cause: "no_file"),
        ])
        let file = ExportedFile(path: room.file("processed/output.mp4"))
        #expect(decodeErrors(file.path) == "")
        let three = Arrangement(Self.picture).grid(3).map(centre), frames = file.colours(at: three)
        #expect(frames.count == 300 && isPlaceholder(frames[100][1]) && isBlue(frames[100][2]) && second(frames[100][0]) == 3)
        #expect(tone(880, in: file.samples()[48_000..<96_000]) > 0.05)
    }

    @Test func whatCannotBeRenderedIsSaid() throws {
        let room = ExportedRoom()
        let unknown = try room.export("{'timeline': [{'t': 0, 'type': 'pin', 'peer_id': 'eve'}, {'t': 11000, 'type': 'unpin'}]}")
        #expect(unknown.status == 65 && unknown.verdict.code == "unusable")
        #expect(unknown.verdict.message == "timeline[0].peer_id: \"eve\" is not in this recording; write one of ann, bob, cid\ntimeline[1].t: 11000 is after the end; the recording ends at 10000 ms")
        #expect(try room.export("nonsense").status == 65)
        for options in ["--out ../x.mp4", "--out processed/../../x.mp4", "--out metadata.json", "--format avi", "--threads 0", "--composition"] { #expect(try room.export(nil, options).status == 64, "\(options)") }
        #expect(try room.export(nil, "--format mp4 --composition /nonexistent").status == 66)
        writeFile(room.file("metadata.json"), Array("{".utf8))
        #expect(run("'\(mediaWorker)' export --dir '\(room.folder)'").status == 65)
        unlink(room.file("metadata.json"))
        #expect(run("'\(mediaWorker)' export --dir '\(room.folder)'").status == 66)
        #expect(run("ls -A '\(room.file("processed"))' 2>/dev/null").output == "")
    }

    /// A killed attempt's leftovers are taken over; an attempt that runs is not disturbed.
    @Test func onlyOneAttemptWritesAtATime() throws {
        let room = ExportedRoom()
        _ = system("mkdir -p '\(room.file("processed"))' && echo rubbish > '\(room.file("processed/.output.m4a.part"))'")
        let lock = open(room.file("processed/.output.m4a.part"), O_RDWR)
        #expect(flock(lock, LOCK_EX | LOCK_NB) == 0)
        let second = try room.export(nil, "--format m4a")
        #expect(second.status == 75 && second.verdict.code == "busy")
        close(lock)
        #expect(try room.export(nil, "--format m4a").status == 0)
        #expect(run("ls -A '\(room.file("processed"))'").output.trimmed == "output.m4a")
        #expect(decodeErrors(room.file("processed/output.m4a")) == "")
    }
}
