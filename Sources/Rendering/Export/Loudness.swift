// How loud a plan's sound is, and how it becomes as loud as it should be (EBU R128).
import Capture
import Composition
import Glibc

enum Loudness {
    /// LUFS, as streaming services and the issue want it.
    static let target = -16.0
    enum Limits {
        /// dB: a recording of a silent room stays silent.
        static let gain = 30.0
        /// LUFS: below this there is nothing to bring up.
        static let silence = -69.0
        /// Samples measured at once.
        static let block = 48_000
    }
    /// Integrated loudness of all that `mixer` gives, in LUFS; nil for silence.
    static func measure(_ mixer: Mixer, _ progress: (Double) -> Void) throws(WorkerError) -> Double? {
        let meter = try FilterChain(rate: TrackSamples.Format.rate, channels: TrackSamples.Format.channels, [.init("ebur128", [("metadata", "1")])])
        let measured = try MediaFrame()
        var integrated: Double?
        while mixer.position < mixer.end {
            let start = mixer.position
            var samples = [[Float]](repeating: [], count: TrackSamples.Format.channels)
            try mixer.mix(Limits.block, into: &samples)
            let frame = try MediaFrame(samples, at: start)
            try meter.send(frame)
            while try meter.receive(measured) { integrated = measured.finding("lavfi.r128.I") ?? integrated }
            progress(Double(mixer.position) / Double(max(1, mixer.end)))
        }
        try meter.send(nil)
        while try meter.receive(measured) { integrated = measured.finding("lavfi.r128.I") ?? integrated }
        return integrated.flatMap { $0 > Limits.silence ? $0 : nil }
    }
    /// The factor that brings `measured` to `target`.
    static func gain(_ measured: Double?) -> Float { measured.map { powf(10, Float(min(Limits.gain, target - $0)) / 20) } ?? 1 }
}

/// A mixer's samples at one gain, limited; in order from the beginning.
final class LevelledSound {
    private let mixer: Mixer
    private let gain: Float
    private var limiter = Limiter()
    /// Scaled, not limited.
    private var ahead = [[Float]](repeating: [], count: TrackSamples.Format.channels)

    init(_ mixer: Mixer, gain: Float) { self.mixer = mixer; self.gain = gain }

    /// The next `count` samples; fewer at the end, none behind it.
    func next(_ count: Int) throws(WorkerError) -> [[Float]] {
        let held = ahead[0].count
        try mixer.mix(max(0, count + Limiter.Limits.lookahead - held), into: &ahead)
        for channel in ahead.indices { for index in held..<ahead[channel].count { ahead[channel][index] *= gain } }
        let ready = min(count, ahead[0].count)
        limiter.apply(&ahead, count: ready)
        let out = ahead.map { Array($0.prefix(ready)) }
        for channel in ahead.indices { ahead[channel].removeFirst(ready) }
        return out
    }
}

extension MediaFrame {
    /// A copy of planar samples, one array a channel, at 48 kHz.
    convenience init(_ samples: [[Float]], at time: Int64) throws(WorkerError) {
        try self.init(samples: samples[0].count, channels: samples.count, rate: TrackSamples.Format.rate)
        for (channel, plane) in samples.enumerated() { plane.withUnsafeBufferPointer { if let base = $0.baseAddress { self.plane(channel)?.update(from: base, count: $0.count) } } }
        self.time = time
    }
}
