// A room as one edge knows it: the last snapshot, kept current by the Room's events. A pure value.
import Cluster
import Contracts
import Primitives

struct RoomView {
    var protections = Protections.all
    /// Of a room that is resumed only the id and the mode are right until the first snapshot.
    private(set) var room: RoomRecord
    private(set) var node: NodeName
    private(set) var epoch = Epoch.none
    private(set) var sequence: UInt64 = 0
    private(set) var participants: [ParticipantID: ParticipantInfo] = [:]
    private(set) var publications: [TrackID: Publication] = [:]
    private(set) var recording: RecordingStatus?
    /// Copies of entries the store may lack, contiguous up to `sequence`: for a Room that has to go on without its log.
    private(set) var copied: [LoggedEvent] = []
    private(set) var heard: [RoomEvent] = []

    enum Limits {
        /// Events; beyond it the older half goes, and with it what it could prove.
        static let heard = 4_096
    }

    init(room: RoomRecord, node: NodeName) {
        self.room = room
        self.node = node
    }

    /// - Returns: false for an event of an older epoch or one already applied: a repeated delivery.
    mutating func apply(_ event: RoomEvent, _ publication: Publication?) -> Bool {
        guard event.epoch == epoch || !protections.contains(.epochCheck), event.sequence > sequence || !protections.contains(.eventDedup) else { return false }
        sequence = event.sequence
        keep(event)
        switch event.kind {
        case .participantJoined(let info), .participantMoved(let info): participants[info.id] = info
        case .participantLeft(let id, _): participants[id] = nil
        case .trackPublished(let info): if let publication { publications[info.trackID] = publication }
        case .trackMoved(let track, _): if let publication { publications[track] = publication }
        case .trackUnpublished(let track, _): publications[track] = nil
        case .muted(let track, _, let muted): publications[track]?.info.muted = muted
        case .recording(let status): if status.replaces(recording) { recording = status }
        case .chat, .ended, .eventsLost: break
        }
        return true
    }
    private mutating func keep(_ event: RoomEvent) {
        if heard.count == Limits.heard { heard.removeFirst(Limits.heard / 2) }
        heard.append(event)
    }
    /// The store has everything up to this number.
    mutating func kept(through number: UInt64) {
        copied.removeAll { $0.sequence <= number }
        heard.removeFirst(heard.prefix { $0.sequence <= number }.count)
    }

    /// Takes a fresh snapshot. - Returns: what a client that knew the old state must be told, in order.
    mutating func replace(by snapshot: RoomSnapshot, at wall: WallTime) -> [(RoomEvent, Publication?)] {
        var kinds: [(RoomEvent.Kind, Publication?)] = []
        let nextParticipants = Dictionary(snapshot.participants.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        let nextPublications = Dictionary(snapshot.publications.map { ($0.info.trackID, $0) }, uniquingKeysWith: { $1 })
        for (track, old) in publications.sorted(by: { $0.key < $1.key }) where nextPublications[track].map({ !Self.isSameTrack($0, old) }) ?? true {
            kinds.append((.trackUnpublished(track, old.info.participantID), nil))
        }
        for id in participants.keys.sorted() where nextParticipants[id] == nil { kinds.append((.participantLeft(id, .nodeLost), nil)) }
        for info in snapshot.participants where participants[info.id] != info {
            kinds.append((participants[info.id] == nil ? .participantJoined(info) : .participantMoved(info), nil))
        }
        for publication in snapshot.publications {
            let track = publication.info.trackID
            guard let old = publications[track], Self.isSameTrack(publication, old) else {
                kinds.append((.trackPublished(publication.info), publication))
                continue
            }
            if publication.isMoved(from: old) { kinds.append((.trackMoved(track, publication.info.participantID), publication)) }
            if old.info.muted != publication.info.muted { kinds.append((.muted(track, publication.info.participantID, publication.info.muted), nil)) }
        }
        if let status = snapshot.recording, status != recording { kinds.append((.recording(status), nil)) }
        if snapshot.epoch != epoch || snapshot.sequence != sequence { (copied, heard) = (snapshot.unwritten, []) }
        room = snapshot.room
        node = snapshot.node
        epoch = snapshot.epoch
        sequence = snapshot.sequence
        participants = nextParticipants
        publications = nextPublications
        recording = snapshot.recording
        return kinds.map { (RoomEvent(sequence: snapshot.sequence, epoch: snapshot.epoch, at: wall, kind: $0.0), $0.1) }
    }

    /// Whether subscriptions to `old` go on with `new`.
    private static func isSameTrack(_ new: Publication, _ old: Publication) -> Bool {
        (new.router == old.router && new.attachment == old.attachment && new.info.codec == old.info.codec) || new.isMoved(from: old)
    }

    /// For a Room that has to rebuild itself.
    var asSnapshot: RoomSnapshot {
        RoomSnapshot(
            room: room, node: node, epoch: epoch, sequence: sequence,
            participants: participants.values.sorted { ($0.joinedAt, $0.id) < ($1.joinedAt, $1.id) },
            publications: publications.values.sorted { $0.info.trackID < $1.info.trackID }, recording: recording, attachment: 0,
            unwritten: copied + heard.map(LoggedEvent.init))
    }

    func welcome(for participant: ParticipantInfo, session: SessionFacts, nodes: [String]) -> Welcome {
        let snapshot = asSnapshot
        return Welcome(
            roomID: room.id, title: room.title, mode: room.mode, participant: participant, participants: snapshot.participants,
            publications: snapshot.publications.map(\.info), recording: recording, session: session,
            pingInterval: Participant.Limits.pingInterval, node: participant.node, nodes: nodes,
            maxParticipants: room.maxParticipants, sequence: sequence)
    }
}
