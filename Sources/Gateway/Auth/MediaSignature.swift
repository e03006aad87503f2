// Signed, expiring URLs for recorded files: no raw storage path is ever open.
internal import Hashing
package import Primitives

/// Signs `/media/{key}` for a short while; every node with the same keys verifies it.
///
/// The signature is HMAC-SHA256 over "GET", the key and the expiry in seconds, under a secret derived from an API key,
/// so that a media signature is never a token's and the other way round.
package struct MediaSignature: Sendable {
    package enum Limits {
        package static let lifetime = Duration.seconds(15 * 60)
    }
    private let secrets: [[UInt8]]

    package init(keys: APIKeyring) {
        secrets = keys.keys.map { Digests.hmacSHA256(key: $0.secret, Array("troupe media url v1".utf8)) }
    }
    /// Path and query of the signed URL.
    package func path(for key: String, now: WallTime) -> String {
        let expires = (now + Limits.lifetime).seconds
        return "/media/" + PercentEncoding.encode(path: key) + "?exp=\(expires)&sig=" + Base64URL.encode(Self.digest(key, expires, secrets[0]))
    }
    package enum Verdict: Equatable, Sendable { case valid, expired, invalid }

    package func verify(key: String, expires: String?, signature: String?, now: WallTime) -> Verdict {
        guard let expires, let seconds = Int64(expires), seconds > 0, let signature, let given = Base64URL.decode(signature) else { return .invalid }
        guard secrets.contains(where: { Digests.areEqual(Self.digest(key, seconds, $0), given) }) else { return .invalid }
        return now.seconds < seconds ? .valid : .expired
    }
    private static func digest(_ key: String, _ expires: Int64, _ secret: [UInt8]) -> [UInt8] {
        Digests.hmacSHA256(key: secret, Array("GET\n\(key)\n\(expires)".utf8))
    }
}
