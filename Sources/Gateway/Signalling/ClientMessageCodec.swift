// From a JSON text frame to a `ClientMessage`. Shapes: docs/protocol/*.json, API.md "Signalling over WebSocket".
package import Conference
internal import Contracts
internal import Primitives

/// Why a frame is no message. `id` is echoed where it could still be read.
package struct ClientMessageError: Error, Equatable, Sendable {
    package var id: Int64?
    package var code: String
    package var message: String
}

/// A frame from a client: a message for its session, or the claim to continue one.
package enum ClientFrame: Equatable, Sendable {
    case message(ClientMessage)
    case resume(ResumeFrame)

    package var id: Int64? {
        switch self { case .message(let message): message.id; case .resume(let frame): frame.id }
    }
}

/// `resume`, the first frame of a connection that names nobody in its address.
package struct ResumeFrame: Equatable, Sendable {
    package var id: Int64?
    package var token: String
    package var lastSeen: UInt64
    package var attempt: UInt32
    package var isMove: Bool
    package var features: Set<ClientFeature>
}

package enum ClientMessageCodec {
    package enum Limits {
        package static let sdp = 200_000                    // characters
        package static let candidate = 2048                 // characters
        package static let trackID = 128                    // characters
        package static let mid = 64                         // characters
        package static let tracksPerRequest = 256
        package static let chat = 4000                      // characters
        package static let largestID: Int64 = 1 << 53 - 1   // what JavaScript counts exactly
    }
    private enum Fields {
        static let type = Field.string("type", 1...64)
        static let id = Field.integer("id", 0...Limits.largestID, required: false)
        static let sdp = Field.string("sdp", 1...Limits.sdp)
        static let to = Field.string("to", 1...128, required: false)
        static let candidate = Field.string("candidate", 0...Limits.candidate)
        static let sdpMid = Field.string("sdpMid", 0...Limits.mid, required: false)
        static let sdpMLineIndex = Field.integer("sdpMLineIndex", 0...1023, required: false)
        static let trackID = Field.string("track_id", 1...Limits.trackID)
        static let trackIDs = Field.strings("track_ids", count: 1...Limits.tracksPerRequest, each: 1...Limits.trackID)
        static let mid = Field.string("mid", 1...Limits.mid, required: false)
        static let source = Field<TrackSource>.choice("source", [.camera, .microphone, .screenShare, .screenShareAudio])
        static let isMuted = Field.boolean("muted")
        static let startsMuted = Field.boolean("muted", required: false)
        static let features = Field.strings("features", count: 0...32, each: 1...32, required: false)
        static let token = Field.string("token", 1...ResumeSeal.Limits.tokenBytes)
        static let lastSeen = Field.integer("last_seq", 0...Limits.largestID)
        static let attempt = Field.integer("attempt", 0...Int64(UInt32.max), required: false)
        static let isMove = Field.boolean("move", required: false)
        static let text = Field.string("text", 1...Limits.chat)
        static let excluded = Field.strings("exclude", count: 0...RoomCore.ConsentLimits.people, each: 1...128)
        static let excludedAtStart = Field.strings("exclude", count: 0...RoomCore.ConsentLimits.people, each: 1...128, required: false)
        static let consent = Field.boolean("consent")
    }

    /// Every `type` a client may send.
    package static let types = [
        "webrtc_offer", "webrtc_answer", "ice_candidate", "heartbeat", "publish", "unpublish", "subscribe", "unsubscribe", "mute", "chat",
        "start_recording", "stop_recording", "exclude_from_recording", "recording_consent", "hello", "resume", "bye",
    ]

    package static func decode(_ frame: [UInt8]) throws(ClientMessageError) -> ClientFrame {
        let json: JSON
        do { json = try JSONParser.parse(frame) } catch { throw ClientMessageError(code: "malformed", message: error.description) }
        guard case .object(let object) = json else { throw ClientMessageError(code: "malformed", message: FieldError.notAnObject.description) }
        var id: Int64?
        let body: ClientMessage.Body?
        do throws(FieldError) {
            id = try Fields.id.optional(in: object)
            if try Fields.type.value(in: object) == "resume" { return .resume(try resume(object, id: id)) }
            body = try Self.body(try Fields.type.value(in: object), object)
        } catch {
            throw ClientMessageError(id: id, code: "malformed", message: error.description)
        }
        guard let body else {
            throw ClientMessageError(id: id, code: "unknown_type", message: "there is no message of this type; send one of " + types.joined(separator: ", "))
        }
        return .message(ClientMessage(id: id, body))
    }
    private static func resume(_ object: JSONObject, id: Int64?) throws(FieldError) -> ResumeFrame {
        ResumeFrame(
            id: id, token: try Fields.token.value(in: object), lastSeen: UInt64(try Fields.lastSeen.value(in: object)),
            attempt: UInt32(try Fields.attempt.optional(in: object) ?? 0), isMove: try Fields.isMove.optional(in: object) ?? false, features: try features(object))
    }
    /// What this release does not know of is left out.
    private static func features(_ object: JSONObject) throws(FieldError) -> Set<ClientFeature> {
        Set((try Fields.features.optional(in: object) ?? []).compactMap(ClientFeature.init(rawValue:)))
    }

    private static func body(_ type: String, _ object: JSONObject) throws(FieldError) -> ClientMessage.Body? {
        switch type {
        case "webrtc_offer": .offer(try description(object))
        case "webrtc_answer": .answer(try description(object))
        case "ice_candidate": .candidate(try candidate(object))
        case "heartbeat": .heartbeat
        case "publish":
            .publish(
                trackID: try trackID(object), mid: try Fields.mid.optional(in: object), source: try Fields.source.value(in: object),
                muted: try Fields.startsMuted.optional(in: object) ?? false)
        case "unpublish": .unpublish(trackID: try trackID(object))
        case "subscribe": .subscribe(trackIDs: try trackIDs(object))
        case "unsubscribe": .unsubscribe(trackIDs: try trackIDs(object))
        case "mute": .mute(trackID: try trackID(object), muted: try Fields.isMuted.value(in: object))
        case "chat": .chat(text: try Fields.text.value(in: object))
        case "start_recording": .startRecording(excluding: (try Fields.excludedAtStart.optional(in: object) ?? []).map { ParticipantID($0) })
        case "exclude_from_recording": .exclude(try Fields.excluded.value(in: object).map { ParticipantID($0) })
        case "recording_consent": .recordingConsent(try Fields.consent.value(in: object))
        case "stop_recording": .stopRecording
        case "hello": .hello(try features(object))
        case "bye": .bye
        default: nil
        }
    }
    private static func description(_ object: JSONObject) throws(FieldError) -> SessionDescriptionMessage {
        SessionDescriptionMessage(to: try Fields.to.optional(in: object).map { ParticipantID($0) }, sdp: try Fields.sdp.value(in: object))
    }
    private static func candidate(_ object: JSONObject) throws(FieldError) -> CandidateMessage {
        CandidateMessage(
            to: try Fields.to.optional(in: object).map { ParticipantID($0) }, candidate: try Fields.candidate.value(in: object),
            sdpMid: try Fields.sdpMid.optional(in: object), sdpMLineIndex: try Fields.sdpMLineIndex.optional(in: object).map { Int($0) })
    }
    private static func trackID(_ object: JSONObject) throws(FieldError) -> TrackID { TrackID(try Fields.trackID.value(in: object)) }
    /// `track_ids`, or one `track_id`.
    private static func trackIDs(_ object: JSONObject) throws(FieldError) -> [TrackID] {
        if object["track_ids"] == nil, object["track_id"] != nil { return [try trackID(object)] }
        return try Fields.trackIDs.value(in: object).map { TrackID($0) }
    }
}
