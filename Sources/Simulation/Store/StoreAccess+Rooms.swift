// One machine's connection to the database: rooms, admissions, recordings.
import Contracts
import Primitives

extension StoreAccess: RoomStore {
    package func insert(_ room: RoomRecord, host admission: AdmissionRecord) async throws {
        try await database.perform("insertRoom", from: host, writes: true) { (rows) throws(StoreError) in
            let isTaken = rows.rooms[room.id] != nil || rows.rooms.values.contains { $0.meetingCode == room.meetingCode && $0.endedAt == nil }
            guard !isTaken else { throw .conflict }
            rows.rooms[room.id] = room
            rows.admissions[room.id] = [admission.participantID: admission]
        }
    }
    package func room(_ id: RoomID) async throws -> RoomRecord? {
        try await database.perform("room", from: host, writes: false) { (rows) throws(StoreError) in rows.rooms[id] }
    }
    package func room(code: String) async throws -> RoomRecord? {
        try await database.perform("roomByCode", from: host, writes: false) { (rows) throws(StoreError) in
            rows.rooms.values.first { $0.meetingCode == code && $0.endedAt == nil }
        }
    }
    package func endRoom(_ id: RoomID, at: WallTime) async throws {
        try await database.perform("endRoom", from: host, writes: true) { (rows) throws(StoreError) in
            guard let room = rows.rooms[id] else { throw .notFound }
            if room.endedAt == nil { rows.rooms[id]?.endedAt = at }
        }
    }
    package func admit(_ admission: AdmissionRecord) async throws {
        try await database.perform("admit", from: host, writes: true) { (rows) throws(StoreError) in
            guard rows.rooms[admission.roomID] != nil else { throw .notFound }
            if let known = rows.admissions[admission.roomID]?[admission.participantID] {
                guard known == admission else { throw .conflict }
                return
            }
            rows.admissions[admission.roomID, default: [:]][admission.participantID] = admission
        }
    }
    package func admission(room: RoomID, participant: ParticipantID) async throws -> AdmissionRecord? {
        try await database.perform("admission", from: host, writes: false) { (rows) throws(StoreError) in rows.admissions[room]?[participant] }
    }
    package func burnBareAdmission(room: RoomID, participant: ParticipantID) async throws -> Bool {
        try await database.perform("burn", from: host, writes: true) { (rows) throws(StoreError) in rows.burnt.insert("\(room)/\(participant)").inserted }
    }
    package func answer(idempotencyKey: String) async throws -> StoredAnswer? {
        try await database.perform("answer", from: host, writes: false) { (rows) throws(StoreError) in rows.answers[idempotencyKey] }
    }
    package func keep(_ answer: StoredAnswer, idempotencyKey: String, at: WallTime) async throws {
        try await database.perform("keep", from: host, writes: true) { (rows) throws(StoreError) in rows.answers[idempotencyKey] = answer }
    }
}

extension StoreAccess: RecordingStore {
    package func insert(_ recording: RecordingRecord) async throws {
        try await database.perform("insertRecording", from: host, writes: true) { (rows) throws(StoreError) in
            guard rows.recordings[recording.status.recordingID] == nil else { throw .conflict }
            rows.recordings[recording.status.recordingID] = recording
        }
    }
    package func recording(_ id: RecordingID) async throws -> RecordingRecord? {
        try await database.perform("recording", from: host, writes: false) { (rows) throws(StoreError) in rows.recordings[id] }
    }
    package func recordings(room: RoomID?, limit: Int) async throws -> [RecordingRecord] {
        try await database.perform("recordings", from: host, writes: false) { (rows) throws(StoreError) in
            Array(rows.recordings.values.filter { room == nil || $0.status.roomID == room }.sorted { ($0.startedAt, $0.status.recordingID) > ($1.startedAt, $1.status.recordingID) }.prefix(limit))
        }
    }
    package func unfinishedRecordings(recorder: NodeName) async throws -> [RecordingRecord] {
        try await database.perform("unfinished", from: host, writes: false) { (rows) throws(StoreError) in
            rows.recordings.values.filter { $0.recorder == recorder && $0.status.state != .ready && $0.status.state != .failed }.sorted { $0.status.recordingID < $1.status.recordingID }
        }
    }
    package func update(_ recording: RecordingRecord) async throws {
        try await database.perform("updateRecording", from: host, writes: true) { (rows) throws(StoreError) in
            guard let stored = rows.recordings[recording.status.recordingID] else { throw .notFound }
            guard stored.epoch <= recording.epoch else { throw .conflict }
            rows.recordings[recording.status.recordingID] = recording
        }
    }
    package func recordings(of participant: ParticipantID, limit: Int) async throws -> [RecordingRecord] {
        try await database.perform("recordingsOf", from: host, writes: false) { (rows) throws(StoreError) in
            Array(rows.recordings.values.filter { rows.admissions[$0.status.roomID]?[participant] != nil }.sorted { ($0.startedAt, $0.status.recordingID) > ($1.startedAt, $1.status.recordingID) }.prefix(limit))
        }
    }
    package func overdueRecordings(at now: WallTime, limit: Int) async throws -> [RecordingRecord] {
        try await database.perform("overdue", from: host, writes: false) { (rows) throws(StoreError) in
            Array(rows.recordings.values.filter { ($0.status.state == .ready || $0.status.state == .failed) && ($0.deleteAfter.map { $0 <= now } ?? false) }
                .sorted { ($0.deleteAfter!, $0.status.recordingID) < ($1.deleteAfter!, $1.status.recordingID) }.prefix(limit))
        }
    }
    package func deleteRecording(_ id: RecordingID) async throws -> Int {
        try await database.perform("deleteRecording", from: host, writes: true) { (rows) throws(StoreError) in rows.recordings.removeValue(forKey: id) == nil ? 0 : 1 }
    }
}
