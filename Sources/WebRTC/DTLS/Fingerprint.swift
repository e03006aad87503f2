// The certificate fingerprint that signalling carries (RFC 8122 §5).

/// A hash of a certificate, as named and spelt in `a=fingerprint`.
package struct Fingerprint: Hashable, Sendable {
    package enum Algorithm: String, Sendable, CaseIterable {
        case sha1 = "sha-1", sha224 = "sha-224", sha256 = "sha-256", sha384 = "sha-384", sha512 = "sha-512"
        /// Bytes of hash.
        package var length: Int {
            switch self {
            case .sha1: 20
            case .sha224: 28
            case .sha256: 32
            case .sha384: 48
            case .sha512: 64
            }
        }
    }
    package let algorithm: Algorithm
    package let digest: [UInt8]

    package init(algorithm: Algorithm, digest: [UInt8]) { self.algorithm = algorithm; self.digest = digest }

    /// Reads both halves of the attribute, in either case; nil for an unknown algorithm or a hash of the wrong length.
    package init?(algorithm name: String, value: String) {
        guard let algorithm = Algorithm(rawValue: name.lowercased()) else { return nil }
        let pairs = value.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard pairs.count == algorithm.length else { return nil }
        var digest: [UInt8] = []
        digest.reserveCapacity(pairs.count)
        for pair in pairs {
            guard pair.count == 2, let high = Self.nibble(pair.first!), let low = Self.nibble(pair.last!) else { return nil }
            digest.append(high << 4 | low)
        }
        self.init(algorithm: algorithm, digest: digest)
    }

    /// Upper-case hexadecimal pairs with colons between them.
    package var value: String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for (i, byte) in digest.enumerated() {
            if i > 0 { out.append(UInt8(ascii: ":")) }
            out += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func nibble(_ c: UInt8) -> UInt8? {
        switch c {
        case 0x30...0x39: c - 0x30
        case 0x41...0x46: c - 0x41 + 10
        case 0x61...0x66: c - 0x61 + 10
        default: nil
        }
    }
}
