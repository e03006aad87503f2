// Recordings: what was captured, by whom, and how far its finishing is.
package import Contracts
package import Primitives

extension SQLiteStore: RecordingStore {
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
                    INSERT INTO recordings (id, room_id, recorder, epoch, state, reason, duration, size, output_path, started_at, stopped_at, title)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """, try Self.columns(recording))
                try Self.put(recording, connection)
            }
        }
    }

    package func recording(_ id: RecordingID) async throws -> RecordingRecord? {
        try await perform { (connection) throws(StoreError) in
            try connection.first("\(Self.selectRecording) WHERE id = ?", [.text(id.rawValue)], Self.recording).map { (found) throws(StoreError) in
                try Self.withTracks([found], connection)[0]
            }
        }
    }

    package func recordings(room: RoomID?, limit: Int) async throws -> [RecordingRecord] {
        let bound = SQLiteValue.integer(Int64(max(0, min(limit, RecordingLimits.listed))))
        return try await perform { (connection) throws(StoreError) in
            if let room {
                return try Self.withTracks(connection.rows("\(Self.selectRecording) WHERE room_id = ? ORDER BY started_at DESC, id LIMIT ?", [.text(room.rawValue), bound], Self.recording), connection)
            }
            return try Self.withTracks(connection.rows("\(Self.selectRecording) ORDER BY started_at DESC, id LIMIT ?", [bound], Self.recording), connection)
        }
    }

    package func unfinishedRecordings(recorder: NodeName) async throws -> [RecordingRecord] {
        try await perform { (connection) throws(StoreError) in
            try Self.withTracks(connection.rows(
                "\(Self.selectRecording) WHERE recorder = ? AND state NOT IN ('ready', 'failed') ORDER BY started_at, id LIMIT ?",
                [.text(recorder.rawValue), .integer(Int64(RecordingLimits.listed))], Self.recording), connection)
        }
    }

    package func update(_ recording: RecordingRecord) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let values = try Self.columns(recording)
                let changed = try connection.run("""
                    UPDATE recordings SET room_id = ?2, recorder = ?3, epoch = ?4, state = ?5, reason = ?6, duration = ?7, size = ?8,
                        output_path = ?9, started_at = ?10, stopped_at = ?11, title = ?12
                    WHERE id = ?1 AND epoch <= ?4
                    """, values)
                if changed == 1 {
                    try Self.put(recording, connection)
                    return
                }
                let known = try connection.first("SELECT 1 FROM recordings WHERE id = ?", [values[0]]) { (_) throws(StoreError) in true }
                throw known == true ? .conflict : .notFound
            }
        }
    }

    /// Deleting what is not there is done already.
    package func deleteRecording(_ id: RecordingID) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in _ = try connection.run("DELETE FROM recordings WHERE id = ?", [.text(id.rawValue)]) }
        }
    }

    // MARK: Rows

    private static let selectRecording = """
        SELECT id, room_id, recorder, epoch, state, reason, duration, size, output_path, started_at, stopped_at, title FROM recordings
        """

    private static func columns(_ recording: RecordingRecord) throws(StoreError) -> [SQLiteValue] {
        let status = recording.status
        guard let epoch = Int64(exactly: recording.epoch.rawValue) else { throw .corrupt("epoch \(recording.epoch.rawValue) is beyond what is ever claimed") }
        return [
            .text(status.recordingID.rawValue), .text(status.roomID.rawValue), .text(recording.recorder.rawValue), .integer(epoch),
            .text(status.state.rawValue), .init(status.reason), .init(status.duration), .init(status.size), .init(status.outputPath),
            .integer(recording.startedAt.microseconds), .init(recording.stoppedAt?.microseconds), .text(recording.title),
        ]
    }

    private static func recording(_ row: SQLiteRow) throws(StoreError) -> RecordingRecord {
        let status = RecordingStatus(
            recordingID: RecordingID(row.text(0)), roomID: RoomID(row.text(1)), state: try row.word(4, RecordingState.self),
            reason: row.optionalText(5), duration: row.optionalReal(6), size: row.optionalInteger(7), outputPath: row.optionalText(8))
        return RecordingRecord(
            status: status, recorder: NodeName(row.text(2)), epoch: Epoch(try row.counter(3)),
            startedAt: WallTime(microseconds: row.integer(9)), stoppedAt: row.optionalInteger(10).map { WallTime(microseconds: $0) }, title: row.text(11))
    }

    // MARK: Finished files

    /// Replaces the rows of a recording's files, inside the caller's transaction.
    private static func put(_ recording: RecordingRecord, _ connection: SQLiteConnection) throws(StoreError) {
        let id = SQLiteValue.text(recording.status.recordingID.rawValue)
        try connection.run("DELETE FROM recorded_tracks WHERE recording_id = ?", [id])
        for (position, track) in recording.tracks.prefix(RecordingLimits.tracks).enumerated() {
            try connection.run("""
                INSERT INTO recorded_tracks (recording_id, position, track_id, participant_id, name, kind, source, codec, start, duration, key)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """, [
                    id, .integer(Int64(position)), .text(track.trackID.rawValue), .text(track.participantID.rawValue), .text(track.name),
                    .text(track.kind.rawValue), .text(track.source.rawValue), .text(track.codec), .real(track.start), .real(track.duration), .text(track.key),
                ])
        }
    }

    private static func withTracks(_ recordings: [RecordingRecord], _ connection: SQLiteConnection) throws(StoreError) -> [RecordingRecord] {
        var filled: [RecordingRecord] = []
        for var recording in recordings {
            recording.tracks = try connection.rows(
                "SELECT track_id, participant_id, name, kind, source, codec, start, duration, key FROM recorded_tracks WHERE recording_id = ? ORDER BY position",
                [.text(recording.status.recordingID.rawValue)]
            ) { (row) throws(StoreError) in
                RecordedTrack(
                    trackID: TrackID(row.text(0)), participantID: ParticipantID(row.text(1)), name: row.text(2),
                    kind: try row.word(3, MediaKind.self), source: try row.word(4, TrackSource.self), codec: row.text(5),
                    start: row.optionalReal(6) ?? 0, duration: row.optionalReal(7) ?? 0, key: row.text(8))
            }
            filled.append(recording)
        }
        return filled
    }
}
