// `thumbnail.jpg`: one picture of a finished recording, with as many people on it as there were at a good moment.
import CFFmpeg
import Capture
import Composition
import Glibc
import Primitives
import RTP

/// Looks at the pictures of a few moments, the same ones whenever it runs on the same recording, and composes the best as a grid.
///
/// The best moment shows the most people (a shared screen counts as two) whose pictures are neither black nor of one colour; of equal
/// ones, the one with the most contrast, then the earliest.
package final class Thumbnailer {
    package enum Limits {
        /// Looked at, spread over the recording.
        static let moments = 8
        /// Pictures side by side.
        static let tiles = 9
        /// Decoded behind a key frame to reach a moment; one that is farther away is shown by an earlier picture.
        static let frames = 600
        package static let heights = 90...1_080
        /// JPEG's quantiser: 2 (best) to 31.
        static let quantiser: Int32 = 4
    }
    private struct Tile { var frame: MediaFrame; var rotation: Int; var contrast: Double; var isScreen: Bool }

    private let folder: Folder
    private let size: VideoSize
    private let output: String
    private let progress: Progress
    private var warnings: [String] = []

    /// - Parameters:
    ///   - height: lines; the picture is 16:9.
    ///   - output: below the recording's folder.
    package init(path: String, height: Int = 360, output: String = RecordingLayout.Names.thumbnail, progress: Progress = Progress { _ in }) {
        folder = Folder(path)
        size = VideoSize(width: (height * 16 / 9 + 1) & ~1, height: height & ~1)
        self.output = output
        self.progress = progress
    }

    package func run() throws(WorkerError) -> WorkerVerdict {
        guard access(folder.path, R_OK | X_OK) == 0 else { throw WorkerError(code: errno, "open \(folder.path)") }
        guard let manifest = try folder.manifest() else { throw WorkerError(.missing, "metadata.json is missing: finalise the recording first") }
        let videos = manifest.tracks.filter { $0.kind == .video && !$0.files.isEmpty }
        let rotations = folder.timeline()?.events.filter { $0.type == "rotation" } ?? []
        var best: (tiles: [Tile], score: (Int, Double))?
        for (number, moment) in Self.moments(manifest.duration, videos).enumerated() {
            progress.report("look", Double(number) / Double(Limits.moments) * 0.9)
            var tiles = try look(at: moment, videos, rotations)
            tiles += try standIns(at: moment, manifest, videos, atMost: Limits.tiles - tiles.count)
            let score = (tiles.reduce(0) { $0 + ($1.isScreen ? 2 : 1) }, tiles.reduce(0) { $0 + $1.contrast } / Double(max(1, tiles.count)))
            if !tiles.isEmpty, best.map({ score > $0.score }) ?? true { best = (tiles, score) }
        }
        guard let best else { throw WorkerError(.nothingCaptured, "no track of \(manifest.recordingID) shows a picture that is not black") }
        let bytes = try encode(try compose(best.tiles))
        let parent = output.split(separator: "/").dropLast().joined(separator: "/")
        try folder.makeFolders(parent)
        try Folder(parent.isEmpty ? folder.path : "\(folder.path)/\(parent)").write(bytes, as: String(output.split(separator: "/").last ?? ""))
        progress.report("look", 1)
        let layout = RecordingLayout(room: manifest.roomID, recording: manifest.recordingID)
        return WorkerVerdict(
            ok: true, code: "ready", duration: manifest.duration, size: Int64(bytes.count), tracks: best.tiles.count, complete: warnings.isEmpty,
            outputPath: "\(layout.folder)/\(output)")
    }

    /// µs: evenly over the recording and not at its very ends, where people come and go.
    private static func moments(_ duration: Double, _ videos: [Manifest.Track]) -> [Int64] {
        (0..<Limits.moments).map { Int64(duration * 1_000_000 * (Double($0) + 0.5) / Double(Limits.moments)) }
    }
    private func look(at moment: Int64, _ videos: [Manifest.Track], _ rotations: [Timeline.Entry]) throws(WorkerError) -> [Tile] {
        var tiles: [Tile] = []
        for track in videos where tiles.count < Limits.tiles {
            guard let part = track.files.first(where: { $0.start * 1_000_000 <= Double(moment) && Double(moment) < ($0.start + $0.duration) * 1_000_000 }) else { continue }
            var alone = track
            alone.files = [part]
            let source = TrackFileSource(folder, alone, rotations: rotations.filter { $0.trackID == track.trackID })
            let tile = try picture(of: source, at: moment)
            for warning in source.warnings where !warnings.contains(warning) { warnings.append(warning) }
            if let tile { tiles.append(tile) }
        }
        return tiles
    }
    /// Of people of whom the server has no picture at all.
    private func standIns(at moment: Int64, _ manifest: Manifest, _ videos: [Manifest.Track], atMost count: Int) throws(WorkerError) -> [Tile] {
        var tiles: [Tile] = []
        for (peer, piece) in manifest.repairs where piece.from * 1_000_000 <= Double(moment) && Double(moment) < piece.to * 1_000_000 && tiles.count < count {
            guard let device = manifest.deviceTracks?.first(where: { $0.file?.path == piece.path }), device.medium == .video,
                !videos.contains(where: { $0.peerID == peer && $0.source == device.source })
            else { continue }
            let source = TrackFileSource(folder, device, only: Spans([moment..<moment + 1]))
            let tile = try picture(of: source, at: moment)
            for warning in source.warnings where !warnings.contains(warning) { warnings.append(warning) }
            if let tile { tiles.append(tile) }
        }
        return tiles
    }
    /// The picture that is seen at `moment`; nil where there is none, or nothing on it.
    private func picture(of source: TrackFileSource, at moment: Int64) throws(WorkerError) -> Tile? {
        // A file without a usable index is read from its beginning.
        try? source.seek(to: moment)
        let packet = try MediaPacket(), decoded = try MediaFrame(), shown = try MediaFrame()
        var decoder: Decoder?, count = 0, hasPicture = false
        while count < Limits.frames, try source.next(into: packet), packet.time <= moment || !hasPicture {
            count += 1
            if decoder == nil { decoder = try source.parameters.map { parameters throws(WorkerError) in try Decoder(parameters, timeBase: Libav.microseconds) } }
            try decoder?.send(packet)
            while let decoder, try decoder.receive(decoded) { try shown.reference(decoded); hasPicture = true }
        }
        try decoder?.send(nil)
        while let decoder, try decoder.receive(decoded) { try shown.reference(decoded); hasPicture = true }
        guard hasPicture else { return nil }
        let small = try MediaFrame(picture: VideoSize(width: 64, height: 36))
        try Scaler(isFast: true).draw(shown, into: small, at: PixelArea(x: 0, y: 0, width: 64, height: 36))
        let (mean, deviation) = small.luma
        guard mean > 24, deviation > 4 else { return nil }
        return Tile(frame: shown, rotation: source.rotation, contrast: deviation, isScreen: source.track.isScreen)
    }
    /// A grid with as many columns as rows, or one more.
    private func compose(_ tiles: [Tile]) throws(WorkerError) -> MediaFrame {
        let canvas = try MediaFrame(picture: size), scaler = Scaler(isFast: false)
        var columns = 1
        while columns * columns < tiles.count { columns += 1 }
        let rows = (tiles.count + columns - 1) / columns
        for (number, tile) in tiles.enumerated() {
            let inRow = number / columns == rows - 1 ? tiles.count - (rows - 1) * columns : columns
            let width = size.width / columns & ~1, height = size.height / rows & ~1
            let left = (size.width - width * inRow) / 2 + number % columns * width & ~1
            let cell = PixelArea(x: left & ~1, y: number / columns * height, width: width, height: height)
            let upright = tile.rotation % 180 == 0 ? tile.frame.size : VideoSize(width: tile.frame.size.height, height: tile.frame.size.width)
            try scaler.draw(tile.frame, rotation: tile.rotation, into: canvas, at: .fitting(width: upright.width, height: upright.height, into: cell))
        }
        return canvas
    }
    private func encode(_ picture: MediaFrame) throws(WorkerError) -> [UInt8] {
        var settings = Encoder.Video(size: size, frameRate: 1, keyEvery: 1)
        settings.name = "mjpeg"
        settings.isFullRange = true
        settings.quantiser = Limits.quantiser
        let encoder = try Encoder(settings), packet = try MediaPacket()
        try picture.expandRange()
        picture.time = 0
        try encoder.send(picture)
        try encoder.send(nil)
        guard try encoder.receive(packet) else { throw WorkerError(.internalError, "this FFmpeg makes no JPEG") }
        return Array(packet.bytes)
    }
}

