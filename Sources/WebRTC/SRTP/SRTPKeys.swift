// Protection profiles and keys as DTLS-SRTP agrees on them, and the key derivation of RFC 3711 §4.3.
internal import COpenSSL

/// The DTLS-SRTP protection profiles we speak, by their registered number (RFC 5764 §4.1.2, RFC 7714 §14.2).
package enum SRTPProfile: UInt16, Sendable, CaseIterable {
    case aes128CMSHA1_80 = 1
    case aeadAES128GCM = 7

    /// Bytes of master key.
    package var keyLength: Int { 16 }
    /// Bytes of master salt.
    package var saltLength: Int { self == .aeadAES128GCM ? 12 : 14 }
    /// Bytes an RTP packet grows by.
    package var tagLength: Int { self == .aeadAES128GCM ? 16 : 10 }
    /// Bytes an RTCP packet grows by: the tag and the word with E flag and index (RFC 3711 §3.4).
    package var rtcpTrailerLength: Int { tagLength + 4 }
}

/// What a finished handshake gives to SRTP: master key and salt of either direction, concatenated.
package struct SRTPKeys: Sendable, Equatable {
    package let profile: SRTPProfile
    /// We send under this one: `profile.keyLength` bytes of key, then `profile.saltLength` of salt.
    package let localKey: [UInt8]
    /// The other side sends under this one; same layout.
    package let remoteKey: [UInt8]
    package init(profile: SRTPProfile, localKey: [UInt8], remoteKey: [UInt8]) {
        self.profile = profile; self.localKey = localKey; self.remoteKey = remoteKey
    }
}

package enum SRTPError: Error, Equatable {
    /// `keyAndSalt` has not `keyLength + saltLength` bytes.
    case wrongKeyLength(expected: Int, actual: Int)
    /// The crypto library refused to set a context up: its own status or error text.
    case library(String)
}

/// The six session keys of one direction (RFC 3711 §4.3.2), key derivation rate 0.
struct SRTPSessionKeys: Equatable {
    let rtpKey, rtpSalt, rtpAuthentication: [UInt8]
    let rtcpKey, rtcpSalt, rtcpAuthentication: [UInt8]

    enum Limits {
        /// HMAC-SHA1 session authentication key, bytes (RFC 3711 §5.2).
        static let authenticationKeyLength = 20
    }

    /// Derives them from master key and salt. AEAD profiles pad their 96-bit salt with zeros on the right (RFC 7714 §11).
    init(profile: SRTPProfile, keyAndSalt: [UInt8]) throws(SRTPError) {
        let expected = profile.keyLength + profile.saltLength
        guard keyAndSalt.count == expected else { throw .wrongKeyLength(expected: expected, actual: keyAndSalt.count) }
        let key = Array(keyAndSalt[..<profile.keyLength]), salt = Array(keyAndSalt[profile.keyLength...])
        let authentication = profile == .aeadAES128GCM ? 0 : Limits.authenticationKeyLength
        rtpKey = try Self.derive(label: 0, length: profile.keyLength, key: key, salt: salt)
        rtpAuthentication = try Self.derive(label: 1, length: authentication, key: key, salt: salt)
        rtpSalt = try Self.derive(label: 2, length: profile.saltLength, key: key, salt: salt)
        rtcpKey = try Self.derive(label: 3, length: profile.keyLength, key: key, salt: salt)
        rtcpAuthentication = try Self.derive(label: 4, length: authentication, key: key, salt: salt)
        rtcpSalt = try Self.derive(label: 5, length: profile.saltLength, key: key, salt: salt)
    }

    /// Session keys given as they are: for test vectors that start below the derivation.
    init(key: [UInt8], salt: [UInt8], authentication: [UInt8]) {
        rtpKey = key; rtpSalt = salt; rtpAuthentication = authentication
        rtcpKey = key; rtcpSalt = salt; rtcpAuthentication = authentication
    }

    /// AES-CM as the pseudo-random function: x = label · 2^48 XOR salt, the keystream from x · 2^16 (RFC 3711 §4.3.1, §4.3.3).
    static func derive(label: UInt8, length: Int, key: [UInt8], salt: [UInt8]) throws(SRTPError) -> [UInt8] {
        guard length > 0 else { return [] }
        var block = salt + Array(repeating: 0, count: 16 - salt.count)
        block[7] ^= label
        let cipher = try CounterModeCipher(key: key)
        var out = [UInt8](repeating: 0, count: length)
        let ok = out.withUnsafeMutableBytes { buffer in
            block.withUnsafeBytes { cipher.begin(counter: $0.baseAddress!) } && cipher.apply(from: buffer.baseAddress!, to: buffer.baseAddress!, length: length)
        }
        guard ok else { throw .library("AES-CM: \(OpenSSLError.take())") }
        return out
    }
}
