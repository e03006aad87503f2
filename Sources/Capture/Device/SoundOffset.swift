// Where the same sound stands in two recordings: by how their levels go up and down, window by window.

/// Finds how far a device's recording is shifted against the server's. Pure; about 4 M multiplications a window at most.
package enum SoundOffset {
    package enum Limits {
        /// Windows looked at, spread over what both recorded.
        static let windows = 64
        /// Slots of a window: 5 s, shorter where little was recorded, never under 2.5 s. The next begins a quarter of one later.
        static let longest = 1_000
        static let shortest = 500
        /// Of a window's slots, known on both sides; a window with less is not asked.
        static let known = 0.7
        /// Half decibels of standard deviation: a steady sound tells nothing.
        static let liveliness: Float = 5
        /// The correlation a window must reach, more if it is a short one, and by how much it must be better than anywhere 250 ms or more away.
        static let correlation: Float = 0.6
        static let shortCorrelation: Float = 0.75
        static let lead: Float = 0.1
        static let apart = 50
        /// µs: a window cannot be searched farther than this.
        package static let search: Int64 = 10_000_000
    }
    /// What one window says.
    package struct Finding: Equatable, Sendable {
        /// µs of the device's time: the middle of the window.
        package var time: Int64
        /// µs: the server's time line minus the device's.
        package var offset: Double
        package var correlation: Double
        package init(time: Int64, offset: Double, correlation: Double) { self.time = time; self.offset = offset; self.correlation = correlation }
    }

    /// - Parameters:
    ///   - expected: µs, server's time − device's, by the clocks.
    ///   - search: µs around it.
    /// - Returns: those windows that have something to say, in order, and how many were lively enough to be asked.
    package static func find(device: SoundLevels, server: SoundLevels, expected: Int64, search: Int64) -> (findings: [Finding], asked: Int) {
        let shift = Int(clamping: expected / SoundLevels.slot), reach = Int(min(Limits.search, max(0, search)) / SoundLevels.slot)
        // Of the device's slots, those that can lie in the server's recording.
        let common = device.slots.clamped(to: (server.slots.lowerBound - shift)..<(server.slots.upperBound - shift))
        let length = min(Limits.longest, max(Limits.shortest, common.count / 6))
        guard common.count >= length else { return ([], 0) }
        let count = min(Limits.windows, max(1, (common.count - length) / (length / 4) + 1)), step = count > 1 ? Double(common.count - length) / Double(count - 1) : 0
        var findings: [Finding] = [], asked = 0
        for number in 0..<count {
            let from = common.lowerBound + Int(Double(number) * step), window = from..<(from + length)
            guard let a = Strip(device, window), a.deviation >= Limits.liveliness else { continue }
            let b = Strip(server, around: (window.lowerBound + shift - reach)..<(window.upperBound + shift + reach))
            guard b.known[reach..<(reach + length)].reduce(0, +) >= Float(Double(length) * Limits.known) else { continue }
            asked += 1
            guard let best = match(a, b) else { continue }
            let slots = Double(shift - reach) + best.lag
            findings.append(Finding(time: Int64(from + length / 2) * SoundLevels.slot, offset: slots * Double(SoundLevels.slot), correlation: Double(best.correlation)))
        }
        return (findings, asked)
    }

    /// Levels as numbers, 0 where nothing is known, and 1 or 0 for whether it is.
    private struct Strip {
        var values: [Float] = []
        var known: [Float] = []
        init(_ levels: SoundLevels, around slots: Range<Int>) {
            values.reserveCapacity(slots.count)
            for slot in slots {
                let level = levels[slot]
                values.append(level ?? 0)
                known.append(level == nil ? 0 : 1)
            }
        }
        /// nil where too little is known.
        init?(_ levels: SoundLevels, _ slots: Range<Int>) {
            self.init(levels, around: slots)
            guard known.reduce(0, +) >= Float(Double(slots.count) * Limits.known) else { return nil }
        }
        var deviation: Float {
            let count = known.reduce(0, +), sum = values.reduce(0, +), squares = values.reduce(0) { $0 + $1 * $1 }
            return max(0, squares / count - (sum / count) * (sum / count)).squareRoot()
        }
    }
    /// - Returns: the lag (slots, with a fraction) at which `a` looks most like `b`; nil where it looks so nowhere, or in several places.
    private static func match(_ a: Strip, _ b: Strip) -> (lag: Double, correlation: Float)? {
        let lags = b.values.count - a.values.count + 1
        let curve = (0..<lags).map { correlation(a, b, $0) }
        guard let top = curve.indices.max(by: { curve[$0] < curve[$1] }), curve[top] >= (a.values.count < Limits.longest ? Limits.shortCorrelation : Limits.correlation) else { return nil }
        let second = curve.enumerated().reduce(-1 as Float) { abs($1.offset - top) < Limits.apart ? $0 : max($0, $1.element) }
        guard curve[top] - second >= Limits.lead else { return nil }
        // A parabola through the top and its neighbours; a top at the border is none.
        guard top > 0, top < lags - 1 else { return nil }
        let left = curve[top - 1], right = curve[top + 1], bend = left - 2 * curve[top] + right
        return (Double(top) + (bend < 0 ? Double((left - right) / (2 * bend)) : 0), curve[top])
    }
    /// Pearson's, over the slots both know; −1 where they are too few.
    private static func correlation(_ a: Strip, _ b: Strip, _ lag: Int) -> Float {
        var n: Float = 0, sa: Float = 0, sb: Float = 0, saa: Float = 0, sbb: Float = 0, sab: Float = 0
        let count = a.values.count
        a.values.withUnsafeBufferPointer { av in
            a.known.withUnsafeBufferPointer { ak in
                b.values.withUnsafeBufferPointer { bv in
                    b.known.withUnsafeBufferPointer { bk in
                        for i in 0..<count {
                            let x = av[i], y = bv[lag + i], kx = ak[i], ky = bk[lag + i]
                            n += kx * ky
                            sa += x * ky
                            sb += y * kx
                            saa += x * x * ky
                            sbb += y * y * kx
                            sab += x * y
                        }
                    }
                }
            }
        }
        guard Double(n) >= Double(count) * Limits.known else { return -1 }
        let va = saa - sa * sa / n, vb = sbb - sb * sb / n
        guard va > n, vb > n else { return -1 }
        return (sab - sa * sb / n) / (va * vb).squareRoot()
    }
}
