// One stream's decoder.
import CFFmpeg
import Capture

/// Owns one `AVCodecContext` opened for decoding. Encoded frames in, pictures or samples out.
///
/// A packet libav does not take is what a publisher or a loss made: it is counted in `refused`, never an error.
final class Decoder {
    enum Limits {
        /// A picture may have, as 4K has; a larger one is refused before memory is taken for it.
        static let pixels: Int64 = 4_096 * 2_304
        /// Samples a second, as Opus and AAC allow.
        static let rate: Int32 = 96_000
    }
    /// Units of the packets' and frames' times.
    let timeBase: AVRational
    private(set) var refused = 0
    private let context: UnsafeMutablePointer<AVCodecContext>

    /// - Parameter threads: 1 for a job that runs beside others on its core.
    init(_ parameters: StreamParameters, timeBase: AVRational, threads: Int = 1) throws(WorkerError) {
        guard let codec = avcodec_find_decoder(parameters.raw.pointee.codec_id) else {
            throw WorkerError(.internalError, "this FFmpeg has no decoder for \(String(cString: avcodec_get_name(parameters.raw.pointee.codec_id)))")
        }
        guard let context = avcodec_alloc_context3(codec) else { throw Libav.noMemory("a decoder") }
        self.context = context
        self.timeBase = timeBase
        try Libav.check(avcodec_parameters_to_context(context, parameters.raw), "set up a decoder")
        context.pointee.pkt_timebase = timeBase
        context.pointee.thread_count = Int32(clamping: threads)
        context.pointee.max_pixels = Limits.pixels
        try Libav.check(avcodec_open2(context, codec, nil), "open a decoder")
    }
    deinit {
        var context: UnsafeMutablePointer<AVCodecContext>? = context
        avcodec_free_context(&context)
    }

    /// Gives the next packet, or nil for the end of the stream; take all frames by `receive` before the next one.
    func send(_ packet: MediaPacket?) throws(WorkerError) {
        let code = avcodec_send_packet(context, packet?.raw)
        if code == Libav.outOfMemory { throw Libav.noMemory("a decoded frame") }
        if code < 0, packet != nil { refused += 1 }
    }
    /// - Returns: false when another packet is needed, or at the end.
    func receive(_ frame: MediaFrame) throws(WorkerError) -> Bool {
        while true {
            let code = avcodec_receive_frame(context, frame.raw)
            if code == Libav.again || code == Libav.endOfFile { return false }
            if code == Libav.outOfMemory { throw Libav.noMemory("a decoded frame") }
            guard code >= 0 else { refused += 1; return false }
            if frame.time == Libav.noTime { frame.time = frame.raw.pointee.best_effort_timestamp }
            return true
        }
    }
    /// Forgets everything before a seek.
    func flush() { avcodec_flush_buffers(context) }
}
