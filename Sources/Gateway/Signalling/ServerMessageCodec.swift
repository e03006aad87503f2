// From a `ServerMessage` to the JSON text frame a client gets. Shapes: docs/protocol/*.json.
package import Conference
internal import Contracts
package import Primitives

package enum ServerMessageCodec {
    /// - Parameters:
    ///   - iceServers: those a participant may use, with its credentials.
    ///   - seal: makes resume tokens of what the session vouches for.
    package static func encode(_ message: ServerMessage, iceServers: (ParticipantID) -> JSON = { _ in [] }, _ seal: (SessionFacts) -> String) -> [UInt8] {
        json(message, iceServers: iceServers, seal).bytes
    }

    package static func json(_ message: ServerMessage, iceServers: (ParticipantID) -> JSON = { _ in [] }, _ seal: (SessionFacts) -> String) -> JSON {
        switch message {
        case .welcome(let welcome): frame("welcome", Wire.welcome(welcome, iceServers, seal))
        case .resumed(let resumed): frame("resumed", Wire.welcome(resumed.welcome, iceServers, seal) + [
            ("missed", resumed.missed.map { .array($0.map(event)) }), ("settles_ms", .int(resumed.settles?.inMilliseconds)),
        ])
        case .move(let order): frame("move", Wire.move(order))
        case .ok(let id, let isKept): frame("ok", [("id", .integer(id)), ("kept", isKept ? nil : .bool(false))])
        case .error(let id, let code, let message): frame("error", [("id", .int(id)), ("code", .string(code)), ("message", .string(message))])
        case .unknownSession(let message): frame("unknown_session", [("message", .string(message))])
        case .offer(let body): frame("webrtc_offer", Wire.description(body))
        case .answer(let body): frame("webrtc_answer", Wire.description(body))
        case .candidate(let body): frame("ice_candidate", Wire.candidate(body))
        case .heartbeat(let session): frame("heartbeat", [("resume_token", .string(seal(session)))])
        case .event(let event): self.event(event)
        case .subscriptionUpdated(let track, let participant, let mid, let subscribed):
            frame("subscription_updated", [
                ("track_id", .string(track.rawValue)), ("participant_id", .string(participant.rawValue)), ("mid", .text(mid)), ("subscribed", .bool(subscribed)),
            ])
        case .bye(let reason): frame("bye", [("reason", .string(reason.rawValue))])
        }
    }

    /// Every room event carries its sequence number, so that a client sees what it missed.
    private static func event(_ event: RoomEvent) -> JSON {
        func numbered(_ type: String, _ members: [(String, JSON?)]) -> JSON {
            frame(type, [("seq", .integer(Int64(clamping: event.sequence)))] + members)
        }
        switch event.kind {
        case .participantJoined(let info): return numbered("participant_joined", [("participant", Wire.participant(info))])
        case .participantLeft(let id, let reason):
            return numbered("participant_left", [("participant_id", .string(id.rawValue)), ("reason", .string(reason.rawValue))])
        case .trackPublished(let info): return numbered("track_published", [("publication", Wire.publication(info))])
        case .participantMoved(let info): return numbered("participant_moved", [("participant", Wire.participant(info))])
        case .trackMoved(let track, let participant):
            return numbered("track_moved", [("track_id", .string(track.rawValue)), ("participant_id", .string(participant.rawValue))])
        case .trackUnpublished(let track, let participant):
            return numbered("track_unpublished", [("track_id", .string(track.rawValue)), ("participant_id", .string(participant.rawValue))])
        case .muted(let track, let participant, let muted):
            return numbered("muted", [("track_id", .string(track.rawValue)), ("participant_id", .string(participant.rawValue)), ("muted", .bool(muted))])
        case .chat(let chat):
            return numbered("chat", [
                ("id", .string(chat.id)), ("from", .string(chat.from.rawValue)), ("name", .string(chat.name)), ("text", .string(chat.text)),
                ("at", .string(chat.at.rfc3339)),
            ])
        case .recording(let status): return numbered("recording_status", Wire.recordingEvent(status))
        case .ended: return numbered("bye", [("reason", .string(LeaveReason.ended.rawValue))])
        case .eventsLost(let from, let to, _): return numbered("events_lost", [("from", .integer(Int64(clamping: from))), ("to", .integer(Int64(clamping: to)))])
        }
    }
    private static func frame(_ type: String, _ members: [(String, JSON?)]) -> JSON { .compact([("type", .string(type))] + members) }
}

/// The parts that signalling and HTTP answers share.
package enum Wire {
    static func participant(_ info: ParticipantInfo) -> JSON { info.json }
    static func publication(_ info: PublicationInfo) -> JSON { info.json }
    static func recording(_ status: RecordingStatus) -> JSON { status.json }
    /// `recording_status`: the record under `recording`, and beside it the names older front ends read (API.md, Recording, events).
    static func recordingEvent(_ status: RecordingStatus) -> [(String, JSON?)] {
        [
            ("recording", recording(status)), ("recordingId", .string(status.recordingID.rawValue)), ("roomId", .string(status.roomID.rawValue)),
            ("state", .string(status.state.rawValue)), ("duration", .real(status.duration)), ("size", .int(status.size)), ("outputPath", .text(status.outputPath)),
        ]
    }
    static func description(_ body: SessionDescriptionMessage) -> [(String, JSON?)] {
        [("from", .text(body.from?.rawValue)), ("to", .text(body.to?.rawValue)), ("sdp", .string(body.sdp))]
    }
    static func candidate(_ body: CandidateMessage) -> [(String, JSON?)] {
        [
            ("from", .text(body.from?.rawValue)), ("to", .text(body.to?.rawValue)), ("candidate", .string(body.candidate)),
            ("sdpMid", .text(body.sdpMid)), ("sdpMLineIndex", .int(body.sdpMLineIndex.map { Int64($0) })),
        ]
    }
    static func welcome(_ welcome: Welcome, _ iceServers: (ParticipantID) -> JSON, _ seal: (SessionFacts) -> String) -> [(String, JSON?)] {
        [
            ("room_id", .string(welcome.roomID.rawValue)), ("session_id", .string(welcome.roomID.rawValue)), ("title", .string(welcome.title)),
            ("mode", .string(welcome.mode.rawValue)), ("participant", participant(welcome.participant)),
            ("participants", .array(welcome.participants.map(participant))), ("publications", .array(welcome.publications.map(publication))),
            ("recording", welcome.recording.map(recording)), ("resume_token", .string(seal(welcome.session))),
            ("ping_interval", .number(welcome.pingInterval.inSeconds)), ("ice_servers", iceServers(welcome.participant.id)),
            ("node", .string(welcome.node.rawValue)), ("max_participants", .integer(Int64(welcome.maxParticipants))),
            ("seq", .integer(Int64(clamping: welcome.sequence))), ("nodes", .array(welcome.nodes.map { .string($0) })),
        ]
    }
    static func move(_ order: MoveOrder) -> [(String, JSON?)] {
        let sockets = order.nodes.map { JSON.string(SessionRoutes.webSocketURL($0, order.roomID)) }
        return [("reason", .string(order.reason.rawValue)), ("ws_url", sockets.first), ("ws_urls", .array(sockets)), ("deadline_ms", .integer(order.deadline.inMilliseconds))]
    }
}
