// An audio track as samples, each where it belongs from the recording's time zero on.
import Capture
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

    init(_ source: any FrameSource) throws(WorkerError) {
        self.source = source
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
            for i in 0..<Int(to - from) { mix[target + i] += pending[0][source + i] }
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
