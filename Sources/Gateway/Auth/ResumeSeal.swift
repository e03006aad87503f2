// Resume tokens: what an edge vouches for about a session, for any other edge to believe without asking the store.
package import Conference
internal import Contracts
package import Primitives

/// Seals and opens them: `base64url(JSON) "." base64url(HMAC-SHA256)`, under keys derived (HKDF, RFC 5869) from the API keys all nodes
/// share, so that a resume token is never an access token's signature and the other way round. A value: the time is an argument.
///
/// Renewed with every heartbeat; a token says which attachment of which participant it continues and expires soon.
package struct ResumeSeal: Sendable {
    package enum Limits {
        /// A client that was away longer joins afresh.
        package static let lifetime = Duration.seconds(120)
        package static let tokenBytes = 4096
    }
    private static let label = Array("troupe resume token v1".utf8)
    /// The newest first: it seals, all of them open.
    private let secrets: [[UInt8]]

    package init(keys: APIKeyring) { secrets = keys.keys.map { Digests.hkdfSHA256(secret: $0.secret, info: Self.label) } }

    package func seal(_ session: SessionFacts, now: WallTime) -> String {
        let payload = Base64URL.encode(Self.json(session, expires: now + Limits.lifetime).bytes)
        return payload + "." + Base64URL.encode(Digests.hmacSHA256(key: secrets[0], Array(payload.utf8)))
    }

    /// - Returns: nil for what was not sealed with these keys, has expired, or is of a release that says more than this one knows.
    package func open(_ token: String, now: WallTime) -> SessionFacts? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, token.utf8.count <= Limits.tokenBytes, let given = Base64URL.decode(String(parts[1])) else { return nil }
        let payload = Array(parts[0].utf8)
        guard secrets.contains(where: { Digests.areEqual(Digests.hmacSHA256(key: $0, payload), given) }), let bytes = Base64URL.decode(String(parts[0])),
            let json = try? JSONParser.parse(bytes), let expires = json["x"]?.integer, now.seconds < expires
        else { return nil }
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
