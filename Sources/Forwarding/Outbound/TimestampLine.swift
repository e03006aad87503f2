// RTP timestamps of a rewritten stream across changes of its source.
internal import Primitives
internal import RTP

/// One source's clock: a pair of times that its sender report ties together (RFC 3550 §6.4.1).
struct ClockReference: Equatable {
    var ntp: NTPTime
    var timestamp: UInt32
}

/// Adds an offset to timestamps, chosen anew where the stream goes on with another encoding.
///
/// Both encodings' sender reports tell how their timestamps relate; without them arrival times do. A pure value.
struct TimestampLine {
    enum Limits {
        /// Offsets remembered, for retransmissions of packets from before a change. A power of two.
        static let splices: UInt8 = 8
        /// Reports are believed as far as they agree with arrival times.
        static let disagreement = Duration.seconds(1)
        /// Least step forward at a change, in parts of a second.
        static let stepsPerSecond: UInt32 = 100
    }
    /// Counts changes; with `offset(of:)` it names the offset that was in force.
    private(set) var splice: UInt8 = 0
    private var offsets = InlineArray<8, UInt32>(repeating: 0)
    private(set) var lastOut: UInt32 = 0
    /// From the frame before to the last one, in ticks; 0 before the second.
    private(set) var lastStep: UInt32 = 0
    private var lastAt = Instant.origin
    private var hasBegun = false

    var offset: UInt32 { offsets[Int(splice & (Limits.splices - 1))] }
    /// nil when the change is forgotten.
    func offset(of splice: UInt8) -> UInt32? {
        self.splice &- splice < Limits.splices ? offsets[Int(splice & (Limits.splices - 1))] : nil
    }

    @inline(__always) mutating func map(_ timestamp: UInt32, now: Instant) -> UInt32 {
        let out = timestamp &+ offset
        if out.isNewer(than: lastOut) {
            lastStep = out &- lastOut
            lastOut = out
            lastAt = now
        }
        return out
    }

    /// Where `timestamp` of another source would stand on this line.
    struct Place: Equatable {
        var timestamp: UInt32
        /// By both sources' sender reports; else by arrival times.
        var isReported: Bool
    }
    /// - Parameters: as for `begin`.
    /// - Returns: nil before the line begins.
    func place(of timestamp: UInt32, clockRate: UInt32, old: ClockReference?, new: ClockReference?, now: Instant) -> Place? {
        guard hasBegun else { return nil }
        let byArrival = lastOut &+ Self.ticks(now - lastAt, clockRate)
        guard let old, let new else { return Place(timestamp: byArrival, isReported: false) }
        let sinceReport = new.ntp.duration(to: old.ntp)
        // The instant at which the new source shows `timestamp`, on the old source's timestamps, then on ours.
        let byReports = old.timestamp &+ offset &+ (timestamp &- new.timestamp) &- Self.ticks(sinceReport, clockRate)
        let difference = Int32(bitPattern: byReports &- byArrival).magnitude
        guard UInt64(difference) < UInt64(clockRate) * UInt64(Limits.disagreement.inMilliseconds) / 1_000 else { return Place(timestamp: byArrival, isReported: false) }
        return Place(timestamp: byReports, isReported: true)
    }

    /// The next packet comes from another source.
    /// - Parameters:
    ///   - timestamp: of its first packet.
    ///   - old, new: sender reports of the source so far and of the new one, where known and of one clock.
    mutating func begin(at timestamp: UInt32, clockRate: UInt32, old: ClockReference?, new: ClockReference?, now: Instant) {
        guard let place = place(of: timestamp, clockRate: clockRate, old: old, new: new, now: now) else {
            hasBegun = true
            lastOut = timestamp
            lastAt = now
            return
        }
        var target = place.timestamp
        let least = lastOut &+ clockRate / Limits.stepsPerSecond
        if !target.isNewer(than: least) { target = least }
        splice &+= 1
        offsets[Int(splice & (Limits.splices - 1))] = target &- timestamp
        lastOut = target
        lastAt = now
    }

    /// Signed: a negative duration gives a negative count, modulo 2^32.
    static func ticks(_ duration: Duration, _ clockRate: UInt32) -> UInt32 {
        let (seconds, rest) = duration.inNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return UInt32(truncatingIfNeeded: seconds &* Int64(clockRate)) &+ UInt32(truncatingIfNeeded: rest * Int64(clockRate) / 1_000_000_000)
    }
}
