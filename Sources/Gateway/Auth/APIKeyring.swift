// The API keys of the topology: whoever holds one mints tokens; several live at once, for rotation.

package struct APIKey: Sendable, Equatable {
    /// A token's `iss`.
    package let id: String
    let secret: [UInt8]
    package init(id: String, secret: String) { self.init(id: id, secretBytes: Array(secret.utf8)) }
    package init(id: String, secretBytes: [UInt8]) { self.id = id; secret = secretBytes }
}

/// Live keys, the newest first: it signs, all of them verify.
package struct APIKeyring: Sendable {
    package let keys: [APIKey]

    package init(_ keys: [APIKey]) throws(GatewayError) {
        guard !keys.isEmpty else { throw .noKeys }
        for key in keys where key.id.isEmpty || key.secret.isEmpty { throw .emptyKey(key.id) }
        for (i, key) in keys.enumerated() where keys[..<i].contains(where: { $0.id == key.id }) { throw .duplicateKey(key.id) }
        self.keys = keys
    }
    /// The key that signs.
    var signing: APIKey { keys[0] }
    func key(_ id: String) -> APIKey? { keys.first { $0.id == id } }
}
