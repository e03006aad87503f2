// A line of a writer's notes, and the notes of several writers as one list.

import Primitives

/// One line of `events-{writer}.{n}.jsonl`. Fields an event does not need are left out; types this release does not know are kept in the
/// timeline as they are.
package struct RecordedEvent: Codable, Equatable, Sendable {
    /// The types we write. `type` stays a string so that a newer release's line is not lost.
    package enum Kind: String, Sendable {
        case recordingStarted = "recording_started"
        case recordingStopped = "recording_stopped"
        case participantJoined = "participant_joined"
        case participantLeft = "participant_left"
        case trackPublished = "track_published"
        case trackUnpublished = "track_unpublished"
        case muted
        case chat
        /// Left out of the recording from here on; `reason` is `host` or `refused`. And taken in again.
        case participantExcluded = "participant_excluded"
        case participantIncluded = "participant_included"
        /// Another writer took over, or the room's owner changed: explains what follows.
        case writerChanged = "writer_changed"
    }
    package var type: String
    /// Wall time on the clock of whoever decided the event.
    package var at: WallTime
    package var participant: ParticipantID?
    package var track: TrackID?
    package var name: String?
    package var role: String?
    package var kind: String?
    package var source: String?
    package var codec: String?
    package var muted: Bool?
    package var reason: String?
    package var text: String?
    package var node: String?
    package var epoch: UInt64?
    /// The Room's number of the event; none where it is not the Room's.
    package var sequence: UInt64?

    package init(_ kind: Kind, at: WallTime, participant: ParticipantID? = nil, track: TrackID? = nil, name: String? = nil) {
        type = kind.rawValue
        self.at = at; self.participant = participant; self.track = track; self.name = name
    }

    enum CodingKeys: String, CodingKey {
        case type, name, role, kind, source, codec, muted, reason, text, node, epoch, sequence
        case at = "at_us", participant = "participant_id", track = "track_id"
    }
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        type = try values.decode(String.self, forKey: .type)
        at = WallTime(microseconds: try values.decode(Int64.self, forKey: .at))
        participant = try values.decodeIfPresent(ParticipantID.self, forKey: .participant)
        track = try values.decodeIfPresent(TrackID.self, forKey: .track)
        name = try values.decodeIfPresent(String.self, forKey: .name)
        role = try values.decodeIfPresent(String.self, forKey: .role)
        kind = try values.decodeIfPresent(String.self, forKey: .kind)
        source = try values.decodeIfPresent(String.self, forKey: .source)
        codec = try values.decodeIfPresent(String.self, forKey: .codec)
        muted = try values.decodeIfPresent(Bool.self, forKey: .muted)
        reason = try values.decodeIfPresent(String.self, forKey: .reason)
        text = try values.decodeIfPresent(String.self, forKey: .text)
        node = try values.decodeIfPresent(String.self, forKey: .node)
        epoch = try values.decodeIfPresent(UInt64.self, forKey: .epoch)
        sequence = try values.decodeIfPresent(UInt64.self, forKey: .sequence)
    }
    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(type, forKey: .type)
        try values.encode(at.microseconds, forKey: .at)
        try values.encodeIfPresent(participant, forKey: .participant)
        try values.encodeIfPresent(track, forKey: .track)
        try values.encodeIfPresent(name, forKey: .name)
        try values.encodeIfPresent(role, forKey: .role)
        try values.encodeIfPresent(kind, forKey: .kind)
        try values.encodeIfPresent(source, forKey: .source)
        try values.encodeIfPresent(codec, forKey: .codec)
        try values.encodeIfPresent(muted, forKey: .muted)
        try values.encodeIfPresent(reason, forKey: .reason)
        try values.encodeIfPresent(text, forKey: .text)
        try values.encodeIfPresent(node, forKey: .node)
        try values.encodeIfPresent(epoch, forKey: .epoch)
        try values.encodeIfPresent(sequence, forKey: .sequence)
    }
}

extension RecordedEvent {
    /// What several writers noted of one room: an event is told once, and what changes nothing is not told.
    ///
    /// A writer that came later, or missed something, learns of it from a snapshot and notes it under another number: so joins, leaves,
    /// publications and mutes count by what they change, in order of time; the rest by epoch, number and text.
    package static func merge(_ notes: [[RecordedEvent]]) -> [RecordedEvent] {
        var states: [State: Bool] = [:], told: Set<Key> = []
        let all = notes.joined().enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
        return all.filter { event in
            if let (state, value) = event.change { return states.updateValue(value, forKey: state) != value }
            guard let sequence = event.sequence else { return true }
            return told.insert(Key(epoch: event.epoch, sequence: sequence, type: event.type, text: event.text)).inserted
        }
    }
    private struct Key: Hashable { var epoch: UInt64?, sequence: UInt64, type: String, text: String? }
    private enum State: Hashable { case present(ParticipantID), published(TrackID), muted(TrackID), excluded(ParticipantID) }

    /// Which fact it sets, and to what.
    private var change: (State, Bool)? {
        switch Kind(rawValue: type) {
        case .participantJoined: participant.map { (.present($0), true) }
        case .participantLeft: participant.map { (.present($0), false) }
        case .trackPublished: track.map { (.published($0), true) }
        case .trackUnpublished: track.map { (.published($0), false) }
        case .muted: muted.flatMap { value in track.map { (.muted($0), value) } }
        case .participantExcluded: participant.map { (.excluded($0), true) }
        case .participantIncluded: participant.map { (.excluded($0), false) }
        case .recordingStarted, .recordingStopped, .chat, .writerChanged, nil: nil
        }
    }
}
