// RTP packets as browsers make them, for journals in tests.
import Primitives
import RTP

struct Packetiser {
    let codec: Codec
    let ssrc: UInt32
    var sequence: UInt16
    let firstTimestamp: UInt32
    var pictureID: UInt16 = 0x7FF0
    var payloadBytes = 1_100

    init(_ codec: Codec, ssrc: UInt32, sequence: UInt16 = 65_500, timestamp: UInt32 = 0xFFFF_0000) {
        self.codec = codec; self.ssrc = ssrc; self.sequence = sequence; firstTimestamp = timestamp
    }
    func timestamp(_ time: Int64) -> UInt32 {
        firstTimestamp &+ UInt32(truncatingIfNeeded: time * Int64(codec.clockRate) / 1_000_000)
    }

    mutating func packets(_ frame: EncodedFrame) -> [[UInt8]] {
        let payloads: [[UInt8]] = switch codec {
        case .opus: [frame.data]
        case .vp8: vp8(frame.data)
        case .vp9: vp9(frame.data)
        case .h264: h264(frame.data)
        case .av1: av1(frame.data)
        }
        pictureID = (pictureID + 1) & 0x7FFF
        return payloads.enumerated().map { index, payload in
            var head = [UInt8](repeating: 0, count: RTPHeader.fixedLength)
            head.withUnsafeMutableBytes {
                RTPHeader.write(
                    to: $0.baseAddress!, payloadType: codec.defaultPayloadType, marker: codec != .opus && index == payloads.count - 1,
                    sequence: sequence, timestamp: timestamp(frame.time), ssrc: ssrc)
            }
            sequence &+= 1
            return head + payload
        }
    }

    private func chunks(_ data: some Collection<UInt8>) -> [[UInt8]] {
        var rest = Array(data)[...], out: [[UInt8]] = []
        repeat {
            out.append(Array(rest.prefix(payloadBytes)))
            rest = rest.dropFirst(payloadBytes)
        } while !rest.isEmpty
        return out
    }
    private func vp8(_ data: [UInt8]) -> [[UInt8]] {
        chunks(data).enumerated().map { [$0.offset == 0 ? 0x90 : 0x80, 0x80, 0x80 | UInt8(pictureID >> 8), UInt8(pictureID & 255)] + $0.element }
    }
    private func vp9(_ data: [UInt8]) -> [[UInt8]] {
        let isKey = data[0] & 0x04 == 0, parts = chunks(data)
        return parts.enumerated().map { index, part in
            let head: UInt8 = 0x80 | (isKey ? 0 : 0x40) | (index == 0 ? 0x08 : 0) | (index == parts.count - 1 ? 0x04 : 0)
            return [head, 0x80 | UInt8(pictureID >> 8), UInt8(pictureID & 255)] + part
        }
    }
    /// STAP-A for parameter sets, FU-A for what is long.
    private func h264(_ data: [UInt8]) -> [[UInt8]] {
        var out: [[UInt8]] = [], sets: [[UInt8]] = []
        for unit in Synthesis.nalUnits(data) {
            if [6, 7, 8].contains(unit[0] & 0x1F), unit.count < 500 { sets.append(unit); continue }
            if !sets.isEmpty {
                let units = sets.flatMap { set -> [UInt8] in [UInt8(set.count >> 8), UInt8(set.count & 255)] + set }
                out.append([24 | 0x60] + units)
                sets = []
            }
            if unit.count <= payloadBytes { out.append(unit); continue }
            let parts = chunks(unit.dropFirst())
            for (index, part) in parts.enumerated() {
                out.append([unit[0] & 0xE0 | 28, (index == 0 ? 0x80 : 0) | (index == parts.count - 1 ? 0x40 : 0) | unit[0] & 0x1F] + part)
            }
        }
        return out
    }
    /// One OBU element (or fragment) a packet, sizes taken out, delimiters dropped.
    private func av1(_ data: [UInt8]) -> [[UInt8]] {
        var out: [[UInt8]] = [], at = 0, hasSequenceHeader = false
        while at < data.count {
            let head = data[at], start = at + (head & 0x04 != 0 ? 2 : 1)
            var size = 0, width = 0
            repeat { size |= Int(data[start + width] & 0x7F) << (7 * width); width += 1 } while data[start + width - 1] & 0x80 != 0
            let body = data[(start + width)..<(start + width + size)]
            let type = head >> 3 & 0x0F
            if type == 1 { hasSequenceHeader = true }
            if type != 2 {
                let parts = chunks([head & ~0x02] + data[(at + 1)..<start] + body)
                for (index, part) in parts.enumerated() {
                    let flags: UInt8 = (index > 0 ? 0x80 : 0) | (index < parts.count - 1 ? 0x40 : 0) | 0x10
                    out.append([flags | (out.isEmpty && hasSequenceHeader ? 0x08 : 0)] + part)
                }
            }
            at = start + width + size
        }
        return out
    }
}

/// A compound with one sender report.
func senderReport(ssrc: UInt32, sentAt: Int64, timestamp: UInt32) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 128)
    let count = buffer.withUnsafeMutableBytes { raw in
        var writer = RTCPWriter(raw)
        _ = writer.senderReport(SenderInfo(ssrc: ssrc, ntp: NTPTime(WallTime(microseconds: sentAt)), rtpTimestamp: timestamp, packetCount: 1, octetCount: 1))
        return writer.count
    }
    return Array(buffer[..<count])
}
