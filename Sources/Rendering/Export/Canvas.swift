// The pictures of an export, frame by frame.
import Capture
import Composition
import RTP

/// Owns the canvas and the decoders of the tracks in it. Only tiles whose picture changed are drawn again.
final class Canvas {
    enum Limits {
        /// Tracks whose decoders stay open although they are not in the picture: who comes back soon needs no seek.
        static let idle = 8
    }
    private enum Style {
        static let background = Colour(luma: 24, u: 128, v: 128)
        static let border = Colour(luma: 16, u: 128, v: 128)
    }
    /// What was drawn into a tile.
    private enum Drawn: Equatable {
        case nothing, placeholder
        case picture(serial: Int, place: Rectangle)
    }
    private struct Track {
        let pictures: TrackPictures
        let scaler = Scaler(isFast: false)
        var usedAt: Int64
    }
    private let plan: RenderPlan
    private let folder: String
    private let captions: Captions
    private let unreadable: (Int, RenderPlan.Piece) -> Void
    private let picture: MediaFrame
    private var interval = 0
    private var drawn: [Drawn] = []
    private var tracks: [Int: Track] = [:]

    init(_ plan: RenderPlan, folder: String, captions: Captions, unreadable: @escaping (Int, RenderPlan.Piece) -> Void) throws(WorkerError) {
        self.plan = plan
        self.folder = folder
        self.captions = captions
        self.unreadable = unreadable
        picture = try MediaFrame(picture: plan.picture)
        begin()
    }

    /// - Parameter number: of the output, growing from call to call.
    /// - Returns: valid until the next call.
    func frame(_ number: Int64) throws(WorkerError) -> MediaFrame {
        let time = plan.time(ofFrame: number)
        try picture.makeWritable()
        let before = interval
        while interval + 1 < plan.intervals.count, plan.intervals[interval].output.upperBound <= time { interval += 1 }
        let now = plan.intervals[interval]
        if interval != before, now.tiles != plan.intervals[before].tiles { begin() }
        for (index, tile) in now.tiles.enumerated() { drawn[index] = try draw(tile, drawn[index], now.recorded(time), number) }
        letGo()
        picture.time = number
        return picture
    }
    private func begin() {
        picture.fill(Style.background)
        drawn = Array(repeating: .nothing, count: plan.intervals[interval].tiles.count)
    }

    private func draw(_ tile: RenderPlan.Tile, _ before: Drawn, _ time: Int64, _ number: Int64) throws(WorkerError) -> Drawn {
        guard let source = tile.source, let (track, shown) = try shown(source, time, number) else {
            if before != .placeholder { picture.copy(try captions.placeholder(plan.people[tile.person].name, tile.place), to: (tile.place.x, tile.place.y)) }
            return .placeholder
        }
        let turned = tile.rotation % 180 != 0
        let place = tile.place.fitting(turned ? VideoSize(width: shown.size.height, height: shown.size.width) : shown.size)
        let after = Drawn.picture(serial: track.pictures.serial, place: place)
        guard after != before else { return before }
        // Where the picture's shape differs from the tile's, its sides are painted once.
        if case .picture(_, place) = before {} else if place != tile.place { picture.fill(Style.border, tile.place) }
        try track.scaler.draw(shown, rotation: tile.rotation, into: picture, at: PixelArea(x: place.x, y: place.y, width: place.width, height: place.height))
        let isScreen = plan.sources[source].isScreen
        if let label = try captions.label(plan.people[tile.person].name + (isScreen ? " · screen" : ""), tile: tile.place) {
            let margin = (label.size.height / 3) & ~1
            picture.copy(label, to: (tile.place.x + margin, tile.place.y + tile.place.height - label.size.height - margin))
        }
        return after
    }
    private func shown(_ source: Int, _ time: Int64, _ number: Int64) throws(WorkerError) -> (Track, MediaFrame)? {
        if tracks[source] == nil {
            let pictures = try TrackPictures(plan.sources[source], folder: folder) { [unreadable] in unreadable(source, $0) }
            tracks[source] = Track(pictures: pictures, usedAt: number)
        }
        tracks[source]?.usedAt = number
        guard let track = tracks[source], let frame = try track.pictures.picture(at: time), frame.size.width > 0, frame.size.height > 0 else { return nil }
        return (track, frame)
    }
    private func letGo() {
        let used = plan.intervals[interval].tiles.count
        guard tracks.count > used + Limits.idle, let oldest = tracks.min(by: { ($0.value.usedAt, $0.key) < ($1.value.usedAt, $1.key) }) else { return }
        tracks[oldest.key] = nil
    }
}
