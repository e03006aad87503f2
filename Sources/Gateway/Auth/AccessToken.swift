// Access tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256 (RFC 7518 section 3.2), whose `video` grant has the
// field's usual claims, so that token libraries people already have mint tokens that work here.
internal import Hashing
package import Primitives

package enum TokenError: Error, Equatable, Sendable, CustomStringConvertible {
    case malformed, unsupportedAlgorithm, unknownKey, badSignature, noExpiry, expired, notYetValid

    package var description: String {
        switch self {
        case .malformed: "the token is not a JSON Web Token; send the one `join` gave or mint one with an API key"
        case .unsupportedAlgorithm: "the token is not signed with HS256; sign it with HS256"
        case .unknownKey: "the token's `iss` is not a live API key; mint it with a current key"
        case .badSignature: "the token's signature does not match its key"
        case .noExpiry: "the token has no `exp`; mint one that expires"
        case .expired: "the token has expired; join again or mint a new one"
        case .notYetValid: "the token is not valid yet; check the clock of the machine that minted it"
        }
    }
}

/// What a token says, in our words. `nil` grants are those the token does not mention.
package struct AccessToken: Sendable, Equatable {
    package enum Limits {
        package static let bytes = 8192
        package static let clockSkew = Duration.seconds(30)      // between who mints and who verifies
    }
    package var issuer = ""
    package var identity: String?
    package var name: String?
    package var metadata: String?
    package var notBefore: WallTime?
    package var expires: WallTime
    package var room: RoomID?
    package var roomJoin = false
    package var roomCreate = false
    package var roomList = false
    package var roomAdmin = false
    package var roomRecord = false
    package var canPublish: Bool?
    package var canSubscribe: Bool?
    package var canPublishData: Bool?
    package var hidden = false
    package var recorder = false
    package init(expires: WallTime) { self.expires = expires }
}

extension AccessToken {
    /// Signs with the ring's newest key.
    package func signed(by ring: APIKeyring) -> String {
        let header: JSON = ["alg": "HS256", "typ": "JWT"]
        let input = Base64URL.encode(header.bytes) + "." + Base64URL.encode(claims(issuer: ring.signing.id).bytes)
        return input + "." + Base64URL.encode(Digests.hmacSHA256(key: ring.signing.secret, Array(input.utf8)))
    }
    private func claims(issuer: String) -> JSON {
        let video = JSON.compact([
            ("room", .text(room?.rawValue)), ("roomJoin", Self.flag(roomJoin)), ("roomCreate", Self.flag(roomCreate)),
            ("roomList", Self.flag(roomList)), ("roomAdmin", Self.flag(roomAdmin)), ("roomRecord", Self.flag(roomRecord)),
            ("canPublish", canPublish.map { .bool($0) }), ("canSubscribe", canSubscribe.map { .bool($0) }),
            ("canPublishData", canPublishData.map { .bool($0) }), ("hidden", Self.flag(hidden)), ("recorder", Self.flag(recorder)),
        ])
        return .compact([
            ("iss", .string(issuer)), ("sub", .text(identity)), ("name", .text(name)), ("metadata", .text(metadata)),
            ("nbf", .int(notBefore?.seconds)), ("exp", .integer(expires.seconds)), ("video", video),
        ])
    }
    private static func flag(_ value: Bool) -> JSON? { value ? true : nil }

    /// Verifies the signature before anything but `iss` is believed, then the times.
    package static func verify(_ text: String, keys: APIKeyring, now: WallTime) throws(TokenError) -> AccessToken {
        guard text.utf8.count <= Limits.bytes else { throw .malformed }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = part(parts[0]), let claims = part(parts[1]), let signature = Base64URL.decode(parts[2]) else { throw .malformed }
        // RFC 7515 section 4.1.11: an extension we do not know but must understand. Section 4.1.1: never the sender's choice of algorithm.
        guard header["alg"]?.string == "HS256", header["crit"] == nil else { throw .unsupportedAlgorithm }
        guard let key = keys.key(claims["iss"]?.string ?? "") else { throw .unknownKey }
        let expected = Digests.hmacSHA256(key: key.secret, Array("\(parts[0]).\(parts[1])".utf8))
        guard Digests.areEqual(expected, signature) else { throw .badSignature }
        return try read(claims, now: now)
    }
    private static func part(_ text: Substring) -> JSON? {
        guard let bytes = Base64URL.decode(text), let json = try? JSONParser.parse(bytes), case .object = json else { return nil }
        return json
    }
    private static func read(_ claims: JSON, now: WallTime) throws(TokenError) -> AccessToken {
        guard let expires = try time(claims["exp"]) else { throw .noExpiry }
        guard now < expires + Limits.clockSkew else { throw .expired }
        var token = AccessToken(expires: expires)
        token.notBefore = try time(claims["nbf"])
        if let notBefore = token.notBefore, now + Limits.clockSkew < notBefore { throw .notYetValid }
        token.issuer = claims["iss"]?.string ?? ""
        token.identity = claims["sub"]?.string ?? claims["identity"]?.string
        token.name = claims["name"]?.string
        token.metadata = claims["metadata"]?.string
        let video = claims["video"]
        func flag(_ name: String) -> Bool { video?[name]?.bool ?? false }
        token.room = video?["room"]?.string.flatMap { $0.isEmpty ? nil : RoomID($0) }
        token.roomJoin = flag("roomJoin")
        token.roomCreate = flag("roomCreate")
        token.roomList = flag("roomList")
        token.roomAdmin = flag("roomAdmin")
        token.roomRecord = flag("roomRecord")
        token.canPublish = video?["canPublish"]?.bool
        token.canSubscribe = video?["canSubscribe"]?.bool
        token.canPublishData = video?["canPublishData"]?.bool
        token.hidden = flag("hidden")
        token.recorder = flag("recorder")
        return token
    }
    /// RFC 7519 section 2, NumericDate: seconds, perhaps with a fraction. Clamped to where `WallTime` can reckon.
    private static func time(_ value: JSON?) throws(TokenError) -> WallTime? {
        guard let value, value != .null else { return nil }
        guard let seconds = value.double else { throw .malformed }
        return WallTime(seconds: Int64(min(max(seconds, 0), 253_402_300_799)))
    }
}
