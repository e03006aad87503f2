// Tokens that work once: guests' invitations and the composition service's. Decision: docs/decisions/0032-jobs-and-tokens.md
import Primitives

package enum TokenKind: String, Codable, Sendable, Hashable { case guest, composition }

package enum TokenLimits {
    /// Bytes of a SHA-256.
    package static let hashBytes = 32
    /// Unused guest tokens of one room; one more is refused.
    package static let guestsPerRoom = 1_000
    /// Unused composition tokens of one recording; one more is refused.
    package static let perRecording = 100
    package static let scopes = 16
    package static let scopeBytes = 64
    package static let longestLife: Duration = .seconds(7 * 24 * 3600)
    /// After its end a token is remembered for so long, so that a replay is told from a token nobody made.
    package static let endedKept: Duration = .seconds(24 * 3600)
    /// Ended tokens one insertion removes.
    package static let removedAtOnce = 64
}

/// SHA-256 of a token's text: the text itself is never kept.
package struct TokenHash: Sendable, Hashable {
    package let bytes: [UInt8]
    /// - Returns: nil unless there are `TokenLimits.hashBytes`.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == TokenLimits.hashBytes else { return nil }
        self.bytes = bytes
    }
}

/// What a token was made for.
package struct TokenBinding: Sendable, Hashable {
    package var kind: TokenKind
    package var room: RoomID
    /// Of a composition token.
    package var recording: RecordingID?
    package init(kind: TokenKind, room: RoomID, recording: RecordingID? = nil) { self.kind = kind; self.room = room; self.recording = recording }
}

package struct TokenRecord: Sendable, Hashable {
    package var hash: TokenHash
    package var binding: TokenBinding
    /// What a request may do with it; no spaces in them.
    package var scopes: [String]
    /// Times are the store's.
    package var createdAt: WallTime
    package var expiresAt: WallTime
    package var burnedAt: WallTime?
    package init(hash: TokenHash, binding: TokenBinding, scopes: [String], createdAt: WallTime, expiresAt: WallTime, burnedAt: WallTime? = nil) {
        self.hash = hash; self.binding = binding; self.scopes = scopes; self.createdAt = createdAt; self.expiresAt = expiresAt; self.burnedAt = burnedAt
    }

    /// Why no store takes a token with these.
    package static func mistake(binding: TokenBinding, scopes: [String], life: Duration) -> String? {
        if (binding.kind == .composition) != (binding.recording != nil) { return "a composition token names its recording, and no other token does" }
        if scopes.count > TokenLimits.scopes { return "\(scopes.count) scopes; at most \(TokenLimits.scopes)" }
        for scope in scopes where scope.isEmpty || scope.utf8.count > TokenLimits.scopeBytes || scope.utf8.contains(where: { $0 <= 0x20 }) {
            return "a scope is 1 to \(TokenLimits.scopeBytes) bytes without spaces"
        }
        if life <= .zero || life > TokenLimits.longestLife { return "a token lives at most \(TokenLimits.longestLife), not \(life)" }
        return nil
    }

    /// Uses the token up, if it is good for this.
    /// - Parameter scope: what the request is about to do; nil where the kind says it all.
    package mutating func burn(_ binding: TokenBinding, scope: String?, now: WallTime) -> TokenBurn {
        guard self.binding == binding else { return .refused(.foreign) }
        if let burnedAt { return .refused(.burned(burnedAt)) }
        guard now < expiresAt else { return .refused(.expired(expiresAt)) }
        if let scope, !scopes.contains(scope) { return .refused(.outOfScope) }
        burnedAt = now
        return .burned(self)
    }
}

/// For the audit; a client is told no more than that its token does not admit it.
package enum TokenRefusal: Sendable, Hashable {
    /// Nobody made it, or its end was long ago, or its recording was deleted.
    case unknown
    case expired(WallTime)
    /// A replay.
    case burned(WallTime)
    /// Made for another room, recording or use; it stays good for its own.
    case foreign
    /// It stays good for what it may do.
    case outOfScope
}
package enum TokenBurn: Sendable, Hashable {
    case burned(TokenRecord)
    case refused(TokenRefusal)
}

package enum TokenInsertion: Sendable, Hashable {
    case inserted(TokenRecord)
    /// As many as `TokenLimits` allows are unused.
    case full
    /// There is no such room, or no such recording of it.
    case unknownPlace
}

/// Keeps tokens' hashes. Every call is bounded in time and throws `StoreError.away` where the store is.
package protocol TokenStore: Sendable {
    /// Throws `StoreError.conflict` for a hash that is there already.
    /// - Parameter life: from now on, by the store's clock; at most `TokenLimits.longestLife`.
    func insertToken(_ hash: TokenHash, for binding: TokenBinding, scopes: [String], life: Duration) async throws -> TokenInsertion
    /// Atomic: of any number that burn one token at once, one is answered `burned`. After `StoreError.away` it may have been burned.
    /// - Parameter binding: where it is presented.
    func burnToken(_ hash: TokenHash, for binding: TokenBinding, scope: String?) async throws -> TokenBurn
}
