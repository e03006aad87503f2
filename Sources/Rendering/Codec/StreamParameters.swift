// What a decoder or a container must know of a stream besides its frames, as libav holds it.
import CFFmpeg
import Capture
import RTP

/// Owns one `AVCodecParameters`.
final class StreamParameters {
    private enum Opus {
        static let rate: Int32 = 48_000
        static let preRoll: Int32 = 3_840       // samples: 80 ms (RFC 7845 §4.6)
    }
    let raw: UnsafeMutablePointer<AVCodecParameters>

    private init(empty: Void) throws(WorkerError) {
        guard let raw = avcodec_parameters_alloc() else { throw Libav.noMemory("a stream's parameters") }
        self.raw = raw
    }
    /// Of a captured track.
    convenience init(_ configuration: CodecConfiguration) throws(WorkerError) {
        try self.init(empty: ())
        if let size = configuration.size {
            raw.pointee.codec_type = AVMEDIA_TYPE_VIDEO
            raw.pointee.width = Int32(clamping: size.width)
            raw.pointee.height = Int32(clamping: size.height)
        }
        switch configuration {
        case .opus(let channels):
            raw.pointee.codec_type = AVMEDIA_TYPE_AUDIO
            raw.pointee.codec_id = AV_CODEC_ID_OPUS
            raw.pointee.sample_rate = Opus.rate
            raw.pointee.seek_preroll = Opus.preRoll
            av_channel_layout_default(&raw.pointee.ch_layout, Int32(clamping: channels))
            try setHeader(Self.opusHead(channels: channels))
        case .vp8: raw.pointee.codec_id = AV_CODEC_ID_VP8
        case .vp9: raw.pointee.codec_id = AV_CODEC_ID_VP9
        case .h264(_, let sps, let pps):
            raw.pointee.codec_id = AV_CODEC_ID_H264
            guard let record = AVCConfiguration.record(sps: sps, pps: pps) else { throw WorkerError(.internalError, "parameter sets do not fit a container") }
            try setHeader(record)
        case .av1(_, let sequenceHeader):
            raw.pointee.codec_id = AV_CODEC_ID_AV1
            try setHeader(sequenceHeader)
        }
    }
    /// A copy.
    convenience init(copying other: UnsafePointer<AVCodecParameters>) throws(WorkerError) {
        try self.init(empty: ())
        try Libav.check(avcodec_parameters_copy(raw, other), "copy a stream's parameters")
    }
    /// Of what an open encoder makes.
    convenience init(encoder: UnsafePointer<AVCodecContext>) throws(WorkerError) {
        try self.init(empty: ())
        try Libav.check(avcodec_parameters_from_context(raw, encoder), "copy an encoder's parameters")
    }
    deinit {
        var raw: UnsafeMutablePointer<AVCodecParameters>? = raw
        avcodec_parameters_free(&raw)
    }

    var isVideo: Bool { raw.pointee.codec_type == AVMEDIA_TYPE_VIDEO }
    var isAudio: Bool { raw.pointee.codec_type == AVMEDIA_TYPE_AUDIO }
    var size: VideoSize { VideoSize(width: Int(raw.pointee.width), height: Int(raw.pointee.height)) }
    /// Codec private data: `avcC`, `OpusHead`, …
    var header: [UInt8] { raw.pointee.extradata.map { Array(UnsafeBufferPointer(start: $0, count: Int(max(0, raw.pointee.extradata_size)))) } ?? [] }

    private func setHeader(_ bytes: [UInt8]) throws(WorkerError) {
        guard let memory = av_mallocz(bytes.count + Int(shim_av_input_padding)) else { throw Libav.noMemory("a header") }
        memory.copyMemory(from: bytes, byteCount: bytes.count)
        raw.pointee.extradata = memory.assumingMemoryBound(to: UInt8.self)
        raw.pointee.extradata_size = Int32(clamping: bytes.count)
    }
    /// RFC 7845 §5.1, version 1, mapping family 0, no pre-skip: a capture begins in the middle of a stream.
    private static func opusHead(channels: Int) -> [UInt8] {
        Array("OpusHead".utf8) + [1, UInt8(clamping: channels), 0, 0, 0x80, 0xBB, 0, 0, 0, 0, 0]
    }
}
