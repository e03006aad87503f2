// What one subscriber gets of one track: counted, timed, and asked for again where it is missing.
internal import Primitives
internal import RTP

/// A pause in what arrived.
struct Gap: Equatable {
    var trackID: String
    /// The last packet before it, wall clock, µs.
    var from: Int64
    var microseconds: Int64
}

struct ReceivedCounts: Equatable {
    var packets: UInt64 = 0
    var bytes: UInt64 = 0
    var duplicates: UInt64 = 0
    /// Arrived on a retransmission stream and were missing.
    var repaired: UInt64 = 0
    var lost: UInt64 = 0
    var nacksSent: UInt64 = 0
    static func += (a: inout ReceivedCounts, b: ReceivedCounts) {
        a.packets += b.packets; a.bytes += b.bytes; a.duplicates += b.duplicates
        a.repaired += b.repaired; a.lost += b.lost; a.nacksSent += b.nacksSent
    }
}

struct ReceiveStream {
    enum Limits {
        static let window = 2048                       // packets within which a duplicate is told
        static let gap: Int64 = 200_000                // µs
        static let gaps = 100                          // kept; all are counted
    }
    let trackID: String
    let participantID: String
    let ssrc: UInt32
    let rtxSSRC: UInt32?
    let codec: Codec
    private var extender = SequenceExtender()
    private var window = [UInt64](repeating: .max, count: Limits.window)
    private var first: UInt64 = .max
    private var unique: UInt64 = 0
    private var statistics: ReceptionStatistics
    private var missing = MissingPackets()
    private var lastArrival: Int64?
    private var received = ReceivedCounts()
    private(set) var delay = DelayDistribution()
    private(set) var gaps: [Gap] = []
    private(set) var gapCount = 0
    private(set) var firstArrival: Int64?

    init(trackID: String, participantID: String, ssrc: UInt32, rtxSSRC: UInt32?, codec: Codec) {
        self.trackID = trackID; self.participantID = participantID; self.ssrc = ssrc; self.rtxSSRC = rtxSSRC; self.codec = codec
        statistics = ReceptionStatistics(ssrc: ssrc, clockRate: codec.clockRate)
    }

    /// - Parameters:
    ///   - receivedAt: wall clock, µs, by the kernel.
    ///   - isRepair: `header` is of the retransmission stream.
    /// - Returns: the payload, if it had not come before.
    @discardableResult
    mutating func receive(_ header: RTPHeader, receivedAt: Int64, now: Instant, isRepair: Bool = false) -> UnsafeRawBufferPointer? {
        var payload = header.payload, sequence = header.sequence
        if isRepair {
            guard let original = Retransmission.originalSequence(of: header) else { return nil }
            sequence = original
            payload = UnsafeRawBufferPointer(rebasing: payload[Retransmission.prefixLength...])
        } else {
            statistics.received(sequence: sequence, timestamp: header.timestamp, now: now)
        }
        let before = extender.highest
        let extended = extender.extend(sequence)
        if let before, extended > before + 1 { missing.skipped(before + 1..<extended, now: now) }
        guard window[Int(extended % UInt64(Limits.window))] != extended else {
            received.duplicates += 1
            return nil
        }
        window[Int(extended % UInt64(Limits.window))] = extended
        missing.arrived(extended)
        first = min(first, extended)
        unique += 1
        if isRepair { received.repaired += 1 }
        received.packets += 1
        received.bytes += UInt64(payload.count)
        if let stamp = Stamp(endOf: payload) { delay.note(microseconds: receivedAt - stamp.sentAt) }
        noteArrival(receivedAt)
        return payload
    }
    private mutating func noteArrival(_ at: Int64) {
        if firstArrival == nil { firstArrival = at }
        if let last = lastArrival, at - last > Limits.gap {
            gapCount += 1
            if gaps.count < Limits.gaps { gaps.append(Gap(trackID: trackID, from: last, microseconds: at - last)) }
        }
        lastArrival = max(at, lastArrival ?? at)
    }

    var counts: ReceivedCounts {
        var counts = received
        counts.nacksSent = missing.asked
        if let highest = extender.highest, first <= highest { counts.lost = highest - first + 1 - min(unique, highest - first + 1) }
        return counts
    }
    var isMissingPackets: Bool { !missing.isEmpty }
    mutating func takeMissing(now: Instant) -> [UInt16] { missing.takeDue(now: now) }
    mutating func receivedSenderReport(_ info: SenderInfo, now: Instant) { statistics.receivedSenderReport(ntp: info.ntp, now: now) }
    mutating func makeReportBlock(now: Instant) -> ReportBlock? { statistics.makeReportBlock(now: now) }
}
