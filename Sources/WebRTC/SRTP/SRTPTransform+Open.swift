// The way back: check the tag, then decrypt in place. Lengths were checked by `SRTPReceiver`.
internal import COpenSSL

extension SRTPTransform {
    /// RTP: header ‖ ciphertext ‖ tag (RFC 3711 §3.1, RFC 7714 §8). - Returns: false when the tag does not fit.
    @inline(__always)
    func openRTP(_ packet: UnsafeMutableRawPointer, length: Int, headerLength: Int, ssrc: UInt32, rollover: UInt32, sequence: UInt16, profile: SRTPProfile) -> Bool {
        let body = length - profile.tagLength
        if let opener {
            setNonce(ssrc: ssrc, rollover: rollover, sequence: sequence)
            return opener.open(nonce: scratch, associated: packet, associatedLength: headerLength, data: packet + headerLength, length: body - headerLength)
        }
        var roc = rollover.bigEndian
        withUnsafeBytes(of: &roc) { authentication.authenticate(UnsafeRawBufferPointer(start: packet, count: body), $0, into: (scratch + 16).assumingMemoryBound(to: UInt8.self)) }
        guard CRYPTO_memcmp(scratch + 16, packet + body, profile.tagLength) == 0 else { return false }
        setCounterBlock(ssrc: ssrc, index: UInt64(rollover) << 16 | UInt64(sequence))
        return decrypt(packet + headerLength, body - headerLength)
    }

    /// The word with E flag and index: last under AEAD (RFC 7714 §9.2), before the tag otherwise (RFC 3711 §3.4).
    static func rtcpWord(_ packet: UnsafeMutableRawPointer, length: Int, profile: SRTPProfile) -> UInt32 {
        let offset = profile == .aeadAES128GCM ? length - 4 : length - 4 - profile.tagLength
        return UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    /// RTCP: 8 plain bytes ‖ ciphertext ‖ tag and word. - Returns: false when the tag does not fit.
    func openRTCP(_ packet: UnsafeMutableRawPointer, length: Int, index: UInt32, profile: SRTPProfile) -> Bool {
        if let opener {
            setRTCPNonce(packet, index: index)
            return opener.open(nonce: scratch, associated: scratch + 16, associatedLength: 12, data: packet + 8, length: length - 8 - profile.rtcpTrailerLength)
        }
        let authenticated = length - profile.tagLength
        authentication.authenticate(UnsafeRawBufferPointer(start: packet, count: authenticated), UnsafeRawBufferPointer(start: nil, count: 0), into: (scratch + 16).assumingMemoryBound(to: UInt8.self))
        guard CRYPTO_memcmp(scratch + 16, packet + authenticated, profile.tagLength) == 0 else { return false }
        setCounterBlock(ssrc: UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self)), index: UInt64(index))
        return decrypt(packet + 8, authenticated - 4 - 8)
    }
    @inline(__always)
    private func decrypt(_ data: UnsafeMutableRawPointer, _ length: Int) -> Bool {
        guard let cipher = counterMode, cipher.begin(counter: scratch) else { return false }
        return length == 0 || cipher.apply(from: data, to: data, length: length)
    }
}
