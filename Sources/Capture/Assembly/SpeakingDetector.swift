// Who spoke when, from the levels clients send with their packets (RFC 6464).
import RTP

/// Smoothed level over a threshold, with a release time so that a breath does not end a sentence.
struct SpeakingDetector {
    enum Limits {
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
    private var stretches: [ClosedRange<Int64>] = []

    /// - Parameter time: µs, not going back.
    mutating func add(_ audio: AudioLevel, at time: Int64) {
        level += (Double(audio.level) - level) * Limits.smoothing
        if let stretch = open, time - stretch.upperBound > Limits.release { close(stretch) }
        guard level < Limits.threshold || (audio.isVoice && level < Limits.threshold + 15) else { return }
        open = (open?.lowerBound ?? time)...max(time, open?.upperBound ?? time)
    }
    mutating func finish() -> [ClosedRange<Int64>] {
        if let stretch = open { close(stretch) }
        return stretches
    }
    private mutating func close(_ stretch: ClosedRange<Int64>) {
        open = nil
        if stretch.upperBound - stretch.lowerBound >= Limits.shortest, stretches.count < Limits.stretches { stretches.append(stretch) }
    }
}
