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
        chunks(data).enumerated().map { index, part in
            let descriptor: [UInt8] = [index == 0 ? 0x90 : 0x80, 0x80, 0x80 | UInt8(pictureID >> 8), UInt8(pictureID & 255)]
            return descriptor + part
        }
    }
    private func vp9(_ data: [UInt8]) -> [[UInt8]] {
        let isKey = data[0] & 0x04 == 0, parts = chunks(data)
        return parts.enumerated().map { index, part in
            let inter: UInt8 = isKey ? 0 : 0x40, begins: UInt8 = index == 0 ? 0x08 : 0, ends: UInt8 = index == parts.count - 1 ? 0x04 : 0
            let descriptor: [UInt8] = [0x80 | inter | begins | ends, 0x80 | UInt8(pictureID >> 8), UInt8(pictureID & 255)]
            return descriptor + part
        }
    }
    /// STAP-A for parameter sets, FU-A for what is long.
    private func h264(_ data: [UInt8]) -> [[UInt8]] {
        var out: [[UInt8]] = [], sets: [[UInt8]] = []
        for unit in Synthesis.nalUnits(data) {
            if [6, 7, 8].contains(unit[0] & 0x1F), unit.count < 500 { sets.append(unit); continue }
            if !sets.isEmpty {
                var aggregate: [UInt8] = [0x78]
                for set in sets {
                    aggregate += [UInt8(set.count >> 8), UInt8(set.count & 255)]
                    aggregate += set
                }
                out.append(aggregate)
                sets = []
            }
            if unit.count <= payloadBytes { out.append(unit); continue }
            let parts = chunks(unit.dropFirst())
            for (index, part) in parts.enumerated() {
                let first: UInt8 = index == 0 ? 0x80 : 0, last: UInt8 = index == parts.count - 1 ? 0x40 : 0
                let head: [UInt8] = [unit[0] & 0xE0 | 28, first | last | (unit[0] & 0x1F)]
                out.append(head + part)
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
            var byte: UInt8
            repeat {
                byte = data[start + width]
                size |= Int(byte & 0x7F) << (7 * width)
                width += 1
            } while byte & 0x80 != 0
            let body = data[(start + width)..<(start + width + size)]
            let type = head >> 3 & 0x0F
            if type == 1 { hasSequenceHeader = true }
            if type != 2 {
                var obu: [UInt8] = [head & 0xFD]
                obu += data[(at + 1)..<start]
                obu += body
                let parts = chunks(obu)
                for (index, part) in parts.enumerated() {
                    let z: UInt8 = index > 0 ? 0x80 : 0, y: UInt8 = index < parts.count - 1 ? 0x40 : 0, n: UInt8 = out.isEmpty && hasSequenceHeader ? 0x08 : 0
                    let flags: UInt8 = z | y | n | 0x10
                    out.append([flags] + part)
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
