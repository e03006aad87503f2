// Where the parts of a recording stand below the storage directory: docs of the outside contract, "Storage keys".

import Primitives

/// Storage keys of one recording, relative to the storage directory. Ids must be `isSafe`; callers check them at their edge.
package struct RecordingLayout: Hashable, Sendable {
    package let room: RoomID
    package let recording: RecordingID
    package init(room: RoomID, recording: RecordingID) { self.room = room; self.recording = recording }

    /// `rooms/{room_id}/{recording_id}`, without a slash at the end.
    package var folder: String { "rooms/\(room)/\(recording)" }
    /// - Parameter folder: as `folder` says it.
    package init?(folder: String) {
        let parts = folder.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "rooms" else { return nil }
        self.init(room: RoomID(String(parts[1])), recording: RecordingID(String(parts[2])))
        guard room.isSafe, recording.isSafe else { return nil }
    }
    package var metadata: String { "\(folder)/\(Names.metadata)" }
    package var timeline: String { "\(folder)/\(Names.timeline)" }
    /// Of the decider of this epoch.
    package func facts(_ epoch: Epoch) -> String { "\(folder)/\(Names.factsPrefix)\(epoch.rawValue)\(Names.factsSuffix)" }
    package var policy: String { "\(folder)/\(Names.policy)" }
    /// A writer's notes, cut like its segments; several writers keep files of their own.
    package func events(_ writer: NodeName, number: UInt32) -> String { "\(folder)/\(Names.eventsPrefix)\(writer).\(number)\(Names.eventsSuffix)" }
    package func journals(_ track: TrackID) -> String { "\(folder)/\(Names.journals)/\(track)" }
    package func segment(_ track: TrackID, writer: NodeName, epoch: Epoch, number: UInt32) -> String {
        "\(journals(track))/\(writer)-\(epoch.rawValue)-\(number).\(Journal.fileExtension)"
    }
    /// What a participant's browser recorded: chunks, and `uploads.json` beside them.
    package func chunks(_ peer: ParticipantID) -> String { "\(folder)/\(Names.chunks)/\(peer)" }
    package func uploads(_ peer: ParticipantID) -> String { "\(chunks(peer))/\(Names.uploads)" }
    package func chunk(_ peer: ParticipantID, _ kind: UploadKind, _ sequence: Int) -> String { "\(chunks(peer))/\(Names.chunk(kind, sequence))" }

    /// Names inside the recording's folder.
    package enum Names {
        package static let journals = "journal"
        package static let tracks = "tracks"
        package static let metadata = "metadata.json"
        package static let timeline = "timeline.json"
        /// `recording-{epoch}.json`.
        package static let factsPrefix = "recording-"
        package static let factsSuffix = ".json"
        /// Those of the newest decider first.
        package static func facts(among names: [String]) -> [String] {
            func epoch(_ name: String) -> UInt64? {
                // Of a release before these had names of their own.
                if name == "recording.json" { return 0 }
                guard name.hasPrefix(factsPrefix), name.hasSuffix(factsSuffix) else { return nil }
                return UInt64(name.dropFirst(factsPrefix.count).dropLast(factsSuffix.count))
            }
            return names.compactMap { name in epoch(name).map { (name: name, epoch: $0) } }.sorted { ($1.epoch, $1.name) < ($0.epoch, $0.name) }.map(\.name)
        }
        package static let policy = "policy.json"
        /// `events-{writer}.{n}.jsonl`.
        package static let eventsPrefix = "events-"
        package static let eventsSuffix = ".jsonl"
        package static func notes(among names: [String]) -> [String] {
            names.filter { $0.hasPrefix(eventsPrefix) && $0.hasSuffix(eventsSuffix) }.sorted()
        }
        package static let chunks = "chunks"
        package static let uploads = "uploads.json"
        /// `{kind}-{sequence}.webm`, six digits.
        package static func chunk(_ kind: UploadKind, _ sequence: Int) -> String {
            let digits = String(sequence)
            return "\(kind.rawValue)-\(String(repeating: "0", count: max(0, 6 - digits.count)))\(digits).webm"
        }
        package static let preview = "preview"
        package static let previewIndex = "index.json"
        package static let thumbnail = "thumbnail.jpg"
        /// Below `preview`.
        package static func previews(of peer: ParticipantID, isScreen: Bool) -> String { "\(isScreen ? "screenshare" : "peers")/\(peer)" }
        /// What was rendered.
        package static let processed = "processed"
        /// `tracks/{peer}/{track}[.partN].webm`; the part is numbered only where there are several.
        package static func track(_ peer: ParticipantID, _ track: TrackID, part: Int?, container: String) -> String {
            "\(tracks)/\(peer)/\(track)\(part.map { ".part\($0)" } ?? "").\(container)"
        }
    }
}
