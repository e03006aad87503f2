// What a client says, and what it gets back.
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

extension Participant {
    func handle(_ message: ClientMessage) async {
        if handover != nil { return handleLeaving(message) }
        do {
            switch message.body {
            case .startRecording(let people): return recordInBackground(message.id) { room, me in _ = try await room.startRecording(by: me, excluding: people) }
            case .stopRecording: return recordInBackground(message.id) { room, me in _ = try await room.stopRecording(by: me) }
            case .exclude(let people): return recordInBackground(message.id) { room, me in _ = try await room.exclude(people, by: me) }
            case .chat(let text):
                let me = info.id
                try await ask { try await $0.chat(text, from: me, attachment: self.attachment) }
                guard view.protections.contains(.keptWords) else { break }
                // Answered once the store has it.
                return answer(words.taken(message.id, text, now: context.loop.now))
            default: try await carryOut(message.body)
            }
            if let id = message.id { send(.ok(id: id)) }
        } catch {
            let refusal = ServiceError(reporting: error)
            send(.error(id: message.id, code: refusal.code, message: refusal.message))
        }
    }

    private func carryOut(_ body: ClientMessage.Body) async throws {
        switch body {
        case .offer(let description):
            if view.room.mode == .p2p { return try await relay(.offer, description.to, description.sdp) }
            try await handleOffer(description.sdp)
        case .answer(let description):
            if view.room.mode == .p2p { return try await relay(.answer, description.to, description.sdp) }
            try await handleAnswer(description.sdp)
        case .candidate(let candidate):
            // An ICE-lite server learns a client's address from its checks (RFC 8445 §2.5); nothing to do in an sfu room.
            if view.room.mode == .p2p { try await relay(candidate) }
        case .hello(let features): self.features = features
        case .publish(let track, let mid, let source, let muted):
            guard declared.count < RoomCore.Limits.publicationsPerParticipant * 2 else {
                throw ServiceError(.conflict, code: "too_many_tracks", message: "unpublish a track first")
            }
            declared[mid ?? track.rawValue] = DeclaredTrack(trackID: track, source: source, muted: muted)
        case .unpublish(let track): try await unpublish(track)
        case .subscribe(let tracks): await subscribe(to: tracks)
        case .unsubscribe(let tracks): await unsubscribe(from: tracks)
        case .mute(let track, let muted):
            let me = info.id
            try await ask { try await $0.mute(me, track: track, muted: muted, by: nil, attachment: self.attachment) }
        case .recordingConsent(let consents):
            // Known here first: whatever becomes of the Room, this edge tells it again with every attachment.
            info.recordingConsent = consents
            let me = info.id
            try await ask { try await $0.consent(consents, by: me, attachment: self.attachment) }
        case .bye: await finish(.left, tellRoom: true)
        case .heartbeat, .chat, .startRecording, .stopRecording, .exclude: break
        }
    }

    /// Starting waits for packets and stopping for a remote actor: neither may hold up this client's signalling.
    private func recordInBackground(_ messageID: Int64?, _ call: @escaping @Sendable (Room, ParticipantID) async throws -> Void) {
        let me = info.id
        begin(on: context.loop) { participant in
            do {
                let patience = LocalConference.Limits.startRecording
                try await ClusterSystem.$deadline.withValue(patience) {
                    try await call(participant.room, me)
                }
                if let messageID { participant.send(.ok(id: messageID)) }
            } catch {
                let refusal = ServiceError(reporting: error)
                participant.send(.error(id: messageID, code: refusal.code, message: refusal.message))
            }
        }
    }

    private func relay(_ kind: RelayedSignal.Kind, _ to: ParticipantID?, _ text: String) async throws {
        let signal = RelayedSignal(kind: kind, from: info.id, to: to, text: text)
        try await ask { try await $0.relay(signal) }
    }
    private func relay(_ candidate: CandidateMessage) async throws {
        let signal = RelayedSignal(kind: .candidate, from: info.id, to: candidate.to, text: candidate.candidate, sdpMid: candidate.sdpMid, sdpMLineIndex: candidate.sdpMLineIndex)
        try await ask { try await $0.relay(signal) }
    }
}

/// What `publish` said about a track before the offer that carries it.
struct DeclaredTrack: Sendable {
    var trackID: TrackID
    var source: TrackSource
    var muted: Bool
}
