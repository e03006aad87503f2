// The self-signed certificate a process shows in DTLS (RFC 8827 §6.5), and the OpenSSL context that goes with it.
internal import COpenSSL
package import Primitives

package enum DTLSError: Error, Equatable, Sendable {
    /// OpenSSL refused: which step, and its error text.
    case library(String)
    /// The other side's certificate is not the one signalling announced, or it showed none (RFC 8827 §6.5).
    case wrongFingerprint
    /// The other side agreed to none of our SRTP profiles (RFC 5764 §4.1).
    case noSRTPProfile
}

/// A P-256 key with its certificate, made afresh by each process and shared by all its sessions.
///
/// `@unchecked`: certificate, key and context are not changed after `init`; OpenSSL counts references to them atomically,
/// and `SSL_new` may be called on one context from any thread.
package final class DTLSCertificate: @unchecked Sendable {
    package enum Limits {
        /// Before and after `now`: clocks differ, and a node runs for long. Browsers do not look at it.
        static let validFrom: Duration = .seconds(-86_400)
        static let validFor: Duration = .seconds(365 * 86_400)
        /// Bytes of serial number.
        static let serialLength = 16
    }
    let context: OpaquePointer
    private let certificate: OpaquePointer
    private let key: OpaquePointer
    /// SHA-256 of the certificate, "AB:CD:…", for `a=fingerprint:sha-256`.
    package let fingerprint: String

    /// Makes key and certificate. Both come out of OpenSSL's own generator.
    package static func selfSigned(now: WallTime) throws(DTLSError) -> DTLSCertificate {
        guard let key = shim_generate_p256_key() else { throw .library("generating a P-256 key: \(OpenSSLError.take())") }
        guard let certificate = X509_new() else {
            EVP_PKEY_free(key)
            throw .library("X509_new: \(OpenSSLError.take())")
        }
        guard fill(certificate, key: key, now: now) else {
            X509_free(certificate)
            EVP_PKEY_free(key)
            throw .library("signing a certificate: \(OpenSSLError.take())")
        }
        return try DTLSCertificate(certificate: certificate, key: key)
    }

    /// Takes over both references.
    private init(certificate: OpaquePointer, key: OpaquePointer) throws(DTLSError) {
        self.certificate = certificate
        self.key = key
        fingerprint = Self.fingerprint(of: certificate, .sha256)?.value ?? ""
        do {
            context = try DTLSContext.make(certificate: certificate, key: key)
        } catch {
            X509_free(certificate)
            EVP_PKEY_free(key)
            throw error
        }
    }
    deinit {
        SSL_CTX_free(context)
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    private static func fill(_ certificate: OpaquePointer, key: OpaquePointer, now: WallTime) -> Bool {
        var serial = [UInt8](repeating: 0, count: Limits.serialLength)
        guard RAND_bytes(&serial, Int32(serial.count)) == 1 else { return false }
        serial[0] = serial[0] & 0x7F | 0x40 // positive and of full length (RFC 5280 §4.1.2.2)
        guard let number = BN_bin2bn(serial, Int32(serial.count), nil) else { return false }
        defer { BN_free(number) }
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil,
              X509_set_version(certificate, 2) == 1,
              ASN1_TIME_set(X509_getm_notBefore(certificate), time_t((now + Limits.validFrom).seconds)) != nil,
              ASN1_TIME_set(X509_getm_notAfter(certificate), time_t((now + Limits.validFor).seconds)) != nil,
              X509_set_pubkey(certificate, key) == 1,
              let name = X509_get_subject_name(certificate),
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, "WebRTC", -1, -1, 0) == 1,
              X509_set_issuer_name(certificate, name) == 1
        else { return false }
        return X509_sign(certificate, key, EVP_sha256()) > 0
    }

    /// The fingerprint by another hash than SHA-256.
    func fingerprint(_ algorithm: Fingerprint.Algorithm) -> Fingerprint? { Self.fingerprint(of: certificate, algorithm) }

    static func fingerprint(of certificate: OpaquePointer, _ algorithm: Fingerprint.Algorithm) -> Fingerprint? {
        let hash = switch algorithm {
        case .sha1: EVP_sha1()
        case .sha224: EVP_sha224()
        case .sha256: EVP_sha256()
        case .sha384: EVP_sha384()
        case .sha512: EVP_sha512()
        }
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        guard X509_digest(certificate, hash, &digest, &length) == 1 else { return nil }
        return Fingerprint(algorithm: algorithm, digest: Array(digest.prefix(Int(length))))
    }
}
