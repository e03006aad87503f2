// One file of one track, written by libavformat without transcoding.
import Capture
import CFFmpeg
import Glibc
import RTP

/// Owns one `AVFormatContext` with one stream. Frames in, WebM (Matroska for H.264) out, with cues for seeking.
///
/// Timestamps are milliseconds from the recording's time zero: a track that begins later begins later in its file.
final class TrackMuxer {
    enum Container: String {
        case webm
        case matroska = "mkv"
        init(_ codec: Codec) { self = codec == .h264 ? .matroska : .webm }
        var muxer: String { self == .webm ? "webm" : "matroska" }
    }
    private enum Constants {
        static let opusRate: Int32 = 48_000
        static let opusPreRoll: Int32 = 3_840       // 80 ms (RFC 7845 §4.6)
        static let timeBase = AVRational(num: 1, den: 1_000)
    }
    let path: String
    let configuration: CodecConfiguration
    private(set) var frames = 0
    private(set) var keyFrames = 0
    private(set) var start: Int64?
    private(set) var end: Int64 = 0
    private var context: UnsafeMutablePointer<AVFormatContext>?
    private let packet: UnsafeMutablePointer<AVPacket>
    private var lastTimestamp: Int64 = .min

    init(path: String, configuration: CodecConfiguration, title: String) throws(FinishError) {
        self.path = path
        self.configuration = configuration
        guard let packet = av_packet_alloc() else { throw FinishError(.internalError, "no memory for a packet") }
        self.packet = packet
        let url = "file:\(path)"
        try Self.check(avformat_alloc_output_context2(&context, nil, Container(configuration.codec).muxer, url), "make a muxer for \(path)")
        guard let context, let stream = avformat_new_stream(context, nil) else { throw FinishError(.internalError, "no memory for a stream") }
        try fill(stream.pointee.codecpar)
        stream.pointee.time_base = Constants.timeBase
        context.pointee.avoid_negative_ts = 0   // the recording's time zero is kept
        av_dict_set(&context.pointee.metadata, "title", title, 0)
        try Self.check(avio_open(&context.pointee.pb, url, AVIO_FLAG_WRITE), "create \(path)")
        try Self.check(avformat_write_header(context, nil), "begin \(path)")
    }
    deinit {
        close()
        avformat_free_context(context)
        var packet: UnsafeMutablePointer<AVPacket>? = packet
        av_packet_free(&packet)
    }

    func write(_ frame: PresentedFrame) throws(FinishError) {
        guard let context, context.pointee.pb != nil else { return }
        let time = max(Self.milliseconds(frame.time), lastTimestamp)
        try Self.check(av_new_packet(packet, Int32(clamping: frame.data.count)), "hold a frame of \(path)")
        defer { av_packet_unref(packet) }
        frame.data.withUnsafeBytes { if let base = $0.baseAddress { packet.pointee.data.update(from: base.assumingMemoryBound(to: UInt8.self), count: $0.count) } }
        packet.pointee.pts = time
        packet.pointee.dts = time
        packet.pointee.duration = max(1, Self.milliseconds(frame.time + frame.duration) - time)
        packet.pointee.stream_index = 0
        if frame.isKey { packet.pointee.flags |= AV_PKT_FLAG_KEY }
        try Self.check(av_write_frame(context, packet), "write \(path)")
        lastTimestamp = time
        if start == nil { start = frame.time }
        end = frame.time + frame.duration
        frames += 1
        if frame.isKey { keyFrames += 1 }
    }
    /// Writes cues and duration and closes the file.
    func finish() throws(FinishError) {
        guard let context else { return }
        try Self.check(av_write_trailer(context), "end \(path)")
        let failed = context.pointee.pb?.pointee.error ?? 0
        let closed = close()
        try Self.check(failed != 0 ? failed : closed, "write \(path)")
    }
    @discardableResult
    private func close() -> Int32 {
        guard let context, context.pointee.pb != nil else { return 0 }
        return avio_closep(&context.pointee.pb)
    }

    private func fill(_ parameters: UnsafeMutablePointer<AVCodecParameters>) throws(FinishError) {
        if let size = configuration.size {
            parameters.pointee.codec_type = AVMEDIA_TYPE_VIDEO
            parameters.pointee.width = Int32(clamping: size.width)
            parameters.pointee.height = Int32(clamping: size.height)
        }
        switch configuration {
        case .opus(let channels):
            parameters.pointee.codec_type = AVMEDIA_TYPE_AUDIO
            parameters.pointee.codec_id = AV_CODEC_ID_OPUS
            parameters.pointee.sample_rate = Constants.opusRate
            parameters.pointee.seek_preroll = Constants.opusPreRoll
            shim_av_set_channels(parameters, Int32(clamping: channels))
            try setExtradata(Self.opusHead(channels: channels), parameters)
        case .vp8: parameters.pointee.codec_id = AV_CODEC_ID_VP8
        case .vp9: parameters.pointee.codec_id = AV_CODEC_ID_VP9
        case .h264(_, let sps, let pps):
            parameters.pointee.codec_id = AV_CODEC_ID_H264
            guard let record = AVCConfiguration.record(sps: sps, pps: pps) else { throw FinishError(.internalError, "parameter sets do not fit \(path)") }
            try setExtradata(record, parameters)
        case .av1(_, let sequenceHeader):
            parameters.pointee.codec_id = AV_CODEC_ID_AV1
            try setExtradata(sequenceHeader, parameters)
        }
    }
    private func setExtradata(_ bytes: [UInt8], _ parameters: UnsafeMutablePointer<AVCodecParameters>) throws(FinishError) {
        guard let memory = av_mallocz(bytes.count + Int(shim_av_input_padding)) else { throw FinishError(.internalError, "no memory for a header") }
        memory.copyMemory(from: bytes, byteCount: bytes.count)
        parameters.pointee.extradata = memory.assumingMemoryBound(to: UInt8.self)
        parameters.pointee.extradata_size = Int32(clamping: bytes.count)
    }
    /// RFC 7845 §5.1, version 1, mapping family 0, no pre-skip: a capture begins in the middle of a stream.
    private static func opusHead(channels: Int) -> [UInt8] {
        Array("OpusHead".utf8) + [1, UInt8(clamping: channels), 0, 0, 0x80, 0xBB, 0, 0, 0, 0, 0]
    }
    private static func milliseconds(_ microseconds: Int64) -> Int64 { (microseconds + 500) / 1000 }
    private static func check(_ code: Int32, _ doing: String) throws(FinishError) {
        guard code < 0 else { return }
        let number = shim_av_errno(code)
        // EINVAL is libav's word for what it does not want to write, not the disk's.
        if number != 0, number != EINVAL { throw FinishError(code: number, doing) }
        var text = [CChar](repeating: 0, count: 256)
        _ = shim_av_error_text(code, &text, text.count)
        throw FinishError(.internalError, "cannot \(doing): \(text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })")
    }
}

/// libav's own messages stay off standard error but for errors.
package func quietLibav() { av_log_set_level(AV_LOG_ERROR) }
