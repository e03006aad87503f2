// SHA-256, HMAC and constant-time comparison, by OpenSSL.
internal import COpenSSL

package enum Digests {
    package static let sha256Bytes = 32

    package static func sha256(_ data: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: sha256Bytes)
        var length: UInt32 = 0
        let status = EVP_Digest(data, data.count, &out, &length, EVP_sha256(), nil)
        precondition(status == 1 && length == sha256Bytes, "OpenSSL has no SHA-256")
        return out
    }
    /// RFC 2104 with SHA-256.
    package static func hmacSHA256(key: [UInt8], _ data: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: sha256Bytes)
        var length: UInt32 = 0
        let result = HMAC(EVP_sha256(), key, Int32(key.count), data, data.count, &out, &length)
        precondition(result != nil && length == sha256Bytes, "OpenSSL has no HMAC")
        return out
    }
    /// RFC 5869 with SHA-256, without salt, one block of output: a key of its own for each `info`.
    package static func hkdfSHA256(secret: [UInt8], info: [UInt8]) -> [UInt8] {
        let extracted = hmacSHA256(key: [UInt8](repeating: 0, count: sha256Bytes), secret)
        return hmacSHA256(key: extracted, info + [1])
    }
    /// Takes as long for a wrong first byte as for a wrong last one.
    package static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
    }
    package static func hex(_ bytes: some Collection<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
