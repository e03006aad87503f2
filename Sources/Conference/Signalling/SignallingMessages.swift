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
        case startRecording(excluding: [ParticipantID])             // start_recording
        /// Whom the running recording leaves out from now on, all of them: exclude_from_recording.
        case exclude([ParticipantID])
        /// Whether the client may be recorded, now and later: recording_consent.
        case recordingConsent(Bool)
        case stopRecording                                          // stop_recording
        /// What the client understands beyond the first release's messages.
        case hello(Set<ClientFeature>)
        case bye
    }
    package var id: Int64?
    package var body: Body
    package init(id: Int64? = nil, _ body: Body) { self.id = id; self.body = body }
}

/// What a client says it can do.
package enum ClientFeature: String, Sendable, CaseIterable {
    /// Opens a second connection when told to `move`.
    case move
    /// Comes back at another node with its resume token.
    case resume
}

/// What a resume token vouches for: enough to attach the client anywhere without the store. Gateways seal and open it.
package struct SessionFacts: Sendable, Equatable {
    package var roomID: RoomID
    package var mode: SessionMode
    package var participantID: ParticipantID
    package var name: String
    package var role: ParticipantRole
    package var joinedAt: WallTime
    package var metadata: String?
    package var autoSubscribe: Bool
    /// Granted by the Room under `epoch`; `sequence` is the last event its edge knew.
    package var attachment: UInt64
    package var epoch: Epoch
    package var sequence: UInt64
    package var recordingConsent: Bool?
    package init(
        roomID: RoomID, mode: SessionMode, participantID: ParticipantID, name: String, role: ParticipantRole, joinedAt: WallTime, metadata: String?,
        autoSubscribe: Bool, attachment: UInt64, epoch: Epoch, sequence: UInt64, recordingConsent: Bool? = nil
    ) {
        self.roomID = roomID; self.mode = mode; self.participantID = participantID; self.name = name; self.role = role; self.joinedAt = joinedAt
        self.metadata = metadata; self.autoSubscribe = autoSubscribe; self.attachment = attachment; self.epoch = epoch; self.sequence = sequence; self.recordingConsent = recordingConsent
    }
}

/// A client that comes back with an opened token.
package struct ResumeRequest: Sendable, Equatable {
    package var session: SessionFacts
    package var lastSeen: UInt64
    package var attempt: UInt32
    package var isMove: Bool
    package var features: Set<ClientFeature>
    package init(session: SessionFacts, lastSeen: UInt64, attempt: UInt32, isMove: Bool, features: Set<ClientFeature>) {
        self.session = session; self.lastSeen = lastSeen; self.attempt = attempt; self.isMove = isMove; self.features = features
    }
}

/// `resumed`: the room as it is, and what the client missed of it.
package struct Resumed: Sendable, Equatable {
    package var welcome: Welcome
    /// Nil where the Room does not remember that far back: the rest of the message tells how things stand.
    package var missed: [RoomEvent]?
    /// Set while the room itself is coming back: who is not named yet may be for so long.
    package var settles: Duration?
    package init(welcome: Welcome, missed: [RoomEvent]?, settles: Duration?) { self.welcome = welcome; self.missed = missed; self.settles = settles }
}

/// `move`: open a second connection at one of these nodes, then drop this one.
package struct MoveOrder: Sendable, Equatable {
    package enum Reason: String, Sendable { case draining, frozen }
    package var reason: Reason
    package var roomID: RoomID
    /// Base addresses of nodes, the preferred one first.
    package var nodes: [String]
    /// When the connection is cut.
    package var deadline: Duration
    package init(reason: Reason, roomID: RoomID, nodes: [String], deadline: Duration) {
        self.reason = reason; self.roomID = roomID; self.nodes = nodes; self.deadline = deadline
    }
}

package struct Welcome: Sendable, Equatable {
    package var roomID: RoomID
    package var title: String
    package var mode: SessionMode
    package var participant: ParticipantInfo
    package var participants: [ParticipantInfo]
    package var publications: [PublicationInfo]
    package var recording: RecordingStatus?
    /// Sealed as `resume_token`.
    package var session: SessionFacts
    package var pingInterval: Duration
    package var node: NodeName
    /// Base addresses of every edge, this one first: where the session can go on.
    package var nodes: [String]
    package var maxParticipants: Int
    /// Sequence of the last event this snapshot contains.
    package var sequence: UInt64
    package init(roomID: RoomID, title: String, mode: SessionMode, participant: ParticipantInfo, participants: [ParticipantInfo], publications: [PublicationInfo], recording: RecordingStatus?, session: SessionFacts, pingInterval: Duration, node: NodeName, nodes: [String], maxParticipants: Int, sequence: UInt64) {
        self.roomID = roomID; self.title = title; self.mode = mode; self.participant = participant; self.participants = participants
        self.publications = publications; self.recording = recording; self.session = session; self.pingInterval = pingInterval
        self.node = node; self.nodes = nodes; self.maxParticipants = maxParticipants; self.sequence = sequence
    }
}

/// What a client is told.
package enum ServerMessage: Sendable, Equatable {
    case welcome(Welcome)
    case resumed(Resumed)
    case move(MoveOrder)
    /// A `resume` that cannot be granted: the client joins afresh.
    case unknownSession(String)
    /// The request was carried out. `isKept` is false for a word that the store does not have yet: should the room's node be lost now, it may be.
    case ok(id: Int64, isKept: Bool = true)
    case error(id: Int64?, code: String, message: String)
    case offer(SessionDescriptionMessage)
    case answer(SessionDescriptionMessage)
    case candidate(CandidateMessage)
    /// Answers a client's; renews its resume token.
    case heartbeat(SessionFacts)
    case event(RoomEvent)
    /// How many of an outbound media section's subscriptions run: sent when a subscription starts or ends.
    case subscriptionUpdated(trackID: TrackID, participantID: ParticipantID, mid: String?, subscribed: Bool)
    case bye(LeaveReason)
}
