// A Participant and its Room: attaching, attaching again after the Room came back elsewhere, and what the Room delivers.
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

extension Participant {
    @discardableResult
    func attach(resume: ResumeClaim? = nil) async throws -> RoomGrant {
        let grant = try await room.attach(RoomAttachment(
            participant: info, edge: id, number: attachment,
            publications: published.values.sorted { $0.info.trackID < $1.info.trackID },
            known: view.epoch == .none ? nil : view.asSnapshot, resume: resume, origin: origin))
        // A Room that was overtaken without having noticed: what it says is of the past.
        guard grant.snapshot.epoch >= max(view.epoch, resume?.epoch ?? Epoch.none) || !view.protections.contains(.epochCheck) else { throw ClusterError.notExecuted(.unsettled) }
        let first = view.epoch == .none
        attachment = grant.snapshot.attachment
        origin = origin ?? .join(in: grant.snapshot.epoch, granted: attachment)
        attached = true
        // The Room has them in its memory only, and may be overtaken in its turn.
        if !first, view.epoch < grant.snapshot.epoch { bringCopies() }
        let changes = view.replace(by: grant.snapshot, at: context.loop.wall)
        guard !first else { return grant }
        for (event, publication) in changes { await tell(event, publication) }
        return grant
    }

    /// One attempt: the Room does not know this attachment any more, or its node died. Media goes on meanwhile.
    /// - Returns: why there need be no other: this attachment comes to its end.
    @discardableResult
    func attachAgain() async -> ServiceError? {
        guard handover == nil, !finished else { return nil }
        attached = false
        do {
            try await ClusterSystem.$deadline.withValue(Limits.attachCall) { _ = try await attach() }
            context.log(.info, "room_reattached", ["room": roomID.rawValue, "epoch": "\(view.epoch.rawValue)", "host": view.node.rawValue])
        } catch let error as ServiceError where error.code == RoomCore.superseded.code {
            context.log(.info, "attachment_superseded", ["room": roomID.rawValue, "name": info.name, "attachment": "\(attachment)"])
            superseded()
            return error
        } catch let error as ServiceError where error.kind != .unavailable {
            // Refused for what the room is now, not for another connection: the client may join again.
            await finish(error.code == "room_ended" ? .ended : .nodeLost, tellRoom: false)
            return error
        } catch {}
        return nil
    }

    /// A call to the Room, made again while the Room is known not to have executed it and the work under way has time.
    func ask<T: Sendable>(_ call: (Room) async throws -> T) async throws -> T {
        var pause = Limits.attachPause
        while context.loop.now < patience {
            do { return try await call(room) } catch let error as ClusterError {
                guard case .notExecuted = error else { throw error }
            } catch let error as ServiceError where error.code == "unknown_participant" || error.code == RoomCore.superseded.code {
                // The Room may have granted this edge a number whose answer was lost. Attaching again tells, and ends it where
                // the client is elsewhere indeed.
                guard handover == nil else { throw error }
            }
            attached = false
            while !attached {
                guard context.loop.now < patience, !finished, handover == nil else { throw ClusterError.notExecuted(.unsettled) }
                if let refusal = await attachAgain() { throw refusal }
                try? await context.loop.sleep(for: pause)
                pause = min(pause * 2, Limits.longestAttachPause)
            }
        }
        throw ClusterError.notExecuted(.unsettled)
    }

    /// As `ask`, for what the Room must know about our tracks: where it stays unknown whether it does, we attach again, and
    /// that says all of them. - Throws: what the Room refused.
    func tellTracks(_ call: (Room) async throws -> Void) async throws {
        do { try await ask(call) } catch {
            let refusal = ServiceError(reporting: error)
            guard refusal.kind == .unavailable else { throw refusal }
            roomIsLost()
        }
    }
    /// Says goodbye to the Room, wherever it is by then, for as long as it keeps those who are silent.
    func leaveRoom(_ reason: LeaveReason) {
        let me = info.id, attachment = attachment
        tellLater(within: RoomCore.Limits.silence) { try await $0.leave(me, attachment: attachment, reason: reason) }
    }
    /// Brings what this edge alone may know to the Room, wherever it is by then, until that has put it into the store.
    func bringCopies() {
        let known = view.asSnapshot
        guard !known.unwritten.isEmpty else { return }
        tellLater(within: RoomCore.Limits.proofWindow) { try await $0.bring(known) }
    }
    private func tellLater(within limit: Duration, _ call: @escaping @Sendable (Room) async throws -> Void) {
        let room = room, loop = context.loop
        loop.spawn {
            let end = loop.now + limit
            while loop.now < end {
                do { return try await call(room) } catch { try? await loop.sleep(for: Limits.leaveAgain) }
            }
        }
    }

    func handle(_ delivery: RoomDelivery) async {
        switch delivery {
        case .event(let event, let publication):
            guard view.apply(event, publication) else { return }
            await tell(event, publication)
        case .kept(let number):
            view.kept(through: number)
            answer(words.kept(through: number, under: view.epoch))
        case .refreshed(let snapshot):
            guard snapshot.epoch > view.epoch || snapshot.epoch == view.epoch && snapshot.sequence >= view.sequence else { return }
            for (event, publication) in view.replace(by: snapshot, at: context.loop.wall) { await tell(event, publication) }
        case .relay(let signal):
            switch signal.kind {
            case .offer: send(.offer(SessionDescriptionMessage(from: signal.from, to: signal.to, sdp: signal.text)))
            case .answer: send(.answer(SessionDescriptionMessage(from: signal.from, to: signal.to, sdp: signal.text)))
            case .candidate:
                send(.candidate(CandidateMessage(from: signal.from, to: signal.to, candidate: signal.text, sdpMid: signal.sdpMid, sdpMLineIndex: signal.sdpMLineIndex)))
            }
        case .detached(.moved): handOver()
        case .detached(let reason): await finish(reason, tellRoom: false)
        }
    }

    /// Tells the client, and lets media follow.
    func tell(_ event: RoomEvent, _ publication: Publication?) async {
        send(.event(event))
        switch event.kind {
        case .trackPublished(let track):
            if autoSubscribe, track.participantID != info.id { await subscribe(to: [track.trackID]) }
        case .trackUnpublished(let track, _):
            await unsubscribe(from: [track])
        case .trackMoved(_, let owner):
            if let publication, owner != info.id { await follow(publication) }
        case .muted(let track, let owner, let muted):
            if owner == info.id { await applyMute(track, muted) }
        case .chat(let message):
            guard message.from == info.id else { break }
            // With it the client can show that its word was taken, should this node and the Room be gone before anyone else has it.
            if features.contains(.resume) { send(.heartbeat(session)) }
            answer(words.heard(message.text, at: event.sequence, under: event.epoch))
        case .participantJoined, .participantMoved, .participantLeft, .recording, .ended, .eventsLost: break
        }
    }
}

extension Participant {
    /// A node died; if the room was hosted there, the next activation must hear from us.
    func nodeDown(_ node: NodeName) {
        if view.node == node { roomIsLost() }
    }
}
