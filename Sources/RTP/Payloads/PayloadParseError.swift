// What the payload descriptor parsers share.

/// Why a payload does not begin with its codec's descriptor. Normal for hostile input.
package enum PayloadParseError: UInt8, Error, Equatable, Sendable {
    case empty, truncated, reserved
}

/// Whether decoding may begin with this packet: it holds the first bytes of a key picture (or its parameter sets).
/// Malformed payloads are not key frames. Opus decodes from anywhere, so every packet with a payload is one.
package func isKeyFrame(codec: Codec, payload: UnsafeRawBufferPointer) -> Bool {
    switch codec {
    case .opus: !payload.isEmpty
    case .vp8: (try? VP8Descriptor(payload))?.isKeyFrame ?? false
    case .vp9: (try? VP9Descriptor(payload))?.isKeyFrame ?? false
    case .h264: (try? H264Payload(payload))?.isKeyFrame ?? false
    case .av1: (try? AV1Payload(payload))?.isKeyFrame ?? false
    }
}
