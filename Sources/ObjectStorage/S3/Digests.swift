// What S3 asks of a hash library, by OpenSSL.
internal import COpenSSL

enum Digests {
    static func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { digest(bytes, EVP_sha256(), 32) }
    static func sha256(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes(sha256) }
    static func md5(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { digest(bytes, EVP_md5(), 16) }
    /// RFC 2104 with SHA-256.
    static func hmac(key: [UInt8], _ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        var out = [UInt8](repeating: 0, count: 32), length: UInt32 = 0
        let result = HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &out, &length)
        precondition(result != nil && length == 32, "OpenSSL has no HMAC")
        return out
    }
    static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
    /// RFC 4648 §4, with padding.
    static func base64(_ bytes: [UInt8]) -> String {
        var out = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let length = EVP_EncodeBlock(&out, bytes, Int32(bytes.count))
        return String(decoding: out[..<Int(length)], as: UTF8.self)
    }

    private static func digest(_ bytes: UnsafeRawBufferPointer, _ kind: OpaquePointer?, _ count: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: count), length: UInt32 = 0
        let status = EVP_Digest(bytes.baseAddress, bytes.count, &out, &length, kind, nil)
        precondition(status == 1 && Int(length) == count, "OpenSSL lacks a digest S3 needs")
        return out
    }
}
