// VP8: the payloads behind the descriptors, joined (RFC 7741 §4.1).
import RTP

enum VP8Depacketiser {
    static func frame(_ payloads: [UnsafeRawBufferPointer]) throws(FrameError) -> FrameBody {
        var data: [UInt8] = [], first: VP8Descriptor?
        for payload in payloads {
            let descriptor: VP8Descriptor
            do { descriptor = try VP8Descriptor(payload) } catch { throw .malformed }
            guard descriptor.startsFrame == (first == nil) else { throw .badOrder }
            if first == nil { first = descriptor }
            data.append(contentsOf: payload[descriptor.length...])
        }
        guard let first, !data.isEmpty else { throw .empty }
        // A key frame without a readable size cannot be one (RFC 6386 §9.1).
        guard !first.isKeyFrame || first.size != nil else { throw .malformed }
        return FrameBody(data: data, isKey: first.isKeyFrame, configuration: first.size.map { .vp8($0) }, duration: nil)
    }
}
