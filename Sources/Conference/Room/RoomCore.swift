// What a room decides: who is in it, what they publish, whether it is recorded. A pure value; `Room` is its shell.
import Cluster
import Contracts
import Primitives

/// In:  attachments, leaves, publications, mutes, chat, recording changes, each with `now`.
/// Out: numbered `RoomEvent`s without holes, to be delivered to every member in order.
///
/// A Room without memory (a new epoch after its node died) starts from the store's `RoomRecord` and what edges
/// report in `RoomAttachment.known`: members an edge knew are held as unconfirmed until they attach again or the
/// recovery window ends, so survivors see no leave and join.
package struct RoomCore {
    package enum Limits {
        package static let publicationsPerParticipant = 16
        package static let chatBytes = 4096
        package static let nameBytes = 256
        /// How long members known only by report may take to attach again.
        package static let recoveryWindow = Duration.seconds(6)
        /// How long a member whose edge's node died is kept before it counts as gone.
        package static let nodeLossGrace = Duration.seconds(2)
        /// An empty room without a recording leaves memory after this.
        package static let emptyLife = Duration.seconds(60)
        /// A recording of an empty room is stopped after this.
        package static let emptyRecordingLife = Duration.seconds(20)
    }

    package struct Member: Sendable {
        package var info: ParticipantInfo
        /// Nil while the member is known only by another edge's report.
        package var edge: ActorAddress?
        package var attachment: UInt64
        /// When it is given up unless it attaches again; nil for a live attachment.
        package var lostUntil: Instant?
    }

    package let record: RoomRecord
    package let node: NodeName
    package let epoch: Epoch
    package var protections = Protections.all
    package private(set) var sequence: UInt64 = 0
    package private(set) var members: [ParticipantID: Member] = [:]
    package private(set) var publications: [TrackID: Publication] = [:]
    package private(set) var recording: RecordingStatus?
    package private(set) var ended = false
    private var attachments: UInt64 = 0
    private var emptySince: Instant?

    package init(record: RoomRecord, node: NodeName, epoch: Epoch, now: Instant) {
        self.record = record
        self.node = node
        self.epoch = epoch
        ended = record.endedAt != nil
        emptySince = now
    }

    // MARK: Members

    package struct Attached {
        package var snapshot: RoomSnapshot
        package var events: [(RoomEvent, Publication?)]
        /// An older attachment of the same participant, to be told that it was replaced.
        package var replaced: ActorAddress?
    }

    /// A client joined, or an edge presents one of its clients again.
    package mutating func attach(_ attachment: RoomAttachment, now: Instant, wall: WallTime) throws -> Attached {
        guard !ended else { throw ServiceError(.ended, code: "room_ended", message: "this room has ended; create a new one") }
        if let known = attachment.known { merge(known, now: now) }
        let id = attachment.participant.id
        let before = members[id]
        if let before, attachment.number != 0, before.edge != nil, attachment.number < before.attachment, before.edge != attachment.edge {
            throw ServiceError(.conflict, code: "attachment_superseded", message: "this client attached elsewhere since; reconnect")
        }
        if before == nil {
            guard members.count < record.maxParticipants else {
                throw ServiceError(.conflict, code: "room_full", message: "this room holds \(record.maxParticipants) participants; wait until someone leaves or raise max_participants")
            }
        }
        attachments = max(attachments, attachment.number) + 1
        let returning = before?.edge == nil || before?.edge == attachment.edge
        members[id] = Member(info: attachment.participant, edge: attachment.edge, attachment: attachments, lostUntil: nil)
        emptySince = nil

        var events: [(RoomEvent, Publication?)] = []
        if before == nil { events.append((number(.participantJoined(attachment.participant), wall), nil)) }
        // A new connection of the same client: what the old one published ends with it.
        let offered = Set(attachment.publications.map(\.info.trackID))
        for track in publications.values.filter({ $0.info.participantID == id && !offered.contains($0.info.trackID) }).sorted(by: { $0.info.trackID < $1.info.trackID }) {
            events += removePublication(track.info.trackID, wall: wall)
        }
        for publication in attachment.publications { events += insert(publication, wall: wall) }
        return Attached(snapshot: snapshot(attachment: attachments), events: events, replaced: returning ? nil : before?.edge)
    }

    /// What an edge knew of this room under an earlier epoch; newer knowledge wins, nothing is forgotten twice.
    private mutating func merge(_ known: RoomSnapshot, now: Instant) {
        guard known.epoch < epoch else { return }
        sequence = max(sequence, known.sequence)
        for info in known.participants where members[info.id] == nil {
            members[info.id] = Member(info: info, edge: nil, attachment: 0, lostUntil: now + Limits.recoveryWindow)
        }
        for publication in known.publications where publications[publication.info.trackID] == nil && members[publication.info.participantID] != nil {
            publications[publication.info.trackID] = publication
        }
        if recording == nil { recording = known.recording }
    }

    /// - Returns: nothing when the attachment is not the member's newest: a late word of an old edge.
    package mutating func leave(_ id: ParticipantID, attachment: UInt64?, reason: LeaveReason, now: Instant, wall: WallTime) -> [RoomEvent] {
        guard let member = members[id], attachment == nil || attachment == member.attachment || !protections.contains(.attachmentCheck) else { return [] }
        var events: [RoomEvent] = []
        for track in publications.values.filter({ $0.info.participantID == id }).map(\.info.trackID).sorted() {
            events += removePublication(track, wall: wall).map(\.0)
        }
        members[id] = nil
        events.append(number(.participantLeft(id, reason), wall))
        if members.isEmpty { emptySince = now }
        return events
    }

    /// The node under some edges died: its members are given up unless they attach elsewhere in time.
    package mutating func nodeDown(_ node: NodeName, now: Instant) {
        for (id, member) in members where member.info.node == node && member.lostUntil == nil {
            members[id]?.lostUntil = now + Limits.nodeLossGrace
        }
    }

    /// Carries out what is due. - Returns: events, in order.
    package mutating func handleTimeout(now: Instant, wall: WallTime) -> [RoomEvent] {
        var events: [RoomEvent] = []
        for id in members.filter({ $0.value.lostUntil.map { $0 <= now } ?? false }).keys.sorted() {
            events += leave(id, attachment: nil, reason: .nodeLost, now: now, wall: wall)
        }
        return events
    }

    // MARK: Publications

    package mutating func publish(_ publication: Publication, by id: ParticipantID, attachment: UInt64, wall: WallTime) throws -> [(RoomEvent, Publication?)] {
        try check(id, attachment)
        if let existing = publications[publication.info.trackID], existing.info.participantID != id {
            throw ServiceError(.conflict, code: "track_id_taken", message: "another participant publishes this track id; publish under a new one")
        }
        guard publications.values.filter({ $0.info.participantID == id }).count < Limits.publicationsPerParticipant else {
            throw ServiceError(.conflict, code: "too_many_tracks", message: "a participant may publish \(Limits.publicationsPerParticipant) tracks; unpublish one first")
        }
        return insert(publication, wall: wall)
    }

    package mutating func unpublish(_ track: TrackID, by id: ParticipantID, attachment: UInt64, wall: WallTime) throws -> [RoomEvent] {
        try check(id, attachment)
        guard publications[track]?.info.participantID == id else { return [] }
        return removePublication(track, wall: wall).map(\.0)
    }

    package mutating func mute(_ track: TrackID, muted: Bool, wall: WallTime) throws -> [RoomEvent] {
        guard var publication = publications[track] else { throw ServiceError(.notFound, code: "unknown_track", message: "no such track in this room") }
        guard publication.info.muted != muted else { return [] }
        publication.info.muted = muted
        publications[track] = publication
        return [number(.muted(track, publication.info.participantID, muted), wall)]
    }

    private mutating func insert(_ publication: Publication, wall: WallTime) -> [(RoomEvent, Publication?)] {
        let before = publications.updateValue(publication, forKey: publication.info.trackID)
        if before == publication { return [] }
        return [(number(.trackPublished(publication.info), wall), publication)]
    }
    private mutating func removePublication(_ track: TrackID, wall: WallTime) -> [(RoomEvent, Publication?)] {
        guard let removed = publications.removeValue(forKey: track) else { return [] }
        return [(number(.trackUnpublished(track, removed.info.participantID), wall), nil)]
    }

    // MARK: Words and recording

    package mutating func chat(from id: ParticipantID, attachment: UInt64, text: String, messageID: String, wall: WallTime) throws -> RoomEvent {
        let member = try check(id, attachment)
        guard !text.isEmpty, text.utf8.count <= Limits.chatBytes else {
            throw ServiceError(.tooLarge, code: "chat_too_long", message: "a chat message has 1 to \(Limits.chatBytes) bytes")
        }
        return number(.chat(ChatMessage(id: messageID, from: id, name: member.info.name, text: text, at: wall)), wall)
    }

    package mutating func recordingChanged(_ status: RecordingStatus, wall: WallTime) -> [RoomEvent] {
        if let current = recording, current.recordingID != status.recordingID, current.state.isActive {
            // An earlier recording finishing in the background: told, but it does not replace the running one.
            return [number(.recording(status), wall)]
        }
        guard recording != status else { return [] }
        recording = status
        return [number(.recording(status), wall)]
    }

    package func requireHost(_ id: ParticipantID) throws {
        guard let member = members[id] else { throw ServiceError(.notFound, code: "unknown_participant", message: "not a participant of this room") }
        guard member.info.role == .host else { throw ServiceError(.forbidden, code: "host_only", message: "only the host may do this") }
    }

    package mutating func end(wall: WallTime) -> [RoomEvent] {
        guard !ended else { return [] }
        ended = true
        return [number(.ended, wall)]
    }

    // MARK: Views

    package func snapshot(attachment: UInt64 = 0) -> RoomSnapshot {
        RoomSnapshot(
            room: record, node: node, epoch: epoch, sequence: sequence,
            participants: members.values.map(\.info).sorted { ($0.joinedAt, $0.id) < ($1.joinedAt, $1.id) },
            publications: publications.values.sorted { $0.info.trackID < $1.info.trackID },
            recording: recording, attachment: attachment)
    }

    package enum Idle { case no, stopRecording, leaveMemory }
    /// Whether nobody has been here for so long that something follows.
    package func idle(now: Instant) -> Idle {
        guard let since = emptySince, members.isEmpty else { return .no }
        let empty = now - since
        if let recording, recording.state.isActive { return empty >= Limits.emptyRecordingLife ? .stopRecording : .no }
        return empty >= Limits.emptyLife || ended ? .leaveMemory : .no
    }

    @discardableResult
    private func check(_ id: ParticipantID, _ attachment: UInt64) throws -> Member {
        guard let member = members[id] else { throw ServiceError(.notFound, code: "unknown_participant", message: "this room does not know the participant; attach again") }
        guard member.attachment == attachment || !protections.contains(.attachmentCheck) else { throw ServiceError(.conflict, code: "attachment_superseded", message: "a newer connection of this participant took its place") }
        return member
    }

    private mutating func number(_ kind: RoomEvent.Kind, _ wall: WallTime) -> RoomEvent {
        sequence += 1
        return RoomEvent(sequence: sequence, epoch: epoch, at: wall, kind: kind)
    }
}

extension RecordingState {
    /// Packets are being captured, or are about to be.
    package var isActive: Bool { self == .starting || self == .recording }
}
