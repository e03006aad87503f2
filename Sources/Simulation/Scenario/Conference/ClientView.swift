// A room as one client was told it is. A pure value.
import Cluster
import Conference
import Contracts
import Primitives

/// Fed with every message of one client's connections; says what no honest server would say.
struct ClientView {
    private(set) var me: ParticipantID?
    private(set) var epoch = Epoch.none
    private(set) var sequence: UInt64 = 0
    /// The first number that it knows of under its epoch, since it came.
    private(set) var since: UInt64 = 0
    private(set) var participants: Set<ParticipantID> = []
    private(set) var publications: [TrackID: PublicationInfo] = [:]
    /// Chat by its text, which no two messages share.
    private(set) var heard: Set<String> = []
    private(set) var ended = false

    enum Fault {
        case twice(String)
        case hole(String)
    }

    /// It came back. - Returns: what is wrong with what it is told it missed.
    mutating func resume(_ resumed: Resumed) -> [Fault] {
        // What the old connection still told it after it had asked is told again: it goes by the numbers.
        let faults = (resumed.missed ?? []).filter { $0.sequence > sequence }.compactMap { apply($0) }
        let known = heard
        welcome(resumed.welcome)
        heard = known
        return faults
    }
    mutating func welcome(_ welcome: Welcome) {
        me = welcome.participant.id
        epoch = welcome.session.epoch
        since = welcome.sequence
        sequence = welcome.sequence
        participants = Set(welcome.participants.map(\.id))
        publications = Dictionary(welcome.publications.map { ($0.trackID, $0) }, uniquingKeysWith: { $1 })
    }
    /// - Returns: what is wrong with this event coming now.
    mutating func apply(_ event: RoomEvent) -> Fault? {
        var fault: Fault?
        if event.epoch < epoch { fault = .twice("an event of epoch \(event.epoch.rawValue) after one of \(epoch.rawValue)") }
        if event.epoch > epoch { (epoch, since) = (event.epoch, event.sequence) }
        sequence = max(sequence, event.sequence)
        switch event.kind {
        case .participantJoined(let info): participants.insert(info.id)
        case .participantLeft(let id, _):
            participants.remove(id)
            publications = publications.filter { $0.value.participantID != id }
        case .trackPublished(let info): publications[info.trackID] = info
        case .trackUnpublished(let track, _): publications[track] = nil
        case .muted(let track, _, let muted): publications[track]?.muted = muted
        case .chat(let message):
            if !heard.insert(message.text).inserted { fault = .twice("chat `\(message.text)` a second time, at \(event.sequence) of epoch \(event.epoch.rawValue)") }
        case .ended: ended = true
        default: break
        }
        return fault
    }
}

/// A client's own words that were taken, but not kept: of which it, or its edge, can show that they were said. A pure value.
struct ClientWords {
    private struct Place {
        var epoch: Epoch
        var sequence: UInt64
    }
    private var places: [String: Place] = [:]
    private var unkept: Set<String> = []
    private var shown: [String] = []

    /// It came back as an event.
    mutating func heard(_ text: String, _ epoch: Epoch, _ sequence: UInt64) { places[text] = Place(epoch: epoch, sequence: sequence) }
    /// It was answered as not kept.
    mutating func unkept(_ text: String) { if places[text] != nil { unkept.insert(text) } }
    /// Its token was taken: what that covers is proven; nobody can tell of the rest any more.
    mutating func proven(by session: SessionFacts?) {
        for text in unkept.sorted() {
            guard let session, let place = places[text] else { continue }
            if (place.epoch, place.sequence) <= (session.epoch, session.sequence) { shown.append(text) }
        }
        unkept = []
    }
    /// It has no token of that time any more.
    mutating func forget() { (places, unkept) = ([:], []) }
    /// Those that the room's log must have, or tell the loss of.
    var promised: [String] { shown + unkept.sorted() }
}
