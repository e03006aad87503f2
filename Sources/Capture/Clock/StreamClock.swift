// From a stream's RTP timestamps to the recorder's wall clock.
//
// Within a participant: regression of (NTP, RTP) pairs of sender reports, so that lips and voice stay together whatever the
// network did. A sender's clock to its ingress node: the lower envelope of (report's arrival − its NTP time). The network's
// smallest one-way delay stays in it: half a round trip too late, the same for all of the participant's tracks.

/// What a stream shows of its clock.
package struct StreamTiming: Sendable {
    package var clockRate: UInt32
    package var reports: [ReportSample]
    /// (RTP time, packet's arrival − RTP time) in µs.
    package var arrivals: LowerEnvelope
    /// The first packet, as the origin of the mapping.
    package var origin: (timestamp: UInt64, receivedAt: Int64)

    package init(clockRate: UInt32, reports: [ReportSample], arrivals: LowerEnvelope, origin: (timestamp: UInt64, receivedAt: Int64)) {
        self.clockRate = clockRate; self.reports = reports; self.arrivals = arrivals; self.origin = origin
    }
    /// Nominal µs since the origin's timestamp.
    func microseconds(_ timestamp: UInt64) -> Int64 {
        let ticks = Int64(bitPattern: timestamp &- origin.timestamp)
        return Int64(saturating: Double(ticks) * 1_000_000 / Double(clockRate))
    }
}

/// The mapping of one stream.
package struct StreamClock: Equatable, Sendable {
    package enum Method: String, Codable, Sendable {
        case senderReports = "sender_reports"
        case arrival
    }
    package var originTimestamp: UInt64
    /// Wall time (µs) of the origin on the recorder's clock.
    package var originWall: Int64
    package var clockRate: UInt32
    /// How much slower (positive) or faster the sender's media clock runs than the recorder's, as a ratio.
    package var drift: Double
    package var method: Method
    package var reportCount: Int

    package init(originTimestamp: UInt64, originWall: Int64, clockRate: UInt32, drift: Double = 0, method: Method = .arrival, reportCount: Int = 0) {
        self.originTimestamp = originTimestamp; self.originWall = originWall; self.clockRate = clockRate
        self.drift = drift; self.method = method; self.reportCount = reportCount
    }

    /// Wall time in µs of an extended RTP timestamp.
    package func wall(_ timestamp: UInt64) -> Int64 {
        let ticks = Double(Int64(bitPattern: timestamp &- originTimestamp))
        let elapsed = ticks * 1_000_000 / Double(clockRate) * (1 + drift)
        return originWall &+ Int64(saturating: elapsed)
    }
}

