// Names in the picture, drawn once and kept as bitmaps.
import Capture
import Composition
import Glibc
import RTP

/// Lower thirds and placeholders. Without a font they are plain boxes, and `hasFont` says so.
final class Captions {
    enum Limits {
        /// Bitmaps kept; when there are more, all are let go.
        static let kept = 256
        /// Tiles lower than this have no lower third.
        static let lowestTile = 72
    }
    private enum Style {
        static let fonts = ["/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/dejavu/DejaVuSans.ttf"]
        static let box = Colour(luma: 30, u: 128, v: 128)
        static let placeholder = Colour(luma: 52, u: 136, v: 122)
        /// A luma above this is a letter's.
        static let ink: UInt8 = 60
    }
    private enum Key: Hashable {
        case label(String, width: Int, height: Int)
        case placeholder(String, VideoSize)
    }
    private let font: String?
    private var bitmaps: [Key: MediaFrame] = [:]
    var hasFont: Bool { font != nil }

    init() { font = Style.fonts.first { access($0, R_OK) == 0 } }

    /// A box with `text`, as wide as it needs to be but not wider than the tile; nil where the tile is too small for one.
    func label(_ text: String, tile: Rectangle) throws(WorkerError) -> MediaFrame? {
        guard hasFont, tile.height >= Limits.lowestTile else { return nil }
        let height = min(48, max(18, tile.height / 12)) & ~1, most = (tile.width * 9 / 10) & ~1
        return try kept(.label(text, width: most, height: height)) { () throws(WorkerError) in
            let size = height * 6 / 10
            let wide = try draw(text, VideoSize(width: most, height: height), Style.box, size: size, x: "\(size / 2)")
            let letters = wide.pictureRows(0)
            let end = (0..<letters.width).last { x in (0..<letters.height).contains { letters.base[$0 * letters.stride + x] > Style.ink } } ?? 0
            let box = try MediaFrame(picture: VideoSize(width: min(most, (end + size / 2 + 2) & ~1), height: height))
            box.copy(wide, to: (0, 0))
            return box
        }
    }
    /// A whole tile with the name in its middle: the camera is off.
    func placeholder(_ name: String, _ tile: Rectangle) throws(WorkerError) -> MediaFrame {
        try kept(.placeholder(name, tile.size)) { () throws(WorkerError) in
            try draw(name, tile.size, Style.placeholder, size: max(10, tile.height / 9), x: "max(4,(w-text_w)/2)")
        }
    }

    private func kept(_ key: Key, _ make: () throws(WorkerError) -> MediaFrame) throws(WorkerError) -> MediaFrame {
        if let known = bitmaps[key] { return known }
        if bitmaps.count >= Limits.kept { bitmaps = [:] }
        let made = try make()
        bitmaps[key] = made
        return made
    }
    private func draw(_ text: String, _ picture: VideoSize, _ colour: Colour, size: Int, x: String) throws(WorkerError) -> MediaFrame {
        let plain = try MediaFrame(picture: picture)
        plain.fill(colour)
        guard let font else { return plain }
        // Without expansion the text is letters and nothing else.
        let writer = try FilterChain(picture: picture, [
            .init("drawtext", [("fontfile", font), ("text", text), ("expansion", "none"), ("fontcolor", "white"), ("fontsize", "\(size)"), ("x", x), ("y", "(h-text_h)/2")]),
        ])
        plain.time = 0
        try writer.send(plain)
        let drawn = try MediaFrame()
        return try writer.receive(drawn) ? drawn : plain
    }
}

/// In ITU-R BT.601, limited range.
struct Colour {
    var luma: UInt8
    var u: UInt8
    var v: UInt8
}

extension MediaFrame {
    /// Paints `area` (all by default) of a picture in planar 4:2:0 that nobody else holds.
    func fill(_ colour: Colour, _ area: Rectangle? = nil) {
        for plane in 0..<3 {
            let rows = pictureRows(plane), shift = plane == 0 ? 0 : 1
            let value = plane == 0 ? colour.luma : plane == 1 ? colour.u : colour.v
            let left = (area?.x ?? 0) >> shift, top = (area?.y ?? 0) >> shift
            let width = area.map { $0.width >> shift } ?? rows.width, height = area.map { $0.height >> shift } ?? rows.height
            for y in top..<(top + height) { (rows.base + y * rows.stride + left).update(repeating: value, count: width) }
        }
    }
}
