// One DTLS 1.2 association over datagrams (RFC 6347), ending in SRTP keys (RFC 5764).
internal import COpenSSL
internal import Primitives

/// What a call into a connection led to; at most one a call.
enum DTLSEvent: Equatable {
    /// The handshake is done and the peer's certificate is the announced one.
    case keyed(SRTPKeys)
    /// close_notify came.
    case closedByPeer
    /// A fatal error; an alert may be among the outgoing datagrams.
    case failed(DTLSError)
}

/// The owner of one OpenSSL `SSL`. Confined to its loop; sans-IO but for OpenSSL's handshake timer, which reads the wall clock
/// (documented exception: a clock step may delay or hasten one retransmission, never more).
final class DTLSConnection {
    enum Limits {
        /// First retransmission, then doubled up to the longest. RFC 6347 §4.2.4.1 proposes 1 s; ICE has just shown that the path answers,
        /// and a lost flight must not cost a second of joining. (Browsers begin with 50 ms.)
        static let firstRetransmission: Duration = .milliseconds(100)
        static let longestRetransmission: Duration = .seconds(3)
        /// Bytes of one record's plaintext read at a time (RFC 6347 §4.1).
        static let recordLength = 16_384
    }
    enum Role { case active, passive }
    private enum State { case handshaking, connected, closed }

    private let ssl: OpaquePointer
    private let bio = DatagramBIO()
    private let certificate: DTLSCertificate
    private let role: Role
    private let expected: Fingerprint
    private var state = State.handshaking
    private var fingerprintFailed = false
    /// Application data read and thrown away (records): no data channels here.
    private(set) var ignoredRecords = 0

    init(certificate: DTLSCertificate, role: Role, expected: Fingerprint) throws(DTLSError) {
        guard let ssl = SSL_new(certificate.context) else { throw .library("SSL_new: \(OpenSSLError.take())") }
        guard let bio = bio.makeBIO() else {
            SSL_free(ssl)
            throw .library("BIO_new: \(OpenSSLError.take())")
        }
        self.ssl = ssl
        self.certificate = certificate
        self.role = role
        self.expected = expected
        SSL_set_bio(ssl, bio, bio) // takes the one reference for both directions
        shim_ssl_set_mtu(ssl, DatagramBIO.Limits.datagramLength)
        DTLS_set_timer_cb(ssl) { _, previous in DTLSConnection.nextTimeout(previous) }
        if role == .active { SSL_set_connect_state(ssl) } else { SSL_set_accept_state(ssl) }
        shim_ssl_set_owner(ssl, Unmanaged.passUnretained(self).toOpaque())
    }
    deinit { SSL_free(ssl) }

    /// OpenSSL's timer in microseconds: 0 asks for the first.
    private static func nextTimeout(_ previous: UInt32) -> UInt32 {
        let first = UInt32(Limits.firstRetransmission.inMicroseconds), longest = UInt32(Limits.longestRetransmission.inMicroseconds)
        return previous == 0 ? first : min(previous.multipliedReportingOverflow(by: 2).partialValue, longest)
    }

    /// Called by OpenSSL in the middle of a handshake, with the peer's certificate.
    func accepts(_ peer: OpaquePointer) -> Bool {
        let fits = DTLSCertificate.fingerprint(of: peer, expected.algorithm) == expected
        fingerprintFailed = !fits
        return fits
    }

    // MARK: Input and output

    /// Sends the first flight of the active side; nothing to do for the passive one.
    func start() -> DTLSEvent? { role == .active ? proceed() : nil }

    /// One datagram from the peer.
    func receive(_ datagram: UnsafeRawBufferPointer) -> DTLSEvent? {
        guard state != .closed else { return nil }
        bio.incoming = datagram
        defer { bio.incoming = nil }
        return proceed()
    }
    /// Retransmits what OpenSSL's timer says is due.
    func handleTimeout() -> DTLSEvent? {
        guard state != .closed else { return nil }
        ERR_clear_error()
        guard shim_dtls_handle_timeout(ssl) >= 0 else { return fail("retransmitting") }
        return nil
    }
    /// When to call `handleTimeout`; nil while nothing waits for an answer.
    func deadline(now: Instant) -> Instant? {
        guard state != .closed else { return nil }
        let left = shim_dtls_timeout_microseconds(ssl)
        // At least a millisecond on: OpenSSL's clock and ours need not agree to the microsecond.
        return left < 0 ? nil : now + .microseconds(max(left, 1000))
    }
    func takeOutgoing() -> [[UInt8]] { bio.takeOutgoing() }

    /// Sends close_notify, once.
    func close() {
        guard state != .closed else { return }
        ERR_clear_error()
        if state == .connected { SSL_shutdown(ssl) }
        state = .closed
    }

    // MARK: Handshake and records

    private func proceed() -> DTLSEvent? {
        ERR_clear_error()
        switch state {
        case .handshaking: return shakeHands()
        case .connected: return readRecords()
        case .closed: return nil
        }
    }

    private func shakeHands() -> DTLSEvent? {
        let result = SSL_do_handshake(ssl)
        guard result != 1 else {
            state = .connected
            do { return .keyed(try exportKeys()) } catch { return fail(error) }
        }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return nil
        case SSL_ERROR_ZERO_RETURN:
            state = .closed
            return .closedByPeer
        default: return fail("handshake")
        }
    }

    /// After the handshake records carry alerts, the peer's repeated last flight (answered by OpenSSL) and data nobody asked for.
    private func readRecords() -> DTLSEvent? {
        withUnsafeTemporaryAllocation(byteCount: Limits.recordLength, alignment: 16) { scratch in
            while true {
                let count = SSL_read(ssl, scratch.baseAddress!, Int32(scratch.count))
                if count > 0 { ignoredRecords += 1; continue }
                switch SSL_get_error(ssl, count) {
                case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return nil
                case SSL_ERROR_ZERO_RETURN:
                    SSL_shutdown(ssl)
                    state = .closed
                    return .closedByPeer
                default: return fail("reading")
                }
            }
        }
    }

    private func fail(_ step: String) -> DTLSEvent {
        let reason = OpenSSLError.take()
        return fail(fingerprintFailed ? .wrongFingerprint : .library("\(step): \(reason)"))
    }
    private func fail(_ error: DTLSError) -> DTLSEvent {
        state = .closed
        return .failed(error)
    }

    /// client key ‖ server key ‖ client salt ‖ server salt, cut out of the exporter (RFC 5764 §4.2).
    private func exportKeys() throws(DTLSError) -> SRTPKeys {
        guard let chosen = SSL_get_selected_srtp_profile(ssl), let number = UInt16(exactly: chosen.pointee.id), let profile = SRTPProfile(rawValue: number) else { throw .noSRTPProfile }
        let label = "EXTRACTOR-dtls_srtp"
        let keyLength = profile.keyLength, saltLength = profile.saltLength
        var material = [UInt8](repeating: 0, count: 2 * (keyLength + saltLength))
        guard SSL_export_keying_material(ssl, &material, material.count, label, label.utf8.count, nil, 0, 0) == 1 else {
            throw .library("exporting keys: \(OpenSSLError.take())")
        }
        let salts = 2 * keyLength
        let client = Array(material[..<keyLength] + material[salts..<(salts + saltLength)])
        let server = Array(material[keyLength..<salts] + material[(salts + saltLength)...])
        return role == .active
            ? SRTPKeys(profile: profile, localKey: client, remoteKey: server)
            : SRTPKeys(profile: profile, localKey: server, remoteKey: client)
    }
}
