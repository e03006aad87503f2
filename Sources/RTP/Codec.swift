// The codecs a room carries, with the numbers their RTP payload formats fix.

/// Raw values are stable: they travel in journals, control messages and manifests.
package enum Codec: String, CaseIterable, Codable, Hashable, Sendable {
    case opus, vp8, vp9, h264, av1

    package enum Kind: String, Codable, Hashable, Sendable { case audio, video }

    package var kind: Kind { self == .opus ? .audio : .video }
    /// RTP timestamp units per second (RFC 7587 §4.1, RFC 7741, RFC 9628, RFC 6184, AV1 RTP §4).
    package var clockRate: UInt32 { self == .opus ? 48_000 : 90_000 }
    /// As `a=rtpmap` spells it; compared without case (RFC 8866 §6.6).
    package var name: String {
        switch self {
        case .opus: "opus"
        case .vp8: "VP8"
        case .vp9: "VP9"
        case .h264: "H264"
        case .av1: "AV1"
        }
    }
    /// `a=rtpmap` channels; nil where the field is left out.
    package var channels: Int? { self == .opus ? 2 : nil }
    /// What we write into `a=fmtp` when nobody said otherwise; empty: no line.
    package var defaultFormatParameters: String {
        switch self {
        case .opus: "minptime=10;useinbandfec=1"
        case .vp8: ""
        case .vp9: "profile-id=0"
        case .h264: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
        case .av1: "level-idx=5;profile=0;tier=0"
        }
    }
    /// What we offer first, and the payload type of its RTX stream.
    package var defaultPayloadType: UInt8 {
        switch self {
        case .opus: 111
        case .vp8: 96
        case .vp9: 98
        case .h264: 102
        case .av1: 45
        }
    }
    package var defaultRTXPayloadType: UInt8? { self == .opus ? nil : defaultPayloadType + 1 }

    /// By `a=rtpmap` name, without regard to case.
    package init?(name: some StringProtocol) {
        switch name.lowercased() {
        case "opus": self = .opus
        case "vp8": self = .vp8
        case "vp9": self = .vp9
        case "h264": self = .h264
        case "av1", "av1x": self = .av1
        default: return nil
        }
    }
}
