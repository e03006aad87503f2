// Places in the picture, in whole even pixels: chroma planes have half of them.
package import RTP

/// A place in the picture; x grows to the right, y downward.
package struct Rectangle: Equatable, Hashable, Sendable {
    package var x: Int
    package var y: Int
    package var width: Int
    package var height: Int
    package init(x: Int, y: Int, width: Int, height: Int) { self.x = x; self.y = y; self.width = width; self.height = height }
    package init(_ size: VideoSize) { self.init(x: 0, y: 0, width: size.width, height: size.height) }

    package var size: VideoSize { VideoSize(width: width, height: height) }
    package func overlaps(_ other: Rectangle) -> Bool {
        x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height
    }
    package func contains(_ other: Rectangle) -> Bool {
        other.x >= x && other.y >= y && other.x + other.width <= x + width && other.y + other.height <= y + height
    }
    /// The largest place inside this one with the shape of `shape` (any positive size), centred. Even, at least 2×2.
    package func fitting(_ shape: VideoSize) -> Rectangle {
        let w = max(1, shape.width), h = max(1, shape.height)
        // Not wider than high enough, and the other way round: no side grows beyond this place.
        let fitted = width * h <= height * w ? VideoSize(width: width, height: (width * h + w / 2) / w) : VideoSize(width: (height * w + h / 2) / h, height: height)
        let inner = VideoSize(width: min(width, max(2, even(fitted.width))), height: min(height, max(2, even(fitted.height))))
        return Rectangle(x: x + even((width - inner.width) / 2), y: y + even((height - inner.height) / 2), width: inner.width, height: inner.height)
    }
}

/// The even number at or below `value`.
func even(_ value: Int) -> Int { value & ~1 }
