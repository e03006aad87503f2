// The sound of one recorded track, placed on the recording's time line.
import Capture
import Composition
import RTP

/// Planar stereo floats at 48 kHz. Positions are samples from the recording's time zero; what is asked for never lies before what was.
///
/// A sender's clock is not ours: a packet whose timestamp says it is due a little earlier or later than where the samples before
/// it end is stretched by at most a hundredth, which nobody hears; one that is far off stands where its timestamp says, with silence before it.
final class TrackSamples {
    enum Format {
        static let rate = 48_000
        static let channels = 2
    }
    enum Limits {
        /// Samples: smaller differences are the rounding of timestamps.
        static let tolerated: Int64 = 96
        /// Samples: larger ones are a gap, or a jump back.
        static let drift: Int64 = 2_880
        /// µs: a gap longer than this is jumped over instead of decoded.
        static let jump: Int64 = 5_000_000
        /// µs before a place that was jumped to, decoded for Opus to settle (RFC 7845 §4.6).
        static let preRoll: Int64 = 80_000
    }
    /// Samples that stand one behind the other.
    private struct Run {
        var start: Int64
        var samples: [[Float]]
        var end: Int64 { start + Int64(samples[0].count) }
        /// Lets go of what lies before `position`.
        mutating func forget(before position: Int64) {
            let used = Int(min(max(0, position - start), Int64(samples[0].count)))
            for channel in samples.indices { samples[channel].removeFirst(used) }
            start += Int64(used)
        }
    }
    private let folder: String
    private let source: RenderPlan.Source
    private let unreadable: (RenderPlan.Piece) -> Void
    private let resampler = Resampler(rate: Format.rate, channels: Format.channels)
    private let packet: MediaPacket
    private let frame: MediaFrame
    private var denoiser: Denoiser?
    private var piece = -1
    private var reader: PacketReader?
    private var decoder: Decoder?
    private var stream: PacketReader.Stream?
    /// In order; the first may lie before what is asked for next.
    private var runs: [Run] = []
    /// Where the next decoded sample belongs, if it follows without a gap.
    private var due: Int64?

    init(_ source: RenderPlan.Source, folder: String, unreadable: @escaping (RenderPlan.Piece) -> Void) throws(WorkerError) {
        self.source = source
        self.folder = folder
        self.unreadable = unreadable
        packet = try MediaPacket()
        frame = try MediaFrame()
        if source.isDenoised { denoiser = try Denoiser() }
    }

    /// Adds `count` samples from `start` on to `mix` at `offset`, times a gain that moves from `gain.lowerBound` on by `step` a sample up to `target`.
    func add(from start: Int64, count: Int, to mix: inout [[Float]], at offset: Int, gain: inout Float, target: Float, step: Float) throws(WorkerError) {
        try fill(from: start, to: start + Int64(count))
        let before = gain
        for run in runs {
            let from = max(start, run.start), to = min(start + Int64(count), run.end)
            guard from < to else { continue }
            for channel in 0..<Format.channels {
                mix[channel].withUnsafeMutableBufferPointer { out in
                    run.samples[channel].withUnsafeBufferPointer { samples in
                        for position in from..<to {
                            let moved = step * Float(position - start)
                            let now = before < target ? min(target, before + moved) : max(target, before - moved)
                            out[offset + Int(position - start)] += samples[Int(position - run.start)] * now
                        }
                    }
                }
            }
        }
        let moved = step * Float(count)
        gain = before < target ? min(target, before + moved) : max(target, before - moved)
        runs.removeAll { $0.end <= start + Int64(count) }
        // A track without a gap is one run to its end.
        if !runs.isEmpty { runs[0].forget(before: start + Int64(count)) }
    }
    /// Decoded and not asked for yet, of each channel.
    var held: Int { runs.reduce(0) { $0 + $1.samples[0].count } }

    // MARK: - Reading ahead

