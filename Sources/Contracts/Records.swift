// What the store keeps: rows as values, and the protocols a store implements. Every call may fail with `StoreError`.
import Primitives

package enum StoreError: Error, Codable, Sendable, Equatable {
    /// The store did not answer in time or could not be opened: retry later; running media does not need it.
    case away(String)
    /// The row changed since it was read.
    case conflict
    case notFound
    /// A row from a newer release, or damage. Says what to do.
    case corrupt(String)
}

package enum SessionMode: String, Codable, Sendable { case sfu, p2p }

package struct RoomRecord: Codable, Sendable, Equatable {
    package var id: RoomID
    /// Short code people read aloud; unique among rooms that have not ended.
    package var meetingCode: String
    package var title: String
    package var hostName: String
    package var mode: SessionMode
    /// 1...; a join beyond it is refused with `room_full`.
    package var maxParticipants: Int
    package var recordingPolicy: RecordingPolicy?
    package var region: String?
    package var createdAt: WallTime
    package var endedAt: WallTime?
    package init(id: RoomID, meetingCode: String, title: String, hostName: String, mode: SessionMode, maxParticipants: Int, recordingPolicy: RecordingPolicy?, region: String?, createdAt: WallTime, endedAt: WallTime? = nil) {
        self.id = id; self.meetingCode = meetingCode; self.title = title; self.hostName = hostName; self.mode = mode
        self.maxParticipants = maxParticipants; self.recordingPolicy = recordingPolicy; self.region = region; self.createdAt = createdAt; self.endedAt = endedAt
    }
}

/// One admission: `join` hands out the unguessable id, the WebSocket presents it at any node.
package struct AdmissionRecord: Codable, Sendable, Equatable {
    package var roomID: RoomID
    package var participantID: ParticipantID
    package var name: String
    package var role: ParticipantRole
    package var admittedAt: WallTime
    /// As the participant said when it joined; false: it refuses to be recorded.
    package var recordingConsent: Bool?
    package init(roomID: RoomID, participantID: ParticipantID, name: String, role: ParticipantRole, admittedAt: WallTime, recordingConsent: Bool? = nil) {
        self.roomID = roomID; self.participantID = participantID; self.name = name; self.role = role; self.admittedAt = admittedAt; self.recordingConsent = recordingConsent
    }
}

/// One finished file of a recording, as pages list it.
package struct RecordedTrack: Codable, Sendable, Equatable {
    package var trackID: TrackID
    package var participantID: ParticipantID
    package var name: String
    package var kind: MediaKind
    package var source: TrackSource
    package var codec: String
    /// Seconds on the recording's time zero at which the file begins, and how long it is.
    package var start: Double
    package var duration: Double
    /// Storage key of the file; gateways turn it into a signed URL.
    package var key: String
    package init(trackID: TrackID, participantID: ParticipantID, name: String, kind: MediaKind, source: TrackSource, codec: String, start: Double, duration: Double, key: String) {
        self.trackID = trackID; self.participantID = participantID; self.name = name; self.kind = kind; self.source = source
        self.codec = codec; self.start = start; self.duration = duration; self.key = key
    }
}

package struct RecordingRecord: Codable, Sendable, Equatable {
    package var status: RecordingStatus
    /// The recorder whose disk holds the journals.
    package var recorder: NodeName
    package var epoch: Epoch
    package var startedAt: WallTime
    package var stoppedAt: WallTime?
    package var title: String
    /// Known once ready.
    package var tracks: [RecordedTrack]
    /// Nil: the default one.
    package var policy: RecordingPolicy?
    /// When it is due to be deleted; known once it has ended.
    package var deleteAfter: WallTime?
    package init(
        status: RecordingStatus, recorder: NodeName, epoch: Epoch, startedAt: WallTime, stoppedAt: WallTime? = nil, title: String, tracks: [RecordedTrack] = [], policy: RecordingPolicy? = nil,
        deleteAfter: WallTime? = nil
    ) {
        self.status = status; self.recorder = recorder; self.epoch = epoch; self.startedAt = startedAt; self.stoppedAt = stoppedAt; self.title = title
        self.tracks = tracks; self.policy = policy; self.deleteAfter = deleteAfter
    }
}

/// An answer kept for a repeated `Idempotency-Key` (24 hours).
package struct StoredAnswer: Codable, Sendable, Equatable {
    package var status: Int
    package var body: String
    package init(status: Int, body: String) { self.status = status; self.body = body }
}

package protocol RoomStore: Sendable {
    func insert(_ room: RoomRecord, host: AdmissionRecord) async throws
    func room(_ id: RoomID) async throws -> RoomRecord?
    func room(code: String) async throws -> RoomRecord?
    func endRoom(_ id: RoomID, at: WallTime) async throws
    func admit(_ admission: AdmissionRecord) async throws
    func admission(room: RoomID, participant: ParticipantID) async throws -> AdmissionRecord?
    /// A bare participant id, without a token, admits once: before others can have seen it in the roster. Atomic.
    /// - Returns: false when it was used before.
    func burnBareAdmission(room: RoomID, participant: ParticipantID) async throws -> Bool
    func answer(idempotencyKey: String) async throws -> StoredAnswer?
    func keep(_ answer: StoredAnswer, idempotencyKey: String, at: WallTime) async throws
}

package protocol RecordingStore: Sendable {
    func insert(_ recording: RecordingRecord) async throws
    func recording(_ id: RecordingID) async throws -> RecordingRecord?
    /// Newest first, at most `limit`.
    func recordings(room: RoomID?, limit: Int) async throws -> [RecordingRecord]
    /// Those of `recorder` that are neither ready nor failed: its work after a restart.
    func unfinishedRecordings(recorder: NodeName) async throws -> [RecordingRecord]
    /// Of rooms the participant was admitted to; newest first, at most `limit`.
    func recordings(of participant: ParticipantID, limit: Int) async throws -> [RecordingRecord]
    /// Ended ones whose time is over at `now`; the longest overdue first.
    func overdueRecordings(at now: WallTime, limit: Int) async throws -> [RecordingRecord]
    /// Compare-and-set on the epoch: `StoreError.conflict` when the stored epoch is newer than `recording.epoch`.
    func update(_ recording: RecordingRecord) async throws
    /// - Returns: rows removed, of the recording and of what was made of it (files, jobs, tokens, compositions); 0 where it was gone.
    func deleteRecording(_ id: RecordingID) async throws -> Int
}
