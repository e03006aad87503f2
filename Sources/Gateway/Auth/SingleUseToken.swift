// Tokens that work once: a guest's invitation, and the composition service's. The text goes out once; the store has its hash.
internal import Contracts
internal import Hashing
internal import Primitives

enum SingleUseToken {
    enum Limits {
        /// Characters of five bits each.
        static let letters = 40
        static let bytes = 64
    }
    enum Kind: String {
        case guest = "tg_", composition = "tc_"
    }
    static func make(_ kind: Kind, _ random: any RandomSource) -> (text: String, hash: TokenHash) {
        let text = kind.rawValue + random.token(Limits.letters)
        return (text, hash(of: text))
    }
    static func isComposition(_ text: String) -> Bool { text.hasPrefix(Kind.composition.rawValue) && text.utf8.count <= Limits.bytes }
    /// Of whatever was presented: what nobody made is found nowhere.
    static func hash(of text: String) -> TokenHash {
        guard let hash = TokenHash(Digests.sha256(Array(text.utf8))) else { preconditionFailure("SHA-256 has \(TokenLimits.hashBytes) bytes") }
        return hash
    }
}
