// The packet transforms themselves: nonce or counter block, cipher pass, tag. One instance per direction and kind (RTP, RTCP).
internal import COpenSSL

/// Session key, salt and authentication key of one kind of packet, with a 40-byte scratch area for blocks and codes.
final class SRTPTransform {
    /// Bytes 0–15: counter block or nonce; 16–35: authentication code or associated data.
    let scratch: UnsafeMutableRawPointer
    /// The session salt, padded with zeros to 16 bytes.
    private let salt: UnsafeMutableRawPointer
    private let aead: GCMSealer?
    /// Only where packets are opened.
    let opener: GCMOpener?
    let counterMode: CounterModeCipher?
    let authentication: HMACSHA1

    init(profile: SRTPProfile, key: [UInt8], salt: [UInt8], authentication: [UInt8], opens: Bool = false) throws(SRTPError) {
        opener = opens && profile == .aeadAES128GCM ? try GCMOpener(key: key) : nil
        aead = !opens && profile == .aeadAES128GCM ? try GCMSealer(key: key) : nil
        counterMode = profile == .aeadAES128GCM ? nil : try CounterModeCipher(key: key)
        self.authentication = HMACSHA1(key: authentication)
        scratch = .allocate(byteCount: 40, alignment: 8)
        scratch.initializeMemory(as: UInt8.self, repeating: 0, count: 40)
        self.salt = .allocate(byteCount: 16, alignment: 8)
        self.salt.initializeMemory(as: UInt8.self, repeating: 0, count: 16)
        for (i, byte) in salt.prefix(14).enumerated() { self.salt.storeBytes(of: byte, toByteOffset: i, as: UInt8.self) }
    }
    deinit {
        OPENSSL_cleanse(salt, 16)
        salt.deallocate()
        scratch.deallocate()
    }

    // MARK: AEAD_AES_128_GCM (RFC 7714)

    /// RTP: nonce = (0,0 ‖ SSRC ‖ ROC ‖ SEQ) XOR salt; the header is associated data (RFC 7714 §8.1, §8.2).
    @inline(__always)
    func sealAEAD(_ wire: UnsafeMutableRawPointer, headerLength: Int, prefixLength: Int, payload: UnsafeRawPointer?, payloadLength: Int, ssrc: UInt32, rollover: UInt32, sequence: UInt16) -> Bool {
        setNonce(ssrc: ssrc, rollover: rollover, sequence: sequence)
        return aead.unsafelyUnwrapped.seal(nonce: scratch, associated: wire, associatedLength: headerLength, out: wire + headerLength, prefixLength: prefixLength, payload: payload, payloadLength: payloadLength)
    }

    /// RTCP: nonce = (0,0 ‖ SSRC ‖ 0,0 ‖ index) XOR salt; first 8 bytes and the trailer word are associated data; the word stands last (RFC 7714 §9.1–§9.3).
    func sealRTCPWithAEAD(_ packet: UnsafeMutableRawPointer, length: Int, index: UInt32) -> Bool {
        let word = (index | 0x8000_0000).bigEndian
        setRTCPNonce(packet, index: index)
        guard aead.unsafelyUnwrapped.seal(nonce: scratch, associated: scratch + 16, associatedLength: 12, out: packet + 8, prefixLength: length - 8, payload: nil, payloadLength: 0) else { return false }
        packet.storeBytes(of: word, toByteOffset: length + GCMSealer.tagLength, as: UInt32.self)
        return true
    }

