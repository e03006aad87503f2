// A conference in memory: just enough to see what the gateway asks and how it answers.
import Conference
import Contracts
import Primitives
import Synchronization

@testable import Gateway

final class TestConference: ConferenceService {
    struct State {
        var rooms: [RoomID: RoomRecord] = [:]
        var admissions: [ParticipantID: AdmissionRecord] = [:]
        var recordings: [RecordingID: RecordingRecord] = [:]
        var creations = 0
        var muted: [(ParticipantID, TrackID?, Bool)] = []
        var sessions: [TestSession] = []
        var callers: [Caller] = []
        var resumes: [ResumeRequest] = []
        var invitations: Set<TokenHash> = []
        var next = 1
    }
    let state = Mutex(State())
    /// Runs inside `createSession`, for slow or failing services.
    let onCreate: @Sendable () async throws -> Void
    init(onCreate: @escaping @Sendable () async throws -> Void = {}) { self.onCreate = onCreate }

    func createSession(_ request: CreateSession, caller: Caller) async throws -> CreatedSession {
        guard caller.canCreate else { throw ServiceError(.forbidden, code: "may_not_create", message: "ask for `roomCreate`") }
        try await onCreate()
        return state.withLock { state in
            state.creations += 1
            let n = state.next
            state.next += 1
            let room = RoomRecord(
                id: RoomID("room-\(n)"), meetingCode: "abc-\(n)", title: request.title, hostName: request.hostName, mode: request.mode,
                maxParticipants: request.maxParticipants ?? 50, recordingPolicy: request.recordingPolicy, region: request.region, createdAt: WallTime(seconds: 1_700_000_000))
            state.rooms[room.id] = room
            let host = ParticipantID("p_host\(n)")
            state.admissions[host] = AdmissionRecord(roomID: room.id, participantID: host, name: request.hostName, role: .host, admittedAt: room.createdAt)
            return CreatedSession(room: room, host: host)
        }
    }
    func room(_ idOrCode: String) throws(ServiceError) -> RoomRecord {
        let found = state.withLock { state in state.rooms[RoomID(idOrCode)] ?? state.rooms.values.first { $0.meetingCode == idOrCode } }
        guard let found else { throw ServiceError(.notFound, code: "unknown_session", message: "there is no such room; check the id") }
        return found
    }
    func session(_ idOrCode: String, caller: Caller) async throws -> SessionDescription {
        let room = try room(idOrCode)
        let host = ParticipantInfo(id: "p_host1", name: room.hostName, role: .host, node: "north", joinedAt: WallTime(seconds: 1_700_000_001), metadata: "{\"x\":1}")
        let camera = PublicationInfo(trackID: "cam", participantID: "p_host1", kind: .video, source: .camera, codec: "vp8", muted: false)
        let recording = RecordingStatus(recordingID: "rec-1", roomID: room.id, state: .recording)
        return SessionDescription(room: room, participants: [host], publications: [camera], recording: recording, node: "north", epoch: Epoch(3))
    }
    func endSession(_ id: RoomID, caller: Caller) async throws {
        guard caller.canAdmin else { throw ServiceError(.forbidden, code: "not_host", message: "only the host may end the room") }
        state.withLock { $0.rooms[id]?.endedAt = WallTime(seconds: 1_700_000_100) }
    }
    func join(_ idOrCode: String, displayName: String, guest: TokenHash?, recordingConsent: Bool?, caller: Caller) async throws -> AdmissionRecord {
        let room = try room(idOrCode)
        if room.endedAt != nil { throw ServiceError(.ended, code: "session_ended", message: "the room has ended") }
        if let guest, state.withLock({ $0.invitations.remove(guest) }) == nil { throw ServiceError(.unauthenticated, code: "token_refused", message: "ask the host") }
        return state.withLock { state in
            let id = ParticipantID("p_\(state.next)")
            state.next += 1
            let admission = AdmissionRecord(roomID: room.id, participantID: id, name: displayName, role: .guest, admittedAt: WallTime(seconds: 1_700_000_002), recordingConsent: recordingConsent)
            state.admissions[id] = admission
            return admission
        }
    }
    func invite(to room: RoomID, _ hash: TokenHash, caller: Caller) async throws -> TokenRecord {
        guard caller.canAdmin else { throw ServiceError(.forbidden, code: "host_only", message: "only the host may invite") }
        state.withLock { _ = $0.invitations.insert(hash) }
        return TokenRecord(hash: hash, binding: TokenBinding(kind: .guest, room: room), scopes: [], createdAt: WallTime(seconds: 1_700_000_000), expiresAt: WallTime(seconds: 1_700_086_400))
    }
    func caller(room: RoomID, participant: ParticipantID) async throws -> Caller? {
        guard state.withLock({ $0.admissions[participant]?.roomID }) == room else { return nil }
        var caller = Caller()
        caller.identity = participant.rawValue
        caller.room = room
        caller.isBare = true
        caller.canJoin = true
        return caller
    }
    func mute(_ participant: ParticipantID, in room: RoomID, track: TrackID?, muted: Bool, caller: Caller) async throws {
        state.withLock { $0.muted.append((participant, track, muted)) }
    }
    func remove(_ participant: ParticipantID, from room: RoomID, caller: Caller) async throws {
        throw ServiceError(.conflict, code: "already_left", message: "the participant left before")
    }
    func startRecording(_ room: RoomID, excluding people: [ParticipantID], caller: Caller) async throws -> RecordingStatus {
        guard caller.canRecord else { throw ServiceError(.forbidden, code: "not_host", message: "only the host may record") }
        return RecordingStatus(recordingID: "rec-1", roomID: room, state: .recording, excluded: people.isEmpty ? nil : people)
    }
    func excludeFromRecording(_ people: [ParticipantID], in room: RoomID, caller: Caller) async throws -> RecordingStatus {
        try await startRecording(room, excluding: people, caller: caller)
    }
    func stopRecording(_ room: RoomID, caller: Caller) async throws -> RecordingStatus {
        RecordingStatus(recordingID: "rec-1", roomID: room, state: .stopping, duration: 12.5)
    }
    func recording(_ id: RecordingID, caller: Caller) async throws -> RecordingRecord {
        guard caller.identity != nil || state.withLock({ $0.recordings[id]?.policy?.viewers }) == .link else {
            throw ServiceError(.unauthenticated, code: "token_required", message: "send a token")
        }
        guard let record = state.withLock({ $0.recordings[id] }) else { throw ServiceError(.notFound, code: "unknown_recording", message: "there is no such recording") }
        return record
    }
    func recordings(room: RoomID?, caller: Caller) async throws -> [RecordingRecord] {
        state.withLock { state in state.recordings.values.filter { room == nil || $0.status.roomID == room } }
    }
    func deleteRecording(_ id: RecordingID, caller: Caller) async throws -> RecordingRemoval {
        let gone = state.withLock { $0.recordings.removeValue(forKey: id) }
        return RecordingRemoval(objects: 3, bytes: 300_000, bucketObjects: 3, rows: gone == nil ? 0 : 1, isPending: gone?.policy?.retentionDays == 1)
    }

