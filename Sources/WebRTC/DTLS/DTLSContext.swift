// How every DTLS session of the process is set up: DTLS 1.2 only, ECDHE with AEAD first, use_srtp, peers judged by fingerprint.
internal import COpenSSL

enum DTLSContext {
    /// RFC 8827 §6.5 demands the first; the CBC ones serve old clients.
    private static let ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
    /// In the order we choose among what the peer offers (RFC 5764 §4.1.1).
    private static let profiles = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"

    static func make(certificate: OpaquePointer, key: OpaquePointer) throws(DTLSError) -> OpaquePointer {
        guard let context = SSL_CTX_new(DTLS_method()) else { throw .library("SSL_CTX_new: \(OpenSSLError.take())") }
        shim_ssl_ctx_set_datagram_options(context)
        // SSL_CTX_set_tlsext_use_srtp returns 0 for success.
        guard shim_ssl_ctx_set_dtls12_only(context) == 1,
              SSL_CTX_set_cipher_list(context, ciphers) == 1,
              SSL_CTX_set_tlsext_use_srtp(context, profiles) == 0,
              SSL_CTX_use_certificate(context, certificate) == 1,
              SSL_CTX_use_PrivateKey(context, key) == 1
        else {
            SSL_CTX_free(context)
            throw .library("setting up DTLS: \(OpenSSLError.take())")
        }
        // Both sides show a certificate; no chain is built, the fingerprint decides.
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        SSL_CTX_set_cert_verify_callback(context, { verification, _ in
            guard let verification, let owner = shim_verification_owner(verification), let certificate = X509_STORE_CTX_get0_cert(verification) else { return 0 }
            return Unmanaged<DTLSConnection>.fromOpaque(owner).takeUnretainedValue().accepts(certificate) ? 1 : 0
        }, nil)
        return context
    }
}
