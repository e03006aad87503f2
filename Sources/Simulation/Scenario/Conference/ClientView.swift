// A room as one client was told it is. A pure value.
import Conference
import Contracts
import Primitives

/// Fed with every message of one client's connections; says what no honest server would say.
struct ClientView {
    private(set) var me: ParticipantID?
    private(set) var epoch = Epoch.none
    private(set) var sequence: UInt64 = 0
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
        epoch = .none
        sequence = welcome.sequence
        participants = Set(welcome.participants.map(\.id))
        publications = Dictionary(welcome.publications.map { ($0.trackID, $0) }, uniquingKeysWith: { $1 })
    }
    /// - Returns: what is wrong with this event coming now.
    mutating func apply(_ event: RoomEvent) -> Fault? {
        var fault: Fault?
        if event.epoch < epoch { fault = .twice("an event of epoch \(event.epoch.rawValue) after one of \(epoch.rawValue)") }
        epoch = max(epoch, event.epoch)
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
