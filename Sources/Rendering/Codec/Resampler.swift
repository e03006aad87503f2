// Samples of any format and rate into planar floats at one rate.
import CFFmpeg
import Capture

/// Owns the `SwrContext` for one source: made anew when the source changes its format, rate or channels.
final class Resampler {
    let rate: Int
    let channels: Int
    private var context: OpaquePointer?
    private var source: (format: Int32, rate: Int32, channels: Int32)?
    private var output: MediaFrame?

    init(rate: Int, channels: Int) { self.rate = rate; self.channels = channels }
    deinit { swr_free(&context) }

    /// Appends what `frame` makes at our rate to one array per channel; nil takes what the filter still holds, at the end.
    func convert(_ frame: MediaFrame?, into samples: inout [[Float]]) throws(WorkerError) {
        precondition(samples.count == channels)
        if let frame { try prepare(frame) }
        guard let context else { return }
        let count = frame?.sampleCount ?? 0
        let room = Int(swr_get_out_samples(context, Int32(count)))
        guard room > 0 else { return }
        let output = try output(room: room)
        var planes: [UnsafeMutablePointer<UInt8>?] = (0..<channels).map { output.raw.pointee.extended_data[$0] }
        var input: [UnsafePointer<UInt8>?] = []
        if let frame { input = (0..<Int(frame.raw.pointee.ch_layout.nb_channels)).map { frame.isPlanar || $0 == 0 ? UnsafePointer(frame.raw.pointee.extended_data[$0]) : nil } }
        let made = Int(try Libav.check(
            frame == nil ? swr_convert(context, &planes, Int32(room), nil, 0) : swr_convert(context, &planes, Int32(room), &input, Int32(count)), "convert samples"))
        for channel in 0..<channels { samples[channel].append(contentsOf: UnsafeBufferPointer(start: output.plane(channel), count: made)) }
    }

    private func prepare(_ frame: MediaFrame) throws(WorkerError) {
        let raw = frame.raw, now = (raw.pointee.format, raw.pointee.sample_rate, raw.pointee.ch_layout.nb_channels)
        if let source, source == now { return }
        guard now.1 > 0, now.1 <= Decoder.Limits.rate, (1...8).contains(now.2) else { throw WorkerError(.internalError, "samples at \(now.1) Hz in \(now.2) channels cannot be converted") }
        swr_free(&context)
        var layout = AVChannelLayout()
        av_channel_layout_default(&layout, Int32(channels))
        defer { av_channel_layout_uninit(&layout) }
        try Libav.check(
            swr_alloc_set_opts2(
                &context, &layout, AV_SAMPLE_FMT_FLTP, Int32(rate), &raw.pointee.ch_layout, AVSampleFormat(rawValue: raw.pointee.format), raw.pointee.sample_rate, 0, nil),
            "set up a resampler")
        try Libav.check(swr_init(context), "open a resampler")
        source = now
    }
    private func output(room: Int) throws(WorkerError) -> MediaFrame {
        if let output, output.sampleCount >= room { return output }
        let made = try MediaFrame(samples: max(room, 4_096), channels: channels, rate: rate)
        output = made
        return made
    }
}

extension MediaFrame {
    fileprivate var isPlanar: Bool { av_sample_fmt_is_planar(AVSampleFormat(rawValue: raw.pointee.format)) != 0 }
}
