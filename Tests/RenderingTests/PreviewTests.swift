import Capture
import Glibc
import Primitives
import RTP
import Testing
@testable import Rendering

/// Previews of finished recordings: what plays, when, and that everyone's segments are the same.
@Suite(.serialized, .timeLimit(.minutes(3))) struct PreviewTests {
    init() { quietLibav() }
    private func preview(_ room: RecordedRoom, _ settings: PreviewSettings = PreviewSettings()) throws -> WorkerVerdict {
        try Previewer(path: room.folder, settings: settings).run()
    }

    /// Two people, one of them late, one with H.264, one with a shared screen: segments, times, pictures and sound of each second.
    @Test func everySecondIsWhereItBelongs() throws {
        let room = RecordedRoom()
        let vp8 = Synthesis.video(.vp8, seconds: 9, picture: "color", into: room.storage.path)
        let h264 = Synthesis.video(.h264, seconds: 4, keyEvery: 45, picture: "color", into: room.storage.path)
        let sound = Synthesis.opus(seconds: 9, into: room.storage.path)
        var camera = Packetiser(.vp8, ssrc: 1), microphone = Packetiser(.opus, ssrc: 2), late = Packetiser(.h264, ssrc: 3), screen = Packetiser(.vp8, ssrc: 4)
        room.write(room.header("a-cam", "ann", .vp8), room.items(vp8.frames, &camera))
        room.write(room.header("a-mic", "ann", .opus), room.items(sound, &microphone))
        var path = RecordedRoom.Path()
        path.start = 2_000_000
        room.write(room.header("b-cam", "bob", .h264), room.items(h264.frames, &late, path))
        var shared = room.header("b-scr", "bob", .vp8)
        shared.source = "screen_share"
        room.write(shared, room.items(Array(vp8.frames.prefix(30)), &screen, path))
        try room.writeFacts(seconds: 9, participants: [.init(id: "ann", name: "Ann", role: "host"), .init(id: "bob", name: "Bob")])
        _ = try Finaliser(path: room.folder, recording: "rec").run()
        let verdict = try preview(room)
        #expect(verdict.ok && verdict.complete && verdict.segments == 5 && abs(verdict.duration - 9) < 0.1, "\(verdict)")
        #expect(verdict.outputPath == "rooms/room/rec/preview/index.json")

        let index = try room.previewIndex()
        #expect(index.state == .ready && index.segments == 5 && index.segmentSeconds == 2 && index.warnings == [])
        #expect(index.timeZeroMicroseconds == RecordedRoom.zero)
        #expect(index.peers.map(\.name) == ["Ann", "Bob"] && index.screenshares.map(\.peerID) == ["bob"])
        let variants = index.peers.map(\.av) + index.peers.compactMap(\.audio) + index.screenshares.map(\.av)
        #expect(variants.count == 5)
        for variant in variants {
            let playlist = room.file("preview/\(variant.playlist)")
            #expect(decodeErrors(playlist) == "", "\(variant.playlist)")
            let text = String(decoding: readFile(playlist), as: UTF8.self)
            #expect(text.contains("#EXT-X-ENDLIST") && text.split(separator: "\n").filter { $0.hasSuffix(".m4s") }.count == 5)
        }
        // Key frames stand on the borders and nowhere else, in every lane at the very same times.
        for variant in index.peers.map(\.av) + index.screenshares.map(\.av) {
            #expect(keyFrames(room.file("preview/\(variant.playlist)")) == [0, 2, 4, 6, 8])
        }
        // Every second shows its own luma: a picture stands at most half a grid step from where it was taken.
        let ann = lumas(room.file("preview/\(index.peers[0].av.playlist)"))
        #expect(ann.count == Int((verdict.duration * 15).rounded()))
        for second in 0..<9 { #expect(Set(ann[(second * 15 + 1)..<(second * 15 + 14)].map(Synthesis.second(ofLuma:))) == [second], "second \(second) of ann") }
        let bob = lumas(room.file("preview/\(index.peers[1].av.playlist)"))
        #expect(bob.count == ann.count && bob[0..<29].allSatisfy { $0 < 18 }, "nobody was there yet")
        for second in 2..<6 { #expect(Set(bob[(second * 15 + 1)..<(second * 15 + 14)].map(Synthesis.second(ofLuma:))) == [second - 2], "second \(second) of bob") }
        #expect(Synthesis.second(ofLuma: bob[6 * 15 + 30]) == 3, "his last picture stands for a while")
        let shown = lumas(room.file("preview/\(index.screenshares[0].av.playlist)"))
        #expect(Synthesis.second(ofLuma: shown[2 * 15 + 7]) == 0 && shown[7 * 15] < 18)

        // Sound: a tone from the first to the last second of ann, nothing of bob.
        #expect(loudness(room.file("preview/\(index.peers[0].audio!.playlist)")) > -30)
        #expect(loudness(room.file("preview/\(index.peers[1].audio!.playlist)")) < -80)
        #expect(index.peers[0].speaking.count == 1 && index.peers[1].speaking.isEmpty)
        for peer in index.peers {
            for file in [peer.av.playlist, peer.audio!.playlist] {
                #expect(firstTime(room.file("preview/\(file)"), "a") == 0)
            }
        }
    }
}

extension RecordedRoom {
    func previewIndex() throws -> PreviewIndex { try readFile(file("preview/index.json")).withUnsafeBytes { try CaptureJSON.decode(PreviewIndex.self, $0) } }
}
/// Seconds of the key frames of a playlist's picture.
func keyFrames(_ path: String) -> [Double] {
    run("ffprobe -v error -select_streams v -skip_frame nokey -show_entries frame=pts_time -of csv=p=0 '\(path)'").output.split(separator: "\n").compactMap { Double(String($0).trimmed.filter { $0 != "," }) }
}
/// Seconds of the first frame of a playlist's sound ("a") or picture ("v").
func firstTime(_ path: String, _ stream: String) -> Double? {
    run("ffprobe -v error -select_streams \(stream) -read_intervals %+#1 -show_entries packet=pts_time -of csv=p=0 '\(path)'").output.split { !($0.isNumber || $0 == "." || $0 == "-") }.first.flatMap { Double(String($0)) }
}
/// Mean luma of each picture.
func lumas(_ path: String) -> [Double] {
    let plane = run("ffmpeg -v error -i '\(path)' -map 0:v -fps_mode passthrough -vf extractplanes=y,crop=iw/4:ih/2,scale=1:1:flags=area -f rawvideo - </dev/null | od -An -v -tu1 -w1").output
    return plane.split(separator: "\n").compactMap { Double(String($0).trimmed) }
}
/// RMS in dBFS.
func loudness(_ path: String) -> Double {
    let text = run("ffmpeg -v info -i '\(path)' -map 0:a -af volumedetect -f null - </dev/null").errors
    guard let line = text.split(separator: "\n").first(where: { $0.contains("mean_volume:") }), let value = line.split(separator: ":").last?.split(separator: " ").first else { return -.infinity }
    return Double(value) ?? -.infinity
}
