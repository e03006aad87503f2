// Answering a connectivity check (RFC 8445 §7.3): the same for a lite and a full agent.
internal import Primitives

/// What became of a Binding request.
enum BindingVerdict {
    /// Valid: send the success response; the sender is authenticated.
    case valid(response: [UInt8])
    /// Invalid: send the error response, if any, and count the reason.
    case invalid(response: [UInt8]?, ICEDrop)
}

/// Why a STUN datagram changed nothing.
package enum ICEDrop: Sendable, Equatable {
    case malformed(STUNError)
    /// No FINGERPRINT, MESSAGE-INTEGRITY or USERNAME where ICE demands one (RFC 8445 §7.1).
    case incomplete
    /// The USERNAME names another session's fragment.
    case unknownFragment
    /// MESSAGE-INTEGRITY made with another password.
    case notAuthentic
    /// An attribute that had to be understood was not (answered 420).
    case unknownAttribute
    /// Both sides say they are controlled, or both controlling (answered 487).
    case roleConflict
    /// A response that answers nothing we asked, or from elsewhere than we asked.
    case unexpectedResponse
    /// An error response to one of our checks.
    case refused(UInt16)
    /// Another method, or an indication: legal and without effect.
    case ignored
}

enum BindingResponder {
    /// Judges a request that came from `source`.
    /// - Parameters:
    ///   - local: the credentials the USERNAME's first half may name; the one named must authenticate the message.
    ///   - conflicts: whether the message's role attribute contradicts ours (RFC 8445 §7.3.1.1).
    static func answer(_ request: STUN.Message, from source: SocketAddress, local: KeyedCredentials, conflicts: Bool) -> BindingVerdict {
        // RFC 8489 §9.1.3: 400 without integrity or user name, 401 for a wrong one; neither response can be authenticated.
        guard request.hasFingerprint else { return .invalid(response: nil, .incomplete) }
        guard request.hasIntegrity, request.username != nil else { return .invalid(response: failure(request, 400, "Bad Request", nil), .incomplete) }
        guard request.isAuthentic(local.key) else { return .invalid(response: failure(request, 401, "Unauthenticated", nil), .notAuthentic) }
        guard request.unknownRequired.isEmpty else {
            return .invalid(response: failure(request, 420, "Unknown Attribute", local.key), .unknownAttribute)
        }
        if conflicts { return .invalid(response: failure(request, 487, "Role Conflict", local.key), .roleConflict) }
        var writer = STUN.Writer(.success, transaction: request.transaction)
        writer.xorMappedAddress(source)
        return .valid(response: writer.finish(key: local.key))
    }

    private static func failure(_ request: STUN.Message, _ code: UInt16, _ reason: String, _ key: HMACSHA1?) -> [UInt8] {
        var writer = STUN.Writer(.failure, transaction: request.transaction)
        writer.errorCode(code, reason)
        if code == 420 { writer.unknownAttributes(request.unknownRequired) }
        return writer.finish(key: key)
    }

    /// Whether a request's USERNAME begins with `fragment` and a colon.
    static func names(_ fragment: String, _ request: STUN.Message) -> Bool {
        guard let username = request.username, let colon = username.firstIndex(of: UInt8(ascii: ":")) else { return false }
        return username[..<colon].elementsEqual(fragment.utf8)
    }
}
