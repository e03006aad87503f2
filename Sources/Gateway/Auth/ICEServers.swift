// The STUN and TURN servers clients are given, with credentials that end by themselves.
internal import Conference
internal import Contracts
internal import Hashing
internal import Primitives

/// A server of the topology's `turn`.
package struct TURNService: Sendable {
    package let urls: [String]
    /// Shared with the TURN server (coturn's `static-auth-secret`); nothing for STUN alone.
    package let secret: [UInt8]
    package init(urls: [String], secret: [UInt8]) { self.urls = urls; self.secret = secret }
}

/// Credentials by time, as TURN servers take them: the user name is `EXPIRY:PARTICIPANT`, its password HMAC-SHA1 of that under the
/// shared secret, in base64 (draft-uberti-behave-turn-rest-00 §2.2).
struct ICEServers: Sendable {
    enum Limits {
        /// How long a credential opens new allocations; those that are open go on.
        static let life = Duration.seconds(12 * 3600)
    }
    let services: [TURNService]

    func json(for participant: ParticipantID, now: WallTime) -> JSON {
        .array(services.map { service in
            let urls = JSON.array(service.urls.map { .string($0) })
            guard !service.secret.isEmpty, service.urls.contains(where: { $0.hasPrefix("turn") }) else { return ["urls": urls] }
            let user = "\((now + Limits.life).seconds):\(participant)"
            return ["urls": urls, "username": .string(user), "credential": .string(Digests.base64(Digests.hmacSHA1(key: service.secret, Array(user.utf8))))]
        })
    }
}
