// The words actors and gateways exchange about a room: plain values, Codable, the same on every wire.
import Primitives

package enum MediaKind: String, Codable, Sendable, Hashable { case audio, video }

/// What a track shows or carries. Raw values are the field's usual names.
package enum TrackSource: String, Codable, Sendable, Hashable {
    case camera, microphone
    case screenShare = "screen_share"
    case screenShareAudio = "screen_share_audio"
}

package enum ParticipantRole: String, Codable, Sendable, Hashable { case host, guest }

/// Why a participant is no longer in a room. Raw values go to clients.
package enum LeaveReason: String, Codable, Sendable, Hashable {
    case left, removed, ended
    case connectionLost = "connection_lost"
    case nodeLost = "node_lost"
    case replaced
    case badRequest = "bad_request"
    case rateLimited = "rate_limited"
    case shutdown
    /// The client has a connection at another node by now.
    case moved
    /// The node was emptied and the client did not go by itself.
    case draining
}

/// One member of a room's roster.
package struct ParticipantInfo: Codable, Sendable, Hashable {
    package var id: ParticipantID
    package var name: String
    package var role: ParticipantRole
    /// The edge the client is attached to.
    package var node: NodeName
    package var joinedAt: WallTime
    package var metadata: String?
    /// False: refuses to be recorded. Nil where it was not asked.
    package var recordingConsent: Bool?
    package init(id: ParticipantID, name: String, role: ParticipantRole, node: NodeName, joinedAt: WallTime, metadata: String? = nil, recordingConsent: Bool? = nil) {
        self.id = id; self.name = name; self.role = role; self.node = node; self.joinedAt = joinedAt; self.metadata = metadata; self.recordingConsent = recordingConsent
    }
}

/// A participant's offer of a track, as others see it.
package struct PublicationInfo: Codable, Sendable, Hashable {
    package var trackID: TrackID
    package var participantID: ParticipantID
    package var kind: MediaKind
    package var source: TrackSource
    /// RTP encoding name, lower case: "opus", "vp8", "vp9", "h264", "av1".
    package var codec: String
    package var muted: Bool
    package init(trackID: TrackID, participantID: ParticipantID, kind: MediaKind, source: TrackSource, codec: String, muted: Bool) {
        self.trackID = trackID; self.participantID = participantID; self.kind = kind; self.source = source; self.codec = codec; self.muted = muted
    }
}

package enum RecordingState: String, Codable, Sendable, Hashable {
    case starting, recording, stopping, processing, ready, failed
    /// Told once, when its media and rows are gone; never stored.
    case deleted
}

/// What deleting a recording removed.
package struct RecordingRemoval: Codable, Sendable, Equatable {
    /// Files of the storage folder, and their bytes.
    package var objects: Int
    package var bytes: Int64
    /// Objects of the bucket; nil where there is none, or it did not answer.
    package var bucketObjects: Int?
    /// Of the recording, its files, jobs, tokens and compositions.
    package var rows: Int
    /// The bucket did not answer: its copy, and then the rows, go as soon as it does.
    package var isPending: Bool
    package init(objects: Int, bytes: Int64, bucketObjects: Int? = nil, rows: Int = 0, isPending: Bool = false) {
        self.objects = objects; self.bytes = bytes; self.bucketObjects = bucketObjects; self.rows = rows; self.isPending = isPending
    }
}

package struct RecordingStatus: Codable, Sendable, Hashable {
    package var recordingID: RecordingID
    package var roomID: RoomID
    package var state: RecordingState
    /// What went wrong, for `failed`; what is unusual otherwise.
    package var reason: String?
    /// Seconds captured; known once stopped.
    package var duration: Double?
    /// Bytes of the finished files.
    package var size: Int64?
    package var outputPath: String?
    /// Whom the host leaves out, and who of the room refuses; in order. Decided by the Room (docs/decisions/0039).
    package var excluded: [ParticipantID]?
    package var refused: [ParticipantID]?
    /// When everyone's own recorder begins, by the servers' clock; said while the recording runs.
    package var startAt: WallTime?
    package init(
        recordingID: RecordingID, roomID: RoomID, state: RecordingState, reason: String? = nil, duration: Double? = nil, size: Int64? = nil, outputPath: String? = nil,
        excluded: [ParticipantID]? = nil, refused: [ParticipantID]? = nil, startAt: WallTime? = nil
    ) {
        self.recordingID = recordingID; self.roomID = roomID; self.state = state; self.reason = reason
        self.duration = duration; self.size = size; self.outputPath = outputPath; self.excluded = excluded; self.refused = refused; self.startAt = startAt
    }
    /// Nothing of theirs is captured, whoever decided so.
    package var leftOut: Set<ParticipantID> { Set(excluded ?? []).union(refused ?? []) }
}

package struct ChatMessage: Codable, Sendable, Hashable {
    package var id: String
    package var from: ParticipantID
    package var name: String
    package var text: String
    package var at: WallTime
    package init(id: String, from: ParticipantID, name: String, text: String, at: WallTime) {
        self.id = id; self.from = from; self.name = name; self.text = text; self.at = at
    }
}

/// What happened in a room; numbered without holes by the Room that decided it.
package struct RoomEvent: Codable, Sendable, Hashable {
    package enum Kind: Codable, Sendable, Hashable {
        case participantJoined(ParticipantInfo)
        case participantLeft(ParticipantID, LeaveReason)
        case trackPublished(PublicationInfo)
        case trackUnpublished(TrackID, ParticipantID)
        /// The participant is attached at another edge now (`node`); it was never gone.
        case participantMoved(ParticipantInfo)
        /// The publication's packets come from another Router now; subscriptions go on.
        case trackMoved(TrackID, ParticipantID)
        case muted(TrackID, ParticipantID, Bool)
        case chat(ChatMessage)
        case recording(RecordingStatus)
        case ended
        /// Events were numbered that cannot be shown any more: the numbers `from` to `to` of an earlier epoch. This entry
        /// stands for the numbers from `first` to its own.
        case eventsLost(from: UInt64, to: UInt64, first: UInt64)
    }
    package var sequence: UInt64
    package var epoch: Epoch
    package var at: WallTime
    package var kind: Kind
    package init(sequence: UInt64, epoch: Epoch, at: WallTime, kind: Kind) {
        self.sequence = sequence; self.epoch = epoch; self.at = at; self.kind = kind
    }
}