/// The clock of one participant: all streams of one sender share it (RFC 3550 §6.5.1, CNAME).
package struct ParticipantClock: Sendable {
    package enum Limits {
        /// Over a shorter span (µs) of reports the nominal rate is better than a fitted one.
        static let regressionSpan = 30_000_000.0
        static let drift = 1_000e-6
        /// Reports farther (µs) from the fit are left out of a second one.
        static let outlier = 50_000.0
        /// A mapping that puts a stream's first packet farther than this (µs) from its arrival is not believed.
        static let earliest: Int64 = 10_000_000
        static let latest: Int64 = 1_000_000
    }
    /// Sender's wall clock → recorder's.
    private let toRecorder: (origin: Int64, offset: Int64, drift: Double)?

    /// - Parameter streams: all streams of the participant.
    package init(_ streams: [StreamTiming]) {
        var envelope = LowerEnvelope()
        let reports = streams.flatMap(\.reports).sorted { $0.sentAt < $1.sentAt }
        for report in reports {
            let delay = report.receivedAt.subtractingReportingOverflow(report.sentAt)
            if !delay.overflow { envelope.add(x: report.sentAt, delay: delay.partialValue) }
        }
        toRecorder = envelope.line
    }

    package func clock(of stream: StreamTiming) -> StreamClock {
        let byArrival = Self.byArrival(stream)
        guard let toRecorder, !stream.reports.isEmpty, let fit = Regression(stream) else { return byArrival }
        // Wall on the sender's clock at the origin, then on the recorder's.
        let sender = fit.originWall
        let wall = sender &+ toRecorder.offset &+ Int64(saturating: toRecorder.drift * Double(sender &- toRecorder.origin))
        let late = wall.subtractingReportingOverflow(byArrival.originWall)
        guard !late.overflow, late.partialValue <= Limits.latest, late.partialValue >= -Limits.earliest else { return byArrival }
        let drift = (1 + fit.drift) * (1 + toRecorder.drift) - 1
        return StreamClock(
            originTimestamp: stream.origin.timestamp, originWall: wall, clockRate: stream.clockRate, drift: drift, method: .senderReports, reportCount: fit.count)
    }

    private static func byArrival(_ stream: StreamTiming) -> StreamClock {
        var clock = StreamClock(originTimestamp: stream.origin.timestamp, originWall: stream.origin.receivedAt, clockRate: stream.clockRate)
        guard let line = stream.arrivals.line else { return clock }
        clock.originWall = line.offset &+ Int64(saturating: line.drift * Double(0 &- line.origin))
        clock.drift = line.drift
        return clock
    }

    /// The sender's wall clock over RTP time: a line through medians (Theil and Sen) finds the outliers, least squares of the rest
    /// gives the mapping.
    private struct Regression {
        let originWall: Int64
        let drift: Double
        let count: Int

        init?(_ stream: StreamTiming) {
            guard let first = stream.reports.first else { return nil }
            let points = stream.reports.map { report in
                (x: Double(stream.microseconds(report.timestamp)), y: Double(report.sentAt &- first.sentAt))
            }
            guard let rough = Line(medians: points) else { return nil }
            let kept = points.filter { abs($0.y - rough.at($0.x)) <= Limits.outlier }
            guard let fit = Line(leastSquares: kept), abs(fit.offset) < 4e15 else { return nil }
            originWall = first.sentAt &+ Int64(saturating: fit.offset)
            drift = fit.slope - 1
            count = kept.count
        }
    }
    /// y = offset + slope · x, in µs. Over a short span the slope is the nominal one.
    private struct Line {
        let offset: Double
        let slope: Double
        func at(_ x: Double) -> Double { offset + slope * x }

        init?(medians points: [(x: Double, y: Double)]) {
            guard !points.isEmpty else { return nil }
            var slope = 1.0
            if Self.spansEnough(points) {
                let half = points.count / 2
                let slopes = zip(points, points.dropFirst(half)).filter { $1.x != $0.x }.map { ($1.y - $0.y) / ($1.x - $0.x) }
                slope = Self.believed(Self.median(slopes) ?? 1)
            }
            guard let offset = Self.median(points.map { $0.y - slope * $0.x }) else { return nil }
            self.offset = offset
            self.slope = slope
        }
        init?(leastSquares points: [(x: Double, y: Double)]) {
            guard !points.isEmpty else { return nil }
            let n = Double(points.count)
            let mx = points.reduce(0) { $0 + $1.x } / n, my = points.reduce(0) { $0 + $1.y } / n
            var slope = 1.0
            if Self.spansEnough(points) {
                let xx = points.reduce(0) { $0 + ($1.x - mx) * ($1.x - mx) }
                let xy = points.reduce(0) { $0 + ($1.x - mx) * ($1.y - my) }
                slope = Self.believed(xy / xx)
            }
            self.offset = my - slope * mx
            self.slope = slope
        }
        private static func spansEnough(_ points: [(x: Double, y: Double)]) -> Bool {
            let xs = points.map(\.x)
            guard let low = xs.min(), let high = xs.max() else { return false }
            return high - low >= Limits.regressionSpan
        }
        private static func believed(_ slope: Double) -> Double { abs(slope - 1) <= Limits.drift ? slope : 1 }
        private static func median(_ values: [Double]) -> Double? {
            guard !values.isEmpty else { return nil }
            let sorted = values.sorted()
            return sorted[sorted.count / 2]
        }
    }
}
