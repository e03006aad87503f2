// Leave to send one chunk: what `upload-url` gives out and the PUT brings back.
package import Conference
internal import Contracts
package import Primitives

/// Tickets are sealed (Seal.swift), name one chunk with everything that is known of it, and end soon. A value: the time is an argument.
package struct UploadTicket: Sendable {
    package enum Limits {
        /// A chunk of some megabytes over a slow line, and a pause before it is tried again.
        package static let lifetime = Duration.seconds(15 * 60)
        package static let bytes = 4096
    }
    package enum Verdict: Equatable, Sendable {
        case valid(ChunkOffer)
        case expired, invalid
    }
    private let seal: Seal
    package init(keys: APIKeyring) { seal = Seal(keys: keys, purpose: "troupe upload ticket v1") }

    package func make(_ offer: ChunkOffer, now: WallTime) -> String { seal.seal(Self.json(offer, expires: now + Limits.lifetime)) }

    package func open(_ text: String, now: WallTime) -> Verdict {
        guard let json = seal.open(text, within: Limits.bytes), let expires = json["x"]?.integer, let offer = Self.offer(json) else { return .invalid }
        return now.seconds < expires ? .valid(offer) : .expired
    }
    private static func json(_ offer: ChunkOffer, expires: WallTime) -> JSON {
        .compact([
            ("x", .integer(expires.seconds)), ("r", .string(offer.room.rawValue)), ("c", .string(offer.recording.rawValue)), ("p", .string(offer.participant.rawValue)),
            ("k", .string(offer.kind)), ("u", .string(offer.upload)), ("f", .integer(Int64(offer.firstSequence))), ("s", .integer(Int64(offer.sequence))),
            ("m", .string(offer.mediaType)), ("b", .integer(offer.startedAt)), ("e", .integer(offer.offsetUncertainty)), ("n", .text(offer.clock?.rawValue)),
            ("a", .integer(offer.at)), ("l", .int(offer.bytes)), ("h", .text(offer.sha256)),
        ])
    }
    private static func offer(_ json: JSON) -> ChunkOffer? {
        guard let room = json["r"]?.string, let recording = json["c"]?.string, let participant = json["p"]?.string, let kind = json["k"]?.string, let upload = json["u"]?.string,
            let first = json["f"]?.integer, let sequence = json["s"]?.integer, let type = json["m"]?.string, let started = json["b"]?.integer, let uncertainty = json["e"]?.integer,
            let at = json["a"]?.integer
        else { return nil }
        return ChunkOffer(
            room: RoomID(room), recording: RecordingID(recording), participant: ParticipantID(participant), kind: kind, upload: upload, firstSequence: Int(first), sequence: Int(sequence),
            mediaType: type, startedAt: started, offsetUncertainty: uncertainty, clock: json["n"]?.string.map { NodeName($0) }, at: at, bytes: json["l"]?.integer, sha256: json["h"]?.string)
    }
}
