// What is missing from a track, and why. Nothing recorded is lost silently.
import Primitives

/// Why something is missing. Raw values stand in the manifest.
package enum HoleCause: String, Codable, Sendable, CaseIterable {
    /// Packets never reached the ingress node, or could not be repaired.
    case network
    /// No writer was alive.
    case recorderDown = "recorder_down"
    /// The journal thread did not keep up.
    case recorderOverload = "recorder_overload"
    case diskFull = "disk_full"
    case readOnly = "read_only"
    case ioError = "io_error"
    /// Bytes of a journal are damaged.
    case damagedJournal = "damaged_journal"
    /// All packets are there, but what the publisher sent is no frame.
    case malformed
    /// Nothing is missing; decoding could not begin before this key frame.
    case keyFrameWait = "key_frame_wait"
    /// Nothing is missing; the publisher was muted, and what it sent meanwhile was for nobody.
    case muted
    /// Nothing is missing; the publisher was left out of the recording.
    case leftOut = "left_out"
    /// The participant's connection ended without its wish; nothing was sent until it came back.
    case connectionLost = "connection_lost"
    /// A browser's chunks did not arrive.
    case missingChunk = "missing_chunk"

    init(_ cause: JournalLossCause) {
        self = switch cause {
        case .ringFull: .recorderOverload
        case .diskFull: .diskFull
        case .readOnly: .readOnly
        case .ioError: .ioError
        }
    }
}

extension HoleCause {
    /// Nothing was to be captured: no packet is missing.
    package var isQuiet: Bool { self == .muted || self == .leftOut }
}

/// A time in which nothing was to be captured of a track; µs, without an end where none was told.
package struct QuietTime: Equatable, Sendable {
    package var cause: HoleCause
    package var range: ClosedRange<Int64>
    package init(cause: HoleCause, range: ClosedRange<Int64>) { self.cause = cause; self.range = range }
}

/// A stretch of a track in which something is missing; receive times in µs.
package struct Hole: Equatable, Sendable {
    package var cause: HoleCause
    package var from: Int64
    package var to: Int64
    /// Missing packets, where sequence numbers tell.
    package var packets: UInt64
    package init(cause: HoleCause, from: Int64, to: Int64, packets: UInt64) { self.cause = cause; self.from = from; self.to = to; self.packets = packets }
}

/// Finds missing packets in a track's streams and names their causes.
package enum LossLedger {
    package enum Limits {
        package static let holes = 2_000            // of one track in the manifest; later ones are joined
        /// µs; a hole is explained by what a writer said of a time this near.
        static let slack: Int64 = 250_000
        /// Holes of one cause nearer than this (µs) are one.
        static let join: Int64 = 100_000
        /// µs; the room's word of a mute and the packets around it come from clocks and ways this far apart.
        static let mute: Int64 = 1_000_000
        /// More missing packets than this are a sequence number that jumped, not a loss.
        static let jump: UInt64 = 1 << 20
    }

    /// - Parameters:
    ///   - until: µs, when the track should have ended; nil when nobody knows.
    ///   - quiet: when nothing was to be captured of it (`quiet(_:of:in:)`).
    package static func holes(_ evidence: TrackEvidence, until: Int64?, quiet: [QuietTime] = []) -> [Hole] {
        var found: [Hole] = []
        for (index, stream) in evidence.streams.enumerated() {
            for gap in stream.gaps {
                if isSwitch(gap.from, gap.to, evidence.streams, except: index) { continue }
                let cause = cause(gap.from, gap.to, evidence, quiet)
                found.append(Hole(cause: cause, from: gap.from, to: gap.to, packets: gap.packets > Limits.jump || cause.isQuiet ? 0 : gap.packets))
            }
        }
        // Numbers tell nothing of a publisher that came back as another stream while no writer was alive.
        for gap in evidence.gaps where gap.cause == .recorderDown && !evidence.streams.contains(where: { $0.spans(gap) }) {
            found.append(Hole(cause: gap.cause, from: gap.from, to: gap.to, packets: 0))
        }
        if let until, let last = evidence.lastReceived, !evidence.isClosed, until > last + TrackMerge.Limits.handover {
            found.append(Hole(cause: .recorderDown, from: last, to: until, packets: 0))
        }
        return join(found)
    }

    /// Another encoding of the track was captured meanwhile: a switch back and forth, not a loss.
    private static func isSwitch(_ from: Int64, _ to: Int64, _ streams: [CapturedStream], except: Int) -> Bool {
        guard to - from > TrackMerge.Limits.pause else { return false }
        for (index, stream) in streams.enumerated() where index != except {
            let covered = stream.runs.ranges.reduce(Int64(0)) { $0 + max(0, min($1.upperBound, to) - max($1.lowerBound, from)) }
            if covered > (to - from) / 2 { return true }
        }
        return false
    }
    private static func cause(_ from: Int64, _ to: Int64, _ evidence: TrackEvidence, _ quiet: [QuietTime]) -> HoleCause {
        if let quiet = quiet.first(where: { $0.range.lowerBound - Limits.mute <= from && from <= $0.range.upperBound && to - Limits.mute <= $0.range.upperBound }) { return quiet.cause }
        if let gap = evidence.gaps.first(where: { $0.from <= to + Limits.slack && $0.to >= from - Limits.slack }) { return gap.cause }
        return evidence.counts.damage.stretches > 0 || evidence.counts.unreadableSegments > 0 ? .damagedJournal : .network
    }

    /// When the track was muted, or its participant left out, by the room's events in order of time; without an end where none was told.
    package static func quiet(_ track: TrackID, of participant: ParticipantID, in events: [RecordedEvent]) -> [QuietTime] {
        func times(_ cause: HoleCause, _ change: (RecordedEvent) -> Bool?) -> [QuietTime] {
            var found: [QuietTime] = [], since: Int64?
            for event in events {
                guard let isQuiet = change(event) else { continue }
                let at = event.at.microseconds
                if isQuiet { since = since ?? at } else if let begun = since.take() { found.append(QuietTime(cause: cause, range: begun...max(begun, at))) }
            }
            return found + (since.map { [QuietTime(cause: cause, range: $0...Int64.max)] } ?? [])
        }
        return times(.leftOut) { event in
            guard event.participant == participant else { return nil }
            return switch RecordedEvent.Kind(rawValue: event.type) { case .participantExcluded: true; case .participantIncluded: false; default: nil }
        } + times(.muted) { $0.track == track && $0.type == RecordedEvent.Kind.muted.rawValue ? $0.muted == true : nil }
    }

    /// Neighbours of one cause become one hole; far too many become few.
    package static func join(_ holes: [Hole]) -> [Hole] {
        var slack = Limits.join
        while true {
            var out: [Hole] = []
            for hole in holes.sorted(by: { ($0.from, $0.to) < ($1.from, $1.to) }) {
                if let last = out.last, last.cause == hole.cause, hole.from <= last.to + slack {
                    out[out.count - 1].to = max(last.to, hole.to)
                    out[out.count - 1].packets += hole.packets
                } else {
                    out.append(hole)
                }
            }
            if out.count <= Limits.holes || slack > 3_600_000_000 { return Array(out.prefix(Limits.holes)) }
            slack *= 4
        }
    }
}

extension CapturedStream {
    /// Has packets before and after it, whose numbers say what is missing.
    fileprivate func spans(_ gap: CaptureGap) -> Bool {
        guard let first = runs.ranges.first, let last = runs.ranges.last else { return false }
        return first.lowerBound <= gap.from && last.upperBound >= gap.to
    }
}
