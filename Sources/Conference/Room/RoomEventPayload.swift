// A room event as the log keeps it: the type clients know it by, and a JSON object with the members of docs/protocol/*.json.
import Contracts
import Primitives

extension RoomEvent.Kind {
    package var logged: (type: String, payload: String) {
        var members = JSONMembers()
        switch self {
        case .participantJoined(let info):
            members.participant(info)
            return ("participant_joined", members.closed)
        case .participantLeft(let id, let reason):
            members.text("participant_id", id.rawValue)
            members.text("reason", reason.rawValue)
            return ("participant_left", members.closed)
        case .trackPublished(let info):
            members.object("publication") { inner in
                inner.text("track_id", info.trackID.rawValue)
                inner.text("participant_id", info.participantID.rawValue)
                inner.text("kind", info.kind.rawValue)
                inner.text("source", info.source.rawValue)
                inner.text("codec", info.codec)
                inner.raw("muted", "\(info.muted)")
            }
            return ("track_published", members.closed)
        case .participantMoved(let info):
            members.participant(info)
            return ("participant_moved", members.closed)
        case .trackMoved(let track, let participant):
            members.text("track_id", track.rawValue)
            members.text("participant_id", participant.rawValue)
            return ("track_moved", members.closed)
        case .trackUnpublished(let track, let participant):
            members.text("track_id", track.rawValue)
            members.text("participant_id", participant.rawValue)
            return ("track_unpublished", members.closed)
        case .muted(let track, let participant, let muted):
            members.text("track_id", track.rawValue)
            members.text("participant_id", participant.rawValue)
            members.raw("muted", "\(muted)")
            return ("muted", members.closed)
        case .chat(let chat):
            members.text("id", chat.id)
            members.text("from", chat.from.rawValue)
            members.text("name", chat.name)
            members.text("text", chat.text)
            return ("chat", members.closed)
        case .recording(let status):
            members.object("recording") { inner in
                inner.text("recording_id", status.recordingID.rawValue)
                inner.text("state", status.state.rawValue)
                inner.text("reason", status.reason)
                if let duration = status.duration, duration.isFinite { inner.raw("duration", "\(duration)") }
                if let size = status.size { inner.raw("size", "\(size)") }
                inner.text("output_path", status.outputPath)
                inner.ids("excluded", status.leftOut)
                inner.ids("refused", Set(status.refused ?? []))
            }
            return ("recording_status", members.closed)
        case .ended:
            members.text("reason", LeaveReason.ended.rawValue)
            return ("bye", members.closed)
        case .eventsLost(let from, let to, _):
            members.raw("from", "\(from)")
            members.raw("to", "\(to)")
            return (LoggedEvent.lostType, members.closed)
        }
    }
}

extension LoggedEvent {
    /// As the Room's log has it.
    init(_ event: RoomEvent) {
        let (type, payload) = event.kind.logged
        let first: UInt64? = if case .eventsLost(_, _, let first) = event.kind { first } else { nil }
        self.init(first: first, sequence: event.sequence, epoch: event.epoch, at: event.at, type: type, payload: LoggedEvent.bounded(payload))
    }
    /// `payload`, or what stands for one that is too large to be kept.
    static func bounded(_ payload: String) -> String { payload.utf8.count > Limits.payloadBytes ? #"{"omitted_bytes":\#(payload.utf8.count)}"# : payload }
}

/// Members of one JSON object (RFC 8259) as they are written.
private struct JSONMembers {
    private var text = "{"
    var closed: String { text + "}" }

    mutating func raw(_ name: String, _ value: String) {
        if text.utf8.count > 1 { text += "," }
        text += "\"\(name)\":\(value)"
    }
    /// Nothing for nil.
    mutating func text(_ name: String, _ value: String?) {
        if let value { raw(name, Self.quoted(value)) }
    }
    /// Nothing for none.
    mutating func ids(_ name: String, _ values: Set<ParticipantID>) {
        if !values.isEmpty { raw(name, "[" + values.sorted().map { Self.quoted($0.rawValue) }.joined(separator: ",") + "]") }
    }
    private static func quoted(_ value: String) -> String {
        var out = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\u{0}"..<"\u{20}", "\u{7F}":
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
    mutating func participant(_ info: ParticipantInfo) {
        object("participant") { inner in
            inner.text("id", info.id.rawValue)
            inner.text("name", info.name)
            inner.text("role", info.role.rawValue)
            inner.text("node", info.node.rawValue)
            inner.text("metadata", info.metadata)
            if let consent = info.recordingConsent { inner.raw("recording_consent", "\(consent)") }
        }
    }
    mutating func object(_ name: String, _ fill: (inout JSONMembers) -> Void) {
        var inner = JSONMembers()
        fill(&inner)
        raw(name, inner.closed)
    }
}
