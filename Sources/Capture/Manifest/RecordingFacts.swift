// What the Recording actor knows and the packets do not tell: `recording.json` and `events.jsonl` beside the journals.
//
// recording.json is replaced as a whole when something in it changes; events.jsonl only grows, one JSON object a line.
// Both are evidence for the manifest, none is needed: a recording whose journals alone survived can still be finished.

import Primitives
import FoundationEssentials

/// `recording.json`.
package struct RecordingFacts: Codable, Equatable, Sendable {
    package struct Person: Codable, Equatable, Sendable {
        package var id: ParticipantID
        package var name: String
        package var role: String?
        package init(id: ParticipantID, name: String, role: String? = nil) { self.id = id; self.name = name; self.role = role }
    }
    package var version = 1
    package var recording: RecordingID
    package var room: RoomID
    package var title: String
    /// Wall time on the recorder's clock when capture began: the recording's time zero, unless a packet is older.
    package var startedAt: WallTime
    package var stoppedAt: WallTime?
    /// The claim under which this was written.
    package var epoch: Epoch
    /// Everyone who was in the room while it was recorded, also those who left.
    package var participants: [Person]
    /// Microseconds to add to a node's clock to get the recorder's; nodes left out are taken as equal.
    package var clockOffsets: [String: Int64]

    package init(
        recording: RecordingID, room: RoomID, title: String, startedAt: WallTime, stoppedAt: WallTime? = nil, epoch: Epoch,
        participants: [Person] = [], clockOffsets: [String: Int64] = [:]
    ) {
        self.recording = recording; self.room = room; self.title = title; self.startedAt = startedAt; self.stoppedAt = stoppedAt
        self.epoch = epoch; self.participants = participants; self.clockOffsets = clockOffsets
    }

    enum CodingKeys: String, CodingKey {
        case version, title, epoch, participants
        case recording = "recording_id", room = "room_id"
        case startedAt = "started_at_us", stoppedAt = "stopped_at_us", clockOffsets = "clock_offsets_us"
    }
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        version = try values.decodeIfPresent(Int.self, forKey: .version) ?? 1
        recording = try values.decode(RecordingID.self, forKey: .recording)
        room = try values.decode(RoomID.self, forKey: .room)
        title = try values.decodeIfPresent(String.self, forKey: .title) ?? ""
        startedAt = WallTime(microseconds: try values.decode(Int64.self, forKey: .startedAt))
        stoppedAt = try values.decodeIfPresent(Int64.self, forKey: .stoppedAt).map(WallTime.init(microseconds:))
        epoch = Epoch(try values.decodeIfPresent(UInt64.self, forKey: .epoch) ?? 0)
        participants = try values.decodeIfPresent([Person].self, forKey: .participants) ?? []
        clockOffsets = try values.decodeIfPresent([String: Int64].self, forKey: .clockOffsets) ?? [:]
    }
    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(version, forKey: .version)
        try values.encode(recording, forKey: .recording)
        try values.encode(room, forKey: .room)
        try values.encode(title, forKey: .title)
        try values.encode(startedAt.microseconds, forKey: .startedAt)
        try values.encodeIfPresent(stoppedAt?.microseconds, forKey: .stoppedAt)
        try values.encode(epoch.rawValue, forKey: .epoch)
        try values.encode(participants, forKey: .participants)
        try values.encode(clockOffsets, forKey: .clockOffsets)
    }
}

