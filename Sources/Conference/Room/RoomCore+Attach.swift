// Who is attached where: joining, attaching again after the room came back, resuming and moving (docs/decisions/0010, 0024).
import Cluster
import Contracts
import Primitives

extension RoomCore {
    package struct Attached {
        package var grant: RoomGrant
        package var events: [(RoomEvent, Publication?)]
        /// An older attachment of the same participant, and what it is to be told.
        package var replaced: (edge: ActorAddress, reason: LeaveReason)?
    }

    /// A client joined, an edge presents one of its clients again, or a client comes back at another edge.
    package mutating func attach(_ attachment: RoomAttachment, now: Instant, wall: WallTime) throws -> Attached {
        guard !ended else { throw ServiceError(.ended, code: "room_ended", message: "this room has ended; create a new one") }
        let id = attachment.participant.id
        // What an edge reports counts, whether its client is let in or not.
        if let known = attachment.known { merge(known, now: now, wall: wall) }
        let before = members[id]
        let origin = origin(of: attachment, before)
        try admit(attachment, before, origin, now: now)
        // Whoever joined this Room since it came back has not heard of one that continues a session of before.
        if before == nil, attachment.resume != nil { isRefreshDue = true }
        let info = try takeConsent(of: attachment.participant)
        attachments = max(attachments, attachment.number) + 1
        members[id] = Member(
            info: info, edge: attachment.edge, attachment: attachments, heardAt: now, origin: origin ?? .join(in: epoch, granted: attachments))
        emptySince = nil

        var events: [(RoomEvent, Publication?)] = []
        if let before {
            if before.info.node != info.node { events.append((number(.participantMoved(info), wall), nil)) }
        } else if attachment.resume == nil {
            events.append((number(.participantJoined(info), wall), nil))
        }
        // Before their tracks: nobody captures one of a participant who refuses.
        events += retoldRecording(wall).map { ($0, nil) }
        events += takePublications(of: attachment, now: now, wall: wall)
        let isReturning = before?.edge == nil || before?.edge == attachment.edge
        return Attached(
            grant: RoomGrant(snapshot: snapshot(attachment: attachments), missed: attachment.resume.flatMap { missed(since: $0.lastSeen, epoch: $0.epoch) }, isSettling: isSettling(now)),
            events: events, replaced: isReturning ? nil : before?.edge.map { ($0, attachment.resume?.isMove == true ? .moved : .replaced) })
    }

    /// The client's try that an attachment is of; nil for one that joins anew, which is later than all before it.
    private func origin(of attachment: RoomAttachment, _ before: Member?) -> ClientTry? {
        if let resume = attachment.resume { return ClientTry(epoch: resume.epoch, number: attachment.number, attempt: resume.attempt) }
        if attachment.origin != nil || attachment.number == 0 { return attachment.origin }
        // An edge that does not say: the attachment it has was granted to a try before it.
        return before?.edge == attachment.edge ? before?.origin : .join(in: attachment.known?.epoch ?? Epoch.none, granted: attachment.number)
    }
    private mutating func admit(_ attachment: RoomAttachment, _ before: Member?, _ origin: ClientTry?, now: Instant) throws {
        // Whoever knows of a later epoch is answered by the Room that has it.
        guard (attachment.resume?.epoch ?? attachment.known?.epoch ?? Epoch.none) <= epoch || !protections.contains(.epochCheck) else { throw Self.overtaken }
        // One that is known by its log or by a report may be the very one that attaches.
        let isLate = before.map { before in origin.map { before.edge == nil ? $0 < before.origin : $0 <= before.origin } ?? false } ?? false
        if let resume = attachment.resume {
            // A room that lost its memory believes a token made before that: the client was here.
            guard before != nil || resume.epoch < epoch && isSettling(now) else { throw Self.unknownSession }
            if isLate, protections.contains(.resumeDedup) { throw Self.superseded }
            prove(resume, now: now)
        } else if isLate, before?.edge != attachment.edge { throw Self.superseded }
        guard before != nil || members.count < record.maxParticipants else {
            throw ServiceError(.conflict, code: "room_full", message: "this room holds \(record.maxParticipants) participants; wait until someone leaves or raise max_participants")
        }
    }
    /// A client was told more of an earlier epoch than may be known here. An edge may have it still.
    private mutating func prove(_ resume: ResumeClaim, now: Instant) {
        guard resume.epoch < epoch, resume.sequence > proofs[resume.epoch] ?? 0 else { return }
        proofs[resume.epoch] = resume.sequence
        hasUnsavedState = true
        proofsDue = now + Limits.proofWindow
    }
    /// What an edge that lets its client go knew of an earlier epoch.
    package mutating func bring(_ known: RoomSnapshot, wall: WallTime) {
        log.recover(epoch: known.epoch, highest: known.sequence, copies: known.unwritten, at: wall)
    }
    static let overtaken = ServiceError(.unavailable, code: "room_moved", message: "the room went on at another node meanwhile; try again")
    package static let unknownSession = ServiceError(.notFound, code: "unknown_session", message: "the room does not know this session any more; join afresh")

