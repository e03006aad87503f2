// Rooms over HTTP: /api/v1/sessions and what a host does to participants.
internal import Conference
internal import Contracts
internal import Primitives

struct SessionRoutes: Sendable {
    enum Limits {
        static let title = 200                              // characters
        static let name = 128                               // characters
        static let participants: Int64 = 10_000             // of one room
    }
    private enum Fields {
        static let title = Field.string("title", 1...Limits.title, "What the room is called")
        static let hostName = Field.string("host_name", 1...Limits.name, "How others see the host")
        static let mode = Field<SessionMode>.choice("mode", [.sfu, .p2p], required: false, "sfu: media through the servers (the default); p2p: the server relays signalling only")
        static let maxParticipants = Field.integer("max_participants", 1...Limits.participants, required: false)
        static let recordingPolicy = Field<RecordingPolicy>(
            "recording_policy", required: false, schema: ResponseSchemas.recordingPolicy,
            expected: "{viewers: host, participants or link; retention_days: \(RecordingPolicy.Limits.retentionDays.lowerBound) to \(RecordingPolicy.Limits.retentionDays.upperBound)}, both optional"
        ) { json in if case .object = json { RecordingPolicy(json: json) } else { nil } }
        static let region = Field.string("region", 1...64, required: false, "Where the room should live")
        static let displayName = Field.string("display_name", 1...Limits.name, "How others see you")
        static let guestToken = Field.string("guest_token", 1...SingleUseToken.Limits.bytes, required: false, "An invitation; this join uses it up")
        static let recordingConsent = Field.boolean("recording_consent", required: false, "False: you are left out of every recording of the room")
        static let trackID = Field.string("track_id", 1...128, required: false, "One track; without it all of the participant's")
        static let muted = Field.boolean("muted")
    }
    let service: any ConferenceService
    let authenticator: Authenticator
    let iceServers: ICEServers
    let random: any RandomSource

    var routes: [Route] {
        [
            Route(
                .post, "/api/v1/sessions/create", tag: "rooms", "Open a room",
                fields: [Fields.title, Fields.hostName, Fields.mode, Fields.maxParticipants, Fields.recordingPolicy, Fields.region],
                answers: [.init(201, "The room, and the host's place in it", ResponseSchemas.created)], failures: [403, 422], repeatable: true, handler: create),
            Route(
                .post, "/api/recordings", tag: "recordings", "Open a room to record in",
                fields: [Fields.title, Fields.hostName, Fields.maxParticipants, Fields.recordingPolicy, Fields.region],
                answers: [.init(201, "The room, and the host's place in it", ResponseSchemas.studioSession)], failures: [403, 422], repeatable: true, handler: createStudio),
            Route(
                .get, "/api/v1/sessions/{id}", tag: "rooms", "A room by id or meeting code",
                answers: [.init(200, "Its state and roster; node and epoch for admins", ResponseSchemas.session)], failures: [403, 404], handler: get),
            Route(
                .delete, "/api/v1/sessions/{id}", tag: "rooms", "End a room for everyone", access: .bearer,
                answers: [.init(200, "Ended", ResponseSchemas.done)], failures: [403, 404, 410], handler: end),
            Route(
                .post, "/api/v1/sessions/{id}/join", tag: "rooms", "Get a place in a room", fields: [Fields.displayName, Fields.guestToken, Fields.recordingConsent],
                answers: [.init(200, "What to open the WebSocket with", ResponseSchemas.joined)], failures: [401, 403, 404, 409, 410, 422], repeatable: true, handler: join),
            Route(
                .post, "/api/recordings/{id}/guest-token", tag: "rooms", "Invite one guest to a room", access: .bearer,
                answers: [.init(201, "A token that admits once", ResponseSchemas.invitation)], failures: [403, 404, 410], repeatable: true, handler: invite),
            Route(
                .post, "/api/v1/rooms/{id}/participants/{pid}/mute", tag: "rooms", "Mute or unmute a participant's tracks", access: .bearer,
                fields: [Fields.trackID, Fields.muted], answers: [.init(200, "Done", ResponseSchemas.done)], failures: [403, 404, 410], repeatable: true, handler: mute),
            Route(
                .post, "/api/v1/rooms/{id}/participants/{pid}/remove", tag: "rooms", "Put a participant out of the room", access: .bearer,
                answers: [.init(200, "Done", ResponseSchemas.done)], failures: [403, 404, 410], repeatable: true, handler: remove),
        ]
    }

