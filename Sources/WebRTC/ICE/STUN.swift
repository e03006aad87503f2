// STUN as ICE uses it (RFC 8489, RFC 8445 §7, §16): numbers, limits, and what can be said of a datagram without parsing all of it.
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  |0 0|     type (class, method) |        length of attributes    |
//  |                   magic cookie 0x2112A442                     |
//  |                  transaction id (96 bits)                     |
//  then attributes: type (16), length (16), value padded to 32 bits
package import Primitives

package enum STUN {
    package enum Limits {
        /// Longest message accepted (bytes). Connectivity checks are about 100.
        package static let messageLength = 1280
        /// Attributes read of one message.
        package static let attributes = 32
        /// Longest USERNAME (bytes, RFC 8489 §14.3).
        package static let username = 508
        /// Attribute types listed in one 420 response.
        package static let unknownListed = 8
    }
    package static let headerLength = 20
    package static let magicCookie: UInt32 = 0x2112_A442
    static let bindingMethod: UInt16 = 1
    /// XORed into the FINGERPRINT's CRC (RFC 8489 §14.7).
    static let fingerprintMask: UInt32 = 0x5354_554E

    package enum Class: UInt8, Sendable { case request = 0, indication = 1, success = 2, failure = 3 }

    enum Attribute {
        static let username: UInt16 = 0x0006
        static let messageIntegrity: UInt16 = 0x0008
        static let errorCode: UInt16 = 0x0009
        static let unknownAttributes: UInt16 = 0x000A
        static let messageIntegritySHA256: UInt16 = 0x001C
        static let xorMappedAddress: UInt16 = 0x0020
        static let priority: UInt16 = 0x0024
        static let useCandidate: UInt16 = 0x0025
        static let fingerprint: UInt16 = 0x8028
        static let iceControlled: UInt16 = 0x8029
        static let iceControlling: UInt16 = 0x802A
        /// Required to be understood and harmless to us: MAPPED-ADDRESS, REALM, NONCE, PASSWORD-ALGORITHM, USERHASH are not used with ICE.
        static let mappedAddress: UInt16 = 0x0001
        /// libwebrtc sends GOOG-NETWORK-INFO (0xC057) and NOMINATION (0xC001); both optional by their range.
        static func mustBeUnderstood(_ type: UInt16) -> Bool { type < 0x8000 }
    }

    /// The 96 bits that pair a response with its request.
    package struct TransactionID: Hashable, Sendable {
        package let high: UInt32
        package let low: UInt64
        package init(high: UInt32, low: UInt64) { self.high = high; self.low = low }
        package init(random: any RandomSource) { self.init(high: UInt32(truncatingIfNeeded: random.next()), low: random.next()) }
    }

    /// Whether a datagram is STUN by its first byte and cookie (RFC 7983 §7).
    package static func isSTUN(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count >= headerLength && bytes[0] < 4 && UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) == magicCookie
    }

    /// The part of a request's USERNAME before the colon: the fragment of the side that is asked, here ours. Borrowed from `bytes`.
    ///
    /// For demultiplexing datagrams of unknown addresses; nothing is authenticated yet. Does not allocate.
    /// (A `String` of up to 15 bytes decoded from it does not allocate either.)
    package static func localFragment(of bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard let username = username(of: bytes), let colon = username.firstIndex(of: UInt8(ascii: ":")), colon > 0 else { return nil }
        return UnsafeRawBufferPointer(rebasing: username[..<colon])
    }

    /// A message's whole USERNAME, borrowed from `bytes`; nil when it has none or is malformed before it.
    package static func username(of bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard isSTUN(bytes) else { return nil }
        var reader = ByteReader(bytes)
        guard reader.skip(headerLength) else { return nil }
        for _ in 0..<Limits.attributes {
            guard let type = reader.u16(), let length = reader.u16(), let value = reader.take(Int(length)) else { return nil }
            if type == Attribute.username { return value }
            guard reader.skip(padding(Int(length))) else { return nil }
        }
        return nil
    }

    /// Bytes that fill a value of `length` up to 32 bits (RFC 8489 §14).
    static func padding(_ length: Int) -> Int { (4 - length & 3) & 3 }
}

/// Why a datagram is no STUN message we can use.
package enum STUNError: Error, Equatable, Sendable {
    /// Shorter than a header, or its first byte or cookie say it is something else.
    case notSTUN
    /// Longer than `STUN.Limits.messageLength`.
    case tooLong
    /// The length field disagrees with the datagram, or is no multiple of four.
    case wrongLength
    /// An attribute ends beyond the message.
    case truncatedAttribute
    /// An attribute's value has the wrong size or form.
    case malformedAttribute(UInt16)
    case tooManyAttributes
    /// The FINGERPRINT does not fit: damaged, or not meant as STUN.
    case wrongFingerprint
}
