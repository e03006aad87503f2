// What a depacketiser makes of the packets of one frame.
import RTP

/// What a container must know of a stream besides its frames.
package enum CodecConfiguration: Equatable, Sendable {
    case opus(channels: Int)
    case vp8(VideoSize)
    case vp9(VideoSize)
    /// One sequence and one picture parameter set, as NAL units without start code.
    case h264(VideoSize, sps: [UInt8], pps: [UInt8])
    /// The sequence header OBU, with its size field.
    case av1(VideoSize, sequenceHeader: [UInt8])

    package var codec: Codec {
        switch self {
        case .opus: .opus
        case .vp8: .vp8
        case .vp9: .vp9
        case .h264: .h264
        case .av1: .av1
        }
    }
    package var size: VideoSize? {
        switch self {
        case .opus: nil
        case .vp8(let size), .vp9(let size), .h264(let size, _, _), .av1(let size, _): size
        }
    }
}

/// One frame as a decoder takes it.
struct FrameBody: Equatable {
    var data: [UInt8]
    /// Decoding may begin here.
    var isKey: Bool
    /// Of a key frame that says it.
    var configuration: CodecConfiguration?
    /// In RTP timestamp units; audio only.
    var duration: UInt32?
}

/// Why the packets of a frame, all present, are not one. Each is counted in the track's integrity.
package enum FrameError: UInt8, Error, Equatable, Sendable {
    /// A payload descriptor or aggregation does not parse.
    case malformed
    /// The first packet does not begin a frame, or a later one does.
    case badOrder
    case empty
    case tooLarge
}

package enum FrameLimits {
    package static let bytes = 16 << 20         // one frame
    package static let packets = 16_384         // of one frame
}

/// Joins the payloads of one frame's packets, in order and complete. State is what a codec carries from frame to frame.
struct Depacketiser {
    let codec: Codec
    private var h264 = H264Depacketiser()

    init(codec: Codec) { self.codec = codec }

    mutating func frame(_ payloads: [UnsafeRawBufferPointer]) throws(FrameError) -> FrameBody {
        var total = 0
        for payload in payloads { total += payload.count }
        guard total <= FrameLimits.bytes else { throw .tooLarge }
        switch codec {
        case .opus: return try OpusDepacketiser.frame(payloads)
        case .vp8: return try VP8Depacketiser.frame(payloads)
        case .vp9: return try VP9Depacketiser.frame(payloads)
        case .h264: return try h264.frame(payloads)
        case .av1: return try AV1Depacketiser.frame(payloads)
        }
    }

    /// Whether a frame may begin with this packet, as far as its descriptor tells.
    static func mayBegin(_ codec: Codec, _ payload: UnsafeRawBufferPointer) -> Bool {
        switch codec {
        case .opus: true
        case .vp8: (try? VP8Descriptor(payload))?.startsFrame ?? false
        case .vp9: (try? VP9Descriptor(payload)).map { $0.startsFrame && ($0.spatialID ?? 0) == 0 } ?? false
        case .h264: (try? H264Payload(payload))?.containsSPS ?? false   // other slices do not say whether they are the first
        case .av1: (try? AV1Payload(payload))?.isKeyFrame ?? false      // Z = 0 begins an OBU, not a temporal unit
        }
    }
}
