// Pictures of any size and pixel format into a part of a picture of ours.
import CFFmpeg
import Capture
import RTP

/// Where a picture stands in another, in pixels. Even numbers, as 4:2:0 wants them.
struct PixelArea: Equatable {
    var x: Int
    var y: Int
    var width: Int
    var height: Int

    /// The largest area in the middle of `whole` that has the shape `width`:`height`. Sides are even and at least 2.
    static func fitting(width: Int, height: Int, into whole: PixelArea) -> PixelArea {
        let wide = width * whole.height > height * whole.width
        let (w, h) = wide ? (whole.width, height * whole.width / max(1, width)) : (width * whole.height / max(1, height), whole.height)
        let even = (max(2, w & ~1), max(2, h & ~1))
        return PixelArea(x: whole.x + (whole.width - even.0) / 2 & ~1, y: whole.y + (whole.height - even.1) / 2 & ~1, width: even.0, height: even.1)
    }
}

/// Owns the `SwsContext` for one source: made anew when the source changes its size or format.
final class Scaler {
    private var context: OpaquePointer?
    private let quality: Int32
    /// Scaled, before it is turned or copied.
    private var apart: MediaFrame?

    /// - Parameter isFast: bilinear without rounding care, or the mean of four where it is exactly half, for previews; else bicubic.
    init(isFast: Bool) { quality = isFast ? SWS_FAST_BILINEAR : SWS_BICUBIC | SWS_ACCURATE_RND }
    deinit { sws_freeContext(context) }

    /// Draws `source` as large as it fits into the middle of `target`, its shape kept, over what stands there.
    /// - Parameter rotation: clockwise, in degrees: 0, 90, 180 or 270.
    /// - Returns: the area that was drawn.
    @discardableResult
    func fit(_ source: MediaFrame, rotation: Int = 0, into target: MediaFrame) throws(WorkerError) -> PixelArea {
        let whole = PixelArea(x: 0, y: 0, width: target.size.width, height: target.size.height)
        let shape = Self.shape(source, rotation)
        let area = PixelArea.fitting(width: shape.width, height: shape.height, into: whole)
        try draw(source, rotation: rotation, into: target, at: area)
        return area
    }
    /// Draws `source` stretched to `area` of `target`, a writable picture in planar 4:2:0.
    func draw(_ source: MediaFrame, rotation: Int = 0, into target: MediaFrame, at area: PixelArea) throws(WorkerError) {
        precondition(area.x >= 0 && area.y >= 0 && area.x + area.width <= target.size.width && area.y + area.height <= target.size.height && (area.x | area.y) & 1 == 0)
        guard source.size.width > 0, source.size.height > 0 else { return }
        try target.makeWritable()
        // libswscale writes whole vectors: behind a row that ends inside the target, it would paint over what stands there.
        guard rotation % 360 != 0 || area.width < target.size.width else { return try scale(source, target, area) }
        let turned = rotation % 180 != 0
        let size = VideoSize(width: turned ? area.height : area.width, height: turned ? area.width : area.height)
        let flat: MediaFrame
        if let kept = apart, kept.size == size { flat = kept } else { flat = try MediaFrame(picture: size); apart = flat }
        try scale(source, flat, PixelArea(x: 0, y: 0, width: size.width, height: size.height))
        if rotation % 360 == 0 { return target.copy(flat, to: (area.x, area.y)) }
        for plane in 0..<3 { Self.turn(flat, plane, rotation, target, area) }
    }

    /// Width and height as shown: turned, with the shape of its pixels.
    private static func shape(_ source: MediaFrame, _ rotation: Int) -> (width: Int, height: Int) {
        let aspect = source.raw.pointee.sample_aspect_ratio
        let believable = aspect.num > 0 && aspect.den > 0 && aspect.num < 16 * Int64(aspect.den) && Int64(aspect.den) < 16 * Int64(aspect.num)
        let width = believable ? max(1, source.size.width * Int(aspect.num) / Int(aspect.den)) : source.size.width
        return rotation % 180 == 0 ? (width, source.size.height) : (source.size.height, width)
    }
    private func scale(_ source: MediaFrame, _ target: MediaFrame, _ area: PixelArea) throws(WorkerError) {
        var format = AVPixelFormat(rawValue: source.raw.pointee.format)
        if format == AV_PIX_FMT_YUV420P, source.raw.pointee.color_range == AVCOL_RANGE_JPEG { format = AV_PIX_FMT_YUVJ420P }
        if quality == SWS_FAST_BILINEAR, format == AV_PIX_FMT_YUV420P, source.size.width == 2 * area.width, source.size.height == 2 * area.height {
            return source.halve(into: target, at: (area.x, area.y))
        }
        context = sws_getCachedContext(
            context, source.raw.pointee.width, source.raw.pointee.height, format, Int32(area.width), Int32(area.height), AV_PIX_FMT_YUV420P, quality, nil, nil, nil)
        guard let context else { throw WorkerError(.internalError, "a picture of \(source.size.width)×\(source.size.height) cannot be scaled to \(area.width)×\(area.height)") }
        var planes: [UnsafeMutablePointer<UInt8>?] = [], strides: [Int32] = []
        for plane in 0..<3 {
            let rows = target.pictureRows(plane), shift = plane == 0 ? 0 : 1
            planes.append(rows.base + (area.y >> shift) * rows.stride + area.x >> shift)
            strides.append(Int32(rows.stride))
        }
        let sources = withUnsafeBytes(of: source.raw.pointee.data) { Array($0.bindMemory(to: UnsafePointer<UInt8>?.self)) }
        let sourceStrides = withUnsafeBytes(of: source.raw.pointee.linesize) { Array($0.bindMemory(to: Int32.self)) }
        try Libav.check(sws_scale(context, sources, sourceStrides, 0, source.raw.pointee.height, planes, strides), "scale a picture")
    }
    private static func turn(_ flat: MediaFrame, _ plane: Int, _ rotation: Int, _ target: MediaFrame, _ area: PixelArea) {
        let from = flat.pictureRows(plane), to = target.pictureRows(plane), shift = plane == 0 ? 0 : 1
        let (left, top) = (area.x >> shift, area.y >> shift)
        let width = min((area.width + shift) >> shift, to.width - left), height = min((area.height + shift) >> shift, to.height - top)
        for y in 0..<height {
            let row = to.base + (top + y) * to.stride + left
            switch rotation % 360 {
            case 90: for x in 0..<width { row[x] = from.base[(from.height - 1 - x) * from.stride + y] }
            case 180: for x in 0..<width { row[x] = from.base[(from.height - 1 - y) * from.stride + from.width - 1 - x] }
            default: for x in 0..<width { row[x] = from.base[x * from.stride + from.width - 1 - y] }
            }
        }
    }
}