    func attach(_ connection: any SignallingConnection, room: RoomID, participant: ParticipantID, caller: Caller, autoSubscribe: Bool) async throws -> any SignallingSession {
        let record = try self.room(room.rawValue)
        let me = ParticipantInfo(id: participant, name: caller.name ?? "someone", role: .guest, node: "north", joinedAt: WallTime(seconds: 1_700_000_003))
        let session = TestSession(connection)
        state.withLock { $0.sessions.append(session); $0.callers.append(caller) }
        connection.send(.welcome(Self.welcome(record, me, sequence: autoSubscribe ? 1 : 0)))
        return session
    }
    func resume(_ connection: any SignallingConnection, _ request: ResumeRequest) async throws -> any SignallingSession {
        let record = try self.room(request.session.roomID.rawValue)
        let me = ParticipantInfo(id: request.session.participantID, name: request.session.name, role: request.session.role, node: "north", joinedAt: request.session.joinedAt)
        let session = TestSession(connection)
        state.withLock { $0.sessions.append(session); $0.resumes.append(request) }
        connection.send(.resumed(Resumed(welcome: Self.welcome(record, me, sequence: 4), missed: [], settles: nil)))
        return session
    }
    static func facts(_ room: RoomID, _ me: ParticipantInfo) -> SessionFacts {
        SessionFacts(
            roomID: room, mode: .sfu, participantID: me.id, name: me.name, role: me.role, joinedAt: me.joinedAt, metadata: nil, autoSubscribe: true, attachment: 7, epoch: Epoch(1),
            sequence: 1)
    }
    private static func welcome(_ record: RoomRecord, _ me: ParticipantInfo, sequence: UInt64) -> Welcome {
        Welcome(
            roomID: record.id, title: record.title, mode: record.mode, participant: me, participants: [me], publications: [], recording: nil, session: facts(record.id, me),
            pingInterval: .seconds(10), node: "north", nodes: ["https://north:1"], maxParticipants: 50, sequence: sequence)
    }
}

/// Answers `ok` to every request, echoes chat as an event, and remembers.
final class TestSession: SignallingSession {
    let connection: any SignallingConnection
    let received = Mutex<[ClientMessage]>([])
    let lost = Mutex(0)
    init(_ connection: any SignallingConnection) { self.connection = connection }
    func receive(_ message: ClientMessage) {
        received.withLock { $0.append(message) }
        switch message.body {
        case .heartbeat:
            let me = ParticipantInfo(id: "p_1", name: "Ada", role: .guest, node: "north", joinedAt: WallTime(seconds: 1))
            connection.send(.heartbeat(TestConference.facts("room-1", me)))
        case .bye: connection.close(code: 1000, reason: "bye")
        case .chat(let text):
            let chat = ChatMessage(id: "c1", from: "p_1", name: "Ada", text: text, at: WallTime(seconds: 1_700_000_010))
            connection.send(.event(RoomEvent(sequence: 2, epoch: Epoch(1), at: chat.at, kind: .chat(chat))))
        default: break
        }
        if let id = message.id { connection.send(.ok(id: id)) }
    }
    func connectionLost() { lost.withLock { $0 += 1 } }
}

final class TestRoomStore: RoomStore {
    let answers = Mutex<[String: StoredAnswer]>([:])
    let isAway = Mutex(false)
    func insert(_ room: RoomRecord, host: AdmissionRecord) async throws {}
    func room(_ id: RoomID) async throws -> RoomRecord? { nil }
    func room(code: String) async throws -> RoomRecord? { nil }
    func endRoom(_ id: RoomID, at: WallTime) async throws {}
    func admit(_ admission: AdmissionRecord) async throws {}
    func admission(room: RoomID, participant: ParticipantID) async throws -> AdmissionRecord? { nil }
    func burnBareAdmission(room: RoomID, participant: ParticipantID) async throws -> Bool { true }
    func answer(idempotencyKey: String) async throws -> StoredAnswer? {
        if isAway.withLock({ $0 }) { throw StoreError.away("test") }
        return answers.withLock { $0[idempotencyKey] }
    }
    func keep(_ answer: StoredAnswer, idempotencyKey: String, at: WallTime) async throws {
        if isAway.withLock({ $0 }) { throw StoreError.away("test") }
        answers.withLock { $0[idempotencyKey] = answer }
    }
}
