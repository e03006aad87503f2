// What a receiver reports about one source: loss, jitter, delay since the last SR (RFC 3550 §6.4.1, A.3, A.8).
package import Primitives

/// Counts one inbound stream (one SSRC) and makes its report blocks. A pure value; owned by whoever owns the stream.
package struct ReceptionStatistics: Sendable {
    package let ssrc: UInt32
    package let clockRate: UInt32
    package private(set) var received: UInt64 = 0
    private var extender = SequenceExtender()
    private var first: UInt64 = 0
    private var receivedBefore: UInt64 = 0
    private var expectedBefore: UInt64 = 0
    /// Relative transit time of the last packet, in timestamp units, modulo 2^32.
    private var transit: UInt32 = 0
    /// Jitter times 16 (A.8's integer form).
    private var scaledJitter: UInt64 = 0
    private var lastReport: (middle: UInt32, at: Instant)?

    package init(ssrc: UInt32, clockRate: UInt32) {
        self.ssrc = ssrc
        self.clockRate = clockRate
    }

    /// A packet of this stream arrived, retransmissions unwrapped from RTX excluded (RFC 4588 §6.2).
    /// - Parameter now: arrival time; only differences count.
    /// - Returns: the packet's extended sequence number.
    @discardableResult
    package mutating func received(sequence: UInt16, timestamp: UInt32, now: Instant) -> UInt64 {
        let isFirst = extender.highest == nil
        let extended = extender.extend(sequence)
        if isFirst { first = extended }
        // A packet from before the first one moves the base: it was not lost.
        first = min(first, extended)
        received &+= 1
        updateJitter(timestamp: timestamp, now: now, isFirst: isFirst)
        return extended
    }

    /// A sender report for this stream arrived.
    package mutating func receivedSenderReport(ntp: NTPTime, now: Instant) { lastReport = (ntp.middle, now) }

    /// The next report block; nil before the first packet. Starts a new interval for the fraction lost.
    package mutating func makeReportBlock(now: Instant) -> ReportBlock? {
        guard extender.highest != nil else { return nil }
        let expectedInterval = Int64(bitPattern: expected &- expectedBefore)
        let lostInterval = expectedInterval - Int64(bitPattern: received &- receivedBefore)
        expectedBefore = expected
        receivedBefore = received
        // A.3: negative (duplicates) and empty intervals report no loss.
        let fraction = expectedInterval > 0 && lostInterval > 0 ? min(255, (lostInterval << 8) / expectedInterval) : 0
        return ReportBlock(
            ssrc: ssrc, fractionLost: UInt8(fraction), cumulativeLost: cumulativeLost, highestSequence: highestSequence,
            jitter: jitter, lastSenderReport: lastReport?.middle ?? 0,
            delaySinceLastSenderReport: lastReport.map { (now - $0.at).inCompactNTP } ?? 0)
    }

    /// Packets a lossless path would have delivered so far.
    package var expected: UInt64 { extender.highest.map { $0 - first + 1 } ?? 0 }
    /// Clamped to the 24 bits of the wire.
    package var cumulativeLost: Int32 {
        let lost = Int64(bitPattern: expected &- received)
        return Int32(min(max(lost, -0x80_0000), 0x7F_FFFF))
    }
    /// Highest number received with its cycle count, as reports carry it: the first cycle is 0 there.
    package var highestSequence: UInt32 { UInt32(truncatingIfNeeded: (extender.highest ?? 1 << 16) &- 1 << 16) }
    /// Interarrival jitter in timestamp units.
    package var jitter: UInt32 { UInt32(truncatingIfNeeded: scaledJitter >> 4) }

    /// A.8: J += (|D| − J) / 16, kept times 16 with rounding.
    private mutating func updateJitter(timestamp: UInt32, now: Instant, isFirst: Bool) {
        let current = Self.ticks(now, rate: clockRate) &- timestamp
        defer { transit = current }
        guard !isFirst else { return }
        let difference = Int32(bitPattern: current &- transit).magnitude
        scaledJitter = scaledJitter &+ UInt64(difference) &- ((scaledJitter &+ 8) >> 4)
    }
    /// Arrival in timestamp units, modulo 2^32.
    private static func ticks(_ now: Instant, rate: UInt32) -> UInt32 {
        let (seconds, rest) = now.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return UInt32(truncatingIfNeeded: seconds &* Int64(rate)) &+ UInt32(truncatingIfNeeded: rest * Int64(rate) / 1_000_000_000)
    }
}
