// SRTP and SRTCP from one peer by libsrtp2: the oracle of our own receiver, and what stands in for it on request.
internal import CSRTP
internal import Primitives

/// As `SRTPReceiver`. Debian builds libsrtp2 on NSS, which allocates five times for each GCM packet (docs/decisions/0014).
final class LibrarySRTPReceiver {
    /// libsrtp2 is process-wide; its set-up runs once.
    private static let library: srtp_err_status_t = srtp_init()

    private let session: srtp_t
    private let known: SSRCSet

    /// - Parameter maxStreams: SSRCs accepted; libsrtp2 keeps a context for each.
    init(profile: SRTPProfile, keyAndSalt: [UInt8], maxStreams: Int = SRTPReceiver.Limits.streams) throws(SRTPError) {
        let expected = profile.keyLength + profile.saltLength
        guard keyAndSalt.count == expected else { throw .wrongKeyLength(expected: expected, actual: keyAndSalt.count) }
        guard Self.library == srtp_err_status_ok else { throw .library("srtp_init: status \(Self.library.rawValue)") }
        var created: srtp_t?
        var key = keyAndSalt
        let status = key.withUnsafeMutableBufferPointer { key in
            var policy = Self.policy(profile)
            policy.ssrc.type = ssrc_any_inbound
            policy.key = key.baseAddress
            policy.window_size = UInt(ReplayWindow.Limits.packets)
            return srtp_create(&created, &policy)
        }
        guard status == srtp_err_status_ok, let created else { throw .library("srtp_create: status \(status.rawValue)") }
        session = created
        known = SSRCSet(capacity: maxStreams)
    }
    deinit { srtp_dealloc(session) }

    static func policy(_ profile: SRTPProfile) -> srtp_policy_t {
        var policy = srtp_policy_t()
        switch profile {
        case .aeadAES128GCM:
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp)
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp)
        case .aes128CMSHA1_80: // the library's default policy is AES_CM_128_HMAC_SHA1_80
            srtp_crypto_policy_set_rtp_default(&policy.rtp)
            srtp_crypto_policy_set_rtcp_default(&policy.rtcp)
        }
        return policy
    }

    /// Decrypts one RTP packet in place. - Returns: its length, or a negative `SRTPDrop.rawValue`.
    func unprotect(_ packet: UnsafeMutableRawPointer, length: Int) -> Int {
        guard length >= 12, length <= 65_535 else { return SRTPDrop.malformed.rawValue }
        let ssrc = packet.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        guard known.admits(ssrc) else { return SRTPDrop.tooManyStreams.rawValue }
        var count = Int32(length)
        let status = srtp_unprotect(session, packet, &count)
        guard status == srtp_err_status_ok else { return Self.drop(status).rawValue }
        known.insert(ssrc)
        return Int(count)
    }

    /// Decrypts one compound RTCP packet in place. - Returns: its length, or a negative `SRTPDrop.rawValue`.
    func unprotectRTCP(_ packet: UnsafeMutableRawPointer, length: Int) -> Int {
        guard length >= 8, length <= 65_535 else { return SRTPDrop.malformed.rawValue }
        let ssrc = packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        guard known.admits(ssrc) else { return SRTPDrop.tooManyStreams.rawValue }
        var count = Int32(length)
        let status = srtp_unprotect_rtcp(session, packet, &count)
        guard status == srtp_err_status_ok else { return Self.drop(status).rawValue }
        known.insert(ssrc)
        return Int(count)
    }

    private static func drop(_ status: srtp_err_status_t) -> SRTPDrop {
        switch status {
        case srtp_err_status_auth_fail: .notAuthentic
        case srtp_err_status_replay_fail: .replayed
        case srtp_err_status_replay_old: .tooOld
        case srtp_err_status_bad_param, srtp_err_status_parse_err, srtp_err_status_cant_check: .malformed
        default: .failed
        }
    }
}
