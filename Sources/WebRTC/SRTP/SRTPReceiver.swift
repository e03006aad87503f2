// SRTP and SRTCP from one peer: libsrtp2, in place, with replay protection (RFC 3711 §3.3.2).
internal import CSRTP

/// Why a packet could not be unprotected. Raw values are negative: the packet calls return them instead of a length.
package enum SRTPDrop: Int, Sendable, CaseIterable {
    /// Too short, or header fields that point beyond the packet.
    case malformed = -1
    /// The tag does not fit: another key, or changed on the way.
    case notAuthentic = -2
    /// Seen before.
    case replayed = -3
    /// Older than the replay window.
    case tooOld = -4
    /// A new SSRC beyond `SRTPReceiver`'s bound.
    case tooManyStreams = -5
    /// Anything else libsrtp2 says: key limit reached, cipher failure.
    case failed = -6
}

/// Unprotects packets of one direction of one peer. Confined to its loop; allocates only at the first packet of an SSRC.
package final class SRTPReceiver {
    package enum Limits {
        /// Packets behind the newest that are still told from replays: about 4 s of 2 Mbit/s video.
        package static let replayWindowPackets: UInt = 1024
        /// SSRCs a peer may send (streams): simulcast layers with RTX of a few dozen tracks.
        package static let streams = 256
    }
    /// libsrtp2 is process-wide; its set-up runs once.
    private static let library: srtp_err_status_t = srtp_init()

    private let session: srtp_t
    private let known: SSRCSet

    /// - Parameter maxStreams: SSRCs accepted; libsrtp2 keeps a context for each.
    package init(profile: SRTPProfile, keyAndSalt: [UInt8], maxStreams: Int = Limits.streams) throws(SRTPError) {
        let expected = profile.keyLength + profile.saltLength
        guard keyAndSalt.count == expected else { throw .wrongKeyLength(expected: expected, actual: keyAndSalt.count) }
        guard Self.library == srtp_err_status_ok else { throw .library("srtp_init: status \(Self.library.rawValue)") }
        var created: srtp_t?
        var key = keyAndSalt
        let status = key.withUnsafeMutableBufferPointer { key in
            var policy = Self.policy(profile)
            policy.ssrc.type = ssrc_any_inbound
            policy.key = key.baseAddress
            policy.window_size = Limits.replayWindowPackets
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
    package func unprotect(_ packet: UnsafeMutableRawPointer, length: Int) -> Int {
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
    package func unprotectRTCP(_ packet: UnsafeMutableRawPointer, length: Int) -> Int {
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

/// At most `capacity` SSRCs: open addressing with a load of at most a half, one probe for a known one as a rule.
final class SSRCSet {
    private struct Slot { var ssrc: UInt32 = 0; var used = false }
    private let slots: UnsafeMutablePointer<Slot>
    private let mask: Int
    private let capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(1, capacity)
        var size = 2
        while size < self.capacity * 2 { size *= 2 }
        mask = size - 1
        slots = .allocate(capacity: size)
        slots.initialize(repeating: Slot(), count: size)
    }
    deinit { slots.deallocate() }

    /// The slot that holds `ssrc`, or the free one where it belongs.
    private func slot(_ ssrc: UInt32) -> UnsafeMutablePointer<Slot> {
        var i = Int(truncatingIfNeeded: UInt64(ssrc) &* 0x9E37_79B9_7F4A_7C15 >> 32) & mask
        while slots[i].used, slots[i].ssrc != ssrc { i = (i + 1) & mask }
        return slots + i
    }
    /// Known already, or there is room for one more.
    func admits(_ ssrc: UInt32) -> Bool { count < capacity || slot(ssrc).pointee.used }
    /// A set that is full takes nothing more.
    func insert(_ ssrc: UInt32) {
        let slot = slot(ssrc)
        guard !slot.pointee.used, count < capacity else { return }
        slot.pointee = Slot(ssrc: ssrc, used: true)
        count += 1
    }
}