    private func create(_ call: RouteCall) async throws -> HTTPResponse { .json(.object(try await created(call, mode: try call.optional(Fields.mode) ?? .sfu)), status: 201) }
    /// The same room under the name front ends of recording studios know it by; media has to pass the server.
    private func createStudio(_ call: RouteCall) async throws -> HTTPResponse {
        var answer = try await created(call, mode: .sfu)
        answer["roomId"] = answer["session_id"]
        return .json(.object(answer), status: 201)
    }
    private func created(_ call: RouteCall, mode: SessionMode) async throws -> JSONObject {
        let request = CreateSession(
            title: try call.value(Fields.title), hostName: try call.value(Fields.hostName), mode: mode,
            maxParticipants: try call.optional(Fields.maxParticipants).map { Int($0) }, recordingPolicy: try call.optional(Fields.recordingPolicy),
            region: try call.optional(Fields.region))
        let created = try await service.createSession(request, caller: call.caller)
        let room = created.room
        let token = authenticator.mint(participant: created.host, name: room.hostName, room: room.id, isHost: true, now: call.now)
        let answer: JSON = [
            "session_id": .string(room.id.rawValue), "meeting_code": .string(room.meetingCode),
            "host": ["participant_id": .string(created.host.rawValue), "token": .string(token)],
            "join_url": .string(call.base + "/session/" + PercentEncoding.encode(path: room.id.rawValue)), "ws_url": .string(Self.webSocketURL(call.base, room.id)),
        ]
        return answer.object ?? JSONObject()
    }
    private func get(_ call: RouteCall) async throws -> HTTPResponse {
        let session = try await service.session(call.parameter("id"), caller: call.caller)
        return .json(Self.json(session, forAdmin: Self.isAdmin(call.caller, of: session.room.id)))
    }
    private func end(_ call: RouteCall) async throws -> HTTPResponse {
        try await service.endSession(try room(call), caller: call.caller)
        return .json(["ok": true])
    }
    private func join(_ call: RouteCall) async throws -> HTTPResponse {
        let name = try call.value(Fields.displayName), guest = try call.optional(Fields.guestToken).map(SingleUseToken.hash)
        let admission = try await service.join(call.parameter("id"), displayName: name, guest: guest, recordingConsent: try call.optional(Fields.recordingConsent), caller: call.caller)
        let token = authenticator.mint(participant: admission.participantID, name: admission.name, room: admission.roomID, isHost: admission.role == .host, now: call.now)
        return .json([
            "participant_id": .string(admission.participantID.rawValue), "session_id": .string(admission.roomID.rawValue), "token": .string(token),
            "ws_url": .string(Self.webSocketURL(call.base, admission.roomID)), "ice_servers": iceServers.json(for: admission.participantID, now: call.now),
        ])
    }
    private func invite(_ call: RouteCall) async throws -> HTTPResponse {
        let room = try room(call), (text, hash) = SingleUseToken.make(.guest, random)
        let record = try await service.invite(to: room, hash, caller: call.caller)
        let page = call.base + "/session/" + PercentEncoding.encode(path: room.rawValue)
        return .json(["guest_token": .string(text), "expires_at": .string(record.expiresAt.rfc3339), "join_url": .string(page + "#guest_token=" + text)], status: 201)
    }
    private func mute(_ call: RouteCall) async throws -> HTTPResponse {
        let track = try call.optional(Fields.trackID).map { TrackID($0) }
        try await service.mute(ParticipantID(call.parameter("pid")), in: try room(call), track: track, muted: try call.value(Fields.muted), caller: call.caller)
        return .json(["ok": true])
    }
    private func remove(_ call: RouteCall) async throws -> HTTPResponse {
        try await service.remove(ParticipantID(call.parameter("pid")), from: try room(call), caller: call.caller)
        return .json(["ok": true])
    }

    private func room(_ call: RouteCall) throws(Failure) -> RoomID {
        let id = RoomID(call.parameter("id"))
        guard id.isSafe else { throw Failure(404, "unknown_session", "there is no such room; check the id") }
        return id
    }
    private static func isAdmin(_ caller: Caller, of room: RoomID) -> Bool { caller.canAdmin && (caller.room == nil || caller.room == room) }
    static func webSocketURL(_ base: String, _ room: RoomID) -> String {
        OriginPolicy.webSocket(base) + "/ws/" + PercentEncoding.encode(path: room.rawValue)
    }
    static func json(_ session: SessionDescription, forAdmin: Bool) -> JSON {
        let room = session.room
        return .compact([
            ("session_id", .string(room.id.rawValue)), ("meeting_code", .string(room.meetingCode)), ("title", .string(room.title)), ("host_name", .string(room.hostName)),
            ("mode", .string(room.mode.rawValue)), ("state", .string(room.endedAt == nil ? "active" : "ended")), ("max_participants", .integer(Int64(room.maxParticipants))),
            ("recording_policy", room.recordingPolicy?.json), ("region", .text(room.region)), ("created_at", .string(room.createdAt.rfc3339)),
            ("ended_at", .text(room.endedAt.map(\.rfc3339))), ("participants", .array(session.participants.map(Wire.participant))),
            ("publications", .array(session.publications.map(Wire.publication))), ("recording", session.recording.map(Wire.recording)),
            ("node", forAdmin ? .text(session.node?.rawValue) : nil), ("epoch", forAdmin ? .int(session.epoch.map { Int64(clamping: $0.rawValue) }) : nil),
        ])
    }
}
