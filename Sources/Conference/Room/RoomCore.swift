// What a room decides: who is in it, what they publish, whether it is recorded. A pure value; `Room` is its shell.
import Cluster
import Contracts
import Primitives

/// In:  attachments, leaves, publications, mutes, chat, recording changes, each with `now`.
/// Out: numbered `RoomEvent`s without holes, to be delivered to every member in order.
///
/// A Room without memory (a new epoch after its node died) starts from the store's `RoomRecord` and what edges
/// report in `RoomAttachment.known`: members an edge knew are held as unconfirmed until they attach again or the
/// recovery window ends, so survivors see no leave and join. A client that resumes is one it knew, even if nobody
/// reported it yet. RoomCore+Attach holds attaching, RoomCore+State what a move of the room carries.
package struct RoomCore {
    package enum Limits {
        package static let publicationsPerParticipant = 16
        package static let chatBytes = 4096
        package static let nameBytes = 256
        /// How long members known only by report, or whose edge's node died, may take to attach again.
        package static let recoveryWindow = Duration.seconds(6)
        /// Edges say every `Participant.Limits.roomTouch` that they have a member; one of whom nothing is heard for so long may be gone.
        package static let silence = Duration.seconds(12)
        /// How long what a token proves waits for an edge that has it, before it is said to be lost: as long as a partition may last.
        package static let proofWindow = Duration.seconds(30)
        /// How long a client that resumed or moved may take to publish its tracks at its new edge.
        package static let republishWindow = Duration.seconds(10)
        /// For the count of one epoch's attachments.
        static let attachmentBits = 32
        /// Events kept for clients that come back.
        package static let recentEvents = 512
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
        /// When its edge spoke of it last.
        package var heardAt: Instant
        /// The client's try that made the attachment: one that was begun earlier is refused.
        package var origin = ClientTry.unknown
        /// When it is given up unless it attaches again; nil for a live attachment.
        package var lostUntil: Instant?
        /// Tracks it published elsewhere and has not published at this attachment yet, and how long they are kept.
        package var unconfirmed: Set<TrackID> = []
        package var republishUntil: Instant?
    }

    package let record: RoomRecord
    package let node: NodeName
    package let epoch: Epoch
    package var protections = Protections.all
    package internal(set) var log: EventLog
    /// The last event's number, of those that are known of.
    package var sequence: UInt64 { log.highest }
    package internal(set) var members: [ParticipantID: Member] = [:]
    package internal(set) var publications: [TrackID: Publication] = [:]
    package internal(set) var recording: RecordingStatus?
    package internal(set) var ended = false
    /// Who refuses to be recorded, here or not.
    package internal(set) var refusals: Set<ParticipantID> = []
    /// The newest events of this epoch or those a move brought along, without a hole.
    var recent: [RoomEvent] = []
    /// Something changed that no event tells: reports filled the memory of a Room that came back.
    var isRefreshDue = false
    /// Something a Room without memory should know has changed since the store was given the state last.
    var hasUnsavedState = false
    /// The last number granted, or known of: the epoch above `Limits.attachmentBits`, a count below. So no number is granted under two epochs.
    var attachments: UInt64
    /// The highest number clients' tokens prove of each earlier epoch, and when it is settled.
    var proofs: [Epoch: UInt64] = [:]
    var proofsDue: Instant?
    /// Members known from the log alone, until an edge reports something as new, and the epoch of the log's state.
    var restored: Set<ParticipantID> = []
    var restoredFrom = Epoch.none
    /// As the store has it.
    var storedLineage = EventLineage()
    var emptySince: Instant?
    let activatedAt: Instant

    /// - Parameter stored: the store's last number, as the log was opened under `epoch`.
    package init(record: RoomRecord, node: NodeName, epoch: Epoch, stored: UInt64 = 0, lineage: EventLineage = EventLineage(), now: Instant) {
        self.record = record
        self.node = node
        self.epoch = epoch
        log = EventLog(room: record.id, epoch: epoch, stored: stored, lineage: lineage)
        ended = record.endedAt != nil
        emptySince = now
        activatedAt = now
        attachments = epoch.rawValue << Limits.attachmentBits
    }

    // MARK: Members

    /// - Returns: nothing when the attachment is not the member's newest: a late word of an old edge.
    package mutating func leave(_ id: ParticipantID, attachment: UInt64?, reason: LeaveReason, now: Instant, wall: WallTime) -> [RoomEvent] {
        guard let member = members[id], attachment == nil || attachment == member.attachment || !protections.contains(.attachmentCheck) else { return [] }
        var events: [RoomEvent] = []
        for track in tracks(of: id) { events += removePublication(track, wall: wall).map(\.0) }
        members[id] = nil
        events.append(number(.participantLeft(id, reason), wall))
        if members.isEmpty { emptySince = now }
        return events
    }

    /// The node under some edges died: its members are given up unless they attach elsewhere in time.
    package mutating func nodeDown(_ node: NodeName, now: Instant) {
        for (id, member) in members where member.info.node == node && member.lostUntil == nil {
            members[id]?.lostUntil = now + Limits.recoveryWindow
        }
    }

    /// An edge has the member still. - Returns: false where its attachment does not stand: it should attach again.
    package mutating func touch(_ id: ParticipantID, attachment: UInt64, now: Instant) -> Bool {
        guard let member = members[id], member.edge != nil, member.attachment == attachment else { return false }
        members[id]?.heardAt = now
        // Its node may have been declared dead for being silent.
        members[id]?.lostUntil = nil
        return true
    }

    /// Carries out what is due. - Returns: events, in order.
    package mutating func handleTimeout(now: Instant, wall: WallTime) -> [RoomEvent] {
        var events: [RoomEvent] = []
        for (id, member) in members where member.edge != nil && member.lostUntil == nil && now - member.heardAt >= Limits.silence {
            members[id]?.lostUntil = now + Limits.recoveryWindow
        }
        for id in members.filter({ $0.value.lostUntil.map { $0 <= now } ?? false }).keys.sorted() {
            events += leave(id, attachment: nil, reason: .nodeLost, now: now, wall: wall)
        }
        for id in members.filter({ $0.value.republishUntil.map { $0 <= now } ?? false }).keys.sorted() {
            for track in members[id]!.unconfirmed.sorted() { events += removePublication(track, wall: wall).map(\.0) }
            members[id]!.unconfirmed = []
            members[id]!.republishUntil = nil
        }
        // Nobody is left to report what an earlier epoch told.
        if now - activatedAt >= Limits.recoveryWindow { log.closeGap(wall) }
        if let due = proofsDue, due <= now {
            for (epoch, highest) in proofs.sorted(by: { $0.key < $1.key }) { log.recover(epoch: epoch, highest: highest, copies: [], at: wall) }
            (proofs, proofsDue, hasUnsavedState) = ([:], nil, true)
        }
        return events
    }

    func tracks(of id: ParticipantID) -> [TrackID] { publications.values.filter { $0.info.participantID == id }.map(\.info.trackID).sorted() }

    // MARK: Publications

    package mutating func publish(_ publication: Publication, by id: ParticipantID, attachment: UInt64, wall: WallTime) throws -> [(RoomEvent, Publication?)] {
        try check(id, attachment)
        let track = publication.info.trackID
        if let existing = publications[track], existing.info.participantID != id {
            throw ServiceError(.conflict, code: "track_id_taken", message: "another participant publishes this track id; publish under a new one")
        }
        guard publications[track] != nil || tracks(of: id).count < Limits.publicationsPerParticipant else {
            throw ServiceError(.conflict, code: "too_many_tracks", message: "a participant may publish \(Limits.publicationsPerParticipant) tracks; unpublish one first")
        }
        members[id]?.unconfirmed.remove(track)
        return insert(publication, wall: wall)
    }

    package mutating func unpublish(_ track: TrackID, by id: ParticipantID, attachment: UInt64, wall: WallTime) throws -> [RoomEvent] {
        try check(id, attachment)
        guard publications[track]?.info.participantID == id else { return [] }
        members[id]?.unconfirmed.remove(track)
        return removePublication(track, wall: wall).map(\.0)
    }

    package mutating func mute(_ track: TrackID, muted: Bool, wall: WallTime) throws -> [RoomEvent] {
        guard var publication = publications[track] else { throw ServiceError(.notFound, code: "unknown_track", message: "no such track in this room") }
        guard publication.info.muted != muted else { return [] }
        publication.info.muted = muted
        publications[track] = publication
        return [number(.muted(track, publication.info.participantID, muted), wall)]
    }

    mutating func insert(_ publication: Publication, wall: WallTime) -> [(RoomEvent, Publication?)] {
        let track = publication.info.trackID
        guard let before = publications[track] else {
            publications[track] = publication
            return [(number(.trackPublished(publication.info), wall), publication)]
        }
        guard before != publication else { return [] }
        guard publication.isMoved(from: before) else {
            // Something about it changed that subscribers agreed on: to them it is another track.
            let gone = removePublication(track, wall: wall)
            publications[track] = publication
            return gone + [(number(.trackPublished(publication.info), wall), publication)]
        }
        // A mute stays: it may be the host's.
        var moved = publication
        moved.info.muted = before.info.muted || publication.info.muted
        publications[track] = moved
        let events = [(number(.trackMoved(track, moved.info.participantID), wall), Optional(moved))]
        return moved.info.muted == before.info.muted ? events : events + [(number(.muted(track, moved.info.participantID, true), wall), nil)]
    }
    mutating func removePublication(_ track: TrackID, wall: WallTime) -> [(RoomEvent, Publication?)] {
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

    package mutating func recordingChanged(_ told: RecordingStatus, wall: WallTime) -> [RoomEvent] {
        learnRefusals(from: told)
        let status = withConsent(told)
        guard recording != status else { return [] }
        if status.replaces(recording) { recording = status }
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
            recording: recording, attachment: attachment, unwritten: log.copies)
    }

    /// - Returns: the room as it is, where members that were here before have to be given it.
    package mutating func takeRefresh() -> RoomSnapshot? {
        defer { isRefreshDue = false }
        return isRefreshDue ? snapshot() : nil
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
    package func check(_ id: ParticipantID, _ attachment: UInt64) throws -> Member {
        // One that is known by its log or by another's report only has not attached under this epoch.
        guard let member = members[id], member.edge != nil else {
            throw ServiceError(.notFound, code: "unknown_participant", message: "this room does not know the participant; attach again")
        }
        guard member.attachment == attachment || !protections.contains(.attachmentCheck) else { throw Self.superseded }
        return member
    }
    static let superseded = ServiceError(.conflict, code: "attachment_superseded", message: "a newer connection of this participant took its place; speak on that one")

    mutating func number(_ kind: RoomEvent.Kind, _ wall: WallTime) -> RoomEvent {
        let (type, payload) = kind.logged
        let event = RoomEvent(sequence: log.number(type: type, payload: payload, at: wall).sequence, epoch: epoch, at: wall, kind: kind)
        if case .chat = kind {} else { hasUnsavedState = true }
        // What a loss stands for cannot be shown: what is remembered begins after it.
        if let last = recent.last, last.sequence + 1 != event.sequence { recent = [] }
        if recent.count >= Limits.recentEvents { recent.removeFirst(Limits.recentEvents / 4) }
        recent.append(event)
        return event
    }
}

extension RecordingState {
    /// Packets are being captured, or are about to be.
    package var isActive: Bool { self == .starting || self == .recording }
}
extension RecordingStatus {
    /// Whether it says how things stand in its room, told after `current`: what is told of an earlier recording does not while one runs, nor that it is gone.
    func replaces(_ current: RecordingStatus?) -> Bool {
        guard let current, current.recordingID != recordingID else { return true }
        return !current.state.isActive && state != .deleted
    }
}
