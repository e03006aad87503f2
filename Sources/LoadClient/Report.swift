// What a run found out, as one JSON object and as a few lines of text.
internal import FoundationEssentials
internal import Primitives

struct Report: Encodable {
    struct Delay: Encodable {
        var p50: Double, p95: Double, p99: Double, max: Double
        /// Milliseconds; nil where nothing was timed.
        init?(_ distribution: DelayDistribution) {
            guard let p50 = distribution.quantile(0.5), let p95 = distribution.quantile(0.95), let p99 = distribution.quantile(0.99) else { return nil }
            (self.p50, self.p95, self.p99, max) = (rounded(p50), rounded(p95), rounded(p99), rounded(Double(distribution.largest)))
        }
    }
    struct Sent: Encodable {
        var track_id: String, kind: String, codec: String
        var packets: UInt64, bytes: UInt64, frames: UInt64, key_frames: UInt64, resent: UInt64, nacks: UInt64, nacks_missed: UInt64, plis: UInt64
    }
    struct Publisher: Encodable {
        var name: String, participant_id: String, node: String
        var packets: UInt64, bytes: UInt64, nacks: UInt64, plis: UInt64
        var resumes: Int, moves: Int
        var tracks: [Sent]
    }
    struct Pause: Encodable {
        var track_id: String
        /// Seconds after the start of the run.
        var at: Double
        var length_ms: Double
    }
    struct Received: Encodable {
        var packets: UInt64, bytes: UInt64, lost: UInt64, duplicates: UInt64, repaired: UInt64, nacks_sent: UInt64
        init(_ counts: ReceivedCounts) {
            (packets, bytes, lost, duplicates, repaired, nacks_sent) = (counts.packets, counts.bytes, counts.lost, counts.duplicates, counts.repaired, counts.nacksSent)
        }
    }
    struct ReceivedTrack: Encodable {
        var track_id: String, participant_id: String, kind: String
        var received: Received
        var delay_ms: Delay?
    }
    struct Subscriber: Encodable {
        var name: String, participant_id: String, node: String
        /// Socket opened → first packet.
        var join_ms: Double?
        var received: Received
        var delay_ms: Delay?
        var gap_count: Int
        var gaps: [Pause]
        /// The longest time without a frame of some track less its frame interval, whichever connection brought it.
        var media_gap_ms: Double?
        /// Packets that no connection brought, by the publishers' stamps; frames that two brought.
        var missing: UInt64
        var repeated: UInt64
        var resumes: Int
        var moves: Int
        /// From losing a node to being attached at the next.
        var longest_away_ms: Int64
        var tracks: [ReceivedTrack]
    }
    struct Total: Encodable {
        var sent_packets: UInt64, sent_bytes: UInt64
        var received: Received
        var gaps: Int
        var delay_ms: Delay?, join_ms: Delay?
        var media_gap_ms: Delay?
        var missing: UInt64
        var resumes: Int
        var moves: Int
    }
    /// Between everybody receiving and the end.
    struct Measured: Encodable {
        var seconds: Double
        var packets: UInt64, lost: UInt64
        var client_cpu_seconds: Double
        /// Of `--watch-pid`.
        var server_cpu_seconds: Double?
        var server_cpu_seconds_per_million_packets: Double?
    }
    var room_id: String
    var seconds: Double
    var publishers: [Publisher]
    var subscribers: [Subscriber]
    var total: Total
    var measured: Measured?
    var recording: ServerSignal.Recording?
    /// Datagrams this process lost itself.
    var client_drops: [String: UInt64]
    var failures: [String]

    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
    var text: String {
        func delay(_ delay: Delay?) -> String { delay.map { "p50 \($0.p50) p95 \($0.p95) p99 \($0.p99) max \($0.max) ms" } ?? "not timed" }
        var lines = ["room \(room_id), \((seconds * 1000).rounded() / 1000) s"]
        for one in publishers { lines.append("\(one.name) on \(one.node): sent \(one.packets) packets, \(one.bytes) bytes; asked again for \(one.nacks), key frames \(one.plis)") }
        for one in subscribers.prefix(Self.listed) {
            lines.append("\(one.name) on \(one.node): \(one.received.packets) packets, \(one.received.bytes) bytes, lost \(one.received.lost), duplicates \(one.received.duplicates), "
                + "\(delay(one.delay_ms)), first after \(one.join_ms.map { "\($0) ms" } ?? "never"), pauses \(one.gap_count), longest gap \(one.media_gap_ms.map { "\($0) ms" } ?? "unknown"), missing \(one.missing), resumes \(one.resumes), moves \(one.moves)")
        }
        if subscribers.count > Self.listed { lines.append("… and \(subscribers.count - Self.listed) more") }
        lines.append("all: sent \(total.sent_packets), received \(total.received.packets), lost \(total.received.lost), repaired \(total.received.repaired), duplicates \(total.received.duplicates), delay \(delay(total.delay_ms)), join \(delay(total.join_ms))")
        if let cost = measured?.server_cpu_seconds_per_million_packets { lines.append("server: \(cost) CPU seconds for a million packets received") }
        if let recording { lines.append("recording \(recording.recording_id): \(recording.state)") }
        return (lines + failures.map { "failed: \($0)" }).joined(separator: "\n")
    }
    private static let listed = 20
}

