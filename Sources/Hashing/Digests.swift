// Digests, HMACs and constant-time comparison, by OpenSSL.
internal import COpenSSL

package enum Digests {
    package static let sha256Bytes = 32

    package static func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { digest(bytes, EVP_sha256(), sha256Bytes) }
    package static func sha256(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes(sha256) }
    /// Not for security: what S3 asks for as `Content-MD5`.
    package static func md5(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { digest(bytes, EVP_md5(), 16) }

    /// RFC 2104 with SHA-256.
    package static func hmacSHA256(key: [UInt8], _ data: [UInt8]) -> [UInt8] { hmac(key: key, data, EVP_sha256(), sha256Bytes) }
    /// RFC 2104 with SHA-1: for TURN servers, which take nothing else.
    package static func hmacSHA1(key: [UInt8], _ data: [UInt8]) -> [UInt8] { hmac(key: key, data, EVP_sha1(), 20) }
    /// RFC 5869 with SHA-256, without salt, one block of output: a key of its own for each `info`.
    package static func hkdfSHA256(secret: [UInt8], info: [UInt8]) -> [UInt8] {
        let extracted = hmacSHA256(key: [UInt8](repeating: 0, count: sha256Bytes), secret)
        return hmacSHA256(key: extracted, info + [1])
    }

    /// RFC 4648 section 4, with padding.
    package static func base64(_ bytes: [UInt8]) -> String {
        var out = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let length = EVP_EncodeBlock(&out, bytes, Int32(bytes.count))
        return String(decoding: out[..<Int(length)], as: UTF8.self)
    }
    package static func hex(_ bytes: some Collection<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
    /// Takes as long for a wrong first byte as for a wrong last one.
    package static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
    }

    private static func digest(_ bytes: UnsafeRawBufferPointer, _ kind: OpaquePointer?, _ count: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: count), length: UInt32 = 0
        let status = EVP_Digest(bytes.baseAddress, bytes.count, &out, &length, kind, nil)
        precondition(status == 1 && Int(length) == count, "OpenSSL lacks a digest")
        return out
    }
    private static func hmac(key: [UInt8], _ data: [UInt8], _ kind: OpaquePointer?, _ count: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: count), length: UInt32 = 0
        let result = HMAC(kind, key, Int32(key.count), data, data.count, &out, &length)
        precondition(result != nil && Int(length) == count, "OpenSSL has no HMAC")
        return out
    }
}
