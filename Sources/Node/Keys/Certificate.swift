// X.509 certificates and their keys: the Swift owners of OpenSSL's handles, read from and written as PEM.
internal import COpenSSL
internal import Primitives

/// OpenSSL refused: which step, and its own words.
package struct CertificateError: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String
    init(_ description: String) { self.description = description }

    /// With the oldest error of OpenSSL's queue, which is emptied.
    static func library(_ step: String) -> CertificateError {
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(ERR_get_error(), &text, text.count)
        ERR_clear_error()
        return CertificateError("\(step): \(String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))")
    }
}

/// Owns one `EVP_PKEY *`: a P-256 key (RFC 5480).
final class PrivateKey {
    let pointer: OpaquePointer
    private init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { EVP_PKEY_free(pointer) }

    static func generate() throws(CertificateError) -> PrivateKey {
        guard let pointer = shim_generate_p256_key() else { throw .library("making a P-256 key") }
        return PrivateKey(pointer)
    }
    static func read(pem: [UInt8]) throws(CertificateError) -> PrivateKey {
        let memory = try MemoryBIO(pem)
        guard let pointer = PEM_read_bio_PrivateKey(memory.pointer, nil, nil, nil) else { throw .library("reading a private key") }
        return PrivateKey(pointer)
    }
    func pem() throws(CertificateError) -> [UInt8] {
        let memory = try MemoryBIO()
        guard PEM_write_bio_PKCS8PrivateKey(memory.pointer, pointer, nil, nil, 0, nil, nil) == 1 else { throw .library("writing a private key") }
        return memory.contents()
    }
}

/// Owns one `X509 *`.
final class Certificate {
    let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { X509_free(pointer) }

    static func read(pem: [UInt8]) throws(CertificateError) -> Certificate {
        let memory = try MemoryBIO(pem)
        guard let pointer = PEM_read_bio_X509(memory.pointer, nil, nil, nil) else { throw .library("reading a certificate") }
        return Certificate(pointer)
    }
    func pem() throws(CertificateError) -> [UInt8] {
        let memory = try MemoryBIO()
        guard PEM_write_bio_X509(memory.pointer, pointer) == 1 else { throw .library("writing a certificate") }
        return memory.contents()
    }
    func isSigned(by issuer: Certificate) -> Bool {
        defer { ERR_clear_error() }
        guard let key = X509_get0_pubkey(issuer.pointer) else { return false }
        return X509_NAME_cmp(X509_get_issuer_name(pointer), X509_get_subject_name(issuer.pointer)) == 0 && X509_verify(pointer, key) == 1
    }
    func belongs(to key: PrivateKey) -> Bool {
        defer { ERR_clear_error() }
        return X509_check_private_key(pointer, key.pointer) == 1
    }
    func isValid(from start: WallTime, to end: WallTime) -> Bool {
        var first = time_t(start.seconds), last = time_t(end.seconds)
        return X509_cmp_time(X509_get0_notBefore(pointer), &first) < 0 && X509_cmp_time(X509_get0_notAfter(pointer), &last) > 0
    }
    /// Whether one of its alternative names is `name`: a host's name or a numeric address (RFC 6125).
    func names(_ name: String) -> Bool {
        if SocketAddress(host: name, port: 0) != nil { return X509_check_ip_asc(pointer, name, 0) == 1 }
        return X509_check_host(pointer, name, name.utf8.count, UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT), nil) == 1
    }
}

/// Owns one memory `BIO *`.
private final class MemoryBIO {
    let pointer: OpaquePointer
    init(_ bytes: [UInt8] = []) throws(CertificateError) {
        guard let made = BIO_new(BIO_s_mem()) else { throw .library("allocating a buffer") }
        pointer = made
        if !bytes.isEmpty, BIO_write(made, bytes, Int32(clamping: bytes.count)) != Int32(clamping: bytes.count) { throw .library("filling a buffer") }
    }
    deinit { BIO_free(pointer) }
    func contents() -> [UInt8] {
        var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 4_096)
        while case let count = BIO_read(pointer, &chunk, Int32(chunk.count)), count > 0 { bytes += chunk[..<Int(count)] }
        return bytes
    }
}
