// `timeline.json`: everything that happened, in order, in milliseconds from the recording's time zero.
import Primitives
import RTP
import FoundationEssentials

package struct Timeline: Codable, Equatable, Sendable {
    package struct Entry: Codable, Equatable, Sendable {
        /// ms from time zero; may be negative for what was so before the recording began.
        package var t: Int64
        package var type: String
        package var until: Int64?
        package var peerID: ParticipantID?
        package var trackID: TrackID?
        package var name: String?
        package var kind: String?
        package var source: String?
        package var muted: Bool?
        package var width: Int?
        package var height: Int?
        package var rotation: Int?
        package var cause: HoleCause?
        package var reason: String?
        package var text: String?
        package init(t: Int64, type: String, peerID: ParticipantID? = nil, trackID: TrackID? = nil) { self.t = t; self.type = type; self.peerID = peerID; self.trackID = trackID }
        enum CodingKeys: String, CodingKey {
            case t, type, until, name, kind, source, muted, width, height, rotation, cause, reason, text, peerID = "peer_id", trackID = "track_id"
        }
    }
    package var version = 1
    package var recordingID: RecordingID
    package var timeZeroMicroseconds: Int64
    /// ms.
    package var duration: Int64
    package var events: [Entry]
    enum CodingKeys: String, CodingKey { case version, recordingID = "recording_id", timeZeroMicroseconds = "time_zero_us", duration, events }

    package init(recording: RecordingID, zero: WallTime, duration: Int64, events: [Entry]) {
        recordingID = recording
        timeZeroMicroseconds = zero.microseconds
        self.duration = duration
        self.events = events.enumerated().sorted { ($0.element.t, $0.offset) < ($1.element.t, $1.offset) }.map(\.element)
    }
}

extension Timeline.Entry {
    /// A line of `events.jsonl`.
    package init(_ event: RecordedEvent, zero: WallTime) {
        self.init(t: (event.at - zero).inMilliseconds, type: event.type, peerID: event.participant, trackID: event.track)
        name = event.name
        kind = event.kind
        source = event.source
        muted = event.muted
        reason = event.reason
        text = event.text
    }

    /// What a track's media itself tells.
    package static func entries(_ track: Manifest.Track, _ summary: PresentationSummary) -> [Timeline.Entry] {
        func entry(_ time: Int64, _ type: String, _ fill: (inout Timeline.Entry) -> Void = { _ in }) -> Timeline.Entry {
            var entry = Timeline.Entry(t: time / 1000, type: type, peerID: track.peerID, trackID: track.trackID)
            fill(&entry)
            return entry
        }
        var out: [Timeline.Entry] = []
        if let start = summary.start { out.append(entry(start, "track_started") { $0.kind = track.kind.rawValue; $0.source = track.source }) }
        for change in summary.sizes { out.append(entry(change.time, "layer") { $0.width = change.size.width; $0.height = change.size.height }) }
        for change in summary.rotations { out.append(entry(change.time, "rotation") { $0.rotation = change.degrees }) }
        for stretch in summary.speaking { out.append(entry(stretch.lowerBound, "speaking") { $0.until = stretch.upperBound / 1000 }) }
        for hole in track.holes { out.append(entry(Int64(hole.from * 1_000_000), "hole") { $0.until = Int64(hole.to * 1000); $0.cause = hole.cause }) }
        if let end = summary.end { out.append(entry(end, "track_ended")) }
        return out
    }
}
