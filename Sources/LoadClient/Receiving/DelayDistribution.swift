// Durations in buckets, sixteen to an octave: quantiles are right within 5 %.

struct DelayDistribution: Equatable {
    private static let perOctave = 16
    private static let octaves = 36
    private var counts = [UInt64](repeating: 0, count: perOctave * octaves)
    private(set) var total: UInt64 = 0
    private(set) var largest: Int64 = 0

    /// - Parameter microseconds: below zero (clocks of two machines) counts as zero.
    mutating func note(microseconds: Int64) {
        let value = max(0, microseconds)
        counts[Self.bucket(UInt64(value))] += 1
        total += 1
        largest = max(largest, value)
    }
    mutating func merge(_ other: DelayDistribution) {
        for i in counts.indices { counts[i] += other.counts[i] }
        total += other.total
        largest = max(largest, other.largest)
    }
    /// The middle, in µs, of the bucket that holds quantile `q` of 0…1; nil while empty.
    func quantile(_ q: Double) -> Double? {
        guard total > 0 else { return nil }
        let wanted = max(1, UInt64((Double(total) * min(max(q, 0), 1)).rounded(.up)))
        var sum: UInt64 = 0
        for i in counts.indices {
            sum += counts[i]
            if sum >= wanted { return Self.middle(i) }
        }
        return Double(largest)
    }
    /// Below 16 each value has its own bucket.
    private static func bucket(_ value: UInt64) -> Int {
        guard value >= UInt64(perOctave) else { return Int(value) }
        let octave = 63 - value.leadingZeroBitCount
        let within = Int(value >> UInt64(octave - 4)) & (perOctave - 1)
        return min((octave - 3) * perOctave + within, perOctave * octaves - 1)
    }
    private static func middle(_ bucket: Int) -> Double {
        guard bucket >= perOctave else { return Double(bucket) }
        let shift = UInt64(bucket / perOctave - 1)
        let low = UInt64(perOctave + bucket % perOctave) << shift
        return Double(low) + Double((UInt64(1) << shift) - 1) / 2
    }
}
