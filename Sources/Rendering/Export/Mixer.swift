// All tracks of a plan mixed into one sound, from its beginning to its end.
import Capture
import Composition
import Glibc

/// Gives the output's samples in order: planar stereo floats at 48 kHz, not limited.
final class Mixer {
    enum Limits {
        /// Samples in which a gain changes, 5 ms: a mute makes no click.
        static let ramp = 240
    }
    private let plan: RenderPlan
    private let folder: String
    private let unreadable: (Int, RenderPlan.Piece) -> Void
    private var tracks: [Int: TrackSamples] = [:]
    private var gains: [Int: Float] = [:]
    private var interval = 0
    /// Recording's position − output's position, in the current interval.
    private var shift: Int64 = 0
    private(set) var position: Int64 = 0
    let end: Int64

    init(_ plan: RenderPlan, folder: String, unreadable: @escaping (Int, RenderPlan.Piece) -> Void) {
        self.plan = plan
        self.folder = folder
        self.unreadable = unreadable
        end = TrackSamples.position(plan.duration)
        if let first = plan.intervals.first { shift = TrackSamples.position(first.start) }
    }

    /// Appends the next `count` samples (fewer at the end) to `samples`.
    func mix(_ count: Int, into samples: inout [[Float]]) throws(WorkerError) {
        var left = Int(min(Int64(count), end - position))
        while left > 0 {
            while interval + 1 < plan.intervals.count, TrackSamples.position(plan.intervals[interval].output.upperBound) <= position { enter(interval + 1) }
            let until = interval + 1 < plan.intervals.count ? TrackSamples.position(plan.intervals[interval].output.upperBound) : end
            // A ramp ends inside its part: the gain after it is exactly the wanted one.
            let part = min(left, Int(until - position))
            let offset = samples[0].count
            for channel in samples.indices { samples[channel] += repeatElement(0, count: part) }
            try mix(part, into: &samples, at: offset)
            position += Int64(part)
            left -= part
        }
    }
    private func enter(_ next: Int) {
        let before = plan.intervals[interval], now = plan.intervals[next]
        interval = next
        guard now.start != before.recorded(before.output.upperBound) else { return }
        shift = TrackSamples.position(now.start) - TrackSamples.position(now.output.lowerBound)
        // Behind a cut every sound begins anew.
        gains = [:]
    }
    private func mix(_ count: Int, into samples: inout [[Float]], at offset: Int) throws(WorkerError) {
        let sounds = plan.intervals[interval].sounds
        let fading = gains.keys.filter { key in gains[key] != 0 && !sounds.contains { $0.source == key } }.sorted()
        for (source, target) in sounds.map({ ($0.source, powf(10, Float($0.gain) / 2_000)) }) + fading.map({ ($0, 0) }) {
            // The very first samples of an export need no ramp.
            var gain = gains[source] ?? (position == 0 ? target : 0)
            let step = max(abs(target - gain), 0.001) / Float(Limits.ramp)
            try track(source).add(from: position + shift, count: count, to: &samples, at: offset, gain: &gain, target: target, step: step)
            gains[source] = gain
        }
        // Decoders of those who are not heard any more are let go.
        for source in tracks.keys where gains[source, default: 0] == 0 && !sounds.contains(where: { $0.source == source }) { tracks[source] = nil }
    }
    private func track(_ source: Int) throws(WorkerError) -> TrackSamples {
        if let known = tracks[source] { return known }
        let made = try TrackSamples(plan.sources[source], folder: folder) { [unreadable] in unreadable(source, $0) }
        tracks[source] = made
        return made
    }
}
