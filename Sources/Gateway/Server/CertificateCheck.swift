// Looks at certificate and key before the server does, so that a mistake has a name and a remedy.
internal import COpenSSL
internal import Glibc
internal import Primitives

enum CertificateCheck {
    enum Limits { static let fileBytes = 1 << 20 }

    static func verify(_ files: TLSFiles) throws(GatewayError) {
        let certificatePEM = try read(files.certificate) { .certificateMissing(path: files.certificate, reason: $0) }
        let keyPEM = try read(files.privateKey) { .privateKeyMissing(path: files.privateKey, reason: $0) }
        // An encrypted key must not make the library ask on a terminal: the callback has no password.
        let noPassword: @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 = { _, _, _, _ in 0 }
        guard let certificate = decode(certificatePEM, { PEM_read_bio_X509($0, nil, noPassword, nil) }) else { throw .certificateUnreadable(path: files.certificate) }
        defer { X509_free(certificate) }
        guard let key = decode(keyPEM, { PEM_read_bio_PrivateKey($0, nil, noPassword, nil) }) else { throw .privateKeyUnreadable(path: files.privateKey) }
        defer { EVP_PKEY_free(key) }
        guard X509_check_private_key(certificate, key) == 1 else { throw .privateKeyDoesNotMatch(certificate: files.certificate, key: files.privateKey) }
        guard X509_cmp_time(X509_get0_notAfter(certificate), nil) > 0 else { throw .certificateExpired(path: files.certificate) }
    }

    private static func decode(_ bytes: [UInt8], _ parse: (OpaquePointer?) -> OpaquePointer?) -> OpaquePointer? {
        guard let bio = BIO_new_mem_buf(bytes, Int32(bytes.count)) else { return nil }
        defer { BIO_free(bio); ERR_clear_error() }
        return parse(bio)
    }
    private static func read(_ path: String, _ failure: (String) -> GatewayError) throws(GatewayError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Limits.fileBytes)
        var filled = 0
        while filled < bytes.count {
            let n = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + filled, $0.count - filled) }
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw failure(String(cString: strerror(errno))) }
            if n == 0 { break }
            filled += n
        }
        return Array(bytes[..<filled])
    }
}
