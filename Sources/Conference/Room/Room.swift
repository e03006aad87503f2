// The Room actor: one per room id in the whole cluster, by claim. Control only; packets never come here.
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

/// Shell around `RoomCore`: applies calls, delivers the resulting events to every edge in order, watches its members' nodes.
/// A virtual identity (kind `Room.kind`, key the room id); lives on a node of the `room` role.
package distributed actor Room {
    package typealias ActorSystem = ClusterSystem
    package static let kind = "room"

    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }

    let context: ConferenceContext
    var core: RoomCore
    var outboxes: [ActorAddress: Outbox] = [:]
    /// Capture writers that follow this room's events, and for which recording.
    var followers: [ActorAddress: RecordingID] = [:]
    private(set) var ticking = false
    var isWriting = false
    /// When the Recording actor last presented itself.
    private var recordingHeardAt: Instant
    private var isWakingRecording = false
    /// The node may not decide: whoever asks is told to try again, here or where the room is then.
    private var isFrozen = false
    /// Its state was taken to go along to another node (Room+Moving).
    var isMoving = false

    init(context: ConferenceContext, core: RoomCore) {
        actorSystem = context.system
        self.context = context
        self.core = core
        self.core.protections = context.system.configuration.protections
        recordingHeardAt = context.loop.now
    }

    /// Activation under a fresh claim.
    package static func activate(key: String, claim: Claim, context: ConferenceContext) async throws -> Room {
        guard let record = try await context.rooms.room(RoomID(key)) else {
            throw ServiceError(.notFound, code: "unknown_room", message: "no room has this id; create one with POST /api/v1/sessions/create")
        }
        // From here on nothing of an older epoch enters the log.
        guard case .opened(let head) = try await context.events.openLog(record.id, epoch: claim.epoch) else { throw RoomCore.overtaken }
        let room = Room(context: context, core: RoomCore(record: record, node: context.system.node, epoch: claim.epoch, log: head, now: context.loop.now))
        await room.local { $0.live() }
        return room
    }

    // MARK: Decisions

    func freeze(_ frozen: Bool) { isFrozen = frozen }
    func requireDecisions() throws {
        guard !core.log.isSuperseded else { throw RoomCore.overtaken }
        guard !isFrozen else { throw ServiceError(.unavailable, code: "room_frozen", message: "the room's node has lost sight of the cluster; nothing was done, try again") }
    }

    // MARK: Members

    package distributed func attach(_ attachment: RoomAttachment) async throws -> RoomGrant {
        try requireDecisions()
        try await requireClient(of: attachment)
        let result: RoomCore.Attached
        do { result = try core.attach(attachment, now: context.loop.now, wall: context.loop.wall) } catch {
            // What the edge of one that is refused knew has been taken all the same.
            broadcast([RoomEvent]())
            throw error
        }
        if let replaced = result.replaced { cut(replaced.edge, replaced.reason) }
        let edge = attachment.edge
        if outboxes[edge] == nil { outboxes[edge] = Outbox(target: .participant(edge)) }
        // The joiner's snapshot already holds these events; everyone else hears them.
        broadcast(result.events, except: edge)
        return result.grant
    }

    /// One that joins anew takes another edge's place only while its client is there: the call may have been on its way for long,
    /// and its client gone back to that other edge.
    private func requireClient(of attachment: RoomAttachment) async throws {
        guard attachment.number == 0, let other = core.members[attachment.participant.id]?.edge, other != attachment.edge else { return }
        do {
            let isHere = try await ClusterSystem.$deadline.withValue(Participant.Limits.lastWord) { try await Participant.resolve(id: attachment.edge, using: actorSystem).hasClient() }
            guard isHere else { throw RoomCore.superseded }
        } catch let error as ClusterError where error != .notExecuted(.unknownTarget) {
            // An edge of a release that cannot say is believed; one that has let its client go, or is silent, has to come again.
            throw ServiceError(.unavailable, code: "edge_silent", message: "the node of this connection does not answer for it; try again")
        }
        try requireDecisions()
    }

    package distributed func leave(_ participant: ParticipantID, attachment: UInt64, reason: LeaveReason) {
        guard !isFrozen else { return }
        if let edge = core.members[participant]?.edge, core.members[participant]?.attachment == attachment { outboxes[edge] = nil }
        broadcast(core.leave(participant, attachment: attachment, reason: reason, now: context.loop.now, wall: context.loop.wall))
    }

    package distributed func remove(_ participant: ParticipantID, by host: ParticipantID?) throws {
        try requireDecisions()
        if let host { try core.requireHost(host) }
        guard let member = core.members[participant] else {
            throw ServiceError(.notFound, code: "unknown_participant", message: "not a participant of this room")
        }
        if let edge = member.edge { cut(edge, .removed) }
        broadcast(core.leave(participant, attachment: nil, reason: .removed, now: context.loop.now, wall: context.loop.wall))
    }

    // MARK: Publications

    package distributed func publish(_ publication: Publication, by participant: ParticipantID, attachment: UInt64) throws {
        try requireDecisions()
        broadcast(try core.publish(publication, by: participant, attachment: attachment, wall: context.loop.wall))
    }
    package distributed func unpublish(_ track: TrackID, by participant: ParticipantID, attachment: UInt64) throws {
        try requireDecisions()
        broadcast(try core.unpublish(track, by: participant, attachment: attachment, wall: context.loop.wall))
    }
    /// Mutes one track, or all of the participant's where `track` is nil. `host` is checked where it is not the owner who asks,
    /// the owner by its attachment.
    package distributed func mute(_ participant: ParticipantID, track: TrackID?, muted: Bool, by host: ParticipantID?, attachment: UInt64?) throws {
        try requireDecisions()
        if let host, host != participant { try core.requireHost(host) }
        if let attachment { try core.check(participant, attachment) }
        let tracks = track.map { [$0] } ?? core.publications.values.filter { $0.info.participantID == participant }.map(\.info.trackID).sorted()
        for track in tracks {
            guard core.publications[track]?.info.participantID == participant else {
                throw ServiceError(.notFound, code: "unknown_track", message: "this participant publishes no such track")
            }
            broadcast(try core.mute(track, muted: muted, wall: context.loop.wall))
        }
    }

    // MARK: Words

    package distributed func chat(_ text: String, from participant: ParticipantID, attachment: UInt64) throws {
        try requireDecisions()
        let event = try core.chat(from: participant, attachment: attachment, text: text, messageID: "M_" + context.random.token(12), wall: context.loop.wall)
        if let edge = core.members[participant]?.edge { outboxes[edge]?.awaited = event.sequence }
        broadcast([event])
    }

    /// Passes an offer, answer or candidate of a `p2p` room to whom it is meant for.
    package distributed func relay(_ signal: RelayedSignal) throws {
        guard core.record.mode == .p2p else {
            throw ServiceError(.conflict, code: "not_p2p", message: "this room's offers and answers are with the server; leave out `to`")
        }
        if let to = signal.to, core.members[to] == nil {
            throw ServiceError(.notFound, code: "unknown_participant", message: "the participant named in `to` is not here")
        }
        for (id, member) in core.members where id != signal.from && (signal.to == nil || signal.to == id) {
            if let edge = member.edge { send(.relay(signal), to: edge) }
        }
    }

    // MARK: Views

    package distributed func snapshot() -> RoomSnapshot { core.snapshot() }

    /// An edge's question whether its attachment still stands. - Returns: false when it should attach again.
    /// One whose outbox was given up gets no events any more, so it does not stand either.
    package distributed func touch(_ participant: ParticipantID, attachment: UInt64) -> Bool {
        guard let edge = core.members[participant]?.edge, let outbox = outboxes[edge], !outbox.closing else { return false }
        return core.touch(participant, attachment: attachment, now: context.loop.now)
    }

    /// What an edge knew of an earlier epoch and has no client to attach for any more.
    /// - Returns: once the store has it: from then on the edge need not keep it. Doing it again does nothing more.
    package distributed func bring(_ known: RoomSnapshot) async throws {
        try requireDecisions()
        guard known.epoch < core.epoch else { return }
        context.log(.info, "copies_brought", [
            "room": core.record.id.rawValue, "epoch": "\(known.epoch.rawValue)", "highest": "\(known.sequence)", "copies": "\(known.unwritten.count)", "to": "\(core.epoch.rawValue)",
        ])
        core.bring(known, wall: context.loop.wall)
        broadcast([RoomEvent]())
        guard await settleLog(within: Limits.brought), !core.log.isHoldingReports else {
            throw ServiceError(.unavailable, code: "not_kept_yet", message: "the store has not all of it yet; bring it again")
        }
    }

    package distributed func end() async throws {
        try requireDecisions()
        try await context.rooms.endRoom(core.record.id, at: context.loop.wall)
        if core.recording?.state.isActive == true { _ = try? await stopRecording(by: nil) }
        broadcast(core.end(wall: context.loop.wall))
        for id in core.members.keys.sorted() {
            if let edge = core.members[id]?.edge { cut(edge, .ended) }
            _ = core.leave(id, attachment: nil, reason: .ended, now: context.loop.now, wall: context.loop.wall)
        }
    }

    // MARK: Recording

    /// - Returns: the status once packets are being captured.
    /// - Parameter people: left out of it, beside those who refuse.
    package distributed func startRecording(by participant: ParticipantID?, excluding people: [ParticipantID]) async throws -> RecordingStatus {
        try requireDecisions()
        if let participant { try core.requireHost(participant) }
        try await requireKnown(people)
        if let current = core.recording, current.state.isActive {
            // Asked again: the running one, which leaves out whom this names. Without names nothing changes.
            if !people.isEmpty { broadcast(try core.exclude(people, wall: context.loop.wall)) }
            return core.recording ?? current
        }
        let recordingID = RecordingID("RC_" + context.random.token(14))
        let startAt = context.loop.wall + Limits.startLead
        broadcast(core.recordingChanged(
            RecordingStatus(recordingID: recordingID, roomID: core.record.id, state: .starting, excluded: try RoomCore.leftOut(people), startAt: startAt), wall: context.loop.wall))
        do {
            recordingHeardAt = context.loop.now
            let status = try await context.recording(recordingID).start(RecordingOrder(recordingID: recordingID, snapshot: core.snapshot(), startedBy: participant))
            broadcast(core.recordingChanged(status, wall: context.loop.wall))
            return core.withConsent(status)
        } catch {
            dropFollowers(of: recordingID)
            let failure = ServiceError(recordingFailure: error, recorders: RecorderCensus(context.system.members()))
            broadcast(core.recordingChanged(RecordingStatus(recordingID: recordingID, roomID: core.record.id, state: .failed, reason: failure.message), wall: context.loop.wall))
            throw failure
        }
    }

    /// Answers at once; finishing goes on in the background and is told by events.
    package distributed func stopRecording(by participant: ParticipantID?) async throws -> RecordingStatus {
        try requireDecisions()
        if let participant { try core.requireHost(participant) }
        guard let current = core.recording, current.state.isActive else {
            throw ServiceError(.conflict, code: "not_recording", message: "this room is not being recorded")
        }
        let status = try await context.recording(current.recordingID).stop()
        broadcast(core.recordingChanged(status, wall: context.loop.wall))
        return status
    }

    /// The Recording actor's word about itself.
    package distributed func recordingChanged(_ status: RecordingStatus) {
        guard !isFrozen else { return }
        broadcast(core.recordingChanged(status, wall: context.loop.wall))
        if !status.state.isActive { dropFollowers(of: status.recordingID) }
    }

    /// A running Recording presents itself: a Room that came back without memory learns of it here.
    package distributed func present(_ status: RecordingStatus) -> RoomSnapshot {
        recordingHeardAt = context.loop.now
        if !isFrozen { broadcast(core.recordingChanged(status, wall: context.loop.wall)) }
        return core.snapshot()
    }
    /// A writer of a running recording wants every event from here on. - Returns: the room as it is; nil where it is not being recorded so.
    package distributed func follow(_ recordingID: RecordingID, writer: ActorAddress) -> RoomSnapshot? {
        guard let current = core.recording, current.recordingID == recordingID, current.state.isActive else { return nil }
        guard !isFrozen, outboxes[writer] == nil else { return core.snapshot() }
        // A decider and its standby; more only for moments, while one takes over from another.
        guard followers.count < Limits.followers else { return nil }
        followers[writer] = recordingID
        outboxes[writer] = Outbox(target: .writer(writer, recordingID))
        return core.snapshot()
    }

    private func dropFollowers(of recordingID: RecordingID) {
        for address in followers.keys.filter({ followers[$0] == recordingID }) {
            followers[address] = nil
            outboxes[address]?.closing = true
        }
    }

    // MARK: Time and nodes

    func live() {
        guard !ticking else { return }
        ticking = true
        context.edge.add(self, id: core.record.id)
        begin(on: context.loop) { await $0.tickForever() }
    }

    private func tickForever() async {
        while ticking {
            try? await context.loop.sleep(for: .milliseconds(500))
            guard !isFrozen, !isMoving else { continue }
            broadcast(core.handleTimeout(now: context.loop.now, wall: context.loop.wall))
            if context.loop.now - recordingHeardAt > Recording.Limits.look * 2 { wakeRecording() }
            switch core.idle(now: context.loop.now) {
            case .no: break
            case .stopRecording: _ = try? await stopRecording(by: nil)
            case .leaveMemory:
                guard core.log.isWritten || core.log.isSuperseded else { break }
                ticking = false
                context.edge.remove(room: core.record.id)
                await context.system.deactivate(kind: Room.kind, key: core.record.id.rawValue)
            }
        }
    }

    func nodeDown(_ node: NodeName) {
        core.nodeDown(node, now: context.loop.now)
        wakeRecording()
    }
    /// The recorder may be gone: a call finds the Recording where it is, or has it claimed and continued elsewhere.
    private func wakeRecording() {
        guard let current = core.recording, current.state.isActive, !isWakingRecording else { return }
        isWakingRecording = true
        let recording = context.recording(current.recordingID)
        begin(on: context.loop) { room in
            _ = try? await recording.wake()
            room.isWakingRecording = false
        }
    }

    /// Another node took the claim while this one was stalled: decisions are no longer ours.
    package func claimLost() {
        ticking = false
        outboxes = [:]
        context.edge.remove(room: core.record.id)
    }

    // MARK: Delivery

    func broadcast(_ events: [RoomEvent]) { broadcast(events.map { ($0, nil) }) }
    private func broadcast(_ events: [(RoomEvent, Publication?)], except: ActorAddress? = nil) {
        for (event, publication) in core.log.takeLosses().map({ ($0, nil) }) + events {
            for address in outboxes.keys where address != except { send(.event(event, publication), to: address) }
        }
        if let snapshot = core.takeRefresh() {
            for address in outboxes.keys where address != except { send(.refreshed(snapshot), to: address) }
        }
        writeLog()
    }

    private func cut(_ edge: ActorAddress, _ reason: LeaveReason) {
        send(.detached(reason), to: edge)
        outboxes[edge]?.closing = true
    }

    func send(_ delivery: RoomDelivery, to address: ActorAddress) {
        guard let outbox = outboxes[address], !outbox.closing else { return }
        guard outbox.queue.push(delivery) else {
            // An edge that takes nothing for so long cannot be kept consistent: it attaches again when it wakes.
            context.log(.warning, "edge_too_slow", ["edge": "\(address)", "room": core.record.id.rawValue])
            outboxes[address] = nil
            followers[address] = nil
            if let id = core.members.first(where: { $0.value.edge == address })?.key {
                broadcast(core.leave(id, attachment: nil, reason: .connectionLost, now: context.loop.now, wall: context.loop.wall))
            }
            return
        }
        resumePump(address)
    }
    func resumePump(_ address: ActorAddress) {
        guard let outbox = outboxes[address], outbox.hasWork || outbox.awaits(core.log.persisted), !outbox.pumping, !isMoving else { return }
        outbox.pumping = true
        begin(on: context.loop) { await $0.pump(address) }
    }

    /// One batch in flight per edge keeps the order; a batch that was not executed is sent again.
    private func pump(_ address: ActorAddress) async {
        guard let outbox = outboxes[address] else { return }
        var failures = 0
        while !isMoving {
            let persisted = core.log.persisted
            guard let batch = outbox.nextBatch(persisted: persisted) else { break }
            do {
                try await outbox.target.deliver(batch, system: actorSystem)
                outbox.delivered(persisted: persisted)
                failures = 0
            } catch {
                failures += 1
                guard failures < Outbox.Limits.attempts else { break }
                try? await context.loop.sleep(for: Outbox.Limits.retryDelay)
            }
        }
        outbox.pumping = false
        if !isMoving, outbox.closing || failures > 0, outboxes[address] === outbox {
            outboxes[address] = nil
            followers[address] = nil
        }
    }
}
