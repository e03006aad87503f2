// The conference as a node's gateways use it. Any node answers for any room.
import Cluster
import Contracts
import EventLoop
import Primitives

/// Checks permissions, keeps rows, and asks the Room or Recording wherever it lives.
package final class LocalConference: ConferenceService {
    package enum Limits {
        package static let defaultParticipants = 100
        package static let participantsMax = 1000
        package static let titleBytes = 256
        /// Tries at a free meeting code (31 bits of choice each).
        package static let codeAttempts = 4
        package static let listRows = 200
        /// A first media packet that never comes does not hold up the answer longer.
        package static let startRecording = Duration.seconds(15)
        /// Thousands of files, and a bucket that may not answer.
        package static let deleteRecording = Duration.seconds(25)
        /// A guest's invitation is good for so long.
        package static let invitation = Duration.seconds(24 * 3600)
    }

    private let context: ConferenceContext
    /// Guests' invitations; nil takes none.
    private let tokens: (any TokenStore)?
    private var access: RoomAccess { RoomAccess(rooms: context.rooms) }
    package init(context: ConferenceContext, tokens: (any TokenStore)? = nil) { self.context = context; self.tokens = tokens }

    // MARK: Rooms

    package func createSession(_ request: CreateSession, caller: Caller) async throws -> CreatedSession {
        let title = request.title.isEmpty ? "Untitled room" : request.title
        for (field, text) in [("title", title), ("host_name", request.hostName)] where text.utf8.count > Limits.titleBytes {
            throw ServiceError(.malformed, code: "too_long", message: "`\(field)` has at most \(Limits.titleBytes) bytes")
        }
        guard !request.hostName.isEmpty else { throw ServiceError(.malformed, code: "missing_field", message: "`host_name` says how others see the host") }
        let capacity = request.maxParticipants ?? Limits.defaultParticipants
        guard (1...Limits.participantsMax).contains(capacity) else {
            throw ServiceError(.malformed, code: "bad_capacity", message: "`max_participants` is 1 to \(Limits.participantsMax)")
        }
        for attempt in 1... {
            let record = RoomRecord(
                id: RoomID("R_" + context.random.token(14)), meetingCode: meetingCode(), title: title, hostName: request.hostName, mode: request.mode,
                maxParticipants: capacity, recordingPolicy: request.recordingPolicy, region: request.region, createdAt: context.loop.wall)
            let host = AdmissionRecord(roomID: record.id, participantID: newParticipantID(), name: request.hostName, role: .host, admittedAt: context.loop.wall)
            do {
                try await context.rooms.insert(record, host: host)
                return CreatedSession(room: record, host: host.participantID)
            } catch StoreError.conflict where attempt < Limits.codeAttempts { continue }
        }
        throw ServiceError(.unavailable, code: "no_code", message: "no meeting code is free; try again")
    }

    /// Nine letters in three groups, read aloud without mistakes; a name, not a secret.
    private func meetingCode() -> String {
        let code = context.random.token(9)
        return [code.prefix(3), code.dropFirst(3).prefix(3), code.dropFirst(6)].joined(separator: "-")
    }
    /// 130 bits: it stands for the participant on the WebSocket.
    private func newParticipantID() -> ParticipantID { ParticipantID("P_" + context.random.token(26)) }

    private func record(_ idOrCode: String) async throws -> RoomRecord {
        if let record = try await context.rooms.room(RoomID(idOrCode)) { return record }
        if let record = try await context.rooms.room(code: idOrCode) { return record }
        throw ServiceError(.notFound, code: "unknown_room", message: "no room has this id or meeting code")
    }

    package func session(_ idOrCode: String, caller: Caller) async throws -> SessionDescription {
        let snapshot: RoomSnapshot
        do {
            let record = try await record(idOrCode)
            if record.endedAt != nil {
                return SessionDescription(room: record, participants: [], publications: [], recording: nil, node: nil, epoch: nil)
            }
            snapshot = try await context.room(record.id).snapshot()
        } catch StoreError.away(let reason) {
            // A room that runs tells of itself without the store; by its id, since the store alone knows codes.
            guard let running = try? await context.room(RoomID(idOrCode)).snapshot() else { throw StoreError.away(reason) }
            snapshot = running
        }
        let admin = caller.canAdmin
        return SessionDescription(
            room: snapshot.room, participants: snapshot.participants, publications: snapshot.publications.map(\.info),
            recording: snapshot.recording, node: admin ? snapshot.node : nil, epoch: admin ? snapshot.epoch : nil)
    }

    package func endSession(_ id: RoomID, caller: Caller) async throws {
        _ = try await record(id.rawValue)
        try await access.requireHost(of: id, caller)
        try await context.room(id).end()
    }

    package func join(_ idOrCode: String, displayName: String, guest: TokenHash?, recordingConsent: Bool?, caller: Caller) async throws -> AdmissionRecord {
        let record = try await record(idOrCode)
        guard record.endedAt == nil else { throw ServiceError(.ended, code: "room_ended", message: "this room has ended; create a new one") }
        guard !displayName.isEmpty, displayName.utf8.count <= RoomCore.Limits.nameBytes else {
            throw ServiceError(.malformed, code: "bad_name", message: "`display_name` has 1 to \(RoomCore.Limits.nameBytes) bytes")
        }
        let snapshot = try await context.room(record.id).snapshot()
        guard snapshot.participants.count < record.maxParticipants else {
            throw ServiceError(.conflict, code: "room_full", message: "this room holds \(record.maxParticipants) participants; wait until someone leaves")
        }
        // Last: an invitation is not used up by a join that is refused for another reason.
        if let guest {
            guard let tokens else { throw ServiceError(.unsupported, code: "guest_tokens_unsupported", message: "this node takes no guest tokens; leave `guest_token` out") }
            try await tokens.burn(guest, for: TokenBinding(kind: .guest, room: record.id), scope: nil, context)
        }
        let admission = AdmissionRecord(roomID: record.id, participantID: newParticipantID(), name: displayName, role: .guest, admittedAt: context.loop.wall, recordingConsent: recordingConsent)
        try await context.rooms.admit(admission)
        return admission
    }
    package func invite(to room: RoomID, _ hash: TokenHash, caller: Caller) async throws -> TokenRecord {
        let record = try await record(room.rawValue)
        guard record.endedAt == nil else { throw ServiceError(.ended, code: "room_ended", message: "this room has ended; create a new one") }
        try await access.requireHost(of: record.id, caller)
        guard let tokens else { throw ServiceError(.unsupported, code: "guest_tokens_unsupported", message: "this node makes no guest tokens") }
        return try await tokens.make(hash, for: TokenBinding(kind: .guest, room: record.id), scopes: [], life: Limits.invitation)
    }

    package func caller(room: RoomID, participant: ParticipantID) async throws -> Caller? {
        guard let admission = try await context.rooms.admission(room: room, participant: participant) else { return nil }
        var caller = Caller()
        caller.identity = participant.rawValue
        caller.isBare = true
        caller.room = room
        caller.name = admission.name
        caller.canJoin = true
        caller.canRecord = admission.role == .host
        return caller
    }

    package func mute(_ participant: ParticipantID, in room: RoomID, track: TrackID?, muted: Bool, caller: Caller) async throws {
        try await access.requireHost(of: room, caller)
        try await context.room(room).mute(participant, track: track, muted: muted, by: nil, attachment: nil)
    }

    package func remove(_ participant: ParticipantID, from room: RoomID, caller: Caller) async throws {
        try await access.requireHost(of: room, caller)
        try await context.room(room).remove(participant, by: nil)
    }

    // MARK: Signalling

    package func attach(_ connection: any SignallingConnection, room: RoomID, participant: ParticipantID, caller: Caller, autoSubscribe: Bool) async throws -> any SignallingSession {
        try context.edge.requireOpen()
        guard let record = try await context.rooms.room(room) else { throw ServiceError(.notFound, code: "unknown_room", message: "no room has this id") }
        guard record.endedAt == nil else { throw ServiceError(.ended, code: "room_ended", message: "this room has ended; create a new one") }
        let admission = try await admission(of: participant, in: record, caller)
        if caller.isBare, try await !context.rooms.burnBareAdmission(room: room, participant: participant) {
            throw ServiceError(.unauthenticated, code: "token_required", message: "a participant_id alone admits once; reconnect with the token that join gave")
        }
        let info = ParticipantInfo(
            id: participant, name: admission.name, role: admission.role, node: context.system.node, joinedAt: context.loop.wall, metadata: caller.metadata,
            recordingConsent: admission.recordingConsent)
        return try await open(Participant(context: context, room: record, info: info, connection: connection, autoSubscribe: autoSubscribe), info, room, resume: nil)
    }

    package func resume(_ connection: any SignallingConnection, _ request: ResumeRequest) async throws -> any SignallingSession {
        try context.edge.requireOpen()
        let session = request.session
        let info = ParticipantInfo(
            id: session.participantID, name: session.name, role: session.role, node: context.system.node, joinedAt: session.joinedAt, metadata: session.metadata,
            recordingConsent: session.recordingConsent)
        // The token stands for the admission, and the Room's answer brings the rest: the store is not asked.
        let record = RoomRecord(
            id: session.roomID, meetingCode: "", title: "", hostName: "", mode: session.mode, maxParticipants: 1, recordingPolicy: nil, region: nil, createdAt: session.joinedAt)
        let actor = Participant(context: context, room: record, info: info, connection: connection, autoSubscribe: session.autoSubscribe, resume: request)
        return try await open(actor, info, session.roomID, resume: request)
    }

    private func open(_ actor: Participant, _ info: ParticipantInfo, _ room: RoomID, resume: ResumeRequest?) async throws -> any SignallingSession {
        context.edge.add(actor, participant: info.id, room: room)
        do { try await actor.local { try await $0.open(resume: resume) } } catch {
            context.edge.remove(actor, participant: info.id, room: room, .connectionLost)
            throw error
        }
        return ParticipantSession(actor)
    }

    /// A token's identity that was never admitted by `join` is admitted by its grant.
    private func admission(of participant: ParticipantID, in record: RoomRecord, _ caller: Caller) async throws -> AdmissionRecord {
        if let known = try await context.rooms.admission(room: record.id, participant: participant) { return known }
        guard caller.canJoin, caller.identity == participant.rawValue, caller.room == nil || caller.room == record.id else {
            throw ServiceError(.unauthenticated, code: "not_admitted", message: "this participant_id was not given by join; call POST /api/v1/sessions/{id}/join first")
        }
        let admission = AdmissionRecord(
            roomID: record.id, participantID: participant, name: caller.name ?? participant.rawValue, role: caller.canAdmin ? .host : .guest, admittedAt: context.loop.wall)
        try await context.rooms.admit(admission)
        return admission
    }

    // MARK: Recordings

    package func startRecording(_ room: RoomID, excluding people: [ParticipantID], caller: Caller) async throws -> RecordingStatus {
        if !caller.canRecord { try await access.requireHost(of: room, caller) }
        return try await ClusterSystem.$deadline.withValue(Limits.startRecording) { try await context.room(room).startRecording(by: nil, excluding: people) }
    }
    package func excludeFromRecording(_ people: [ParticipantID], in room: RoomID, caller: Caller) async throws -> RecordingStatus {
        if !caller.canRecord { try await access.requireHost(of: room, caller) }
        return try await context.room(room).exclude(people, by: nil)
    }
    package func stopRecording(_ room: RoomID, caller: Caller) async throws -> RecordingStatus {
        if !caller.canRecord { try await access.requireHost(of: room, caller) }
        return try await context.room(room).stopRecording(by: nil)
    }
    package func recording(_ id: RecordingID, caller: Caller) async throws -> RecordingRecord {
        guard let record = try await context.recordings.recording(id) else { throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id") }
        try await access.requireViewer(of: record, caller)
        return record
    }
    package func recordings(room: RoomID?, caller: Caller) async throws -> [RecordingRecord] {
        guard let bound = caller.canAdmin && caller.room == nil ? room : (caller.room ?? room) else {
            guard caller.canAdmin || caller.canList else {
                guard let identity = caller.identity else {
                    throw ServiceError(.forbidden, code: "room_required", message: "name a room with ?roomId= whose participant you are, or use a token that says who you are")
                }
                return try await shown(context.recordings.recordings(of: ParticipantID(identity), limit: Limits.listRows), to: caller)
            }
            return try await context.recordings.recordings(room: nil, limit: Limits.listRows)
        }
        if let room, room != bound { throw ServiceError(.forbidden, code: "other_room", message: "this token is bound to room \(bound)") }
        try await access.requireViewer(of: bound, caller)
        return try await shown(context.recordings.recordings(room: bound, limit: Limits.listRows), to: caller)
    }
    /// Without those only a host may see, unless the caller is.
    private func shown(_ records: [RecordingRecord], to caller: Caller) async throws -> [RecordingRecord] {
        var isHost: [RoomID: Bool] = [:]
        for room in Set(records.filter { $0.policy?.viewers == .host }.map(\.status.roomID)) { isHost[room] = try await access.isHost(of: room, caller) }
        return records.filter { $0.policy?.viewers != .host || isHost[$0.status.roomID] == true }
    }
    package func deleteRecording(_ id: RecordingID, caller: Caller) async throws -> RecordingRemoval {
        guard let record = try await context.recordings.recording(id) else { throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id") }
        try await access.requireHost(of: record.status.roomID, caller)
        return try await ClusterSystem.$deadline.withValue(Limits.deleteRecording) { try await context.recording(id).erase(.asked) }
    }
}

/// A connection's messages on their way into the Participant's queue. Called on the control loop, where the actor lives.
final class ParticipantSession: SignallingSession {
    private let participant: Participant
    init(_ participant: Participant) { self.participant = participant }
    func receive(_ message: ClientMessage) { participant.assumeIsolated { $0.receive(message) } }
    func connectionLost() { participant.assumeIsolated { $0.enqueue(.connectionLost) } }
}
