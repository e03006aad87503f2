// Whom the room's recording leaves out, as hosts and participants say it.
import Contracts
import Distributed
import Primitives

extension Room {
    /// Whom the running recording leaves out from now on: `people`, and who refuses. What was captured of them before stays.
    package distributed func exclude(_ people: [ParticipantID], by host: ParticipantID?) async throws -> RecordingStatus {
        try requireDecisions()
        if let host { try core.requireHost(host) }
        try await requireKnown(people)
        broadcast(try core.exclude(people, wall: context.loop.wall))
        return core.recording!
    }
    /// The participant's own word on being recorded, in this recording and later ones.
    package distributed func consent(_ consents: Bool, by participant: ParticipantID, attachment: UInt64) throws {
        try requireDecisions()
        broadcast(try core.consent(consents, by: participant, attachment: attachment, wall: context.loop.wall))
    }

    /// A mistyped id would let somebody be recorded who must not be.
    func requireKnown(_ people: [ParticipantID]) async throws {
        _ = try RoomCore.leftOut(people)
        for id in people where core.members[id] == nil {
            guard try await context.rooms.admission(room: core.record.id, participant: id) == nil else { continue }
            throw ServiceError(.notFound, code: "unknown_participant", message: "`exclude` names \(id), who was never admitted to this room; nothing was changed")
        }
        try requireDecisions()
    }
}
