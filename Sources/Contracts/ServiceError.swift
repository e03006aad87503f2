// How the conference and its operations refuse: what callers on every wire are told.

/// A typed refusal; gateways turn it into status and body.
package struct ServiceError: Error, Codable, Sendable, Equatable {
    package enum Kind: String, Codable, Sendable {
        case malformed, unauthenticated, forbidden, notFound, conflict, ended, tooLarge, unsupported, rateLimited, unavailable
    }
    package var kind: Kind
    /// `snake_case`, stable: part of the contract.
    package var code: String
    /// What to do about it.
    package var message: String
    package init(_ kind: Kind, code: String, message: String) { self.kind = kind; self.code = code; self.message = message }
}
