// A recording's journals while they are written: all tracks on one time zero, each sender's on one clock.
import Primitives
import RTP

/// Reads what journals hold so far and presents it as soon as it is settled. Pure: the caller maps the files and says how late it is.
package struct RecordingFollower {
    package enum Limits {
        /// µs of capture after which time zero is decided: the first packets' clocks are known then.
        static let settling: Int64 = 1_500_000
        /// Clocks are fitted again when there is this much more evidence.
        static let growth = 1.1
    }
    private struct Evidence: Equatable { var streams = 0, reports = 0 }

    package let recording: RecordingID
    /// Wall µs; once decided it stays.
    package private(set) var zero: Int64?
    private var tracks: [TrackID: TrackFollower] = [:]
    private var fitted: [ParticipantID: Evidence] = [:]

    package init(recording: RecordingID) { self.recording = recording }

    package var trackIDs: [TrackID] { tracks.keys.sorted() }
    package func header(of track: TrackID) -> JournalHeader? { tracks[track]?.header }
    package func lastReceived(of track: TrackID) -> Int64? { tracks[track]?.lastReceived }
    /// The newest receive time of all, µs.
    package var latest: Int64? { tracks.values.compactMap(\.lastReceived).max() }
    package var leftOut: Int { tracks.values.reduce(0) { $0 + $1.leftOut } }

    /// As `TrackFollower.read`.
    package mutating func read(_ bytes: UnsafeRawBufferPointer, of track: TrackID, from start: Int, offsets: [String: Int64]) -> (next: Int, isClosed: Bool)? {
        tracks[track, default: TrackFollower(recording: recording, track: track)].read(bytes, from: start) { offsets[($0.ingress ?? $0.writer).rawValue] ?? 0 }
    }
    /// - Parameters:
    ///   - now: µs of receive time; .max when nothing more will be read.
    ///   - startedAt: what the Recording says of its begin, where it is known.
    package mutating func advance(to now: Int64, startedAt: Int64?) {
        if zero == nil { decideZero(now, startedAt) }
        guard let zero else { return }
        fitClocks(zero)
        for id in trackIDs {
            if now == .max { tracks[id]?.end() } else { tracks[id]?.advance(to: now, zero: zero) }
        }
    }
    package mutating func next(of track: TrackID) -> PresentedFrame? { tracks[track]?.next() }

    /// The start the Recording named, or the first packet when that is earlier: as finishing decides.
    private mutating func decideZero(_ now: Int64, _ startedAt: Int64?) {
        guard let first = tracks.values.compactMap(\.firstReceived).min(), now - first >= Limits.settling else { return }
        let origins = participants.values.flatMap { members in Self.clocks(members).flatMap(\.clocks).map(\.originWall) }
        zero = min(startedAt ?? .max, (origins.filter(TrackMerge.isPlausible).min() ?? first))
    }
    /// Tracks of each participant that have packets, sorted.
    private var participants: [ParticipantID: [TrackFollower]] {
        trackIDs.compactMap { tracks[$0] }.reduce(into: [:]) { grouped, track in
            if track.firstReceived != nil, let header = track.header { grouped[header.participant, default: []].append(track) }
        }
    }
    private static func clocks(_ members: [TrackFollower]) -> [(track: TrackID, clocks: [StreamClock])] {
        let clock = ParticipantClock(members.flatMap(\.timings))
        return members.map { ($0.track, $0.timings.map(clock.clock(of:))) }
    }
    private mutating func fitClocks(_ zero: Int64) {
        for (participant, members) in participants {
            let evidence = members.reduce(into: Evidence()) { $0.streams += $1.timings.count; $0.reports += $1.timings.reduce(0) { $0 + $1.reports.count } }
            let before = fitted[participant] ?? Evidence()
            guard evidence.streams > before.streams || Double(evidence.reports) >= Double(before.reports) * Limits.growth + 1 else { continue }
            fitted[participant] = evidence
            for (track, clocks) in Self.clocks(members) { tracks[track]?.set(clocks, zero: zero) }
        }
    }
}
