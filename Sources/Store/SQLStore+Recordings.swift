// Recordings: what was captured, by whom, and how far its finishing is.
package import Contracts
package import Primitives

extension SQLStore: RecordingStore {
    enum RecordingLimits {
        /// Rows of one answer, whatever was asked for.
        static let listed = 1_000
        /// Finished files of one recording.
        static let tracks = 4_096
    }

    package func insert(_ recording: RecordingRecord) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                try connection.run("""
                    INSERT INTO recordings (id, room_id, recorder, epoch, state, reason, duration, size, output_path, started_at, stopped_at, title,
                        excluded, refused, viewers, retention_days, delete_after)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
                    """, try Self.columns(recording))
                try Self.put(recording, connection)
            }
        }
    }

    package func recording(_ id: RecordingID) async throws -> RecordingRecord? {
        try await select("WHERE id = $1", [.text(id.rawValue)]).first
    }

    package func recordings(room: RoomID?, limit: Int) async throws -> [RecordingRecord] {
        let bound = SQLValue.integer(Int64(max(0, min(limit, RecordingLimits.listed))))
        guard let room else { return try await select("ORDER BY started_at DESC, id LIMIT $1", [bound]) }
        return try await select("WHERE room_id = $1 ORDER BY started_at DESC, id LIMIT $2", [.text(room.rawValue), bound])
    }

    package func unfinishedRecordings(recorder: NodeName) async throws -> [RecordingRecord] {
        try await select(
            "WHERE recorder = $1 AND state NOT IN ('ready', 'failed') ORDER BY started_at, id LIMIT $2",
            [.text(recorder.rawValue), .integer(Int64(RecordingLimits.listed))])
    }

    package func recordings(of participant: ParticipantID, limit: Int) async throws -> [RecordingRecord] {
        try await select(
            "WHERE room_id IN (SELECT room_id FROM admissions WHERE participant_id = $1) ORDER BY started_at DESC, id LIMIT $2",
            [.text(participant.rawValue), .integer(Int64(max(0, min(limit, RecordingLimits.listed))))])
    }

    package func overdueRecordings(at now: WallTime, limit: Int) async throws -> [RecordingRecord] {
        try await select(
            "WHERE delete_after <= $1 AND state IN ('ready', 'failed') ORDER BY delete_after, id LIMIT $2",
            [.integer(now.microseconds), .integer(Int64(max(0, min(limit, RecordingLimits.listed))))])
    }

    /// - Parameter condition: what follows `FROM recordings`.
    private func select(_ condition: String, _ values: [SQLValue]) async throws(StoreError) -> [RecordingRecord] {
        try await perform { (connection) throws(StoreError) in
            try connection.snapshot { () throws(StoreError) in
                let found = try connection.rows("\(Self.selectRecording) \(condition)", values, Self.recording)
                if found.isEmpty { return [] }
                return try Self.fill(found, connection.rows("\(Self.selectTrack) (SELECT id FROM recordings \(condition)) ORDER BY recording_id, position", values, Self.track))
            }
        }
    }

    package func update(_ recording: RecordingRecord) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let values = try Self.columns(recording)
                let changed = try connection.run("""
                    UPDATE recordings SET room_id = $2, recorder = $3, epoch = $4, state = $5, reason = $6, duration = $7, size = $8,
                        output_path = $9, started_at = $10, stopped_at = $11, title = $12, excluded = $13, refused = $14, viewers = $15, retention_days = $16, delete_after = $17
                    WHERE id = $1 AND epoch <= $4
                    """, values)
                if changed == 1 {
                    try Self.put(recording, connection)
                    return
                }
                let known = try connection.first("SELECT 1 FROM recordings WHERE id = $1", [values[0]]) { (_) throws(StoreError) in true }
                throw known == true ? .conflict : .notFound
            }
        }
    }

    /// Deleting what is not there is done already. What belongs to it goes by foreign key, and is counted before.
    package func deleteRecording(_ id: RecordingID) async throws -> Int {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                var rows = 0
                for table in ["recorded_tracks", "jobs", "tokens", "compositions"] {
                    rows += try connection.run("DELETE FROM \(table) WHERE recording_id = $1", [.text(id.rawValue)])
                }
                return rows + (try connection.run("DELETE FROM recordings WHERE id = $1", [.text(id.rawValue)]))
            }
        }
    }

    // MARK: Rows

    private static let selectRecording = """
        SELECT id, room_id, recorder, epoch, state, reason, duration, size, output_path, started_at, stopped_at, title, excluded, refused, viewers,
        retention_days, delete_after FROM recordings
        """

    private static func columns(_ recording: RecordingRecord) throws(StoreError) -> [SQLValue] {
        let status = recording.status
        return [
            .text(status.recordingID.rawValue), .text(status.roomID.rawValue), .text(recording.recorder.rawValue), try .counter(recording.epoch.rawValue),
            .text(status.state.rawValue), .init(status.reason), .init(status.duration), .init(status.size), .init(status.outputPath),
            .integer(recording.startedAt.microseconds), .init(recording.stoppedAt?.microseconds), .text(recording.title),
            ids(status.excluded), ids(status.refused), .text((recording.policy ?? RecordingPolicy()).viewers.rawValue),
            .init(recording.policy?.retentionDays.map { Int64($0) }), .init(recording.deleteAfter?.microseconds),
        ]
    }
    /// As a JSON array: an id may hold any character.
    private static func ids(_ ids: [ParticipantID]?) -> SQLValue { .init(ids.map { JSON.array($0.map { .string($0.rawValue) }).text }) }
    private static func ids(_ text: String?) -> [ParticipantID]? {
        text.flatMap { try? JSONParser.parse(Array($0.utf8)) }?.array?.compactMap { $0.string.map { ParticipantID($0) } }
    }

    private static func recording(_ row: SQLRow) throws(StoreError) -> RecordingRecord {
        let status = RecordingStatus(
            recordingID: RecordingID(row.text(0)), roomID: RoomID(row.text(1)), state: try row.word(4, RecordingState.self),
            reason: row.optionalText(5), duration: row.optionalReal(6), size: row.optionalInteger(7), outputPath: row.optionalText(8),
            excluded: ids(row.optionalText(12)), refused: ids(row.optionalText(13)))
        let policy = RecordingPolicy(viewers: try row.word(14, RecordingPolicy.Viewers.self), retentionDays: row.optionalInteger(15).map { Int($0) })
        return RecordingRecord(
            status: status, recorder: NodeName(row.text(2)), epoch: Epoch(try row.counter(3)),
            startedAt: WallTime(microseconds: row.integer(9)), stoppedAt: row.optionalInteger(10).map { WallTime(microseconds: $0) }, title: row.text(11),
            policy: policy == RecordingPolicy() ? nil : policy, deleteAfter: row.optionalInteger(16).map { WallTime(microseconds: $0) })
    }

    // MARK: Finished files

    /// Replaces the rows of a recording's files, inside the caller's transaction.
    private static func put(_ recording: RecordingRecord, _ connection: any SQLConnection) throws(StoreError) {
        let id = SQLValue.text(recording.status.recordingID.rawValue)
        try connection.run("DELETE FROM recorded_tracks WHERE recording_id = $1", [id])
        try connection.insert(
            "INSERT INTO recorded_tracks (recording_id, position, track_id, participant_id, name, kind, source, codec, start, duration, key)",
            recording.tracks.prefix(RecordingLimits.tracks).enumerated().map { position, track in
                [
                    id, .integer(Int64(position)), .text(track.trackID.rawValue), .text(track.participantID.rawValue), .text(track.name),
                    .text(track.kind.rawValue), .text(track.source.rawValue), .text(track.codec), .real(track.start), .real(track.duration), .text(track.key),
                ]
            })
    }

    private static let selectTrack = """
        SELECT recording_id, track_id, participant_id, name, kind, source, codec, start, duration, key FROM recorded_tracks WHERE recording_id IN
        """

    private static func track(_ row: SQLRow) throws(StoreError) -> (RecordingID, RecordedTrack) {
        let track = RecordedTrack(
            trackID: TrackID(row.text(1)), participantID: ParticipantID(row.text(2)), name: row.text(3),
            kind: try row.word(4, MediaKind.self), source: try row.word(5, TrackSource.self), codec: row.text(6),
            start: row.optionalReal(7) ?? 0, duration: row.optionalReal(8) ?? 0, key: row.text(9))
        return (RecordingID(row.text(0)), track)
    }

    private static func fill(_ recordings: [RecordingRecord], _ tracks: [(RecordingID, RecordedTrack)]) -> [RecordingRecord] {
        let files = Dictionary(grouping: tracks, by: \.0)
        return recordings.map { recording in
            var recording = recording
            recording.tracks = files[recording.status.recordingID]?.map(\.1) ?? []
            return recording
        }
    }
}
