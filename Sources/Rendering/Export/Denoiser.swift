// Steady noise out of one track's sound: libavfilter's afftdn.
import Capture

/// Samples in and, a fortieth of a second later, out at the same positions.
final class Denoiser {
    enum Settings {
        /// dB taken from noise at and below the floor. afftdn's own search for the floor lets white noise through: it stays off.
        static let reduction = "18"
        static let floor = "-45"
        /// Samples it comes late at 48 kHz: two of its steps of an eightieth of a second.
        static let latency = 1_200
        /// Samples: more than one of its windows at 48 kHz.
        static let window = 8_192
    }
    private var chain: FilterChain
    private let output: MediaFrame
    /// Where the next sample that comes out belongs; nil before the first went in.
    private var position: Int64?
    /// Samples that went in and have not come out.
    private var held = 0
    /// Samples still to be dropped: those it puts before the first.
    private var early = Settings.latency

    init() throws(WorkerError) {
        chain = try Self.chain()
        output = try MediaFrame()
    }
    private static func chain() throws(WorkerError) -> FilterChain {
        try FilterChain(rate: TrackSamples.Format.rate, channels: TrackSamples.Format.channels, [
            .init("afftdn", [("noise_reduction", Settings.reduction), ("noise_floor", Settings.floor)]),
        ])
    }
    /// What comes next does not follow what came before.
    func restart() throws(WorkerError) {
        guard position != nil else { return }
        chain = try Self.chain()
        (position, held, early) = (nil, 0, Settings.latency)
    }
    func pass(_ samples: [[Float]], at start: Int64, _ give: ([[Float]], Int64) -> Void) throws(WorkerError) {
        if position == nil { position = start }
        held += samples[0].count
        try chain.send(try MediaFrame(samples, at: start))
        try take(give)
    }
    /// The end: gives what is still held.
    func finish(_ give: ([[Float]], Int64) -> Void) throws(WorkerError) {
        guard let position else { return }
        // The filter gives a sample once a whole window behind it is there.
        let silence = [[Float]](repeating: [Float](repeating: 0, count: Settings.window), count: TrackSamples.Format.channels)
        try chain.send(try MediaFrame(silence, at: position + Int64(held)))
        try chain.send(nil)
        try take(give)
        try restart()
    }
    private func take(_ give: ([[Float]], Int64) -> Void) throws(WorkerError) {
        while try chain.receive(output) {
            guard let at = position else { return }
            let skipped = min(early, output.sampleCount)
            early -= skipped
            let count = min(output.sampleCount - skipped, held)
            guard count > 0 else { continue }
            give((0..<TrackSamples.Format.channels).map { Array(UnsafeBufferPointer(start: output.plane($0), count: output.sampleCount)[skipped..<(skipped + count)]) }, at)
            position = at + Int64(count)
            held -= count
        }
    }
}
