// What one subscriber gets of one track over all its connections: the pauses between frames, and frames that never came.
internal import RTP

/// Frames are told by their last packets. Where payloads are stamped a frame counts once, whichever connection brought it first.
struct TrackContinuity: Equatable {
    enum Limits {
        static let window: UInt32 = 4096        // packets within which a repetition is told
    }
    let kind: Codec.Kind
    private var lastFrameAt: Int64?
    private(set) var frames: UInt64 = 0
    /// Frames that came again: both connections brought them.
    private(set) var repeated: UInt64 = 0
    private var intervals = DelayDistribution()
    private var first: UInt32?
    private var highest: UInt32 = 0
    private var packets: UInt64 = 0
    private var seen: Set<UInt32> = []

    init(kind: Codec.Kind) { self.kind = kind }

    /// - Parameter at: µs.
    mutating func note(_ stamp: Stamp?, endsFrame: Bool, at: Int64) {
        if let stamp, !isNew(stamp.number) {
            if endsFrame || kind == .audio { repeated += 1 }
            return
        }
        guard endsFrame || kind == .audio else { return }
        frames += 1
        if let last = lastFrameAt { intervals.note(microseconds: at - last) }
        lastFrameAt = max(at, lastFrameAt ?? at)
    }
    private mutating func isNew(_ number: UInt32) -> Bool {
        guard seen.insert(number).inserted else { return false }
        packets += 1
        first = min(first ?? number, number)
        highest = max(highest, number)
        if seen.count > Int(Limits.window) * 2, highest >= Limits.window { seen = seen.filter { $0 >= highest - Limits.window } }
        return true
    }

    /// Packets between the first and the newest that no connection brought; by stamps.
    var missing: UInt64 {
        guard let first else { return 0 }
        let span = UInt64(highest - first) + 1
        return span - min(packets, span)
    }
    /// The longest interval between successive frames less the usual one, ms; up to `end` where frames stopped coming. Nil before the second.
    func gap(until end: Int64) -> Double? {
        guard let last = lastFrameAt, let usual = intervals.quantile(0.5) else { return nil }
        return max(0, (Double(max(intervals.largest, end - last)) - usual) / 1000)
    }
}
