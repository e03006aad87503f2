// The best case of a noisy delay: the line below all points that comes nearest to them (Moon, Skelly, Towsley 1999).

/// Points (x, delay) go in by growing x; out comes the clock difference as a line, free of queueing delay.
package struct LowerEnvelope: Sendable {
    package enum Limits {
        /// Over a shorter span (µs) drift is not to be told from jitter: the line is level.
        package static let driftSpan: Int64 = 60_000_000
        /// Clocks that differ by more are not believed.
        package static let drift = 500e-6
        /// Points kept of the hull; the nearest are joined beyond it.
        package static let points = 4_096
    }
    private var hull: [(x: Double, y: Double)] = []
    private var origin: (x: Int64, y: Int64)?
    private var lowest = Double.infinity
    package private(set) var count = 0
    package init() {}

    /// - Parameters:
    ///   - x: µs on the clock that is measured; a point that does not come after the last one replaces it when lower.
    ///   - delay: µs between that clock and the reference, delay included.
    package mutating func add(x: Int64, delay: Int64) {
        let base = origin ?? (x, delay)
        origin = base
        let dx = x.subtractingReportingOverflow(base.x), dy = delay.subtractingReportingOverflow(base.y)
        guard !dx.overflow, !dy.overflow else { return }
        let point = (x: Double(dx.partialValue), y: Double(dy.partialValue))
        count += 1
        lowest = min(lowest, point.y)
        if let last = hull.last, point.x <= last.x {
            guard point.y < last.y else { return }
            hull.removeLast()
            if let before = hull.last, point.x <= before.x { hull.append(last); return }
        }
        while hull.count >= 2, Self.turnsDown(hull[hull.count - 2], hull[hull.count - 1], point) { hull.removeLast() }
        hull.append(point)
        if hull.count > Limits.points { hull.remove(at: hull.count / 2) }
    }
    /// The middle one of three lies on or above the line of the others.
    private static func turnsDown(_ a: (x: Double, y: Double), _ b: (x: Double, y: Double), _ c: (x: Double, y: Double)) -> Bool {
        (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x) <= 0
    }

    /// Reference = x + offset + drift · (x − origin); nil without points.
    package var line: (origin: Int64, offset: Int64, drift: Double)? {
        guard let origin, let first = hull.first, let last = hull.last else { return nil }
        let level = (origin.x, origin.y &+ Int64(saturating: lowest), 0.0)
        guard last.x - first.x >= Double(Limits.driftSpan) else { return level }
        let middle = (first.x + last.x) / 2
        guard let edge = zip(hull, hull.dropFirst()).first(where: { $0.x <= middle && middle <= $1.x }), edge.1.x > edge.0.x else { return level }
        let slope = (edge.1.y - edge.0.y) / (edge.1.x - edge.0.x)
        guard abs(slope) <= Limits.drift else { return level }
        return (origin.x, origin.y &+ Int64(saturating: edge.0.y - slope * edge.0.x), slope)
    }
}

extension Int64 {
    /// The nearest whole number within range; 0 for what is none. Numbers from outside must not trap.
    init(saturating value: Double) {
        self = value.isNaN ? 0 : value >= 9.2e18 ? .max : value <= -9.2e18 ? .min : Int64(value.rounded())
    }
}
