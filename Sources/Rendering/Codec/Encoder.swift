// One stream's encoder.
import CFFmpeg
import Capture
import RTP

/// Owns one `AVCodecContext` opened for encoding. Pictures in planar 4:2:0 or samples in, encoded frames out.
///
/// After each `send` take all packets by `receive`; `send(nil)` at the end gives what the encoder still holds.
final class Encoder {
    struct Video {
        /// libav's name of the encoder: "libx264", "libvpx-vp9", …
        var name = "libx264"
        var size: VideoSize
        var frameRate: Int
        /// Frames between key frames; those asked for come beside them.
        var keyEvery: Int
        /// Bits a second; 0 where the options say the quality.
        var bitRate: Int64 = 0
        /// No more than this in `bufferBits`, whatever the picture needs; 0: as it needs.
        var maximumBitRate: Int64 = 0
        var bufferBits: Int32 = 0
        var threads = 1
        /// 0…255 instead of 16…235, as JPEG has it; frames must be so, too.
        var isFullRange = false
        /// The same for every picture, where the encoder has one (mjpeg: 2, best, to 31); 0: as the other settings say.
        var quantiser: Int32 = 0
        /// The encoder's own, in order.
        var options: [(name: String, value: String)] = []
        init(size: VideoSize, frameRate: Int, keyEvery: Int) { self.size = size; self.frameRate = frameRate; self.keyEvery = keyEvery }
    }
    struct Audio {
        /// "aac", "libopus", …
        var name = "aac"
        var rate = 48_000
        var channels = 1
        var bitRate: Int64
        var options: [(name: String, value: String)] = []
        init(bitRate: Int64) { self.bitRate = bitRate }
    }
    /// Units of the times of frames and packets: frames of a video, samples of a sound.
    let timeBase: AVRational
    /// What a container must know.
    let parameters: StreamParameters
    private let context: UnsafeMutablePointer<AVCodecContext>
    private var staging: MediaFrame?

    convenience init(_ video: Video) throws(WorkerError) {
        try self.init(name: video.name, options: video.options, timeBase: AVRational(num: 1, den: Int32(clamping: video.frameRate))) { context in
            context.pointee.width = Int32(clamping: video.size.width)
            context.pointee.height = Int32(clamping: video.size.height)
            context.pointee.pix_fmt = video.isFullRange ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P
            context.pointee.color_range = video.isFullRange ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG
            if video.quantiser > 0 {
                context.pointee.flags |= AV_CODEC_FLAG_QSCALE
                context.pointee.global_quality = video.quantiser * FF_QP2LAMBDA
            }
            context.pointee.framerate = AVRational(num: Int32(clamping: video.frameRate), den: 1)
            context.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
            context.pointee.gop_size = Int32(clamping: video.keyEvery)
            context.pointee.bit_rate = video.bitRate
            context.pointee.rc_max_rate = video.maximumBitRate
            context.pointee.rc_buffer_size = video.bufferBits
            context.pointee.thread_count = Int32(clamping: video.threads)
        }
    }
    convenience init(_ audio: Audio) throws(WorkerError) {
        try self.init(name: audio.name, options: audio.options, timeBase: AVRational(num: 1, den: Int32(clamping: audio.rate))) { context in
            context.pointee.sample_rate = Int32(clamping: audio.rate)
            context.pointee.sample_fmt = context.pointee.codec?.pointee.sample_fmts?.pointee ?? AV_SAMPLE_FMT_FLTP
            context.pointee.bit_rate = audio.bitRate
            context.pointee.thread_count = 1
            av_channel_layout_default(&context.pointee.ch_layout, Int32(clamping: audio.channels))
        }
    }
    private init(
        name: String, options: [(name: String, value: String)], timeBase: AVRational, _ fill: (UnsafeMutablePointer<AVCodecContext>) -> Void
    ) throws(WorkerError) {
        guard let codec = avcodec_find_encoder_by_name(name) else { throw WorkerError(.internalError, "this FFmpeg has no encoder \(name); install one that has") }
        guard let context = avcodec_alloc_context3(codec) else { throw Libav.noMemory("an encoder") }
        do {
            context.pointee.time_base = timeBase
            // Parameter sets stand in the container, for every segment.
            context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER
            fill(context)
            for option in options { try Libav.set(context, option.name, option.value) }
            try Libav.check(avcodec_open2(context, codec, nil), "open \(name)")
            parameters = try StreamParameters(encoder: context)
        } catch {
            var context: UnsafeMutablePointer<AVCodecContext>? = context
            avcodec_free_context(&context)
            throw error
        }
        self.context = context
        self.timeBase = timeBase
    }
    deinit {
        var context: UnsafeMutablePointer<AVCodecContext>? = context
        avcodec_free_context(&context)
    }