/// One line of `events.jsonl`. Fields an event does not need are left out; types this release does not know are kept in the
/// timeline as they are.
package struct RecordedEvent: Codable, Equatable, Sendable {
    /// The types we write. `type` stays a string so that a newer release's line is not lost.
    package enum Kind: String, Sendable {
        case recordingStarted = "recording_started"
        case recordingStopped = "recording_stopped"
        case participantJoined = "participant_joined"
        case participantLeft = "participant_left"
        case trackPublished = "track_published"
        case trackUnpublished = "track_unpublished"
        case muted
        case chat
        /// Another writer took over, or the room's owner changed: explains what follows.
        case writerChanged = "writer_changed"
    }
    package var type: String
    /// Wall time on the clock of whoever decided the event.
    package var at: WallTime
    package var participant: ParticipantID?
    package var track: TrackID?
    package var name: String?
    package var role: String?
    package var kind: String?
    package var source: String?
    package var codec: String?
    package var muted: Bool?
    package var reason: String?
    package var text: String?
    package var node: String?
    package var epoch: UInt64?

    package init(_ kind: Kind, at: WallTime, participant: ParticipantID? = nil, track: TrackID? = nil, name: String? = nil) {
        type = kind.rawValue
        self.at = at; self.participant = participant; self.track = track; self.name = name
    }

    enum CodingKeys: String, CodingKey {
        case type, name, role, kind, source, codec, muted, reason, text, node, epoch
        case at = "at_us", participant = "participant_id", track = "track_id"
    }
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        type = try values.decode(String.self, forKey: .type)
        at = WallTime(microseconds: try values.decode(Int64.self, forKey: .at))
        participant = try values.decodeIfPresent(ParticipantID.self, forKey: .participant)
        track = try values.decodeIfPresent(TrackID.self, forKey: .track)
        name = try values.decodeIfPresent(String.self, forKey: .name)
        role = try values.decodeIfPresent(String.self, forKey: .role)
        kind = try values.decodeIfPresent(String.self, forKey: .kind)
        source = try values.decodeIfPresent(String.self, forKey: .source)
        codec = try values.decodeIfPresent(String.self, forKey: .codec)
        muted = try values.decodeIfPresent(Bool.self, forKey: .muted)
        reason = try values.decodeIfPresent(String.self, forKey: .reason)
        text = try values.decodeIfPresent(String.self, forKey: .text)
        node = try values.decodeIfPresent(String.self, forKey: .node)
        epoch = try values.decodeIfPresent(UInt64.self, forKey: .epoch)
    }
    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(type, forKey: .type)
        try values.encode(at.microseconds, forKey: .at)
        try values.encodeIfPresent(participant, forKey: .participant)
        try values.encodeIfPresent(track, forKey: .track)
        try values.encodeIfPresent(name, forKey: .name)
        try values.encodeIfPresent(role, forKey: .role)
        try values.encodeIfPresent(kind, forKey: .kind)
        try values.encodeIfPresent(source, forKey: .source)
        try values.encodeIfPresent(codec, forKey: .codec)
        try values.encodeIfPresent(muted, forKey: .muted)
        try values.encodeIfPresent(reason, forKey: .reason)
        try values.encodeIfPresent(text, forKey: .text)
        try values.encodeIfPresent(node, forKey: .node)
        try values.encodeIfPresent(epoch, forKey: .epoch)
    }
}

/// JSON as bytes, both ways.
package enum CaptureJSON {
    package enum Limits {
        package static let factsBytes = 1 << 20
        package static let eventLineBytes = 64 << 10
        package static let events = 200_000
    }
    package enum Failure: Error, Equatable, Sendable { case tooLarge, malformed }

    package static func encode(_ value: some Encodable, pretty: Bool = false) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = pretty ? [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }
    package static func decode<T: Decodable>(_: T.Type, _ bytes: UnsafeRawBufferPointer) throws(Failure) -> T {
        guard bytes.count <= Limits.factsBytes else { throw .tooLarge }
        do { return try JSONDecoder().decode(T.self, from: Data(bytes)) } catch { throw .malformed }
    }

    /// One line of `events.jsonl`, with its line feed.
    package static func line(_ event: RecordedEvent) throws -> [UInt8] { try encode(event) + [0x0A] }

    /// All good lines in file order; bad ones (a torn last line among them) are counted.
    package static func events(_ bytes: UnsafeRawBufferPointer) -> (events: [RecordedEvent], badLines: Int) {
        var out: [RecordedEvent] = [], bad = 0
        for line in bytes.split(separator: 0x0A) where !line.isEmpty {
            guard out.count < Limits.events, line.count <= Limits.eventLineBytes,
                let event = try? decode(RecordedEvent.self, UnsafeRawBufferPointer(rebasing: line))
            else { bad += 1; continue }
            out.append(event)
        }
        return (out, bad)
    }
}
