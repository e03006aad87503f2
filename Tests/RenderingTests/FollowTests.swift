import Capture
import Glibc
import Primitives
import RTP
import Testing
@testable import Rendering

/// Previews while the recording runs: the process follows journals that this test writes in real time.
@Suite(.serialized, .timeLimit(.minutes(2))) struct FollowTests {
    /// A journal and what comes into it, by receive time.
    private struct Feed { var path: String; var items: [RecordedRoom.Item]; var next = 0 }

    /// Twelve segments of seven minutes each: by name the eleventh comes after the second, more packets ahead than numbers can tell.
    @Test func segmentsAreReadInOrderOfTime() throws {
        let room = RecordedRoom(), perSegment = 7_000
        for segment in 0..<12 {
            let items = (0..<perSegment).map { index -> RecordedRoom.Item in
                let number = segment * perSegment + index
                var packet = [UInt8](repeating: 0, count: RTPHeader.fixedLength)
                packet.withUnsafeMutableBytes {
                    RTPHeader.write(to: $0.baseAddress!, payloadType: Codec.opus.defaultPayloadType, marker: false, sequence: UInt16(truncatingIfNeeded: number), timestamp: UInt32(truncatingIfNeeded: number * 2_880), ssrc: 7)
                }
                return .init(type: .rtp, at: RecordedRoom.zero + Int64(number) * 60_000, bytes: packet + [0x18, 1, 2, 3])
            }
            room.write(room.header("mic", "ann", .opus, segment: UInt32(segment)), items)
        }
        try room.writeFacts(seconds: 12 * 420)
        let input = CapturedInput(Folder(room.folder), follow: false)
        try input.poll(rendered: 0)
        var times: [Int64] = []
        while let frame = input.next(of: "mic") { if !frame.isFiller { times.append(frame.time) } }
        #expect(times.count == 12 * perSegment && zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 60_000 })
    }

    @Test func segmentsAppearWhileTheRecordingRuns() throws {
        quietLibav()
        let room = RecordedRoom(), seconds = 7.0
        let video = Synthesis.video(.vp8, seconds: seconds, size: "160x120", picture: "color", into: room.storage.path)
        let sound = Synthesis.opus(seconds: seconds, into: room.storage.path)
        var camera = Packetiser(.vp8, ssrc: 1), microphone = Packetiser(.opus, ssrc: 2), late = Packetiser(.vp8, ssrc: 3)
        var path = RecordedRoom.Path()
        path.start = 3_000_000
        var feeds = [
            Feed(path: room.open(room.header("a-cam", "ann", .vp8)), items: room.items(video.frames, &camera)),
            Feed(path: room.open(room.header("a-mic", "ann", .opus)), items: room.items(sound, &microphone)),
            Feed(path: room.open(room.header("b-cam", "bob", .vp8)), items: room.items(Array(video.frames.prefix(60)), &late, path)),
        ]
        try room.writeFacts(seconds: nil, participants: [.init(id: "ann", name: "Ann"), .init(id: "bob", name: "Bob")])
        let output = "\(room.storage.path)/follow.out"
        _ = system("'\(mediaWorker)' preview --dir '\(room.folder)' --follow > '\(output)' 2>&1 &")

        let began = monotonicSeconds(), playlist = room.file("preview/peers/ann/av.m3u8")
        var listed = 0, delays: [Double] = [], stopped: Double?
        while stopped.map({ monotonicSeconds() - $0 < 30 }) ?? true {
            let elapsed = monotonicSeconds() - began
            for index in feeds.indices {
                let due = feeds[index].items[feeds[index].next...].prefix { $0.at - RecordedRoom.zero <= Int64(elapsed * 1_000_000) }
                guard !due.isEmpty else { continue }
                feeds[index].next += due.count
                room.append(due, closed: feeds[index].next == feeds[index].items.count, to: feeds[index].path)
            }
            // It runs until two segments were seen: a busy machine may take its time, the recording does not end for that.
            if stopped == nil, feeds.allSatisfy({ $0.next == $0.items.count }), listed >= 2 || elapsed > 40 {
                try room.writeFacts(seconds: Int64(elapsed), participants: [.init(id: "ann", name: "Ann"), .init(id: "bob", name: "Bob")])
                stopped = elapsed + began
            }
            let text = String(decoding: readFile(playlist), as: UTF8.self)
            let now = text.split(separator: "\n").filter { $0.hasSuffix(".m4s") }
            // What a playlist names is there, whole.
            for name in now { #expect(room.folderHolds("preview/peers/ann/\(name)")) }
            while listed < now.count { listed += 1; delays.append(elapsed - Double(listed * 2)) }
            if stopped == nil, !now.isEmpty { #expect(text.contains("#EXT-X-PLAYLIST-TYPE:EVENT") && !text.contains("ENDLIST")) }
            if text.contains("#EXT-X-ENDLIST"), String(decoding: readFile(output), as: UTF8.self).contains("verdict") { break }
            usleep(50_000)
        }
        #expect(stopped.map { $0 - began < 40 } ?? false && delays.count >= 4 && delays.allSatisfy { $0 < 30 }, "segments were listed \(delays) s after their end")
        let lines = String(decoding: readFile(output), as: UTF8.self).split(separator: "\n")
        guard case .verdict(let verdict)? = lines.last.flatMap({ WorkerMessage(line: String($0)) }) else { Issue.record("\(lines)"); return }
        #expect(verdict.ok && verdict.complete && verdict.segments == delays.count, "\(verdict)")

        let index = try room.previewIndex()
        #expect(index.state == .ready && index.timeZeroMicroseconds == RecordedRoom.zero && index.peers.map(\.name) == ["Ann", "Bob"])
        let ann = lumas(room.file("preview/\(index.peers[0].av.playlist)")), bob = lumas(room.file("preview/\(index.peers[1].av.playlist)"))
        #expect(ann.count == Int((verdict.duration * 15).rounded()) && bob.count == ann.count)
        for second in 0..<7 { #expect(Set(ann[(second * 15 + 1)..<(second * 15 + 14)].map(Synthesis.second(ofLuma:))) == [second], "second \(second) of ann") }
        for second in 3..<5 { #expect(Set(bob[(second * 15 + 1)..<(second * 15 + 14)].map(Synthesis.second(ofLuma:))) == [second - 3], "second \(second) of bob") }
        for peer in index.peers {
            #expect(decodeErrors(room.file("preview/\(peer.av.playlist)")) == "")
            let borders: [Double] = delays.indices.map { Double($0 * 2) }
            #expect(keyFrames(room.file("preview/\(peer.av.playlist)")) == borders)
        }
        #expect(loudness(room.file("preview/\(index.peers[0].audio!.playlist)")) > -30)
    }

    /// Nobody finished the recording, nobody runs it: what the journals hold is shown as it is.
    @Test func journalsAloneDo() throws {
        quietLibav()
        let room = RecordedRoom()
        let video = Synthesis.video(.vp8, seconds: 3, size: "160x120", picture: "color", into: room.storage.path)
        var camera = Packetiser(.vp8, ssrc: 1)
        let killed = room.write(room.header("cam", "ann", .vp8), room.items(video.frames, &camera), closed: false)
        writeFile(killed, Array(readFile(killed).dropLast(5)))
        let verdict = try Previewer(path: room.folder, settings: PreviewSettings()).run()
        #expect(verdict.ok && !verdict.complete && verdict.segments == 2)
        let shown = lumas(room.file("preview/peers/ann/av.m3u8"))
        for second in 0..<2 { #expect(Set(shown[(second * 15 + 1)..<(second * 15 + 14)].map(Synthesis.second(ofLuma:))) == [second]) }
    }
}

extension RecordedRoom {
    func folderHolds(_ name: String) -> Bool { access(file(name), R_OK) == 0 }
}
