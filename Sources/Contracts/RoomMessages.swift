// What Rooms, Participants, Routers and Recordings tell each other across nodes.
import Cluster
import Primitives

/// Where a Router is: the actor to ask, and the media loop its pipes end at.
package struct RouterAddress: Codable, Sendable, Hashable {
    package var actor: ActorAddress
    package var node: NodeName
    package var incarnation: Incarnation
    /// Index of the media loop on its node.
    package var loop: Int
    package init(actor: ActorAddress, node: NodeName, incarnation: Incarnation, loop: Int) {
        self.actor = actor; self.node = node; self.incarnation = incarnation; self.loop = loop
    }
}

/// A publication with the way to its packets: what edges need beyond `PublicationInfo`.
package struct Publication: Codable, Sendable, Equatable {
    package var info: PublicationInfo
    /// The Router the publisher's transport is attached to; subscribers elsewhere open a pipe to it.
    package var router: RouterAddress
    /// The publisher's attachment under which it was published there; of two for one track the higher is the later.
    package var attachment: UInt64
    package init(info: PublicationInfo, router: RouterAddress, attachment: UInt64) { self.info = info; self.router = router; self.attachment = attachment }

    /// Whether `other` is the same track, described alike, from another place.
    package func isMoved(from other: Publication) -> Bool {
        (router != other.router || attachment != other.attachment) && info.participantID == other.info.participantID && info.codec == other.info.codec
            && info.kind == other.info.kind
    }
}

/// How an edge presents a participant to the Room: at the join, and again whenever the Room comes back under a new epoch.
package struct RoomAttachment: Codable, Sendable {
    package var participant: ParticipantInfo
    /// The `Participant` actor events are delivered to.
    package var edge: ActorAddress
    /// Zero at the first attachment of a client; the number the Room granted before otherwise.
    package var number: UInt64
    /// What this participant publishes now.
    package var publications: [Publication]
    /// What the edge knew last, so that a Room without memory can rebuild itself from its edges.
    package var known: RoomSnapshot?
    /// Set where a client comes back to continue an attachment at an edge that knows nothing of it.
    package var resume: ResumeClaim?
    /// The client's try that brought it to this edge; nil where it joins anew, and from edges of releases that do not say.
    package var origin: ClientTry?
    package init(
        participant: ParticipantInfo, edge: ActorAddress, number: UInt64, publications: [Publication], known: RoomSnapshot?, resume: ResumeClaim? = nil, origin: ClientTry? = nil
    ) {
        self.participant = participant; self.edge = edge; self.number = number; self.publications = publications; self.known = known; self.resume = resume; self.origin = origin
    }
}

/// Which of a client's connections one is: the greater of two was begun later, whoever is heard of first. The attachment its token
/// is of, by the room's epoch and number, and how often the client had tried with that; a token is of an attachment granted to a
/// connection before, so each connection that stood is greater than all before it.
package struct ClientTry: Codable, Comparable, Hashable, Sendable {
    package var epoch: Epoch
    package var number: UInt64
    package var attempt: UInt32
    package init(epoch: Epoch, number: UInt64, attempt: UInt32) { self.epoch = epoch; self.number = number; self.attempt = attempt }
    /// Nothing is known of it.
    package static let unknown = ClientTry(epoch: .none, number: 0, attempt: 0)
    /// A client that joined anew and was granted `number`: later than all tries with tokens of before.
    package static func join(in epoch: Epoch, granted number: UInt64) -> ClientTry { ClientTry(epoch: epoch, number: max(number, 1) - 1, attempt: .max) }
    package static func < (a: ClientTry, b: ClientTry) -> Bool { (a.epoch, a.number, a.attempt) < (b.epoch, b.number, b.attempt) }
}

/// What a returning client says about the attachment it continues; all but `lastSeen`, `attempt` and `isMove` are vouched for by its token.
package struct ResumeClaim: Codable, Sendable, Equatable {
    /// The room's epoch when the token was made, and the last event its edge knew.
    package var epoch: Epoch
    package var sequence: UInt64
    /// The last event the client has seen.
    package var lastSeen: UInt64
    /// Counts the client's tries: of two that arrive, the later one counts.
    package var attempt: UInt32
    /// The old connection still runs: it keeps carrying media until the new one does.
    package var isMove: Bool
    package init(epoch: Epoch, sequence: UInt64, lastSeen: UInt64, attempt: UInt32, isMove: Bool) {
        self.epoch = epoch; self.sequence = sequence; self.lastSeen = lastSeen; self.attempt = attempt; self.isMove = isMove
    }
}

/// The Room's answer to an attachment.
package struct RoomGrant: Codable, Sendable {
    /// `attachment` in it is the number granted.
    package var snapshot: RoomSnapshot
    /// Every event after `ResumeClaim.lastSeen`, in order; nil where the Room does not remember that far.
    package var missed: [RoomEvent]?
    /// The Room came back without memory a moment ago: whoever is not in the snapshot may still come.
    package var isSettling: Bool
    package init(snapshot: RoomSnapshot, missed: [RoomEvent]?, isSettling: Bool) { self.snapshot = snapshot; self.missed = missed; self.isSettling = isSettling }
}

