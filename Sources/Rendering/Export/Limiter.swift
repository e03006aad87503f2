// No sample above a ceiling, without distortion anyone hears.

/// A look-ahead limiter: the gain is down before a peak comes and rises slowly behind it. A value; planar floats.
///
/// For each sample: the least gain any of the next `lookahead` samples needs, let rise again slowly, averaged over the `lookahead`
/// samples before it. Each value in that average had the sample in view, so the average is small enough for it.
struct Limiter {
    enum Limits {
        /// −1.5 dBFS: true peaks between samples stay below −1 dBTP.
        static let ceiling: Float = 0.8414
        /// Samples, 5 ms at 48 kHz.
        static let lookahead = 240
        /// Share of the way back to 1 a gain goes in one sample: 80 ms.
        static let release: Float = 1 / 3_840
    }
    private var released: Float = 1
    private var recent = [Float](repeating: 1, count: Limits.lookahead)
    private var next = 0

    /// Scales the first `count` samples of each channel; those behind them, `lookahead` where there are as many, are only looked at.
    mutating func apply(_ samples: inout [[Float]], count: Int) {
        let seen = min(samples[0].count, count + Limits.lookahead)
        let needed = (0..<seen).map { index in
            let peak = samples.reduce(0 as Float) { max($0, abs($1[index])) }
            return peak > Limits.ceiling ? Limits.ceiling / peak : 1
        }
        if released == 1, recent.allSatisfy({ $0 == 1 }), needed.allSatisfy({ $0 == 1 }) { return }
        // The least of a sliding window: indices whose gains grow from front to back.
        var window: [Int] = [], front = 0, entered = 0
        for index in 0..<count {
            while entered < min(seen, index + Limits.lookahead + 1) {
                while window.count > front, needed[window[window.count - 1]] >= needed[entered] { window.removeLast() }
                window.append(entered)
                entered += 1
            }
            while window[front] < index { front += 1 }
            released = min(needed[window[front]], released + (1 - released) * Limits.release)
            if released > 0.999_9 { released = min(needed[window[front]], 1) }
            recent[next] = released
            next = (next + 1) % recent.count
            // Summed anew each time: no rounding gathers over hours.
            let gain = recent.reduce(0, +) / Float(recent.count)
            for channel in samples.indices { samples[channel][index] *= min(gain, needed[index]) }
        }
    }
}
