// A room's memory as bytes: what goes along when the Room moves to another node.
import Cluster
import Contracts
import Primitives

/// Everything a `RoomCore` decides by. Times are what is left of them: the two nodes' clocks have nothing in common.
struct RoomState: Codable, Sendable {
    enum Limits {
        /// Events taken along for clients that come back; fewer than the room keeps, so that a chatty room's state stays small.
        static let recentEvents = 128
        /// Of those, how many are kept in the store.
        static let storedEvents = 32
    }
    struct Member: Codable, Sendable {
        var info: ParticipantInfo
        var edge: ActorAddress?
        var attachment: UInt64
        /// The try that made its attachment; the epoch is nil from a release that did not keep it.
        var resumedFrom: UInt64
        var attempt: UInt32
        var resumedIn: Epoch?
        /// Milliseconds; nil where nothing runs out.
        var lostIn: Int64?
        var unconfirmed: [TrackID]
        var republishIn: Int64?
        var origin: ClientTry { ClientTry(epoch: resumedIn ?? Epoch.none, number: resumedFrom, attempt: attempt) }
    }
    struct Proof: Codable, Sendable {
        var epoch: Epoch
        var sequence: UInt64
    }
    var record: RoomRecord
    /// Of the epoch it is of: the last number, what the store has of it, and copies of the rest.
    var epoch: Epoch
    var sequence: UInt64
    var persisted: UInt64
    var unwritten: [LoggedEvent]
    var attachments: UInt64
    var members: [Member]
    var publications: [Publication]
    var recording: RecordingStatus?
    var ended: Bool
    var recent: [RoomEvent]
    /// Milliseconds since the last one left; nil while somebody is here.
    var emptyFor: Int64?
    /// What is accounted for of earlier epochs, and what tokens prove of them that is not; nil from a release that did not keep it.
    var lineage: EventLineage?
    var proofs: [Proof]?
    /// Nil from a release that did not keep it.
    var refusals: [ParticipantID]?
}

extension RoomCore {
    func state(now: Instant) -> RoomState {
        RoomState(
            record: record, epoch: epoch, sequence: sequence, persisted: log.persisted, unwritten: log.unwritten, attachments: attachments,
            members: members.values.sorted { $0.info.id < $1.info.id }.map { member in
                RoomState.Member(
                    info: member.info, edge: member.edge, attachment: member.attachment, resumedFrom: member.origin.number, attempt: member.origin.attempt, resumedIn: member.origin.epoch,
                    lostIn: member.lostUntil.map { ($0 - now).inMilliseconds }, unconfirmed: member.unconfirmed.sorted(),
                    republishIn: member.republishUntil.map { ($0 - now).inMilliseconds })
            },
            publications: publications.values.sorted { $0.info.trackID < $1.info.trackID }, recording: recording, ended: ended,
            recent: Array(recent.suffix(RoomState.Limits.recentEvents)), emptyFor: emptySince.map { (now - $0).inMilliseconds },
            lineage: log.lineage, proofs: proofs.sorted { $0.key < $1.key }.map { RoomState.Proof(epoch: $0.key, sequence: $0.value) },
            refusals: refusals.sorted())
    }

    /// The same room under the next epoch. It remembers: nobody is asked to attach again.
    init(_ state: RoomState, node: NodeName, epoch: Epoch, now: Instant, wall: WallTime) {
        self.init(record: state.record, node: node, epoch: epoch, stored: state.persisted, lineage: state.lineage ?? EventLineage(), now: now - Limits.recoveryWindow)
        log.recover(epoch: state.epoch, highest: state.sequence, copies: state.unwritten, at: wall)
        take(state, now: now)
        recent = state.recent
        emptySince = state.emptyFor.map { now - .milliseconds($0) }
        for member in state.members {
            members[member.info.id] = Member(
                info: member.info, edge: member.edge, attachment: member.attachment, heardAt: now, origin: member.origin,
                lostUntil: member.lostIn.map { now + .milliseconds($0) }, unconfirmed: Set(member.unconfirmed), republishUntil: member.republishIn.map { now + .milliseconds($0) })
        }
    }
    private mutating func take(_ state: RoomState, now: Instant) {
        attachments = max(attachments, state.attachments)
        ended = ended || state.ended
        recording = state.recording
        refusals = Set(state.refusals ?? [])
        for publication in state.publications { publications[publication.info.trackID] = publication }
        for proof in state.proofs ?? [] { proofs[proof.epoch] = max(proofs[proof.epoch] ?? 0, proof.sequence) }
        if !proofs.isEmpty { proofsDue = now + Limits.proofWindow }
    }

    // MARK: The durable log

    /// What to write to the store next; see `EventLog.takeBatch`.
    mutating func takeBatch(now: Instant) -> EventBatch? {
        let room = self
        // With a lineage the store has not, the next epoch would take what was entered for missing.
        let batch = log.takeBatch(now: now) { room.hasUnsavedState || room.log.lineage != room.storedLineage ? room.stored(now: now) : nil }
        if batch?.state != nil { (hasUnsavedState, storedLineage) = (false, log.lineage) }
        return batch
    }
    private func stored(now: Instant) -> [UInt8]? {
        var state = state(now: now)
        state.unwritten = []
        state.recent = state.recent.suffix(RoomState.Limits.storedEvents)
        return try? CBOREncoder.encode(state)
    }

    /// A room that comes back after its node died, as its log knows it. Members and their tracks are held until they attach
    /// again or the recovery window ends; what edges report counts where it is newer.
    package init(record: RoomRecord, node: NodeName, epoch: Epoch, log head: RoomLogHead, now: Instant) {
        // A state of a release that wrote another one is as good as none: edges and clients tell the rest.
        let kept = head.state.flatMap { try? CBORDecoder.decode(RoomState.self, from: $0) }.flatMap { $0.record.id == record.id ? $0 : nil }
        self.init(record: record, node: node, epoch: epoch, stored: head.sequence, lineage: kept?.lineage ?? EventLineage(), now: now)
        guard let state = kept else { return }
        restoredFrom = state.epoch
        take(state, now: now)
        if state.sequence == head.sequence { recent = state.recent }
        for member in state.members {
            members[member.info.id] = Member(info: member.info, edge: nil, attachment: 0, heardAt: now, origin: member.origin, lostUntil: now + Limits.recoveryWindow)
        }
        restored = Set(members.keys)
        if !members.isEmpty { emptySince = nil }
    }
}