/// Milliseconds with three digits, of microseconds.
private func rounded(_ microseconds: Double) -> Double { microseconds.rounded() / 1000 }

extension Report {
    init(roomID: String, participants: [Participant], began: Int64, ended: Int64, sentUntil: Int64, measured: Measured?, recording: ServerSignal.Recording?, drops: [String: UInt64], failures: [String]) {
        room_id = roomID
        seconds = Double(ended - began) / 1e6
        publishers = participants.filter(\.publishes).map { Publisher($0) }
        let receiving = participants.filter { !$0.publishes || !$0.receives.isEmpty }
        subscribers = receiving.map { Subscriber($0, began: began, ended: sentUntil) }
        var counts = ReceivedCounts(), gap = DelayDistribution(), delay = DelayDistribution(), join = DelayDistribution()
        for one in receiving {
            counts += one.receivedCounts
            delay.merge(one.delay)
            if let worst = one.mediaGap(until: sentUntil) { gap.note(microseconds: Int64(worst * 1000)) }
            if let time = one.joinTime { join.note(microseconds: time) }
        }
        total = Total(
            sent_packets: publishers.reduce(0) { $0 + $1.packets }, sent_bytes: publishers.reduce(0) { $0 + $1.bytes }, received: Received(counts),
            gaps: subscribers.reduce(0) { $0 + $1.gap_count }, delay_ms: Delay(delay), join_ms: Delay(join), media_gap_ms: Delay(gap),
            missing: subscribers.reduce(0) { $0 + $1.missing }, resumes: participants.reduce(0) { $0 + $1.tally.resumes }, moves: participants.reduce(0) { $0 + $1.tally.moves })
        self.measured = measured
        self.recording = recording
        client_drops = drops
        self.failures = failures + participants.flatMap(\.failures)
    }
}
extension Report.Publisher {
    init(_ one: Participant) {
        name = one.name
        participant_id = one.credentials?.participant_id ?? ""
        node = one.node
        (resumes, moves) = (one.tally.resumes, one.tally.moves)
        tracks = one.sends.map { stream in
            let counts = stream.counts
            return Report.Sent(
                track_id: stream.trackID, kind: stream.codec.kind.rawValue, codec: stream.codec.rawValue, packets: counts.packets, bytes: counts.bytes, frames: counts.frames,
                key_frames: counts.keyFrames, resent: counts.resent, nacks: counts.nacks, nacks_missed: counts.nacksMissed, plis: counts.plis)
        }
        packets = tracks.reduce(0) { $0 + $1.packets }
        bytes = tracks.reduce(0) { $0 + $1.bytes }
        nacks = tracks.reduce(0) { $0 + $1.nacks }
        plis = tracks.reduce(0) { $0 + $1.plis }
    }
}
extension Report.Subscriber {
    init(_ one: Participant, began: Int64, ended: Int64) {
        let streams = one.receives.sorted { $0.trackID < $1.trackID }
        media_gap_ms = one.mediaGap(until: ended)
        missing = one.continuity.values.reduce(0) { $0 + $1.missing }
        repeated = one.continuity.values.reduce(0) { $0 + $1.repeated }
        (resumes, moves, longest_away_ms) = (one.tally.resumes, one.tally.moves, one.tally.longestAway)
        name = one.name
        participant_id = one.credentials?.participant_id ?? ""
        node = one.node
        join_ms = one.joinTime.map { rounded(Double($0)) }
        received = Report.Received(one.receivedCounts)
        delay_ms = Report.Delay(one.delay)
        gap_count = streams.reduce(0) { $0 + $1.gapCount }
        gaps = streams.flatMap(\.gaps).map { Report.Pause(track_id: $0.trackID, at: Double($0.from - began) / 1e6, length_ms: rounded(Double($0.microseconds))) }
        tracks = streams.map {
            Report.ReceivedTrack(track_id: $0.trackID, participant_id: $0.participantID, kind: $0.codec.kind.rawValue, received: Report.Received($0.counts), delay_ms: Report.Delay($0.delay))
        }
    }
}

extension Participant {
    var receivedCounts: ReceivedCounts { receives.reduce(into: ReceivedCounts()) { $0 += $1.counts } }
    var delay: DelayDistribution { receives.reduce(into: DelayDistribution()) { $0.merge($1.delay) } }
    /// The worst of its tracks, ms.
    func mediaGap(until end: Int64) -> Double? { continuity.values.compactMap { $0.gap(until: end) }.max() }
    /// µs from opening the socket to the first packet.
    var joinTime: Int64? {
        guard let opened = socketOpenedAt, let first = receives.compactMap(\.firstArrival).min() else { return nil }
        return first - opened
    }
}