    /// A client that joins anew, or an edge that presents one again, names all it publishes: the rest ends. One that resumes publishes again in a moment.
    private mutating func takePublications(of attachment: RoomAttachment, now: Instant, wall: WallTime) -> [(RoomEvent, Publication?)] {
        let id = attachment.participant.id, kept = tracks(of: id)
        var events: [(RoomEvent, Publication?)] = []
        if attachment.resume != nil {
            members[id]?.unconfirmed = Set(kept)
            members[id]?.republishUntil = now + Limits.republishWindow
        } else {
            let offered = Set(attachment.publications.map(\.info.trackID))
            for track in kept where !offered.contains(track) { events += removePublication(track, wall: wall) }
        }
        for publication in attachment.publications { events += insert(publication, wall: wall) }
        return events
    }

    /// What an edge knew of this room under an earlier epoch; newer knowledge wins, nothing is forgotten twice.
    private mutating func merge(_ known: RoomSnapshot, now: Instant, wall: WallTime) {
        guard known.epoch < epoch else { return }
        // Numbers of an epoch before the state's say nothing beside it.
        let isNewer = known.epoch >= restoredFrom && known.sequence >= log.persisted
        if isNewer { forgetRestored(but: known) }
        log.recover(epoch: known.epoch, highest: known.sequence, copies: known.unwritten, at: wall)
        for info in known.participants where members[info.id] == nil && isSettling(now) {
            members[info.id] = Member(info: info, edge: nil, attachment: 0, heardAt: now, lostUntil: now + Limits.recoveryWindow)
            isRefreshDue = true
        }
        for publication in known.publications {
            if let other = publications[publication.info.trackID] {
                // Of a member that is not back, what is newer counts.
                if isNewer, publication != other, publication.attachment >= other.attachment, let owner = members[publication.info.participantID], owner.edge == nil {
                    publications[publication.info.trackID] = publication
                    isRefreshDue = true
                }
                continue
            }
            guard let owner = members[publication.info.participantID] else { continue }
            if owner.edge != nil {
                // Its owner came back before this report: the track is kept as long as those it was known for.
                guard owner.republishUntil != nil else { continue }
                members[publication.info.participantID]?.unconfirmed.insert(publication.info.trackID)
            }
            publications[publication.info.trackID] = publication
            isRefreshDue = true
        }
        if recording == nil, known.recording != nil { (recording, isRefreshDue) = (known.recording, true) }
        mergeConsent(known)
    }

    /// What the log's state knew and this report, which is as new, does not: it is gone.
    private mutating func forgetRestored(but known: RoomSnapshot) {
        guard !restored.isEmpty else { return }
        let people = Set(known.participants.map(\.id)), named = Set(known.publications.map(\.info.trackID))
        for id in restored where members[id]?.edge == nil {
            for track in tracks(of: id) where !named.contains(track) { (publications[track], isRefreshDue) = (nil, true) }
            if !people.contains(id) { (members[id], isRefreshDue) = (nil, true) }
        }
        restored = []
    }
    /// The room is new in memory: whoever was in it may still come back.
    private func isSettling(_ now: Instant) -> Bool { epoch > Epoch(1) && now - activatedAt < Limits.recoveryWindow }

    /// - Returns: nil where it does not remember that far back.
    func missed(since last: UInt64, epoch known: Epoch) -> [RoomEvent]? {
        guard last <= sequence else { return nil }
        if last == sequence, known == epoch { return [] }
        // Numbers this epoch began with were another's before.
        guard known == epoch || log.isShared(last, with: known) else { return nil }
        guard let oldest = recent.first?.sequence, oldest <= last + 1, recent.last?.sequence == sequence else { return nil }
        return recent.filter { $0.sequence > last }
    }
}
