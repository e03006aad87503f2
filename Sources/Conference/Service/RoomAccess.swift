// Who may do what with a room and its recordings, and tokens that work once.
import Cluster
import Contracts
import EventLoop
import Primitives

/// Permissions by a caller's grants and by admissions.
struct RoomAccess: Sendable {
    let rooms: any RoomStore

    /// Host of the room by admission, or an admin's token.
    func requireHost(of room: RoomID, _ caller: Caller) async throws {
        guard caller.identity != nil || caller.canAdmin else {
            throw ServiceError(.unauthenticated, code: "token_required", message: "send the token `create` gave as `Authorization: Bearer …`")
        }
        if caller.canAdmin, caller.room == nil || caller.room == room { return }
        if let identity = caller.identity, let admission = try await rooms.admission(room: room, participant: ParticipantID(identity)), admission.role == .host { return }
        throw ServiceError(.forbidden, code: "host_only", message: "only the room's host or an admin may do this")
    }
    /// As the recording's policy says (docs/decisions/0039).
    func requireViewer(of recording: RecordingRecord, _ caller: Caller) async throws {
        switch (recording.policy ?? RecordingPolicy()).viewers {
        case .link: return
        case .participants: try await requireViewer(of: recording.status.roomID, caller)
        case .host: try await requireHost(of: recording.status.roomID, caller)
        }
    }
    func isHost(of room: RoomID, _ caller: Caller) async throws -> Bool {
        do { try await requireHost(of: room, caller) } catch let error as ServiceError where error.kind == .forbidden { return false }
        return true
    }
    func requireViewer(of room: RoomID, _ caller: Caller) async throws {
        guard caller.identity != nil || caller.canAdmin else {
            throw ServiceError(.unauthenticated, code: "token_required", message: "send the token `create` or `join` gave as `Authorization: Bearer …`")
        }
        if caller.canAdmin, caller.room == nil || caller.room == room { return }
        guard let identity = caller.identity, try await rooms.admission(room: room, participant: ParticipantID(identity)) != nil else {
            throw ServiceError(.forbidden, code: "not_a_participant", message: "recordings are shown to the room's participants and admins")
        }
    }
}

extension TokenStore {
    /// Uses a token up, or refuses it: in detail to the log, to the caller no more than that it does not admit.
    func burn(_ hash: TokenHash, for binding: TokenBinding, scope: String?, _ context: ConferenceContext) async throws {
        let kind = binding.kind
        switch try await burnToken(hash, for: binding, scope: scope) {
        case .burned: context.log(.info, "token_burned", ["kind": kind.rawValue, "room": binding.room.rawValue, "recording": binding.recording?.rawValue ?? "", "scope": scope ?? ""])
        case .refused(let reason):
            context.log(.warning, "token_refused", ["kind": kind.rawValue, "room": binding.room.rawValue, "recording": binding.recording?.rawValue ?? "", "scope": scope ?? "", "reason": "\(reason)"])
            let what = kind == .guest ? "ask the host for a new invitation" : "ask for a new one with POST /recordings/{id}/composition/token"
            throw ServiceError(.unauthenticated, code: "token_refused", message: "this token does not admit you: it was used, has expired, or is for something else; \(what)")
        }
    }
    func make(_ hash: TokenHash, for binding: TokenBinding, scopes: [String], life: Duration) async throws -> TokenRecord {
        switch try await insertToken(hash, for: binding, scopes: scopes, life: life) {
        case .inserted(let record): return record
        case .full: throw ServiceError(.rateLimited, code: "too_many_tokens", message: "too many tokens wait to be used; use them or let them expire")
        case .unknownPlace: throw ServiceError(.notFound, code: "unknown_place", message: "the room or recording is gone")
        }
    }
}
