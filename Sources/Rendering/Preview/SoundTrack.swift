// An audio track as samples, each where it belongs from the recording's time zero on.
import Capture
import Composition
import RTP

/// Decodes a source as far as it is asked to, and adds its samples into a mix.
final class SoundTrack {
    enum Limits {
        /// Samples of a stream are counted; only when its clock says they are farther off than this (samples, 40 ms) they are placed anew.
        static let slip: Int64 = 1_920
    }
    let source: any FrameSource
    private let packet: MediaPacket
    private let decoded: MediaFrame
    private let resampler = Resampler(rate: PreviewGrid.sampleRate, channels: 1)
    private var decoder: Decoder?
    private var parameters: StreamParameters?
    private var isHolding = false
    private(set) var isOver = false
    /// Decoded and not mixed yet; the first one stands at `position`.
    private var pending: [[Float]] = [[]]
    private var position: Int64 = 0
    private var gate: SoundGate?

    init(_ source: any FrameSource) throws(WorkerError) {
        self.source = source
        gate = source.shown.map(SoundGate.init)
        packet = try MediaPacket()
        decoded = try MediaFrame()
    }

    /// Adds samples `range` (counted from time zero) to `mix`, which begins at the range's begin.
    func add(_ range: Range<Int64>, to mix: inout [Float]) throws(WorkerError) {
        let until = range.upperBound * 1_000 / 48
        while !isOver, position + Int64(pending[0].count) < range.upperBound {
            if !isHolding {
                guard try source.next(into: packet) else {
                    if source.isAtEnd { isOver = true; decoder = nil }
                    break
                }
                isHolding = true
            }
            guard packet.time < until else { break }
            isHolding = false
            try decode()
        }
        take(range, &mix)
    }

    private func take(_ range: Range<Int64>, _ mix: inout [Float]) {
        let end = position + Int64(pending[0].count), from = max(position, range.lowerBound), to = min(end, range.upperBound)
        if from < to {
            let source = Int(from - position), target = Int(from - range.lowerBound)
            if gate == nil {
                for i in 0..<Int(to - from) { mix[target + i] += pending[0][source + i] }
            } else {
                for i in 0..<Int(to - from) { mix[target + i] += pending[0][source + i] * (gate?.gain(at: from + Int64(i)) ?? 1) }
            }
        }
        let used = Int(min(max(0, range.upperBound - position), Int64(pending[0].count)))
        pending[0].removeFirst(used)
        position += Int64(used)
    }
    private func decode() throws(WorkerError) {
        if parameters !== source.parameters {
            parameters = source.parameters
            decoder = try parameters.map { parameters throws(WorkerError) in try Decoder(parameters, timeBase: Libav.microseconds) }
        }
        let wanted = packet.time * 48 / 1_000, end = position + Int64(pending[0].count)
        if wanted > end + Limits.slip || wanted < end - Limits.slip || pending[0].isEmpty && position == 0 { place(at: wanted) }
        try decoder?.send(packet)
        while let decoder, try decoder.receive(decoded) {
            try resampler.convert(decoded, into: &pending)
            decoded.clear()
        }
    }
    /// The next samples stand there: silence before them, or what overlaps goes.
    private func place(at wanted: Int64) {
        let end = position + Int64(pending[0].count)
        if pending[0].isEmpty {
            position = wanted
        } else if wanted >= end {
            pending[0].append(contentsOf: repeatElement(0, count: Int(wanted - end)))   // within the range that is asked for
        } else {
            let kept = Int(max(0, wanted - position))
            pending[0].removeLast(pending[0].count - min(kept, pending[0].count))
        }
    }
}

/// When a sound is heard, with a fade behind each border: where one source gives way to another, both gains add up to one.
struct SoundGate {
    /// Samples, 5 ms.
    static let ramp: Int64 = 240
    private let ranges: [Range<Int64>]
    private var index = 0

    /// - Parameter spans: µs.
    init(_ spans: Spans) { ranges = spans.ranges.map { Self.position($0.lowerBound)..<Self.position($0.upperBound) } }

    /// - Parameter position: in samples from time zero, not going back.
    mutating func gain(at position: Int64) -> Float {
        while index < ranges.count, ranges[index].upperBound + Self.ramp <= position { index += 1 }
        guard index < ranges.count, position >= ranges[index].lowerBound else { return 0 }
        let rise = min(1, Float(position - ranges[index].lowerBound) / Float(Self.ramp))
        guard position >= ranges[index].upperBound else { return rise }
        return min(rise, 1 - Float(position - ranges[index].upperBound) / Float(Self.ramp))
    }
    /// Far from what could overflow.
    private static func position(_ microseconds: Int64) -> Int64 { min(max(microseconds, -1 << 50), 1 << 50) * 48 / 1_000 }
}
