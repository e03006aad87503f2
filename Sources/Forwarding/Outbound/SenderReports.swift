// When a subscriber gets sender reports, and what its receiver reports tell (RFC 3550 §6.4).
internal import Primitives
internal import RTP

/// The schedule of sender reports of one outbound stream, and the round trip its receiver's answers show. A pure value.
struct SenderReports {
    enum Limits {
        /// Reports remembered to match LSR against.
        static let remembered = 4
        static let videoInterval = Duration.seconds(1)
        static let audioInterval = Duration.seconds(5)
        /// Second report, soon after the first, so that a receiver can align its streams early.
        static let secondAfter = Duration.seconds(1)
        /// How long a report waits for its stream to begin before it is looked at again.
        static let lookAgain = Duration.milliseconds(200)
        static let roundTripMax = Duration.seconds(5)
    }
    private struct Sent { var middle: UInt32 = 0; var at = Instant.origin }
    private var sent = InlineArray<4, Sent>(repeating: Sent())
    private var count = 0
    /// nil until the publisher's first report: before it the stream's wall clock is not known.
    private(set) var dueAt: Instant?
    private(set) var roundTrip: Duration?
    private(set) var fractionLost: UInt8 = 0
    private(set) var cumulativeLost: Int32 = 0

    /// The publisher's clock is known now.
    /// - Returns: true when that made a report due.
    mutating func start(now: Instant) -> Bool {
        guard dueAt == nil else { return false }
        dueAt = now
        return true
    }
    mutating func reported(ntp: NTPTime, kind: Codec.Kind, now: Instant) {
        let isFirst = count == 0
        remember(ntp, now: now)
        dueAt = now + (isFirst ? Limits.secondAfter : kind == .audio ? Limits.audioInterval : Limits.videoInterval)
    }
    /// The stream has not begun, or its source has sent no report yet.
    mutating func postpone(now: Instant) { dueAt = now + Limits.lookAgain }

    /// A report with this NTP time went out; pipes pass on the publisher's.
    mutating func remember(_ ntp: NTPTime, now: Instant) {
        sent[count % Limits.remembered] = Sent(middle: ntp.middle, at: now)
        count += 1
    }
    /// A receiver report on this stream. RTT = arrival − sending of the report it names − its delay there (§6.4.1).
    mutating func received(_ block: ReportBlock, now: Instant) {
        fractionLost = block.fractionLost
        cumulativeLost = block.cumulativeLost
        guard block.lastSenderReport != 0 else { return }
        for i in 0..<min(count, Limits.remembered) where sent[i].middle == block.lastSenderReport {
            let sample = now - sent[i].at - Duration(compactNTP: block.delaySinceLastSenderReport)
            // A little below zero is the rounding of DLSR, more is not about this report.
            guard (Duration.milliseconds(-50)...Limits.roundTripMax).contains(sample) else { return }
            let bounded = max(sample, .zero)
            roundTrip = roundTrip.map { $0 + (bounded - $0) / 8 } ?? bounded
            return
        }
    }
}
