// A node's certificate for links, and whose certificates it believes.
import COpenSSL

package enum TLSError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A PEM text that does not hold what it should; says what to do.
    case unusable(String)
    /// The handshake failed: what OpenSSL says.
    case handshake(String)
    /// The peer's certificate is not accepted here.
    case peerCertificate(CertificateFault, String)
    /// The peer does not accept this node's certificate.
    case ownCertificate(CertificateFault, String)
    /// The peer's certificate is of our CA but of another name.
    case wrongName(expected: String)
    case closedByPeer
    case failed(String)
    package var description: String {
        switch self {
        case .unusable(let text), .failed(let text): text
        case .handshake(let text): "TLS handshake: \(text)"
        case .peerCertificate(let fault, let text): "the peer's certificate is not accepted (\(fault.rawValue)): \(text)\(fault.advice)"
        case .ownCertificate(let fault, let text): "the peer does not accept this node's certificate (\(fault.rawValue)): \(text)\(fault.advice)"
        case .wrongName(let expected): "the peer's certificate is not of \(expected)"
        case .closedByPeer: "the peer ended the TLS session"
        }
    }
}

extension CertificateFault {
    var advice: String {
        switch self {
        case .expired: "; renew it with `troupe keys` and reload"
        case .notYetValid: "; set the clocks right"
        case .foreign: "; both must be of one cluster CA"
        case .wrongName: "; a certificate carries its node's name"
        case .revoked, .other: ""
        }
    }
    /// Of what OpenSSL's verification found.
    init(verification result: Int) {
        switch Int32(truncatingIfNeeded: result) {
        case X509_V_ERR_CERT_HAS_EXPIRED: self = .expired
        case X509_V_ERR_CERT_NOT_YET_VALID: self = .notYetValid
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
            X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_SIGNATURE_FAILURE, X509_V_ERR_CERT_UNTRUSTED:
            self = .foreign
        case X509_V_ERR_HOSTNAME_MISMATCH: self = .wrongName
        case X509_V_ERR_CERT_REVOKED: self = .revoked
        default: self = .other
        }
    }
    /// Of the alert a peer ended the session with (RFC 8446 §6.2); nil for alerts that are not about certificates.
    /// OpenSSL numbers reasons of alerts 1000 + alert.
    init?(alert reason: UInt) {
        switch Int(reason) - 1000 {
        case 45: self = .expired
        case 48: self = .foreign
        case 44: self = .revoked
        case 42, 43, 46, 116: self = .other
        default: return nil
        }
    }
}

/// PEM texts of the node's certificate (with intermediates, if any), its key, and the cluster CA.
/// The certificate's subject alternative names (or common name) hold the node's name.
package struct TLSIdentity: Sendable {
    package var certificate: String
    package var key: String
    package var authority: String
    package init(certificate: String, key: String, authority: String) {
        self.certificate = certificate; self.key = key; self.authority = authority
    }
}

/// An OpenSSL context for one direction. Immutable once made.
final class TLSContext: @unchecked Sendable {
    let raw: OpaquePointer
    let isServer: Bool

    init(_ identity: TLSIdentity, isServer: Bool) throws(TLSError) {
        ERR_clear_error()
        guard let raw = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()) else { throw .failed(TLSContext.lastError()) }
        self.raw = raw
        self.isServer = isServer
        guard shim_ssl_ctx_set_tls13_only(raw) == 1 else { throw .failed("this OpenSSL has no TLS 1.3") }
        shim_ssl_ctx_set_link_options(raw)
        SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        try load(identity)
    }
    deinit { SSL_CTX_free(raw) }

    private func load(_ identity: TLSIdentity) throws(TLSError) {
        let chain = Self.certificates(identity.certificate)
        defer { for certificate in chain { X509_free(certificate) } }
        guard let own = chain.first, SSL_CTX_use_certificate(raw, own) == 1 else {
            throw .unusable("the node's certificate is not a PEM certificate; make one with `troupe keys`")
        }
        for intermediate in chain.dropFirst() where shim_ssl_ctx_add_chain_certificate(raw, intermediate) != 1 { throw .failed(Self.lastError()) }
        try useKey(identity.key)
        let authorities = Self.certificates(identity.authority)
        defer { for certificate in authorities { X509_free(certificate) } }
        guard !authorities.isEmpty else { throw .unusable("the cluster CA is not a PEM certificate; make one with `troupe keys`") }
        for authority in authorities where shim_ssl_ctx_trust(raw, authority) != 1 { throw .failed(Self.lastError()) }
    }
    private func useKey(_ pem: String) throws(TLSError) {
        let key = Self.withBIO(pem) { PEM_read_bio_PrivateKey($0, nil, nil, nil) }
        guard let key else { throw .unusable("the node's key is not a PEM private key without a pass phrase; make one with `troupe keys`") }
        defer { EVP_PKEY_free(key) }
        guard SSL_CTX_use_PrivateKey(raw, key) == 1, SSL_CTX_check_private_key(raw) == 1 else {
            throw .unusable("the node's key does not belong to its certificate; make both with `troupe keys`")
        }
    }

    private static func withBIO<R>(_ pem: String, _ body: (OpaquePointer) -> R?) -> R? {
        var pem = pem
        return pem.withUTF8 { utf8 -> R? in
            guard let bio = BIO_new_mem_buf(utf8.baseAddress, Int32(clamping: utf8.count)) else { return nil }
            defer { BIO_free(bio); ERR_clear_error() }
            return body(bio)
        }
    }
    /// The caller frees them.
    private static func certificates(_ pem: String) -> [OpaquePointer] {
        withBIO(pem) { bio in
            var all: [OpaquePointer] = []
            while let certificate = PEM_read_bio_X509(bio, nil, nil, nil) { all.append(certificate) }
            return all
        } ?? []
    }
    /// The oldest error of this thread's queue, which stays: what is wrong with our certificate, if the peer said so.
    static func alertedFault() -> CertificateFault? {
        let code = ERR_peek_error()
        return code == 0 ? nil : CertificateFault(alert: code & 0x7F_FFFF)
    }
    /// The oldest error of this thread's queue, which is emptied.
    static func lastError() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return "unknown TLS error" }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
