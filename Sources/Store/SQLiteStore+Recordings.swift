// Recordings: what was captured, by whom, and how far its finishing is.
package import Contracts
package import Primitives

extension SQLiteStore: RecordingStore {
    enum RecordingLimits {
        /// Rows of one answer, whatever was asked for.
        static let listed = 1_000
    }

    package func insert(_ recording: RecordingRecord) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                _ = try connection.run("""
                    INSERT INTO recordings (id, room_id, recorder, epoch, state, reason, duration, size, output_path, started_at, stopped_at, title)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """, try Self.columns(recording))
            }
        }
    }

    package func recording(_ id: RecordingID) async throws -> RecordingRecord? {
        try await perform { (connection) throws(StoreError) in
            try connection.first("\(Self.selectRecording) WHERE id = ?", [.text(id.rawValue)], Self.recording)
        }
    }

    package func recordings(room: RoomID?, limit: Int) async throws -> [RecordingRecord] {
        let bound = SQLiteValue.integer(Int64(max(0, min(limit, RecordingLimits.listed))))
        return try await perform { (connection) throws(StoreError) in
            if let room {
                return try connection.rows("\(Self.selectRecording) WHERE room_id = ? ORDER BY started_at DESC, id LIMIT ?", [.text(room.rawValue), bound], Self.recording)
            }
            return try connection.rows("\(Self.selectRecording) ORDER BY started_at DESC, id LIMIT ?", [bound], Self.recording)
        }
    }

    package func unfinishedRecordings(recorder: NodeName) async throws -> [RecordingRecord] {
        try await perform { (connection) throws(StoreError) in
            try connection.rows(
                "\(Self.selectRecording) WHERE recorder = ? AND state NOT IN ('ready', 'failed') ORDER BY started_at, id LIMIT ?",
                [.text(recorder.rawValue), .integer(Int64(RecordingLimits.listed))], Self.recording)
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
                if changed == 1 { return }
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
}