    private func fill(from start: Int64, to end: Int64) throws(WorkerError) {
        if let held = due ?? runs.last?.end, Self.microseconds(start - held) > Limits.jump { try jump(to: start) }
        while (runs.last?.end ?? .min) < end {
            if reader == nil { guard try openNext(from: start, to: end) else { return } }
            try decode()
        }
    }
    /// Opens the piece that has something of the asked-for time.
    private func openNext(from start: Int64, to end: Int64) throws(WorkerError) -> Bool {
        let time = Self.microseconds(start)..<Self.microseconds(end)
        guard let index = source.pieces.indices.first(where: { $0 > piece && source.pieces[$0].range.upperBound > time.lowerBound }),
            source.pieces[index].range.lowerBound < time.upperBound
        else { return false }
        piece = index
        do throws(WorkerError) {
            let opened = try PacketReader("\(folder)/\(source.pieces[index].path)")
            guard let audio = opened.streams.first(where: { $0.parameters.isAudio }) else { throw WorkerError(.missing, "no sound in \(opened.path)") }
            decoder = try Decoder(audio.parameters, timeBase: audio.timeBase)
            (reader, stream) = (opened, audio)
            if time.lowerBound - source.pieces[index].range.lowerBound > Limits.jump { try opened.seek(to: max(0, time.lowerBound - Limits.preRoll)) }
        } catch {
            unreadable(source.pieces[index])
        }
        return true
    }
    private func jump(to start: Int64) throws(WorkerError) {
        runs = []
        due = nil
        try denoiser?.restart()
        let time = Self.microseconds(start)
        if piece >= 0, reader != nil, source.pieces[piece].range.contains(time) {
            do throws(WorkerError) {
                try reader?.seek(to: max(0, time - Limits.preRoll))
                decoder?.flush()
                return
            } catch {}
        }
        (reader, decoder, stream) = (nil, nil, nil)
        piece = (source.pieces.firstIndex { $0.range.upperBound > time } ?? source.pieces.count) - 1
    }
    /// One packet's samples, or the end of the piece.
    private func decode() throws(WorkerError) {
        guard let reader, let decoder, let stream else { return }
        repeat {
            guard try reader.next(into: packet) else {
                try decoder.send(nil)
                while try decoder.receive(frame) { try place(stream) }
                (self.reader, self.decoder, self.stream) = (nil, nil, nil)
                if let denoiser { try denoiser.finish { append($0, at: $1) } }
                return
            }
        } while packet.stream != stream.index
        try decoder.send(packet)
        while try decoder.receive(frame) { try place(stream) }
    }
    private func place(_ stream: PacketReader.Stream) throws(WorkerError) {
        var samples = [[Float]](repeating: [], count: Format.channels)
        let time = frame.time == Libav.noTime ? nil : stream.timeBase.rescale(frame.time, to: Libav.microseconds)
        do throws(WorkerError) { try resampler.convert(frame, into: &samples) } catch { return }
        guard !samples[0].isEmpty else { return }
        let wanted = time.map { Self.position($0) } ?? due ?? 0
        let expected = due ?? wanted, off = wanted - expected
        let start: Int64
        if abs(off) > Limits.drift {
            try denoiser?.restart()
            start = wanted
        } else {
            if abs(off) > Limits.tolerated {
                let most = max(1, samples[0].count / 100), change = Int(min(max(off, Int64(-most)), Int64(most)))
                samples = samples.map { Self.stretched($0, to: $0.count + change) }
            }
            start = expected
        }
        due = start + Int64(samples[0].count)
        if let denoiser { try denoiser.pass(samples, at: start) { append($0, at: $1) } } else { append(samples, at: start) }
    }
    private func append(_ samples: [[Float]], at start: Int64) {
        if let last = runs.indices.last, runs[last].end == start {
            for channel in 0..<Format.channels { runs[last].samples[channel] += samples[channel] }
        } else {
            // A jump back: what was there first stays.
            let overlap = Int(min(Int64(samples[0].count), max(0, (runs.last?.end ?? .min) > start ? (runs.last?.end ?? start) - start : 0)))
            guard overlap < samples[0].count else { return }
            runs.append(Run(start: start + Int64(overlap), samples: samples.map { Array($0.dropFirst(overlap)) }))
        }
    }

    // MARK: - Arithmetic

    static func position(_ microseconds: Int64) -> Int64 { microseconds * Int64(Format.rate / 1_000) / 1_000 }
    private static func microseconds(_ position: Int64) -> Int64 { position * 1_000 / Int64(Format.rate / 1_000) }

    /// `samples` at `count` even steps, each between its two neighbours.
    static func stretched(_ samples: [Float], to count: Int) -> [Float] {
        guard count > 1, samples.count > 1, count != samples.count else { return samples }
        let step = Float(samples.count - 1) / Float(count - 1)
        return (0..<count).map { index in
            let at = Float(index) * step, left = min(samples.count - 2, Int(at))
            return samples[left] + (samples[left + 1] - samples[left]) * (at - Float(left))
        }
    }
}
