// Resume tokens: what an edge vouches for about a session, for any other edge to believe without asking the store.
package import Conference
internal import Contracts
internal import Hashing
package import Primitives

/// Seals and opens them (Seal.swift). A value: the time is an argument.
///
/// Renewed with every heartbeat; a token says which attachment of which participant it continues and expires soon.
package struct ResumeSeal: Sendable {
    package enum Limits {
        /// A client that was away longer joins afresh.
        package static let lifetime = Duration.seconds(120)
        package static let tokenBytes = 4096
    }
    private let seal: Seal

    package init(keys: APIKeyring) { seal = Seal(keys: keys, purpose: "troupe resume token v1") }

    package func seal(_ session: SessionFacts, now: WallTime) -> String { seal.seal(Self.json(session, expires: now + Limits.lifetime)) }

    /// - Returns: nil for what was not sealed with these keys, has expired, or is of a release that says more than this one knows.
    package func open(_ token: String, now: WallTime) -> SessionFacts? {
        guard let json = seal.open(token, within: Limits.tokenBytes), let expires = json["x"]?.integer, now.seconds < expires else { return nil }
        return Self.session(json)
    }

    private static func json(_ session: SessionFacts, expires: WallTime) -> JSON {
        .compact([
            ("x", .integer(expires.seconds)), ("r", .string(session.roomID.rawValue)), ("o", .string(session.mode.rawValue)), ("p", .string(session.participantID.rawValue)),
            ("n", .string(session.name)), ("h", .bool(session.role == .host)), ("j", .string(String(session.joinedAt.microseconds))), ("m", .text(session.metadata)),
            ("u", .bool(session.autoSubscribe)), ("a", .string(String(session.attachment))), ("e", .string(String(session.epoch.rawValue))), ("s", .string(String(session.sequence))), ("c", session.recordingConsent.map { .bool($0) }),
        ])
    }
    private static func session(_ json: JSON) -> SessionFacts? {
        func number(_ key: String) -> UInt64? { json[key]?.string.flatMap { UInt64($0) } }
        guard let room = json["r"]?.string, let mode = json["o"]?.string.flatMap(SessionMode.init(rawValue:)), let participant = json["p"]?.string, let name = json["n"]?.string,
            let isHost = json["h"]?.bool, let joined = json["j"]?.string.flatMap({ Int64($0) }), let subscribes = json["u"]?.bool, let attachment = number("a"),
            let epoch = number("e"), let sequence = number("s")
        else { return nil }
        return SessionFacts(
            roomID: RoomID(room), mode: mode, participantID: ParticipantID(participant), name: name, role: isHost ? .host : .guest,
            joinedAt: WallTime(microseconds: joined), metadata: json["m"]?.string, autoSubscribe: subscribes, attachment: attachment, epoch: Epoch(epoch), sequence: sequence,
            recordingConsent: json["c"]?.bool)
    }
}
