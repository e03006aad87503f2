// A device's time line on the recording's: what the clock says, and what the sound says better.
// Decision: docs/decisions/0038-browser-track-alignment.md

/// recording's time = `offset` + device's time · (1 + `drift`), µs.
package struct DeviceAlignment: Codable, Equatable, Sendable {
    package enum Limits {
        /// µs around the clock's word in which the same sound is looked for, besides three times the clock's uncertainty:
        /// what lies between asking a recorder to start and its first sample.
        package static let startLatency: Int64 = 1_500_000
        /// µs: a clock this certain is believed without a sound.
        package static let trustedClock: Int64 = 50_000
        /// Of a crystal against another, and what is left for both ends' resampling.
        static let drift = 500e-6
        /// µs between windows that agree.
        static let agreement = 10_000.0
        /// Windows that must agree, and their share of those that were asked.
        static let agreeing = 3
        static let share = 0.5
        /// µs of device time between the first and the last that agree, under which no drift is told from noise.
        static let baseline: Int64 = 30_000_000
        /// µs: nothing is known better than to half a slot.
        static let precision: Int64 = 5_000
    }
    package enum Method: String, Codable, Sendable { case clock, sound }

    package var method: Method
    package var offset: Int64
    package var driftPPM: Double
    /// µs to either side.
    package var uncertainty: Int64
    /// µs: the sound's word at the middle minus the clock's; nil where the sound says nothing.
    package var clockError: Int64?
    /// Windows with sound enough, and those of them that agree.
    package var windows: Int
    package var agreeing: Int
    /// 0…1: the share of windows that agree, times how alike they sound.
    package var confidence: Double
    enum CodingKeys: String, CodingKey {
        case method, windows, agreeing, confidence, offset = "offset_us", driftPPM = "drift_ppm", uncertainty = "uncertainty_us", clockError = "clock_error_us"
    }

    /// By the clock alone.
    /// - Parameters:
    ///   - clock: µs of the recording's time at which the device's begins.
    ///   - uncertainty: µs.
    package init(clock: Int64, uncertainty: Int64, windows: Int = 0) {
        self.init(method: .clock, offset: clock, driftPPM: 0, uncertainty: uncertainty, clockError: nil, windows: windows, agreeing: 0, confidence: 0)
    }
    private init(method: Method, offset: Int64, driftPPM: Double, uncertainty: Int64, clockError: Int64?, windows: Int, agreeing: Int, confidence: Double) {
        self.method = method; self.offset = offset; self.driftPPM = driftPPM; self.uncertainty = uncertainty
        self.clockError = clockError; self.windows = windows; self.agreeing = agreeing; self.confidence = confidence
    }
    /// By the sound where enough of it agrees on one line, by the clock otherwise.
    package init(clock: Int64, uncertainty: Int64, findings: [SoundOffset.Finding], asked: Int) {
        self.init(clock: clock, uncertainty: uncertainty, windows: asked)
        guard let line = Line(findings), line.agreeing.count >= Limits.agreeing, Double(line.agreeing.count) >= Limits.share * Double(asked) else { return }
        let middle = line.agreeing.reduce(0.0) { $0 + Double($1.time) } / Double(line.agreeing.count)
        let likeness = line.agreeing.reduce(0) { $0 + $1.correlation } / Double(line.agreeing.count)
        self.init(
            method: .sound, offset: Int64(line.offset.rounded()), driftPPM: (line.drift * 1e9).rounded() / 1000,
            uncertainty: max(Limits.precision, Int64((2 * line.error).rounded())), clockError: Int64((line.offset + line.drift * middle).rounded()) - clock,
            windows: asked, agreeing: line.agreeing.count, confidence: (Double(line.agreeing.count) / Double(max(1, asked)) * likeness * 1000).rounded() / 1000)
    }

    /// Good enough to put the device's pictures and sound where the server's are missing.
    package var isTrusted: Bool { method == .sound || uncertainty <= Limits.trustedClock }
    /// µs of the recording's time; nil for what no recording can have.
    package func recorded(_ time: Int64) -> Int64? {
        let mapped = Double(offset) + Double(time) * (1 + driftPPM / 1e6)
        return abs(mapped) < 1e15 ? Int64(mapped.rounded()) : nil
    }
    package static func search(uncertainty: Int64) -> Int64 { min(SoundOffset.Limits.search, Limits.startLatency + 3 * min(uncertainty, SoundOffset.Limits.search)) }
}

/// The line most findings lie on. Every pair proposes one, the windows vote; what most agree on is fitted by least squares, so that
/// half of the windows may say anything.
private struct Line {
    var offset = 0.0
    var drift = 0.0
    var agreeing: [SoundOffset.Finding] = []
    /// µs, root mean square of those that agree.
    var error = 0.0

    init?(_ findings: [SoundOffset.Finding]) {
        guard !findings.isEmpty else { return nil }
        var best: (offset: Double, drift: Double, votes: Int, error: Double) = (0, 0, 0, .infinity)
        func propose(_ offset: Double, _ drift: Double) {
            var votes = 0, error = 0.0
            for finding in findings {
                let off = abs(finding.offset - offset - drift * Double(finding.time))
                if off <= DeviceAlignment.Limits.agreement { votes += 1; error += off }
            }
            if votes > best.votes || (votes == best.votes && error < best.error) { best = (offset, drift, votes, error) }
        }
        for (index, one) in findings.enumerated() {
            propose(one.offset, 0)
            for other in findings[(index + 1)...] where other.time - one.time >= DeviceAlignment.Limits.baseline {
                let drift = (other.offset - one.offset) / Double(other.time - one.time)
                if abs(drift) <= DeviceAlignment.Limits.drift { propose(one.offset - drift * Double(one.time), drift) }
            }
        }
        agreeing = findings.filter { abs($0.offset - best.offset - best.drift * Double($0.time)) <= DeviceAlignment.Limits.agreement }
        fit()
    }
    private mutating func fit() {
        let count = Double(agreeing.count), times = agreeing.map { Double($0.time) }
        let t = times.reduce(0, +) / count, o = agreeing.reduce(0) { $0 + $1.offset } / count
        let spread = times.reduce(0) { $0 + ($1 - t) * ($1 - t) }
        let isLong = (times.last ?? 0) - (times.first ?? 0) >= Double(DeviceAlignment.Limits.baseline)
        if isLong, spread > 0 {
            let slope = zip(times, agreeing).reduce(0) { $0 + ($1.0 - t) * ($1.1.offset - o) } / spread
            drift = min(DeviceAlignment.Limits.drift, max(-DeviceAlignment.Limits.drift, slope))
        }
        offset = o - drift * t
        let squares = agreeing.reduce(0) { sum, finding in
            let off = finding.offset - offset - drift * Double(finding.time)
            return sum + off * off
        }
        error = (squares / count).squareRoot()
    }
}
