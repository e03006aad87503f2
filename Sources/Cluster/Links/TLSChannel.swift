// One TLS session between memory: bytes of the wire in, plaintext out, and the other way round. No socket in here.
import COpenSSL
import Primitives

/// Owns one SSL object. Confined to its link's loop.
final class TLSChannel {
    enum Limits {
        static let recordBytes = 16_384
        /// Ciphertext taken from OpenSSL at once.
        static let outputBytes = 65_536
    }
    private let ssl: OpaquePointer
    /// What came from the wire, and what goes to it. Owned by `ssl`.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private(set) var isEstablished = false
    private let plaintext = UnsafeMutableRawBufferPointer.allocate(byteCount: Limits.recordBytes, alignment: 16)

    /// - Parameter expected: the node a client means to reach; its certificate must carry that name.
    init(_ context: TLSContext, expected: NodeName?) throws(TLSError) {
        guard let ssl = SSL_new(context.raw) else { throw .failed(TLSContext.lastError()) }
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            throw .failed("out of memory")
        }
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(ssl, incoming, outgoing)
        if context.isServer { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
        if let expected {
            SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_WILDCARDS))
            guard SSL_set1_host(ssl, expected.rawValue) == 1 else { throw .failed(TLSContext.lastError()) }
        }
    }
    deinit {
        plaintext.deallocate()
        SSL_free(ssl)
    }

    /// Goes on with the handshake: a client calls it once to begin.
    func handshake() throws(TLSError) {
        guard !isEstablished else { return }
        ERR_clear_error()
        let status = SSL_do_handshake(ssl)
        if status == 1 { isEstablished = true; return }
        if isWaiting(status) { return }
        let reason = SSL_get_verify_result(ssl)
        let alerted = TLSContext.alertedFault()
        let text = TLSContext.lastError()
        if let alerted { throw .ownCertificate(alerted, text) }
        guard reason != X509_V_OK else { throw .handshake(text) }
        throw .peerCertificate(CertificateFault(verification: Int(reason)), "\(String(cString: X509_verify_cert_error_string(Int(reason)))) (\(text))")
    }
    private func isWaiting(_ status: Int32) -> Bool {
        let error = SSL_get_error(ssl, status)
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE
    }

    /// Takes bytes of the wire and hands out what they decrypt to, in pieces.
    /// - Parameter each: answers false to stop.
    func receive(_ bytes: UnsafeRawBufferPointer, _ each: (UnsafeRawBufferPointer) -> Bool) throws(TLSError) {
        guard BIO_write(incoming, bytes.baseAddress, Int32(clamping: bytes.count)) == Int32(clamping: bytes.count) else { throw .failed("out of memory") }
        if !isEstablished {
            try handshake()
            guard isEstablished else { return }
        }
        while true {
            ERR_clear_error()
            let count = SSL_read(ssl, plaintext.baseAddress, Int32(plaintext.count))
            guard count > 0 else { return try readEnded(count) }
            guard each(UnsafeRawBufferPointer(rebasing: plaintext[..<Int(count)])) else { return }
        }
    }
    private func readEnded(_ status: Int32) throws(TLSError) {
        switch SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
        case SSL_ERROR_ZERO_RETURN: throw .closedByPeer
        default:
            // With TLS 1.3 a client learns only now that the server did not like its certificate.
            let alerted = TLSContext.alertedFault()
            let text = TLSContext.lastError()
            if let alerted { throw .ownCertificate(alerted, text) }
            throw .failed(text)
        }
    }

    /// Encrypts; `takeOutput` has the result. Only once established.
    func send(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            ERR_clear_error()
            let chunk = UnsafeRawBufferPointer(rebasing: rest.prefix(Int(Int32.max)))
            let count = SSL_write(ssl, chunk.baseAddress, Int32(chunk.count))
            guard count > 0 else { throw .failed(TLSContext.lastError()) }
            rest = rest.dropFirst(Int(count))
        }
    }
    /// What has to go to the wire; empty when there is nothing.
    func takeOutput() -> [UInt8] {
        let count = Int(BIO_ctrl_pending(outgoing))
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            written = max(0, Int(BIO_read(outgoing, buffer.baseAddress, Int32(clamping: count))))
        }
    }
    /// Says that nothing more will come (close_notify).
    func end() {
        ERR_clear_error()
        if isEstablished { SSL_shutdown(ssl) }
        ERR_clear_error()
    }
    /// Whether the certificate the peer has proven is of this name.
    func peerIs(_ name: String) -> Bool {
        guard isEstablished, let certificate = SSL_get0_peer_certificate(ssl) else { return false }
        return X509_check_host(certificate, name, name.utf8.count, UInt32(X509_CHECK_FLAG_NO_WILDCARDS), nil) == 1
    }
}
