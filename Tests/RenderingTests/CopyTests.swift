import Capture
import Glibc
import Primitives
import RTP
import Testing
@testable import Rendering

/// Previews of H.264 whose key frames stand on the grid: shown as it came, at the times at which a transcoded one is shown.
@Suite(.serialized, .timeLimit(.minutes(3))) struct CopyTests {
    init() { quietLibav() }
    private static let seconds = 7.9
    private static let folder = TemporaryFolder()
    private static let h264 = Synthesis.video(.h264, seconds: seconds, size: "640x360", keyEvery: 60, picture: "color", into: folder.path).frames
    private static let vp8 = Synthesis.video(.vp8, seconds: seconds, size: "640x360", keyEvery: 60, picture: "color", into: folder.path).frames
    private static let sound = Synthesis.opus(seconds: seconds, into: folder.path)

    /// ann: H.264 in the preview's size, a key frame every other second, beginning with the recording. bob: the same film in VP8, who speaks.
    private func record(_ path: RecordedRoom.Path = RecordedRoom.Path(), size: String = "640x360", without missing: Range<Int64> = 0..<0) throws -> RecordedRoom {
        let room = RecordedRoom()
        let film = size == "640x360" ? Self.h264 : Synthesis.video(.h264, seconds: Self.seconds, size: size, keyEvery: 60, picture: "color", into: room.storage.path).frames
        var ann = Packetiser(.h264, ssrc: 1), bob = Packetiser(.vp8, ssrc: 2), microphone = Packetiser(.opus, ssrc: 3)
        room.write(room.header("a-cam", "ann", .h264), room.items(film.filter { !missing.contains($0.time) }, &ann, path))
        room.write(room.header("b-cam", "bob", .vp8), room.items(Self.vp8, &bob))
        room.write(room.header("b-mic", "bob", .opus), room.items(Self.sound, &microphone))
        try room.writeFacts(seconds: 8, participants: [.init(id: "ann", name: "Ann"), .init(id: "bob", name: "Bob")])
        _ = try Finaliser(path: room.folder, recording: "rec").run()
        let verdict = try Previewer(path: room.folder, settings: PreviewSettings()).run()
        #expect(verdict.ok && verdict.complete, "\(verdict)")
        return room
    }
    private struct Picture { var time: Double; var luma: Double }
    /// Every picture of a lane, decoded without a complaint.
    private func pictures(_ room: RecordedRoom, _ person: Int) throws -> (pictures: [Picture], variant: PreviewIndex.Variant) {
        let variant = try room.previewIndex().peers[person].av, path = room.file("preview/\(variant.playlist)")
        #expect(decodeErrors(path) == "")
        let keys = keyFrames(path)
        #expect(keys.prefix(4) == [0, 2, 4, 6] && keys.allSatisfy { $0 == ($0 / 2).rounded() * 2 }, "\(keys)")
        let times = run("ffprobe -v error -select_streams v -show_entries frame=pts_time -of csv=p=0 '\(path)'").output.split(separator: "\n").compactMap { Double(String($0).trimmed.filter { $0 != "," }) }
        let found = lumas(path)
        try #require(times.count == found.count && times.count > 100, "\(times.count) times, \(found.count) pictures")
        return (zip(times, found).map { Picture(time: $0, luma: $1) }, variant)
    }
    private func count(_ pictures: [Picture], _ segment: Int) -> Int { pictures.filter { $0.time >= Double(2 * segment) - 0.001 && $0.time < Double(2 * segment + 2) - 0.001 }.count }
    /// When each second's luma is seen first.
    private func beginnings(_ pictures: [Picture]) -> [Int: Double] {
        Dictionary(pictures.filter { $0.luma > 30 }.map { (Synthesis.second(ofLuma: $0.luma), $0.time) }, uniquingKeysWith: min)
    }

    @Test func framesOnTheGridAreShownAsTheyCame() throws {
        let room = try record()
        let (copied, variant) = try pictures(room, 0), (transcoded, other) = try pictures(room, 1)
        #expect(variant.codecs.hasPrefix("avc3.") && other.codecs.hasPrefix("avc1."))
        // All thirty of a second are there, and half of them where they are encoded anew.
        for segment in 0..<3 { #expect(count(copied, segment) == 60, "segment \(segment): \(count(copied, segment))") }
        for segment in 0..<3 { #expect(count(transcoded, segment) == 30) }
        #expect(copied[0].time == 0 && transcoded[0].time == 0)
        let mine = beginnings(copied), theirs = beginnings(transcoded)
        #expect(mine.count == 8 && theirs.count == 8)
        for (second, time) in mine { #expect(abs(time - (theirs[second] ?? -1)) <= 0.067 + 0.001, "second \(second) at \(time), transcoded at \(theirs[second] ?? -1)") }
    }
    /// Two seconds are missing from a border on: their segment is encoded, from the frames that were copied before it; then copying goes on.
    @Test func aSegmentWithoutAKeyFrameOnItsBorderIsEncoded() throws {
        let (mixed, variant) = try pictures(try record(without: 2_000_000..<4_000_000), 0)
        #expect(variant.codecs.hasPrefix("avc3."))
        let counts = (0..<3).map { count(mixed, $0) }
        #expect(counts == [60, 30, 60], "\(counts)")
        let held = mixed.filter { $0.time > 2.1 && $0.time < 3.9 }
        #expect(held.allSatisfy { Synthesis.second(ofLuma: $0.luma) == 1 }, "the last picture stands while none comes")
        for second in [0, 1, 4, 5, 6, 7] {
            let shown = mixed.filter { $0.time > Double(second) + 0.1 && $0.time < Double(second) + 0.9 }
            #expect(!shown.isEmpty && shown.allSatisfy { Synthesis.second(ofLuma: $0.luma) == second }, "second \(second)")
        }
    }
    /// Key frames between borders, or another size than the preview's: encoded as everything else.
    @Test(arguments: [("640x360", Int64(700_000)), ("320x180", 0)]) func whatDoesNotFitIsEncoded(size: String, start: Int64) throws {
        var path = RecordedRoom.Path()
        path.start = start
        let (encoded, _) = try pictures(try record(path, size: size), 0)
        #expect((0..<3).allSatisfy { count(encoded, $0) == 30 }, "\((0..<4).map { count(encoded, $0) })")
        let begun = beginnings(encoded)
        for second in 0..<7 { #expect(abs((begun[second] ?? -1) - Double(second) - Double(start) / 1e6) <= 0.068, "second \(second) at \(begun[second] ?? -1)") }
    }
}
