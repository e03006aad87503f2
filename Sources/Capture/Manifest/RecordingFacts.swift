// What the Recording actor knows and the packets do not tell: `recording-{epoch}.json` and `events-{writer}.{n}.jsonl` beside the journals.
//
// The first is replaced as a whole when something in it changes, by the decider whose epoch it names; the others hold one JSON object a line, and end like segments.
// Both are evidence for the manifest, none is needed: a recording whose journals alone survived can still be finished.

import Primitives
import FoundationEssentials

/// `recording-{epoch}.json`.
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

/// JSON as bytes, both ways.
package enum CaptureJSON {
    package enum Limits {
        package static let factsBytes = 1 << 20
        package static let manifestBytes = 64 << 20     // metadata.json, timeline.json
        package static let eventLineBytes = 64 << 10
        package static let events = 200_000
    }
    package enum Failure: Error, Equatable, Sendable { case tooLarge, malformed }

    package static func encode(_ value: some Encodable, pretty: Bool = false) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = pretty ? [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }
    package static func decode<T: Decodable>(_: T.Type, _ bytes: UnsafeRawBufferPointer, limit: Int = Limits.factsBytes) throws(Failure) -> T {
        guard bytes.count <= limit else { throw .tooLarge }
        do { return try JSONDecoder().decode(T.self, from: Data(bytes)) } catch { throw .malformed }
    }

    /// One line, with its line feed.
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
