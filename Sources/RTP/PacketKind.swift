// What a datagram on a media port is, told by its first bytes (RFC 7983, RFC 5761).

/// The protocols that share one UDP port.
package enum PacketKind: UInt8, Sendable, Equatable {
    case stun, zrtp, dtls, turnChannel
    /// RTP or RTCP: the second byte decides (`PacketKind.of(_:)`).
    case media
    /// RTCP, where the second byte was looked at.
    case rtcp
    case unknown

    /// RFC 7983 §7. Never answers `.rtcp`: one byte cannot tell it from RTP.
    package static func of(firstByte: UInt8) -> PacketKind {
        switch firstByte {
        case 0...3: .stun
        case 16...19: .zrtp
        case 20...63: .dtls
        case 64...79: .turnChannel
        case 128...191: .media
        default: .unknown
        }
    }

    /// As `of(firstByte:)`, with RTCP told from RTP by RFC 5761 §4. An empty datagram is `.unknown`.
    package static func of(_ datagram: UnsafeRawBufferPointer) -> PacketKind {
        guard let first = datagram.first else { return .unknown }
        let kind = of(firstByte: first)
        guard kind == .media, datagram.count >= 2 else { return kind == .media ? .unknown : kind }
        return isRTCP(secondByte: datagram[1]) ? .rtcp : .media
    }

    /// RFC 5761 §4: RTCP packet types 192–223 are not used as RTP payload types with marker bit.
    package static func isRTCP(secondByte: UInt8) -> Bool { secondByte >= 192 && secondByte <= 223 }
}
