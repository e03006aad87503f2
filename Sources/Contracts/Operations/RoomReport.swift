// What nodes tell operators of rooms and recordings.
import Primitives

/// Which rooms are listed: those with an actor on some node, by id.
package struct RoomQuery: Codable, Sendable, Equatable {
    package enum Limits {
        package static let page = 100
        package static let pageMost = 500
        package static let filterBytes = 128
    }
    /// Rooms after this one.
    package var after: RoomID?
    package var limit: Int
    /// Only on this node.
    package var node: NodeName?
    /// Only whose id, code or title contains this, upper or lower case alike.
    package var filter: String?
    /// Only those being recorded.
    package var isRecorded: Bool
    package init(after: RoomID? = nil, limit: Int = Limits.page, node: NodeName? = nil, filter: String? = nil, isRecorded: Bool = false) {
        self.after = after; self.limit = limit; self.node = node; self.filter = filter; self.isRecorded = isRecorded
    }
    /// Within bounds, whatever was sent.
    package var rows: Int { min(max(1, limit), Limits.pageMost) }

    package func takes(_ room: RoomSummary) -> Bool {
        if let after, room.id <= after { return false }
        if let node, room.node != node { return false }
        if isRecorded, room.recording == nil { return false }
        guard let filter, !filter.isEmpty else { return true }
        let wanted = filter.lowercased()
        return [room.id.rawValue, room.meetingCode, room.title].contains { $0.lowercased().contains(wanted) }
    }
}

package struct RoomSummary: Codable, Sendable, Equatable {
    package var id: RoomID
    package var meetingCode: String
    package var title: String
    package var node: NodeName
    package var epoch: Epoch
    package var participants: Int
    package var publications: Int
    /// Being captured.
    package var recording: RecordingID?
    package var createdAt: WallTime
    package init(id: RoomID, meetingCode: String, title: String, node: NodeName, epoch: Epoch, participants: Int, publications: Int, recording: RecordingID? = nil, createdAt: WallTime) {
        self.id = id; self.meetingCode = meetingCode; self.title = title; self.node = node; self.epoch = epoch
        self.participants = participants; self.publications = publications; self.recording = recording; self.createdAt = createdAt
    }
    package init(_ snapshot: RoomSnapshot) {
        let active = snapshot.recording.flatMap { $0.state == .starting || $0.state == .recording ? $0.recordingID : nil }
        self.init(
            id: snapshot.room.id, meetingCode: snapshot.room.meetingCode, title: snapshot.room.title, node: snapshot.node, epoch: snapshot.epoch,
            participants: snapshot.participants.count, publications: snapshot.publications.count, recording: active, createdAt: snapshot.room.createdAt)
    }
}

package struct RoomPage: Codable, Sendable, Equatable {
    package var rooms: [RoomSummary]
    /// There are more, after the last.
    package var hasMore: Bool
    /// Nodes that did not answer: their rooms are missing here.
    package var away: [NodeName]
    package init(rooms: [RoomSummary], hasMore: Bool, away: [NodeName] = []) { self.rooms = rooms; self.hasMore = hasMore; self.away = away }

    /// The first of what several nodes answered. A room that moved meanwhile may be told by two: the later epoch is right.
    package static func merged(_ pages: [RoomPage], limit: Int, away: [NodeName]) -> RoomPage {
        var latest: [RoomID: RoomSummary] = [:]
        for room in pages.flatMap(\.rooms) where latest[room.id].map({ $0.epoch < room.epoch }) ?? true { latest[room.id] = room }
        // Behind the end of a page that was cut, its node has rooms which are not here.
        let end = pages.filter(\.hasMore).compactMap { $0.rooms.last?.id }.min()
        let known = latest.values.filter { room in end.map { room.id <= $0 } ?? true }.sorted { $0.id < $1.id }
        return RoomPage(rooms: Array(known.prefix(limit)), hasMore: known.count > limit || end != nil, away: away.sorted())
    }
}

/// One room in detail. `summary` and what follows only while an actor holds it.
package struct RoomReport: Codable, Sendable, Equatable {
    package enum State: String, Codable, Sendable {
        /// An actor holds it.
        case active
        /// It lies in the store and comes to life with the next call.
        case idle
        case ended
    }
    package var room: RoomRecord
    package var state: State
    package var node: NodeName?
    package var epoch: Epoch?
    /// The last event's number.
    package var sequence: UInt64?
    package var participants: [ParticipantInfo]
    package var publications: [PublicationInfo]
    package var recording: RecordingStatus?
    package var pinned: NodeName?
    /// Nodes that did not answer, where no other node has the room: one of them may.
    package var away: [NodeName]
    package init(_ snapshot: RoomSnapshot) {
        room = snapshot.room; state = .active; node = snapshot.node; epoch = snapshot.epoch; sequence = snapshot.sequence
        participants = snapshot.participants; publications = snapshot.publications.map(\.info); recording = snapshot.recording
        away = []
    }
    package init(_ record: RoomRecord, away: [NodeName]) {
        room = record; state = record.endedAt == nil ? .idle : .ended
        participants = []; publications = []
        self.away = away
    }
}

package struct RecordingQuery: Codable, Sendable, Equatable {
    package enum Limits { package static let rows = 50; package static let rowsMost = 500 }
    package var room: RoomID?
    /// Newest first.
    package var limit: Int
    package init(room: RoomID? = nil, limit: Int = Limits.rows) { self.room = room; self.limit = limit }
    package var rows: Int { min(max(1, limit), Limits.rowsMost) }
}

package struct RecordingReport: Codable, Sendable, Equatable {
    package var status: RecordingStatus
    package var title: String
    package var recorder: NodeName
    package var epoch: Epoch
    package var startedAt: WallTime
    package var stoppedAt: WallTime?
    package var tracks: Int
    package init(_ record: RecordingRecord) {
        status = record.status; title = record.title; recorder = record.recorder; epoch = record.epoch
        startedAt = record.startedAt; stoppedAt = record.stoppedAt; tracks = record.tracks.count
    }
}

/// Work that goes on in the background: for now, recordings being finished.
package struct JobReport: Codable, Sendable, Equatable {
    package var id: String
    /// `finalise`.
    package var kind: String
    package var state: String
    package var recording: RecordingID
    package var room: RoomID
    package var node: NodeName
    package var since: WallTime
    package init(id: String, kind: String, state: String, recording: RecordingID, room: RoomID, node: NodeName, since: WallTime) {
        self.id = id; self.kind = kind; self.state = state; self.recording = recording; self.room = room; self.node = node; self.since = since
    }
    /// The finishing of a recording, while it goes on.
    package init?(_ record: RecordingRecord) {
        guard record.status.state == .stopping || record.status.state == .processing else { return nil }
        self.init(
            id: record.status.recordingID.rawValue, kind: "finalise", state: record.status.state.rawValue, recording: record.status.recordingID,
            room: record.status.roomID, node: record.recorder, since: record.stoppedAt ?? record.startedAt)
    }
}
