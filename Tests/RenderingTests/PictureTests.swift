import Capture
import Glibc
import Primitives
import RTP
import Testing
@testable import Rendering

/// Scaling, turning and resampling, and one picture of a whole recording.
@Suite struct PictureTests {
    /// A picture whose left half is bright.
    private func halves(_ width: Int, _ height: Int) throws -> MediaFrame {
        let frame = try MediaFrame(picture: VideoSize(width: width, height: height)), rows = frame.pictureRows(0)
        for y in 0..<rows.height { (rows.base + y * rows.stride).update(repeating: 200, count: rows.width / 2) }
        return frame
    }
    private func luma(_ frame: MediaFrame, _ x: Int, _ y: Int) -> UInt8 {
        let rows = frame.pictureRows(0)
        return rows.base[y * rows.stride + x]
    }

    /// Turned clockwise: left goes up, then right, then down.
    @Test(arguments: [(0, [200, 16, 200, 16]), (90, [200, 200, 16, 16]), (180, [16, 200, 16, 200]), (270, [16, 16, 200, 200])] as [(Int, [UInt8])])
    func turnsClockwise(rotation: Int, corners: [UInt8]) throws {
        let target = try MediaFrame(picture: VideoSize(width: 64, height: 64))
        try Scaler(isFast: true).fit(try halves(64, 64), rotation: rotation, into: target)
        let found = [luma(target, 8, 8), luma(target, 55, 8), luma(target, 8, 55), luma(target, 55, 55)]
        #expect(zip(found, corners).allSatisfy { abs(Int($0) - Int($1)) <= 2 }, "\(found)")
    }
    /// What is taller than the canvas stands between black borders, what is wider between black bars.
    @Test(arguments: [(240, 320, 90), (320, 240, 0), (640, 360, 0), (1_280, 240, 0), (17, 1_001, 270)]) func shapesAreKept(width: Int, height: Int, rotation: Int) throws {
        let target = try MediaFrame(picture: VideoSize(width: 640, height: 360))
        let area = try Scaler(isFast: true).fit(try halves(width, height), rotation: rotation, into: target)
        let shape = rotation % 180 == 0 ? (width, height) : (height, width)
        #expect(area.width <= 640 && area.height <= 360 && (area.width >= 638 || area.height >= 358))
        #expect(abs(area.width * shape.1 - area.height * shape.0) <= 4 * max(shape.0, shape.1))
        if area.x > 2 { #expect(luma(target, 0, 180) == 16 && luma(target, 639, 180) == 16) }
        if area.y > 2 { #expect(luma(target, 320, 0) == 16 && luma(target, 320, 359) == 16) }
    }

    /// At exactly half its size each pixel is the mean of four, and nothing beside the area is touched; 52 pixels are three vectors and a rest.
    @Test(arguments: [(640, 360), (52, 30), (6, 2)]) func halfSizeIsTheMeanOfFour(width: Int, height: Int) throws {
        let source = try MediaFrame(picture: VideoSize(width: 2 * width, height: 2 * height)), target = try MediaFrame(picture: VideoSize(width: width + 8, height: height + 6))
        var random = SplitMix64(seed: 7)
        for plane in 0..<3 {
            let rows = source.pictureRows(plane)
            for y in 0..<rows.height { for x in 0..<rows.width { rows.base[y * rows.stride + x] = UInt8(truncatingIfNeeded: random.next()) } }
        }
        try Scaler(isFast: true).draw(source, into: target, at: PixelArea(x: 4, y: 2, width: width, height: height))
        for plane in 0..<3 {
            let from = source.pictureRows(plane), to = target.pictureRows(plane), shift = plane == 0 ? 0 : 1, left = 4 >> shift, top = 2 >> shift
            for y in 0..<to.height {
                for x in 0..<to.width {
                    let (sx, sy) = (x - left, y - top), isInside = sx >= 0 && sy >= 0 && sx < width >> shift && sy < height >> shift
                    let wanted = isInside ? [(0, 0), (0, 1), (1, 0), (1, 1)].reduce(2) { $0 + Int(from.base[(2 * sy + $1.0) * from.stride + 2 * sx + $1.1]) } / 4 : plane == 0 ? 16 : 128
                    guard Int(to.base[y * to.stride + x]) != wanted else { continue }
                    Issue.record("plane \(plane), \(x), \(y): \(to.base[y * to.stride + x]) instead of \(wanted)")
                    return
                }
            }
        }
    }

    /// Two people at once are on the picture, nobody who is black, and the same picture comes out again.
    @Test func aThumbnailShowsWhoIsThere() throws {
        quietLibav()
        let room = RecordedRoom()
        let video = Synthesis.video(.vp8, seconds: 4, into: room.storage.path)
        let dark = Synthesis.video(.vp8, seconds: 4, picture: "color=c=black", into: room.storage.path)
        for (number, (peer, frames)) in [("ann", video.frames), ("bob", video.frames), ("cid", dark.frames)].enumerated() {
            var camera = Packetiser(.vp8, ssrc: UInt32(number + 1)), path = RecordedRoom.Path()
            path.start = peer == "bob" ? 3_000_000 : 0
            room.write(room.header("\(peer)-cam".asTrack, peer.asPeer, .vp8), room.items(frames, &camera, path))
        }
        try room.writeFacts(seconds: 7)
        _ = try Finaliser(path: room.folder, recording: "rec").run()
        let verdict = try Thumbnailer(path: room.folder).run()
        #expect(verdict.ok && verdict.tracks == 2 && verdict.outputPath == "rooms/room/rec/thumbnail.jpg")
        let file = room.file("thumbnail.jpg"), first = readFile(file)
        #expect(probe(file, "stream=codec_name,width,height") == "mjpeg\n640\n360")
        let elsewhere = try Thumbnailer(path: room.folder, output: "processed/exports/J_1-2.jpg").run()
        #expect(elsewhere.outputPath == "rooms/room/rec/processed/exports/J_1-2.jpg" && readFile(room.file("processed/exports/J_1-2.jpg")) == first)
        #expect(readFile(file) == first)
        #expect { try Thumbnailer(path: room.storage.path).run() } throws: { ($0 as? WorkerError)?.failure == .missing }
    }
}

extension String {
    fileprivate var asTrack: TrackID { TrackID(self) }
    fileprivate var asPeer: ParticipantID { ParticipantID(self) }
}
