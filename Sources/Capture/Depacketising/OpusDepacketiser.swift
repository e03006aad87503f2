// Opus: one packet, one frame (RFC 7587 §4.2); its length stands in the TOC byte (RFC 6716 §3.1).
import RTP

enum OpusDepacketiser {
    /// RFC 6716 §3.2.5: a packet is at most 120 ms.
    static let longest: UInt32 = 5_760

    static func frame(_ payloads: [UnsafeRawBufferPointer]) throws(FrameError) -> FrameBody {
        guard payloads.count == 1, let payload = payloads.first, !payload.isEmpty else { throw .empty }
        guard let duration = duration(of: payload) else { throw .malformed }
        return FrameBody(data: Array(payload), isKey: true, configuration: .opus(channels: 2), duration: duration)
    }

    /// Samples at 48 kHz.
    static func duration(of packet: UnsafeRawBufferPointer) -> UInt32? {
        guard let toc = packet.first else { return nil }
        let config = toc >> 3
        let samples: UInt32 = switch config {
        case 0...11: [480, 960, 1_920, 2_880][Int(config & 3)]   // SILK
        case 12...15: [480, 960][Int(config & 1)]                // hybrid
        default: [120, 240, 480, 960][Int(config & 3)]           // CELT
        }
        let count: UInt32
        switch toc & 3 {
        case 0: count = 1
        case 1, 2: count = 2
        default:
            guard packet.count >= 2 else { return nil }
            count = UInt32(packet[1] & 0x3F)
        }
        let total = samples * count
        return total > 0 && total <= longest ? total : nil
    }

    /// Digital silence of 2.5, 5, 10 or 20 ms, mono CELT at full band: fills holes, so that players stay in step.
    /// - Parameter samples: what is missing; the largest frame that fits is chosen.
    static func silence(atMost samples: UInt64) -> (data: [UInt8], duration: UInt32)? {
        for (config, duration) in [(31, 960), (30, 480), (29, 240), (28, 120)] as [(UInt8, UInt32)] where samples >= UInt64(duration) {
            return ([config << 3, 0xFF, 0xFE], duration)
        }
        return nil
    }
}
