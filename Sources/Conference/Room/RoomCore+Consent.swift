// Who is left out of recordings: by the host, or because they refuse (docs/decisions/0039-consent-and-retention.md).
import Contracts
import Primitives

extension RoomCore {
    package enum ConsentLimits {
        /// Participants a host may leave out of one recording, and refusals a room remembers.
        package static let people = 4_096
    }

    /// A participant's own word. A refusal stands until its owner takes it back, wherever it attaches meanwhile.
    /// - Returns: the running recording as it is now, where that changes it.
    package mutating func consent(_ consents: Bool, by id: ParticipantID, attachment: UInt64, wall: WallTime) throws -> [RoomEvent] {
        try check(id, attachment)
        guard consents || refusals.contains(id) || refusals.count < ConsentLimits.people else { throw Self.tooManyLeftOut }
        members[id]?.info.recordingConsent = consents
        if consents { refusals.remove(id) } else { refusals.insert(id) }
        hasUnsavedState = true
        return retoldRecording(wall)
    }

    /// Whom the host leaves out from now on, all of them; who refuses is left out in any case.
    package mutating func exclude(_ people: [ParticipantID], wall: WallTime) throws -> [RoomEvent] {
        guard var status = recording, status.state.isActive else {
            throw ServiceError(.conflict, code: "not_recording", message: "this room is not being recorded; name whom to leave out when it starts")
        }
        status.excluded = try Self.leftOut(people)
        guard status != recording else { return [] }
        return recordingSet(status, wall: wall)
    }
    package static func leftOut(_ people: [ParticipantID]) throws -> [ParticipantID]? {
        guard people.count <= ConsentLimits.people else { throw tooManyLeftOut }
        return people.isEmpty ? nil : Set(people).sorted()
    }
    private static let tooManyLeftOut = ServiceError(
        .conflict, code: "too_many_left_out", message: "a room leaves at most \(ConsentLimits.people) people out of its recordings; record without them in the room")

    /// What a participant brings along that attaches: a refusal the room knows of, or that its edge or token tells, stands.
    mutating func takeConsent(of info: ParticipantInfo) throws -> ParticipantInfo {
        var info = info
        if info.recordingConsent == false, !refusals.contains(info.id) {
            guard refusals.count < ConsentLimits.people else { throw Self.tooManyLeftOut }
            refusals.insert(info.id)
            hasUnsavedState = true
        }
        if refusals.contains(info.id) { info.recordingConsent = false }
        return info
    }

    /// The Room decides who is left out, the Recording the rest: its word may be older.
    func withConsent(_ status: RecordingStatus) -> RecordingStatus {
        var status = status
        if let current = recording, current.recordingID == status.recordingID { status.excluded = current.excluded }
        // One that ended tells whom it left out to the last.
        if status.state.isActive { status.refused = refused } else if let current = recording, current.recordingID == status.recordingID { status.refused = current.refused }
        return status
    }
    /// A recording this Room knows nothing of runs: it came back without memory, and the Recording has what it told last.
    mutating func learnRefusals(from status: RecordingStatus) {
        guard status.state.isActive, recording?.recordingID != status.recordingID else { return }
        for id in status.refused ?? [] where refusals.count < ConsentLimits.people { refusals.insert(id) }
    }
    private var refused: [ParticipantID]? {
        let here = refusals.filter { members[$0] != nil }.sorted()
        return here.isEmpty ? nil : here
    }
    /// The running recording again, where the people in the room changed who is left out.
    mutating func retoldRecording(_ wall: WallTime) -> [RoomEvent] {
        guard let current = recording, current.state.isActive, withConsent(current) != current else { return [] }
        return recordingSet(withConsent(current), wall: wall)
    }
    private mutating func recordingSet(_ status: RecordingStatus, wall: WallTime) -> [RoomEvent] {
        recording = status
        return [number(.recording(status), wall)]
    }

    /// What an edge knew under an earlier epoch. Whoever may have been left out then is: the host can take them in again.
    mutating func mergeConsent(_ known: RoomSnapshot) {
        for info in known.participants where info.recordingConsent == false && refusals.count < ConsentLimits.people { refusals.insert(info.id) }
        guard let told = known.recording else { return }
        for id in told.refused ?? [] where refusals.count < ConsentLimits.people { refusals.insert(id) }
        guard recording?.recordingID == told.recordingID, let excluded = told.excluded else { return }
        let all = Set(recording?.excluded ?? []).union(excluded).sorted()
        recording?.excluded = all
    }
}
