// Signalling as values: what clients say and what they are told, before any wire gives it a form (API.md, Signalling).
import Contracts
import Primitives

package struct SessionDescriptionMessage: Sendable, Equatable, Codable {
    package var from: ParticipantID?
    /// Only in a `p2p` room; missing means all others.
    package var to: ParticipantID?
    package var sdp: String
    package init(from: ParticipantID? = nil, to: ParticipantID? = nil, sdp: String) { self.from = from; self.to = to; self.sdp = sdp }
}

package struct CandidateMessage: Sendable, Equatable, Codable {
    package var from: ParticipantID?
    package var to: ParticipantID?
    package var candidate: String
    package var sdpMid: String?
    package var sdpMLineIndex: Int?
    package init(from: ParticipantID? = nil, to: ParticipantID? = nil, candidate: String, sdpMid: String? = nil, sdpMLineIndex: Int? = nil) {
        self.from = from; self.to = to; self.candidate = candidate; self.sdpMid = sdpMid; self.sdpMLineIndex = sdpMLineIndex
    }
}

/// What a client says. `id`, where given, is echoed in the answer (`ok` or `error`).
package struct ClientMessage: Sendable, Equatable {
    package enum Body: Sendable, Equatable {
        case offer(SessionDescriptionMessage)                       // webrtc_offer
        case answer(SessionDescriptionMessage)                      // webrtc_answer
        case candidate(CandidateMessage)                            // ice_candidate
        case heartbeat                                              // heartbeat
        /// Names what the next offer's m-line carries: `mid` may be missing where `track_id` equals the msid's track id.
        case publish(trackID: TrackID, mid: String?, source: TrackSource, muted: Bool)
        case unpublish(trackID: TrackID)
        case subscribe(trackIDs: [TrackID])
        case unsubscribe(trackIDs: [TrackID])
        case mute(trackID: TrackID, muted: Bool)
        case chat(text: String)
        case startRecording                                         // start_recording
        case stopRecording                                          // stop_recording
        case bye
    }
    package var id: Int64?
    package var body: Body
    package init(id: Int64? = nil, _ body: Body) { self.id = id; self.body = body }
}

package struct Welcome: Sendable, Equatable {
    package var roomID: RoomID
    package var title: String
    package var mode: SessionMode
    package var participant: ParticipantInfo
    package var participants: [ParticipantInfo]
    package var publications: [PublicationInfo]
    package var recording: RecordingStatus?
    package var resumeToken: String
    package var pingInterval: Duration
    package var iceServers: [String]
    package var node: NodeName
    package var maxParticipants: Int
    /// Sequence of the last event this snapshot contains.
    package var sequence: UInt64
    package init(roomID: RoomID, title: String, mode: SessionMode, participant: ParticipantInfo, participants: [ParticipantInfo], publications: [PublicationInfo], recording: RecordingStatus?, resumeToken: String, pingInterval: Duration, iceServers: [String], node: NodeName, maxParticipants: Int, sequence: UInt64) {
        self.roomID = roomID; self.title = title; self.mode = mode; self.participant = participant; self.participants = participants
        self.publications = publications; self.recording = recording; self.resumeToken = resumeToken; self.pingInterval = pingInterval
        self.iceServers = iceServers; self.node = node; self.maxParticipants = maxParticipants; self.sequence = sequence
    }
}

/// What a client is told.
package enum ServerMessage: Sendable, Equatable {
    case welcome(Welcome)
    case ok(id: Int64)
    case error(id: Int64?, code: String, message: String)
    case offer(SessionDescriptionMessage)
    case answer(SessionDescriptionMessage)
    case candidate(CandidateMessage)
    case heartbeat
    case event(RoomEvent)
    /// How many of an outbound media section's subscriptions run: sent when a subscription starts or ends.
    case subscriptionUpdated(trackID: TrackID, participantID: ParticipantID, mid: String?, subscribed: Bool)
    case bye(LeaveReason)
}
