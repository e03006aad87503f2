// Rooms, admissions and kept answers.
package import Contracts
package import Primitives

extension SQLStore: RoomStore {
    enum RoomLimits {
        /// How long a repeated `Idempotency-Key` gets the first answer.
        static let answerKept: Duration = .seconds(24 * 3600)
    }

    package func insert(_ room: RoomRecord, host: AdmissionRecord) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                try connection.run("""
                    INSERT INTO rooms (id, meeting_code, title, host_name, mode, max_participants, recording_policy, region, created_at, ended_at)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                    """, [
                        .text(room.id.rawValue), .text(room.meetingCode), .text(room.title), .text(room.hostName), .text(room.mode.rawValue),
                        .integer(Int64(room.maxParticipants)), .init(room.recordingPolicy?.json.text), .init(room.region),
                        .integer(room.createdAt.microseconds), .init(room.endedAt?.microseconds),
                    ])
                try connection.insert(Self.insertAdmission, [Self.columns(host)])
            }
        }
    }

    package func room(_ id: RoomID) async throws -> RoomRecord? {
        try await perform { (connection) throws(StoreError) in
            try connection.first("\(Self.selectRoom) WHERE id = $1", [.text(id.rawValue)], Self.room)
        }
    }

    package func room(code: String) async throws -> RoomRecord? {
        try await perform { (connection) throws(StoreError) in
            try connection.first("\(Self.selectRoom) WHERE meeting_code = $1 AND ended_at IS NULL", [.text(code)], Self.room)
        }
    }

    /// The first end stands; ending it again changes nothing.
    package func endRoom(_ id: RoomID, at: WallTime) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let changed = try connection.run("UPDATE rooms SET ended_at = coalesce(ended_at, $1) WHERE id = $2", [.integer(at.microseconds), .text(id.rawValue)])
                guard changed > 0 else { throw .notFound }
            }
        }
    }

    /// The same admission twice is one; another under the same ids is a conflict, one to an unknown room is `notFound`.
    package func admit(_ admission: AdmissionRecord) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let added = try connection.run("""
                    \(Self.insertAdmission) SELECT $1, $2, $3, $4, $5, $6 WHERE EXISTS (SELECT 1 FROM rooms WHERE id = $1) ON CONFLICT DO NOTHING
                    """, Self.columns(admission))
                if added == 1 { return }
                guard let known = try Self.admission(connection, admission.roomID, admission.participantID) else { throw .notFound }
                guard known == admission else { throw .conflict }
            }
        }
    }

    package func admission(room: RoomID, participant: ParticipantID) async throws -> AdmissionRecord? {
        try await perform { (connection) throws(StoreError) in try Self.admission(connection, room, participant) }
    }

    package func burnBareAdmission(room: RoomID, participant: ParticipantID) async throws -> Bool {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let changed = try connection.run(
                    "UPDATE admissions SET bare_burned = 1 WHERE room_id = $1 AND participant_id = $2 AND bare_burned = 0",
                    [.text(room.rawValue), .text(participant.rawValue)])
                return changed == 1
            }
        }
    }

    package func answer(idempotencyKey: String) async throws -> StoredAnswer? {
        try await perform { (connection) throws(StoreError) in
            try connection.first("SELECT status, body FROM answers WHERE idempotency_key = $1", [.text(idempotencyKey)]) { (row) throws(StoreError) in
                StoredAnswer(status: Int(row.integer(0)), body: row.text(1))
            }
        }
    }

    /// The first answer stands; answers older than a day go at the same time.
    package func keep(_ answer: StoredAnswer, idempotencyKey: String, at: WallTime) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let oldest = at.microseconds - RoomLimits.answerKept.inMicroseconds
                try connection.run("DELETE FROM answers WHERE kept_at < $1", [.integer(oldest)])
                try connection.run(
                    "INSERT INTO answers (idempotency_key, status, body, kept_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                    [.text(idempotencyKey), .integer(Int64(answer.status)), .text(answer.body), .integer(at.microseconds)])
            }
        }
    }

    // MARK: Rows

    private static let selectRoom = """
        SELECT id, meeting_code, title, host_name, mode, max_participants, recording_policy, region, created_at, ended_at FROM rooms
        """

    private static func room(_ row: SQLRow) throws(StoreError) -> RoomRecord {
        RoomRecord(
            id: RoomID(row.text(0)), meetingCode: row.text(1), title: row.text(2), hostName: row.text(3),
            mode: try row.word(4, SessionMode.self), maxParticipants: Int(row.integer(5)),
            recordingPolicy: row.optionalText(6).flatMap { try? JSONParser.parse(Array($0.utf8)) }.flatMap(RecordingPolicy.init(json:)), region: row.optionalText(7),
            createdAt: WallTime(microseconds: row.integer(8)), endedAt: row.optionalInteger(9).map { WallTime(microseconds: $0) })
    }

    private static func admission(_ connection: any SQLConnection, _ room: RoomID, _ participant: ParticipantID) throws(StoreError) -> AdmissionRecord? {
        try connection.first(
            "SELECT name, role, admitted_at, recording_consent FROM admissions WHERE room_id = $1 AND participant_id = $2",
            [.text(room.rawValue), .text(participant.rawValue)]
        ) { (row) throws(StoreError) in
            AdmissionRecord(
                roomID: room, participantID: participant, name: row.text(0),
                role: try row.word(1, ParticipantRole.self), admittedAt: WallTime(microseconds: row.integer(2)),
                recordingConsent: row.optionalInteger(3).map { $0 != 0 })
        }
    }

    private static let insertAdmission = "INSERT INTO admissions (room_id, participant_id, name, role, admitted_at, recording_consent)"

    private static func columns(_ admission: AdmissionRecord) -> [SQLValue] {
        [
            .text(admission.roomID.rawValue), .text(admission.participantID.rawValue), .text(admission.name), .text(admission.role.rawValue),
            .integer(admission.admittedAt.microseconds), .init(admission.recordingConsent.map { $0 ? 1 : 0 } as Int64?),
        ]
    }
}
