// From a presented credential to what its bearer may do.
package import Conference
internal import Hashing
package import Primitives

/// Verifies tokens and mints those that `create` and `join` hand out. A value: the time is an argument.
package struct Authenticator: Sendable {
    package enum Limits {
        package static let tokenLifetime = Duration.seconds(12 * 3600)     // of tokens minted here
    }
    let keys: APIKeyring
    /// What a visitor without a token may do.
    let anonymous: Caller

    package init(keys: APIKeyring, anonymous: Caller) { self.keys = keys; self.anonymous = anonymous }

    /// The caller behind an `Authorization` header's value; anonymous without one.
    package func caller(authorization: String?, now: WallTime) throws(TokenError) -> Caller {
        guard let authorization else { return anonymous }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { throw .malformed }
        if SingleUseToken.isComposition(String(parts[1])) {
            var caller = Caller()
            caller.singleUse = SingleUseToken.hash(of: String(parts[1]))
            return caller
        }
        var caller = try caller(token: String(parts[1]), now: now)
        caller.canCreate = caller.canCreate || anonymous.canCreate
        caller.canJoin = caller.canJoin || anonymous.canJoin
        caller.canList = caller.canList || anonymous.canList
        return caller
    }
    /// The caller a token names, with exactly what it grants.
    package func caller(token: String, now: WallTime) throws(TokenError) -> Caller {
        let token = try AccessToken.verify(token, keys: keys, now: now)
        var caller = Caller()
        caller.identity = token.identity
        caller.room = token.room
        caller.canJoin = token.roomJoin
        caller.canCreate = token.roomCreate
        caller.canList = token.roomList
        caller.canAdmin = token.roomAdmin
        caller.canRecord = token.roomRecord
        caller.canPublish = token.canPublish ?? true
        caller.canSubscribe = token.canSubscribe ?? true
        caller.name = token.name
        caller.metadata = token.metadata
        return caller
    }
    /// A participant's token for one room; a host's also grants its administration and recording.
    package func mint(participant: ParticipantID, name: String, room: RoomID, isHost: Bool, now: WallTime) -> String {
        var token = AccessToken(expires: now + Limits.tokenLifetime)
        token.notBefore = now
        token.identity = participant.rawValue
        token.name = name
        token.room = room
        token.roomJoin = true
        token.roomAdmin = isHost
        token.roomRecord = isHost
        token.canPublish = true
        token.canSubscribe = true
        return token.signed(by: keys)
    }
    /// The participant a token's identity stands for. Ids appear in paths and storage keys, so an identity with other
    /// characters ("alice@example.com") is named by its digest; the same identity always by the same.
    package static func participant(identity: String) -> ParticipantID {
        let id = ParticipantID(identity)
        return id.isSafe ? id : ParticipantID("u_" + Digests.hex(Digests.sha256(Array(identity.utf8)).prefix(16)))
    }
}