extension MediaFrame {
    /// Of a picture in planar 4:2:0: mean and standard deviation.
    fileprivate var luma: (mean: Double, deviation: Double) {
        let rows = pictureRows(0)
        var sum = 0, squares = 0
        for y in 0..<rows.height { for x in 0..<rows.width { let value = Int(rows.base[y * rows.stride + x]); sum += value; squares += value * value } }
        let count = Double(rows.width * rows.height), mean = Double(sum) / count
        return (mean, max(0, Double(squares) / count - mean * mean).squareRoot())
    }
    /// From video's range (16…235) to that of JPEG (0…255; JFIF 1.02).
    fileprivate func expandRange() throws(WorkerError) {
        try makeWritable()
        for plane in 0..<3 {
            let rows = pictureRows(plane)
            for y in 0..<rows.height {
                for x in 0..<rows.width {
                    let value = Int(rows.base[y * rows.stride + x])
                    let wide = plane == 0 ? (value - 16) * 255 / 219 : (value - 128) * 255 / 224 + 128
                    rows.base[y * rows.stride + x] = UInt8(max(0, min(255, wide)))
                }
            }
        }
        raw.pointee.format = AV_PIX_FMT_YUVJ420P.rawValue
        raw.pointee.color_range = AVCOL_RANGE_JPEG
    }
}
