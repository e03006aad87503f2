// HMAC-SHA1 under one key: STUN's MESSAGE-INTEGRITY and SRTP's authentication tag.
internal import COpenSSL

/// A key ready to authenticate any number of messages, without allocation (RFC 2104).
package struct HMACSHA1: Sendable {
    package static let length = 20 // bytes
    private var state = shim_hmac_sha1()

    package init(key: some Collection<UInt8>) {
        let bytes = Array(key)
        bytes.withUnsafeBytes { shim_hmac_sha1_init(&state, $0.baseAddress, $0.count) }
    }

    /// Writes the 20-byte code of `first` followed by `second`.
    @inline(__always)
    package func authenticate(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, into code: UnsafeMutablePointer<UInt8>) {
        withUnsafePointer(to: state) { shim_hmac_sha1($0, first.baseAddress, first.count, second.baseAddress, second.count, code) }
    }
}
