// The file of API keys: `ID: secret` lines, YAML, the first of which signs this cluster's own tokens.
package import Configuration
internal import Glibc
package import Primitives

/// The live API keys, in the file's order. Format as LiveKit's key file, so that one file serves both.
package struct KeysFile: Equatable, Sendable {
    package struct Key: Equatable, Sendable {
        package var id: String
        package var secret: String
        package init(id: String, secret: String) { self.id = id; self.secret = secret }
    }
    package enum Limits {
        package static let keys = 32
        /// Bytes: HMAC with SHA-256 wants a key no shorter than its output (RFC 7518 §3.2).
        package static let secretBytesMin = 32
        package static let secretBytesMax = 512
        /// Characters of 5 bits each.
        package static let madeIDCharacters = 12
        package static let madeSecretCharacters = 52
    }
    package var keys: [Key]
    package init(keys: [Key]) { self.keys = keys }

    package static func load(path: String) throws(FileError) -> KeysFile {
        guard let bytes = try PrivateFile.read(path) else { throw FileError("\(path) is not there; run `troupe keys --topology FILE` to make it") }
        try PrivateFile.requirePrivate(path)
        return try parse(bytes, file: path)
    }

    package static func parse(_ bytes: [UInt8], file: String) throws(FileError) -> KeysFile {
        func refuse(_ position: TextPosition, _ text: String) -> FileError { FileError("\(file):\(position.line):\(position.column): \(text)") }
        let tree: YAMLTree
        do throws(TopologyMistake) { tree = try YAMLReader.read(bytes) } catch { throw refuse(error.position, error.text) }
        guard case .mapping(let entries) = tree.content, (1...Limits.keys).contains(entries.count) else {
            throw refuse(tree.position, "expected 1 to \(Limits.keys) lines `ID: SECRET`; remove the file and run `troupe keys` for a new one")
        }
        var keys: [Key] = []
        for entry in entries {
            guard case .scalar(let secret, _) = entry.value.content, (Limits.secretBytesMin...Limits.secretBytesMax).contains(secret.utf8.count) else {
                throw refuse(entry.value.position, "the secret of `\(entry.key)` must have \(Limits.secretBytesMin) to \(Limits.secretBytesMax) bytes; `head -c 32 /dev/urandom | base64` makes one")
            }
            keys.append(Key(id: entry.key, secret: secret))
        }
        return KeysFile(keys: keys)
    }

    /// A file with one new key.
    package static func create(random: any RandomSource) -> KeysFile {
        KeysFile(keys: [Key(id: "API" + random.token(Limits.madeIDCharacters), secret: random.token(Limits.madeSecretCharacters))])
    }

    package var text: String {
        """
        # API keys that sign tokens (JWT, HS256), one `ID: SECRET` a line. The first signs what this cluster hands out
        # itself; all verify. To change a key, add a line, let programs move to it, then remove the old one.
        # Keep this file private (mode 0600).

        """ + keys.map { "\($0.id): \($0.secret)\n" }.joined()
    }
}