    @inline(__always)
    func setNonce(ssrc: UInt32, rollover: UInt32, sequence: UInt16) {
        scratch.storeBytes(of: 0, as: UInt16.self)
        scratch.storeBytes(of: ssrc.bigEndian, toByteOffset: 2, as: UInt32.self)
        scratch.storeBytes(of: rollover.bigEndian, toByteOffset: 6, as: UInt32.self)
        scratch.storeBytes(of: sequence.bigEndian, toByteOffset: 10, as: UInt16.self)
        saltNonce()
    }
    /// Nonce at 0, the 12 bytes of associated data at 16.
    func setRTCPNonce(_ packet: UnsafeMutableRawPointer, index: UInt32) {
        scratch.storeBytes(of: 0, as: UInt16.self)
        scratch.storeBytes(of: packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self), toByteOffset: 2, as: UInt32.self) // network order, as in the nonce
        scratch.storeBytes(of: 0, toByteOffset: 6, as: UInt16.self)
        scratch.storeBytes(of: index.bigEndian, toByteOffset: 8, as: UInt32.self)
        saltNonce()
        (scratch + 16).copyMemory(from: packet, byteCount: 8)
        scratch.storeBytes(of: (index | 0x8000_0000).bigEndian, toByteOffset: 24, as: UInt32.self)
    }
    @inline(__always)
    private func saltNonce() {
        let low = scratch.load(as: UInt64.self) ^ salt.load(as: UInt64.self)
        let high = scratch.load(fromByteOffset: 8, as: UInt32.self) ^ salt.load(fromByteOffset: 8, as: UInt32.self)
        scratch.storeBytes(of: low, as: UInt64.self)
        scratch.storeBytes(of: high, toByteOffset: 8, as: UInt32.self)
    }

    // MARK: AES_CM_128_HMAC_SHA1_80 (RFC 3711)

    /// RTP: encrypt, then authenticate header, ciphertext and ROC, 80 bits of it (RFC 3711 §4.1.1, §4.2).
    @inline(__always)
    func sealCounterMode(_ wire: UnsafeMutableRawPointer, headerLength: Int, prefixLength: Int, payload: UnsafeRawPointer?, payloadLength: Int, ssrc: UInt32, rollover: UInt32, sequence: UInt16) -> Bool {
        let cipher = counterMode.unsafelyUnwrapped
        setCounterBlock(ssrc: ssrc, index: UInt64(rollover) << 16 | UInt64(sequence))
        guard cipher.begin(counter: scratch) else { return false }
        let body = wire + headerLength
        if prefixLength > 0, !cipher.apply(from: body, to: body, length: prefixLength) { return false }
        if payloadLength > 0, let payload, !cipher.apply(from: payload, to: body + prefixLength, length: payloadLength) { return false }
        let length = headerLength &+ prefixLength &+ payloadLength
        var roc = rollover.bigEndian
        withUnsafeBytes(of: &roc) { authentication.authenticate(UnsafeRawBufferPointer(start: wire, count: length), $0, into: (scratch + 16).assumingMemoryBound(to: UInt8.self)) }
        (wire + length).copyMemory(from: scratch + 16, byteCount: 10)
        return true
    }

    /// RTCP: all but the first 8 bytes is encrypted; the trailer word is authenticated with the rest and stands before the tag (RFC 3711 §3.4).
    func sealRTCPWithCounterMode(_ packet: UnsafeMutableRawPointer, length: Int, index: UInt32) -> Bool {
        let cipher = counterMode.unsafelyUnwrapped
        setCounterBlock(ssrc: UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self)), index: UInt64(index))
        guard cipher.begin(counter: scratch) else { return false }
        if length > 8, !cipher.apply(from: packet + 8, to: packet + 8, length: length - 8) { return false }
        packet.storeBytes(of: (index | 0x8000_0000).bigEndian, toByteOffset: length, as: UInt32.self)
        authentication.authenticate(UnsafeRawBufferPointer(start: packet, count: length + 4), UnsafeRawBufferPointer(start: nil, count: 0), into: (scratch + 16).assumingMemoryBound(to: UInt8.self))
        (packet + length + 4).copyMemory(from: scratch + 16, byteCount: 10)
        return true
    }

    /// IV = (salt · 2^16) XOR (SSRC · 2^64) XOR (index · 2^16) (RFC 3711 §4.1.1).
    @inline(__always)
    func setCounterBlock(ssrc: UInt32, index: UInt64) {
        let high = salt.load(as: UInt64.self) ^ UInt64(ssrc).bigEndian
        let low = salt.load(fromByteOffset: 8, as: UInt64.self) ^ (index << 16).bigEndian
        scratch.storeBytes(of: high, as: UInt64.self)
        scratch.storeBytes(of: low, toByteOffset: 8, as: UInt64.self)
    }
}