    /// Samples of each channel an audio encoder takes at once; only the last frame may be shorter. 0: any number.
    var frameSamples: Int { Int(context.pointee.frame_size) }
    /// Samples (or frames) the encoder puts before the first it was given.
    var delay: Int { Int(context.pointee.initial_padding) }

    /// - Parameter isKey: begin a new group of pictures here, whatever `keyEvery` says.
    func send(_ frame: MediaFrame?, isKey: Bool = false) throws(WorkerError) {
        frame?.raw.pointee.pict_type = isKey ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
        try Libav.check(avcodec_send_frame(context, frame?.raw), "encode a frame")
    }
    /// Gives `count` samples of each channel of planar floats, in the encoder's own format.
    /// - Parameters:
    ///   - planes: one array per channel, `count` samples from `offset` on are taken.
    ///   - time: of the first, in samples.
    func send(_ planes: [[Float]], from offset: Int, count: Int, time: Int64) throws(WorkerError) {
        let frame = try stagingFrame(count)
        frame.raw.pointee.nb_samples = Int32(count)
        frame.time = time
        let format = context.pointee.sample_fmt, channels = planes.count
        for (channel, plane) in planes.enumerated() {
            precondition(plane.count >= offset + count)
            switch format {
            case AV_SAMPLE_FMT_FLTP: if let all = frame.plane(channel) { for i in 0..<count { all[i] = Self.rounded(plane[offset + i]) } }
            case AV_SAMPLE_FMT_FLT: if let all = frame.plane(0) { for i in 0..<count { all[i * channels + channel] = plane[offset + i] } }
            case AV_SAMPLE_FMT_S16:
                frame.raw.pointee.extended_data[0].map { UnsafeMutableRawPointer($0).assumingMemoryBound(to: Int16.self) }.map { all in
                    for i in 0..<count { all[i * channels + channel] = Int16(max(-32_768, min(32_767, plane[offset + i] * 32_768))) }
                }
            default: throw WorkerError(.internalError, "this encoder wants samples in a format we do not make")
            }
        }
        try send(frame)
    }
    /// To a step of 16-bit sound: of what lies below, which nobody hears, AAC's model makes three times the work.
    private static func rounded(_ sample: Float) -> Float {
        let steps: Float = 384      // between 256 and 512 a float's last bit is worth 2⁻¹⁵
        return (sample + steps) - steps
    }
    /// - Returns: false when another frame is needed, or at the end.
    func receive(_ packet: MediaPacket) throws(WorkerError) -> Bool {
        let code = avcodec_receive_packet(context, packet.raw)
        if code == Libav.again || code == Libav.endOfFile { return false }
        try Libav.check(code, "encode a frame")
        return true
    }
    /// Changes an option of a running encoder; takes effect with the next frame where the encoder can (libx264's "crf").
    func change(_ option: String, to value: String) throws(WorkerError) { try Libav.set(context, option, value) }
    func change(maximumBitRate: Int64, bufferBits: Int32) {
        context.pointee.rc_max_rate = maximumBitRate
        context.pointee.rc_buffer_size = bufferBits
    }

    private func stagingFrame(_ count: Int) throws(WorkerError) -> MediaFrame {
        if let staging, staging.capacity >= count { try staging.makeWritable(); return staging }
        let made = try MediaFrame()
        made.raw.pointee.format = context.pointee.sample_fmt.rawValue
        made.raw.pointee.nb_samples = Int32(max(count, frameSamples))
        made.raw.pointee.sample_rate = context.pointee.sample_rate
        try Libav.check(av_channel_layout_copy(&made.raw.pointee.ch_layout, &context.pointee.ch_layout), "set up samples")
        try Libav.check(av_frame_get_buffer(made.raw, 0), "hold \(count) samples")
        staging = made
        return made
    }
}

extension MediaFrame {
    /// Samples of each channel its memory holds.
    fileprivate var capacity: Int {
        guard let buffer = raw.pointee.buf.0 else { return 0 }
        let format = AVSampleFormat(rawValue: raw.pointee.format), channels = Int(raw.pointee.ch_layout.nb_channels)
        let width = Int(av_get_bytes_per_sample(format)) * (av_sample_fmt_is_planar(format) != 0 ? 1 : max(1, channels))
        return Int(buffer.pointee.size) / max(1, width)
    }
}
