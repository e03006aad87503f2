// Where tiles go: pure geometry, the same for every resolution.
// Tiles are 16:9 whatever is shown in them; the renderer fits a picture of another shape inside its tile.
package import RTP

/// Places of tiles in a picture. None overlaps another, none leaves the picture, all numbers are even.
package struct Arrangement {
    package enum Limits {
        /// Of one picture. More people than this: those who come first by `RenderPlanner`'s order.
        package static let tiles = 25
        /// Pixels: smaller tiles are left out.
        static let narrowest = 32
    }
    private let picture: Rectangle
    /// Between tiles and around them.
    private let gap: Int

    package init(_ picture: VideoSize) {
        self.picture = Rectangle(picture)
        gap = max(2, even(picture.height / 90))
    }

    /// `count` equal tiles, at most 25, as large as they can be; the last row is centred.
    package func grid(_ count: Int) -> [Rectangle] { count == 1 ? [picture] : grid(count, in: picture) }

    /// A large one and a strip below it for at most `count` others: as many as fit.
    package func speaker(others count: Int) -> (main: Rectangle, others: [Rectangle]) {
        guard count > 0 else { return (picture, []) }
        let height = even(picture.height / 6), width = even(height * 16 / 9)
        let fitting = min(count, (picture.width - gap) / (width + gap))
        let x = even((picture.width - fitting * width - (fitting - 1) * gap) / 2), y = even(picture.height - gap - height)
        let strip = (0..<fitting).map { Rectangle(x: x + $0 * (width + gap), y: y, width: width, height: height) }
        let above = Rectangle(x: gap, y: gap, width: even(picture.width - 2 * gap), height: even(y - 2 * gap))
        return (above.fitting(VideoSize(width: 16, height: 9)), strip)
    }
    /// A large one and a column on the right for at most `count` others: as many as fit.
    package func sidebar(others count: Int) -> (main: Rectangle, others: [Rectangle]) {
        guard count > 0 else { return (picture, []) }
        let width = even(picture.width / 5), height = even(width * 9 / 16), x = even(picture.width - gap - width)
        let fitting = min(count, (picture.height - gap) / (height + gap))
        let y = even((picture.height - fitting * height - (fitting - 1) * gap) / 2)
        let column = (0..<fitting).map { Rectangle(x: x, y: y + $0 * (height + gap), width: width, height: height) }
        let left = Rectangle(x: gap, y: gap, width: even(x - 2 * gap), height: even(picture.height - 2 * gap))
        return (left.fitting(VideoSize(width: 16, height: 9)), column)
    }
    /// A shared screen in three quarters, and a grid of at most 24 others in the last.
    package func screen(others count: Int) -> (main: Rectangle, others: [Rectangle]) {
        guard count > 0 else { return (picture, []) }
        let x = even(picture.width * 3 / 4)
        let left = Rectangle(x: gap, y: gap, width: even(x - gap), height: even(picture.height - 2 * gap))
        return (left.fitting(VideoSize(width: 16, height: 9)), grid(min(count, Limits.tiles - 1), in: Rectangle(x: x, y: 0, width: picture.width - x, height: picture.height)))
    }

    private func grid(_ wanted: Int, in area: Rectangle) -> [Rectangle] {
        let count = min(wanted, Limits.tiles)
        guard count > 0 else { return [] }
        var best = (width: 0, height: 0, columns: 1)
        for columns in 1...count {
            let rows = (count + columns - 1) / columns
            let across = (area.width - gap * (columns + 1)) / columns, down = (area.height - gap * (rows + 1)) / rows
            let width = even(min(across, down * 16 / 9)), height = even(width * 9 / 16)
            if width > best.width, height > 0 { best = (width, height, columns) }
        }
        guard best.width >= Limits.narrowest else { return [] }
        let rows = (count + best.columns - 1) / best.columns
        let top = even(area.y + (area.height - rows * best.height - (rows - 1) * gap) / 2)
        return (0..<count).map { index in
            let row = index / best.columns, inRow = min(best.columns, count - row * best.columns)
            let left = even(area.x + (area.width - inRow * best.width - (inRow - 1) * gap) / 2)
            return Rectangle(
                x: left + index % best.columns * (best.width + gap), y: top + row * (best.height + gap), width: best.width, height: best.height)
        }
    }
}
