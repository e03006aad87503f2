// Who spoke when, from the levels clients send with their packets (RFC 6464).
import RTP

/// Smoothed level over a threshold, with a release time so that a breath does not end a sentence.
package struct SpeakingDetector {
    package enum Limits {
        /// −dBov: louder (smaller) than this is speech when the client does not say so itself.
        static let threshold = 45.0
        /// µs: pauses shorter than this stay inside a stretch; stretches shorter than `shortest` are noise.
        static let release: Int64 = 800_000
        static let shortest: Int64 = 300_000
        static let stretches = 50_000
        /// Weight of a new packet.
        static let smoothing = 0.2
    }
    private var level = 127.0
    private var open: ClosedRange<Int64>?
    private var closed: [ClosedRange<Int64>] = []
    package init() {}

    /// - Parameter time: µs, not going back.
    package mutating func add(_ audio: AudioLevel, at time: Int64) {
        level += (Double(audio.level) - level) * Limits.smoothing
        if let stretch = open, time - stretch.upperBound > Limits.release { close(stretch) }
        guard level < Limits.threshold || (audio.isVoice && level < Limits.threshold + 15) else { return }
        open = (open?.lowerBound ?? time)...max(time, open?.upperBound ?? time)
    }
    package mutating func finish() -> [ClosedRange<Int64>] {
        if let stretch = open { close(stretch) }
        return closed
    }
    /// Until now; the last one may still go on.
    package var stretches: [ClosedRange<Int64>] {
        guard let open, open.upperBound - open.lowerBound >= Limits.shortest else { return closed }
        return closed + [open]
    }
    /// Somebody spoke at some time from `time` on, or still does.
    package func hasSpoken(since time: Int64) -> Bool {
        if let open, open.upperBound >= time, open.upperBound - open.lowerBound >= Limits.shortest { return true }
        return closed.last.map { $0.upperBound >= time } ?? false
    }
    private mutating func close(_ stretch: ClosedRange<Int64>) {
        open = nil
        if stretch.upperBound - stretch.lowerBound >= Limits.shortest, closed.count < Limits.stretches { closed.append(stretch) }
    }
}
