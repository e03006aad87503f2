// Sets of times.

/// Sorted half-open ranges that neither touch nor overlap; µs.
package struct Spans: Equatable, Sendable {
    package private(set) var ranges: [Range<Int64>]

    /// - Parameter ranges: in any order; empty ones and overlaps are fine.
    package init(_ ranges: some Sequence<Range<Int64>> = []) {
        self.ranges = []
        for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = self.ranges.last, range.lowerBound <= last.upperBound {
                self.ranges[self.ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
    }
    package var total: Int64 { ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) } }

    package func contains(_ time: Int64) -> Bool {
        var low = 0, high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= time { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].lowerBound <= time
    }
    package func clipped(to bounds: Range<Int64>) -> Spans { Spans(ranges.map { $0.clamped(to: bounds) }) }

    package func subtracting(_ other: Spans) -> Spans {
        var out: [Range<Int64>] = [], next = 0
        for range in ranges {
            var from = range.lowerBound
            while next < other.ranges.count, other.ranges[next].upperBound <= from { next += 1 }
            var at = next
            while at < other.ranges.count, other.ranges[at].lowerBound < range.upperBound {
                if other.ranges[at].lowerBound > from { out.append(from..<other.ranges[at].lowerBound) }
                from = max(from, other.ranges[at].upperBound)
                at += 1
            }
            if from < range.upperBound { out.append(from..<range.upperBound) }
        }
        return Spans(out)
    }
}
