// What goes into a PeerSession at its start and what comes out of it.

package struct PeerSessionConfiguration: Sendable {
    package enum Role: Sendable {
        /// ICE-lite, DTLS passive: every session of a node.
        case server
        /// Full controlling ICE, DTLS active: the load client and tests.
        case client
    }
    package var role: Role
    package var localUfrag: String
    package var localPassword: String
    package var certificate: DTLSCertificate
    /// Keys agreed elsewhere: DTLS is left out and `.keyed` follows the first selected address. For tests in virtual time.
    package var presetKeys: SRTPKeys?
    package init(role: Role, localUfrag: String, localPassword: String, certificate: DTLSCertificate, presetKeys: SRTPKeys? = nil) {
        self.role = role; self.localUfrag = localUfrag; self.localPassword = localPassword; self.certificate = certificate; self.presetKeys = presetKeys
    }
}

package enum CloseReason: Error, Equatable, Sendable {
    /// `close()` was called.
    case local
    /// The peer sent close_notify.
    case remote
    /// No authenticated check for the consent time (30 s): the peer is gone.
    case consentExpired
    /// Not connected within `PeerSession.Limits.connectTime`.
    case connectTimeout
    /// The handshake failed, or the certificate is not the announced one.
    case handshake(DTLSError)
    /// Signalling announced another fingerprint for a running association.
    case fingerprintChanged
}

/// Why a datagram changed nothing.
package enum PeerSessionDrop: Equatable, Sendable {
    case ice(ICEDrop)
    /// The first byte says neither STUN nor DTLS (RFC 7983): media goes another way.
    case notForSession
    /// DTLS from an address no authenticated check came from.
    case dtlsFromUnknownAddress
    /// DTLS before signalling told the fingerprint, beyond what is kept for later.
    case dtlsTooEarly
    /// Application data over DTLS: there are no data channels.
    case applicationData
    /// The session is closed.
    case closed
}
