import Capture
import Glibc
import Primitives
import RTP
import Testing

/// The process itself: its lines, its exit codes, and what hostile journals do to it.
@Suite(.serialized, .timeLimit(.minutes(3))) struct MediaWorkerTests {
    private func messages(_ output: String) -> [WorkerMessage] { output.split(separator: "\n").compactMap { WorkerMessage(line: String($0)) } }
    private func verdict(_ result: CommandResult) throws -> WorkerVerdict {
        guard case .verdict(let verdict)? = messages(result.output).last else { throw Missing(result: result) }
        return verdict
    }
    private struct Missing: Error { var result: CommandResult }
    private func finalise(_ room: RecordedRoom, _ options: String = "") -> CommandResult {
        run("'\(mediaWorker)' finalise --dir '\(room.folder)' --recording rec \(options)")
    }

    @Test func printsProgressThenAVerdict() throws {
        let room = RecordedRoom()
        let audio = Synthesis.opus(seconds: 5, into: room.storage.path)
        var packetiser = Packetiser(.opus, ssrc: 2)
        room.write(room.header("mic", "ann", .opus), room.items(audio, &packetiser))
        let result = finalise(room)
        #expect(result.status == 0, "\(result)")
        let lines = result.output.split(separator: "\n")
        #expect(messages(result.output).count == lines.count)
        var last = 0.0
        for case .progress(_, let done, _) in messages(result.output) {
            #expect(done >= last)
            last = done
        }
        #expect(last == 1)
        let end = try verdict(result)
        #expect(end.ok && end.code == "ready" && end.tracks == 1 && abs(end.duration - 5) < 0.1 && end.size > 1000)
    }

    @Test func exitCodesTellWhy() throws {
        #expect(run("'\(mediaWorker)' nonsense").status == 64)
        #expect(run("'\(mediaWorker)' finalise --dir /tmp").status == 64)
        #expect(run("'\(mediaWorker)' finalise --dir /nonexistent --recording rec").status == 66)
        #expect(run("'\(mediaWorker)' --help").status == 0)
        let room = RecordedRoom()
        let empty = finalise(room)
        #expect(empty.status == 65)
        #expect(try verdict(empty).code == "nothing_captured")
    }

    /// Journals whose records are intact and whose packets are noise: the checksum does not vouch for the sender.
    @Test(arguments: 0..<24 as Range<UInt64>)
    func hostilePacketsNeverCrashIt(seed: UInt64) throws {
        let room = RecordedRoom()
        var random = SplitMix64(seed: seed)
        let codec = Codec.allCases[Int(seed % 5)]
        var items: [RecordedRoom.Item] = [], at = RecordedRoom.zero, timestamp: UInt32 = 0
        for number in 0..<3_000 as Range<UInt16> {
            at += Int64(random.next() % 20_000)
            if random.next() % 4 == 0 { timestamp &+= UInt32(random.next() % 50 == 0 ? random.next() & 0xFFFF_FFFF : 3_000) }
            if random.next() % 20 == 0 {
                items.append(.init(type: .rtcp, at: at, bytes: senderReport(ssrc: 1, sentAt: Int64(random.next() % 4_000_000_000_000_000), timestamp: UInt32(truncatingIfNeeded: random.next()))))
                continue
            }
            var packet = [UInt8](repeating: 0, count: 12)
            packet.withUnsafeMutableBytes {
                RTPHeader.write(to: $0.baseAddress!, payloadType: codec.defaultPayloadType, marker: random.next() % 3 == 0,
                    sequence: random.next() % 30 == 0 ? UInt16(truncatingIfNeeded: random.next()) : number, timestamp: timestamp, ssrc: random.next() % 40 == 0 ? 2 : 1)
            }
            packet += plausible(codec, &random)
            if random.next() % 30 == 0 { packet = (0..<Int(random.next() % 60)).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
            items.append(.init(type: random.next() % 50 == 0 ? .rtcp : .rtp, at: at, bytes: packet))
        }
        room.write(room.header("cam", "ann", codec), items)
        writeFile("\(room.folder)/recording.json", Array(#"{"recording_id":"rec","room_id":"room","started_at_us":-9223372036854775808}"#.utf8))
        writeFile("\(room.folder)/events-n1.jsonl", Array("{\"type\":\"muted\",\"at_us\":9223372036854775807}\n\u{0}\u{1}{{{\n".utf8))
        let result = finalise(room)
        #expect([0, 65].contains(result.status), "\(result)")
        #expect(try verdict(result).ok == (result.status == 0))
        #expect(try room.manifest().tracks.count == 1)
        // Clocks that lie make a recording of days, most of it black: not for a quick test.
        guard seed < 8, try room.manifest().duration < 120 else { return }
        // Its preview, from what finishing made of it and from the journals.
        for _ in 0..<2 {
            let preview = run("'\(mediaWorker)' preview --dir '\(room.folder)' --fps 10")
            #expect([0, 65].contains(preview.status), "\(preview)")
            #expect(try verdict(preview).ok == (preview.status == 0))
            unlink(room.file("metadata.json"))
        }
    }
    /// Payloads that look like the codec's for a few bytes.
    private func plausible(_ codec: Codec, _ random: inout SplitMix64) -> [UInt8] {
        var body = (0..<Int(random.next() % 80)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        switch codec {
        case .opus: return [UInt8(truncatingIfNeeded: random.next())] + body
        case .vp8:
            if random.next() % 3 == 0 { body = [0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A] + body }
            let head: UInt8 = random.next() % 2 == 0 ? 0x10 : 0x00
            return [head] + body
        case .vp9:
            let head: [UInt8] = [UInt8(truncatingIfNeeded: random.next()) & 0x4C, 0x82, 0x49, 0x83, 0x42]
            return head + body
        case .h264:
            let types: [UInt8] = [0x67, 0x68, 0x65, 0x61, 0x78, 0x7C]
            let head: [UInt8] = [types[Int(random.next() % 6)], 0x42, 0xC0, 0x1F]
            return head + body
        case .av1:
            let head: [UInt8] = [UInt8(truncatingIfNeeded: random.next()) & 0xD8, 0x0A, 0x0B, 0x00]
            return head + body
        }
    }

    /// Files that are no journals at all, cut short, or swapped between tracks.
    @Test func hostileFilesAreCountedNotTrusted() throws {
        let room = RecordedRoom()
        let audio = Synthesis.opus(seconds: 2, into: room.storage.path)
        var packetiser = Packetiser(.opus, ssrc: 2)
        let good = room.write(room.header("mic", "ann", .opus), room.items(audio, &packetiser))
        let bytes = readFile(good), folder = "\(room.folder)/journal/mic"
        writeFile("\(folder)/x-1-1.trj", [])
        writeFile("\(folder)/x-1-2.trj", Array("TRPJ".utf8))
        writeFile("\(folder)/x-1-3.trj", (0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        writeFile("\(folder)/x-1-4.trj", JournalEncoder.header(room.header("other", "bob", .opus)))
        writeFile("\(folder)/x-1-5.trj", Array(bytes.prefix(bytes.count / 2)))
        _ = system("ln -s /etc/passwd '\(folder)/x-1-6.trj'; mkdir '\(folder)/x-1-7.trj' '\(room.folder)/journal/..odd' '\(room.folder)/journal/empty'")
        let result = finalise(room)
        #expect(result.status == 0, "\(result)")
        let manifest = try room.manifest()
        let track = try #require(manifest.tracks.first)
        #expect(track.integrity.unreadableSegments == 4 && track.integrity.segments == 2)
        #expect(track.files[0].frames == audio.count)
        #expect(manifest.warnings.contains { $0.contains("x-1-6.trj") } && manifest.warnings.contains { $0.contains("empty") })
    }

    /// A manifest that lies, and files that are not what it says.
    @Test func hostileTracksCostAPreviewNothingButThemselves() throws {
        let room = RecordedRoom()
        let source = Synthesis.video(.vp8, seconds: 3, size: "160x120", into: room.storage.path), audio = Synthesis.opus(seconds: 3, into: room.storage.path)
        var camera = Packetiser(.vp8, ssrc: 1), microphone = Packetiser(.opus, ssrc: 2)
        room.write(room.header("cam", "ann", .vp8), room.items(source.frames, &camera))
        room.write(room.header("mic", "ann", .opus), room.items(audio, &microphone))
        #expect(finalise(room).status == 0)
        let preview = "'\(mediaWorker)' preview --dir '\(room.folder)'", thumbnail = "'\(mediaWorker)' thumbnail --dir '\(room.folder)'"
        let file = room.file("tracks/ann/cam.webm"), good = readFile(file), manifest = readFile(room.file("metadata.json"))
        var noise = SplitMix64(seed: 7)
        let damaged = good.enumerated().map { $0.offset > 600 && noise.next() % 40 == 0 ? UInt8(truncatingIfNeeded: noise.next()) : $0.element }
        for bytes in [damaged, Array(good.prefix(good.count / 2)), Array("#EXTM3U\nfile:///etc/passwd\n".utf8), []] {
            writeFile(file, bytes)
            let result = run(preview)
            #expect(result.status == 0, "\(result)")
            #expect(decodeErrors(room.file("preview/peers/ann/av.m3u8")) == "")
            #expect([0, 65].contains(run(thumbnail).status))
        }
        let broken = run(preview)
        #expect(try verdict(broken).complete == false)
        #expect(try room.previewIndex().warnings.contains { $0.contains("cam") })
        writeFile(file, good)
        for lie in ["/etc/passwd", "tracks/../../x.webm", "tracks/ann/../../../x"] {
            writeFile(room.file("metadata.json"), Array(String(decoding: manifest, as: UTF8.self).replacing("tracks/ann/cam.webm", with: lie).utf8))
            for command in [preview, thumbnail] {
                let result = run(command)
                let message = try verdict(result).message
                #expect(result.status == 65 && message.contains("metadata.json"), "\(result)")
            }
        }
        writeFile(room.file("metadata.json"), manifest)
        #expect(run("\(preview) --height 7").status == 64 && run("\(preview) --segment-seconds 3").status == 64)
        let full = run("ulimit -f 8; \(preview)")
        let code = try verdict(full).code
        #expect(full.status == 74 && code == "disk_full", "\(full)")
        #expect(run("ls -A '\(room.file("preview/peers/ann"))'").output.contains(".new") == false)
        #expect(run(preview).status == 0)
    }

    @Test func aFullDiskIsSaidAndLeavesNothingHalf() throws {
        let room = RecordedRoom()
        let source = Synthesis.video(.vp8, seconds: 4, into: room.storage.path)
        var packetiser = Packetiser(.vp8, ssrc: 1)
        room.write(room.header("cam", "ann", .vp8), room.items(source.frames, &packetiser))
        // A limit on the size of files stands for a full disk: both end a write early.
        let result = run("ulimit -f 100; '\(mediaWorker)' finalise --dir '\(room.folder)' --recording rec")
        #expect(result.status == 74, "\(result)")
        #expect(try verdict(result).code == "disk_full")
        #expect(run("ls -A '\(room.file("tracks/ann"))'").output.trimmed == "")
        #expect(finalise(room).status == 0)
    }
}
