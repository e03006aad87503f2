// One decoded picture, or a run of samples, as libav holds it.
import CFFmpeg
import Capture
import RTP

/// Owns one `AVFrame`; reused from frame to frame.
final class MediaFrame {
    private enum Colour {
        static let black: (luma: UInt8, chroma: UInt8) = (16, 128)   // ITU-R BT.601, limited range
    }
    let raw: UnsafeMutablePointer<AVFrame>

    /// Empty: for a decoder to fill.
    init() throws(WorkerError) {
        guard let raw = av_frame_alloc() else { throw Libav.noMemory("a frame") }
        self.raw = raw
    }
    /// A picture in planar 4:2:0, 8 bits, black.
    convenience init(picture size: VideoSize) throws(WorkerError) {
        try self.init()
        raw.pointee.format = AV_PIX_FMT_YUV420P.rawValue
        raw.pointee.width = Int32(clamping: size.width)
        raw.pointee.height = Int32(clamping: size.height)
        raw.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
        try Libav.check(av_frame_get_buffer(raw, 0), "hold a picture of \(size.width)×\(size.height)")
        try blacken()
    }
    /// Room for `samples` samples of each channel in planar floats, silent.
    convenience init(samples: Int, channels: Int, rate: Int) throws(WorkerError) {
        try self.init()
        raw.pointee.format = AV_SAMPLE_FMT_FLTP.rawValue
        raw.pointee.nb_samples = Int32(clamping: samples)
        raw.pointee.sample_rate = Int32(clamping: rate)
        av_channel_layout_default(&raw.pointee.ch_layout, Int32(clamping: channels))
        try Libav.check(av_frame_get_buffer(raw, 0), "hold \(samples) samples")
        for channel in 0..<channels { plane(channel)?.update(repeating: 0, count: samples) }
    }
    deinit {
        var raw: UnsafeMutablePointer<AVFrame>? = raw
        av_frame_free(&raw)
    }

    /// Presentation time in the units of whoever made the frame; `Libav.noTime` when it has none.
    var time: Int64 {
        get { raw.pointee.pts }
        set { raw.pointee.pts = newValue }
    }
    var size: VideoSize { VideoSize(width: Int(raw.pointee.width), height: Int(raw.pointee.height)) }
    /// Of each channel.
    var sampleCount: Int { Int(raw.pointee.nb_samples) }
    /// Of a frame of planar floats.
    func plane(_ channel: Int) -> UnsafeMutablePointer<Float>? {
        raw.pointee.extended_data[channel].map { UnsafeMutableRawPointer($0).assumingMemoryBound(to: Float.self) }
    }

    /// Nobody else reads the memory any more, or a copy was made: call before writing into a frame that was sent to an encoder.
    func makeWritable() throws(WorkerError) { try Libav.check(av_frame_make_writable(raw), "write into a frame") }
    /// Lets go of what the frame holds.
    func clear() { av_frame_unref(raw) }
    /// Holds what `other` holds; the memory is shared.
    func reference(_ other: MediaFrame) throws(WorkerError) {
        clear()
        try Libav.check(av_frame_ref(raw, other.raw), "keep a frame")
    }
    /// Only of frames made by `init(picture:)`.
    func blacken() throws(WorkerError) {
        try makeWritable()
        for index in 0..<3 {
            let plane = pictureRows(index), value = index == 0 ? Colour.black.luma : Colour.black.chroma
            for row in 0..<plane.height { plane.base.advanced(by: row * plane.stride).update(repeating: value, count: plane.width) }
        }
    }
    /// A plane of a picture in planar 4:2:0.
    func pictureRows(_ plane: Int) -> (base: UnsafeMutablePointer<UInt8>, stride: Int, width: Int, height: Int) {
        let shift = plane == 0 ? 0 : 1, size = size
        let (pointer, stride) = switch plane {
        case 0: (raw.pointee.data.0, raw.pointee.linesize.0)
        case 1: (raw.pointee.data.1, raw.pointee.linesize.1)
        default: (raw.pointee.data.2, raw.pointee.linesize.2)
        }
        guard let pointer else { preconditionFailure("a picture without planes") }
        return (pointer, Int(stride), (size.width + shift) >> shift, (size.height + shift) >> shift)
    }
    /// Copies what of `other` fits into this picture at an even place.
    func copy(_ other: MediaFrame, to place: (x: Int, y: Int)) {
        for plane in 0..<3 {
            let from = other.pictureRows(plane), to = pictureRows(plane), shift = plane == 0 ? 0 : 1
            let width = min(from.width, to.width - place.x >> shift), height = min(from.height, to.height - place.y >> shift)
            for y in 0..<max(0, height) { (to.base + (y + place.y >> shift) * to.stride + place.x >> shift).update(from: from.base + y * from.stride, count: max(0, width)) }
        }
    }
}
