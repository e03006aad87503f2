// One Swift owner per EVP context: AES-128 in counter mode and in Galois/counter mode. Keys are set once, the nonce per packet.
internal import COpenSSL

/// OpenSSL's thread-local error queue.
enum OpenSSLError {
    /// The oldest queued error as text; the queue is empty afterwards.
    static func take() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return "no reason given" }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// AES-128 in counter mode. Not Sendable: belongs to the loop of its owner.
final class CounterModeCipher {
    private let context: OpaquePointer

    init(key: [UInt8]) throws(SRTPError) {
        guard key.count == 16 else { throw .wrongKeyLength(expected: 16, actual: key.count) }
        guard let context = EVP_CIPHER_CTX_new() else { throw .library(OpenSSLError.take()) }
        guard EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nil, key, nil) == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw .library("AES-128-CTR: \(OpenSSLError.take())")
        }
        self.context = context
    }
    deinit { EVP_CIPHER_CTX_free(context) }

    /// Starts a keystream at a 16-byte counter block.
    @inline(__always)
    func begin(counter: UnsafeRawPointer) -> Bool {
        EVP_EncryptInit_ex(context, nil, nil, nil, counter.assumingMemoryBound(to: UInt8.self)) == 1
    }
    /// Goes on with the keystream; `from` may equal `to`.
    @inline(__always)
    func apply(from: UnsafeRawPointer, to: UnsafeMutableRawPointer, length: Int) -> Bool {
        var written: Int32 = 0
        return EVP_EncryptUpdate(context, to.assumingMemoryBound(to: UInt8.self), &written, from.assumingMemoryBound(to: UInt8.self), Int32(truncatingIfNeeded: length)) == 1
    }
}

/// AES-128-GCM sealing with a 12-byte nonce and a 16-byte tag. Not Sendable: belongs to the loop of its owner.
package final class GCMSealer {
    package static let nonceLength = 12
    package static let tagLength = 16
    private let context: OpaquePointer

    package init(key: [UInt8]) throws(SRTPError) {
        guard key.count == 16 else { throw .wrongKeyLength(expected: 16, actual: key.count) }
        guard let context = EVP_CIPHER_CTX_new() else { throw .library(OpenSSLError.take()) }
        guard EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nil, key, nil) == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw .library("AES-128-GCM: \(OpenSSLError.take())")
        }
        self.context = context
    }
    deinit { EVP_CIPHER_CTX_free(context) }

    /// Encrypts `prefixLength` bytes that already stand at `out` in place, then `payloadLength` bytes read from `payload` behind them, then the tag.
    /// - Parameter nonce: 12 bytes, never used twice under one key for different content.
    @inline(__always)
    package func seal(nonce: UnsafeRawPointer, associated: UnsafeRawPointer, associatedLength: Int, out: UnsafeMutableRawPointer, prefixLength: Int, payload: UnsafeRawPointer?, payloadLength: Int) -> Bool {
        var written: Int32 = 0
        let target = out.assumingMemoryBound(to: UInt8.self)
        guard EVP_EncryptInit_ex(context, nil, nil, nil, nonce.assumingMemoryBound(to: UInt8.self)) == 1,
              EVP_EncryptUpdate(context, nil, &written, associated.assumingMemoryBound(to: UInt8.self), Int32(truncatingIfNeeded: associatedLength)) == 1
        else { return false }
        if prefixLength > 0, EVP_EncryptUpdate(context, target, &written, target, Int32(truncatingIfNeeded: prefixLength)) != 1 { return false }
        if payloadLength > 0, let payload,
           EVP_EncryptUpdate(context, target + prefixLength, &written, payload.assumingMemoryBound(to: UInt8.self), Int32(truncatingIfNeeded: payloadLength)) != 1 { return false }
        let tag = target + prefixLength + payloadLength
        return EVP_EncryptFinal_ex(context, tag, &written) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1
    }
}

/// AES-128-GCM opening in place, the counterpart of `GCMSealer`.
package final class GCMOpener {
    private let context: OpaquePointer

    package init(key: [UInt8]) throws(SRTPError) {
        guard key.count == 16 else { throw .wrongKeyLength(expected: 16, actual: key.count) }
        guard let context = EVP_CIPHER_CTX_new() else { throw .library(OpenSSLError.take()) }
        guard EVP_DecryptInit_ex(context, EVP_aes_128_gcm(), nil, key, nil) == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw .library("AES-128-GCM: \(OpenSSLError.take())")
        }
        self.context = context
    }
    deinit { EVP_CIPHER_CTX_free(context) }

    /// Decrypts `length` bytes at `data` (the 16-byte tag not counted, standing right behind) in place.
    /// - Returns: false when the tag does not fit: `data` then holds nothing of use.
    @inline(__always)
    package func open(nonce: UnsafeRawPointer, associated: UnsafeRawPointer, associatedLength: Int, data: UnsafeMutableRawPointer, length: Int) -> Bool {
        var written: Int32 = 0
        let target = data.assumingMemoryBound(to: UInt8.self)
        guard EVP_DecryptInit_ex(context, nil, nil, nil, nonce.assumingMemoryBound(to: UInt8.self)) == 1,
              EVP_DecryptUpdate(context, nil, &written, associated.assumingMemoryBound(to: UInt8.self), Int32(truncatingIfNeeded: associatedLength)) == 1
        else { return false }
        if length > 0, EVP_DecryptUpdate(context, target, &written, target, Int32(truncatingIfNeeded: length)) != 1 { return false }
        guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, target + length) == 1 else { return false }
        return EVP_DecryptFinal_ex(context, target + length, &written) == 1
    }
}
