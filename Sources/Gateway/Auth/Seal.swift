// JSON this cluster vouches for: whoever holds it cannot change it, and any node believes it without asking the store.
internal import Hashing
internal import Primitives

/// `base64url(JSON) "." base64url(HMAC-SHA256)`, under keys derived (HKDF, RFC 5869) from the API keys all nodes share, apart for each
/// purpose, so that what was sealed for one is worth nothing for another. A value.
struct Seal: Sendable {
    /// The newest first: it seals, all of them open.
    private let secrets: [[UInt8]]

    init(keys: APIKeyring, purpose: String) { secrets = keys.keys.map { Digests.hkdfSHA256(secret: $0.secret, info: Array(purpose.utf8)) } }

    func seal(_ json: JSON) -> String {
        let payload = Base64URL.encode(json.bytes)
        return payload + "." + Base64URL.encode(Digests.hmacSHA256(key: secrets[0], Array(payload.utf8)))
    }
    /// - Returns: nil for what was not sealed with these keys for this purpose.
    func open(_ text: String, within bytes: Int) -> JSON? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, text.utf8.count <= bytes, let given = Base64URL.decode(String(parts[1])) else { return nil }
        let payload = Array(parts[0].utf8)
        guard secrets.contains(where: { Digests.areEqual(Digests.hmacSHA256(key: $0, payload), given) }), let bytes = Base64URL.decode(String(parts[0])) else { return nil }
        return try? JSONParser.parse(bytes)
    }
}