/// A room at one sequence number.
package struct RoomSnapshot: Codable, Sendable {
    package var room: RoomRecord
    package var node: NodeName
    package var epoch: Epoch
    package var sequence: UInt64
    package var participants: [ParticipantInfo]
    package var publications: [Publication]
    package var recording: RecordingStatus?
    /// Granted to the caller by `attach`; zero for an onlooker.
    package var attachment: UInt64
    /// Entries up to `sequence` the store may lack: every edge keeps a copy of them.
    package var unwritten: [LoggedEvent]
    package init(
        room: RoomRecord, node: NodeName, epoch: Epoch, sequence: UInt64, participants: [ParticipantInfo], publications: [Publication], recording: RecordingStatus?, attachment: UInt64,
        unwritten: [LoggedEvent] = []
    ) {
        self.room = room; self.node = node; self.epoch = epoch; self.sequence = sequence; self.participants = participants
        self.publications = publications; self.recording = recording; self.attachment = attachment; self.unwritten = unwritten
    }
}

/// One thing a Room hands to an edge, in order.
package enum RoomDelivery: Codable, Sendable {
    /// A numbered event; a published track comes with the way to its packets.
    case event(RoomEvent, Publication?)
    /// The store has every entry up to this number: copies of them are not needed any more.
    case kept(through: UInt64)
    /// The Room learned of members or tracks from another edge's report: what an edge that came without a view has to catch up with.
    case refreshed(RoomSnapshot)
    /// Relayed signalling of a `p2p` room, passed through untouched.
    case relay(RelayedSignal)
    /// The Room cut this attachment: a newer one took its place, or the host removed the participant.
    case detached(LeaveReason)
}

package struct RelayedSignal: Codable, Sendable {
    package enum Kind: String, Codable, Sendable { case offer, answer, candidate }
    package var kind: Kind
    package var from: ParticipantID
    package var to: ParticipantID?
    /// SDP, or the candidate line.
    package var text: String
    package var sdpMid: String?
    package var sdpMLineIndex: Int?
    package init(kind: Kind, from: ParticipantID, to: ParticipantID?, text: String, sdpMid: String? = nil, sdpMLineIndex: Int? = nil) {
        self.kind = kind; self.from = from; self.to = to; self.text = text; self.sdpMid = sdpMid; self.sdpMLineIndex = sdpMLineIndex
    }
}

/// A Room's order to the Recording actor it chose.
package struct RecordingOrder: Codable, Sendable {
    package var recordingID: RecordingID
    package var snapshot: RoomSnapshot
    package var startedBy: ParticipantID?
    package init(recordingID: RecordingID, snapshot: RoomSnapshot, startedBy: ParticipantID?) {
        self.recordingID = recordingID; self.snapshot = snapshot; self.startedBy = startedBy
    }
}

/// One end of a packet flow between two media loops, as the side that receives there made it.
package struct PipeEnd: Codable, Sendable, Equatable {
    /// Of the loop's pipe socket.
    package var address: SocketAddress
    /// What packets sent to this end carry in their header.
    package var flow: UInt32
    /// AES-128 key for packets sent to this end, 16 bytes, never used by another flow. Travels only over the nodes' mutual TLS.
    package var key: [UInt8]
    /// Packets sent to this end may be marked as received by a retransmission (`PipePacket.Kind.recovered`); nil from a release that knows no mark.
    package var takesRecovered: Bool?
    package init(address: SocketAddress, flow: UInt32, key: [UInt8], takesRecovered: Bool? = nil) {
        self.address = address; self.flow = flow; self.key = key; self.takesRecovered = takesRecovered
    }
}

/// A Router asks the publisher's Router for one track.
package struct PipeRequest: Codable, Sendable {
    package var trackID: TrackID
    /// `Publication.attachment` of the source that is wanted.
    package var attachment: UInt64
    package var router: RouterAddress
    package var end: PipeEnd
    /// How the asking side wants packets of this track labelled.
    package var streamID: UInt32
    package init(trackID: TrackID, attachment: UInt64, router: RouterAddress, end: PipeEnd, streamID: UInt32) {
        self.trackID = trackID; self.attachment = attachment; self.router = router; self.end = end; self.streamID = streamID
    }
}

package struct PipeGrant: Codable, Sendable {
    package var end: PipeEnd
    package var media: PipedMedia
    package init(end: PipeEnd, media: PipedMedia) { self.end = end; self.media = media }
}

/// How the track's packets look: they cross unrewritten.
package struct PipedMedia: Codable, Sendable, Equatable {
    package struct PayloadType: Codable, Sendable, Equatable {
        package var number: UInt8
        package var codec: String
        package var rtx: UInt8?
        package init(number: UInt8, codec: String, rtx: UInt8?) { self.number = number; self.codec = codec; self.rtx = rtx }
    }
    package struct Encoding: Codable, Sendable, Equatable {
        package var rid: String?
        package var ssrc: UInt32?
        package var rtxSSRC: UInt32?
        package init(rid: String?, ssrc: UInt32?, rtxSSRC: UInt32?) { self.rid = rid; self.ssrc = ssrc; self.rtxSSRC = rtxSSRC }
    }
    package struct HeaderExtension: Codable, Sendable, Equatable {
        package var uri: String
        package var id: UInt8
        package init(uri: String, id: UInt8) { self.uri = uri; self.id = id }
    }
    package var kind: MediaKind
    package var payloadTypes: [PayloadType]
    package var encodings: [Encoding]
    package var extensions: [HeaderExtension]
    package init(kind: MediaKind, payloadTypes: [PayloadType], encodings: [Encoding], extensions: [HeaderExtension]) {
        self.kind = kind; self.payloadTypes = payloadTypes; self.encodings = encodings; self.extensions = extensions
    }
}
