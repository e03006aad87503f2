// H.264: NAL units out of single, STAP-A and FU-A packets (RFC 6184 §5.6–5.8), each behind its 32-bit length as
// Matroska and MP4 hold them (ISO/IEC 14496-15 §5.3). Parameter sets stay in band and are remembered as well.
import RTP

struct H264Depacketiser {
    private enum NAL {
        static let idr: UInt8 = 5
        static let sps: UInt8 = 7
        static let pps: UInt8 = 8
        static let delimiter: UInt8 = 9
        static let filler: UInt8 = 12
        static let stapA: UInt8 = 24
        static let fuA: UInt8 = 28
    }
    private var sps: [UInt8] = []
    private var pps: [UInt8] = []

    mutating func frame(_ payloads: [UnsafeRawBufferPointer]) throws(FrameError) -> FrameBody {
        var units = NALUnits()
        for payload in payloads { try units.add(payload) }
        guard units.isComplete else { throw .badOrder }
        var isIDR = false, hasPicture = false
        for unit in units.ranges {
            switch units.data[unit.lowerBound] & 0x1F {
            case NAL.idr: isIDR = true; hasPicture = true
            case 1...4: hasPicture = true
            case NAL.sps: sps = Array(units.data[unit])
            case NAL.pps: pps = Array(units.data[unit])
            default: break
            }
        }
        guard hasPicture else { throw .empty }
        var configuration: CodecConfiguration?
        if isIDR {
            guard !pps.isEmpty, let size = sps.withUnsafeBytes({ H264SequenceParameters($0)?.size }) else { throw .malformed }
            configuration = .h264(size, sps: sps, pps: pps)
        }
        return FrameBody(data: units.data, isKey: isIDR, configuration: configuration, duration: nil)
    }

    /// NAL units one after the other, each behind its length.
    private struct NALUnits {
        var data: [UInt8] = []
        /// Where each unit stands, without its length.
        var ranges: [Range<Int>] = []
        /// Start of the fragmented unit that is being put together.
        private var fragment: Int?
        var isComplete: Bool { fragment == nil }

        mutating func add(_ payload: UnsafeRawBufferPointer) throws(FrameError) {
            guard let first = payload.first else { throw .empty }
            switch first & 0x1F {
            case 1...23:
                guard isComplete else { throw .badOrder }
                append(payload)
            case NAL.stapA:
                guard isComplete else { throw .badOrder }
                try addAggregate(payload)
            case NAL.fuA: try addFragment(payload)
            default: throw .malformed
            }
        }
        private mutating func addAggregate(_ payload: UnsafeRawBufferPointer) throws(FrameError) {
            var offset = 1
            while offset < payload.count {
                guard payload.count - offset >= 3 else { throw .malformed }
                let size = Int(payload[offset]) << 8 | Int(payload[offset + 1])
                guard size > 0, payload.count - offset - 2 >= size else { throw .malformed }
                append(UnsafeRawBufferPointer(rebasing: payload[(offset + 2)..<(offset + 2 + size)]))
                offset += 2 + size
            }
        }
        private mutating func addFragment(_ payload: UnsafeRawBufferPointer) throws(FrameError) {
            guard payload.count > 2 else { throw .malformed }
            let isFirst = payload[1] & 0x80 != 0
            guard isFirst == isComplete else { throw .badOrder }
            if isFirst {
                fragment = data.count
                data += [0, 0, 0, 0, payload[0] & 0xE0 | payload[1] & 0x1F]
            }
            data.append(contentsOf: payload[2...])
            if payload[1] & 0x40 != 0, let start = fragment {
                fragment = nil
                finish(from: start)
            }
        }
        private mutating func append(_ unit: UnsafeRawBufferPointer) {
            let start = data.count
            data += [0, 0, 0, 0]
            data.append(contentsOf: unit)
            finish(from: start)
        }
        private mutating func finish(from start: Int) {
            let type = data[start + 4] & 0x1F
            if type == NAL.delimiter || type == NAL.filler { data.removeSubrange(start...); return }
            let length = data.count - start - 4
            for i in 0..<4 { data[start + i] = UInt8(truncatingIfNeeded: length >> (24 - 8 * i)) }
            ranges.append((start + 4)..<data.count)
        }
    }
}

/// What a sequence parameter set says of the picture (H.264 §7.3.2.1.1).
struct H264SequenceParameters: Equatable {
    private enum Limits {
        static let bytes = 1_024            // of a parameter set looked at
        static let references: UInt32 = 255 // in a picture order count cycle, §7.4.2.1.1
        static let macroblocks: UInt32 = 1_024  // per side: 16,384 pixels
    }
    let profile: UInt8
    let constraints: UInt8
    let level: UInt8
    let size: VideoSize

    /// - Parameter unit: the whole NAL unit, with its header byte.
    init?(_ unit: UnsafeRawBufferPointer) {
        guard unit.count >= 4, unit[0] & 0x1F == 7 else { return nil }
        (profile, constraints, level) = (unit[1], unit[2], unit[3])
        let body = Self.unescaped(unit.dropFirst(4).prefix(Limits.bytes))
        let profile = profile
        guard let size = body.withUnsafeBytes({ raw in
            var bits = BitReader(raw)
            return Self.size(&bits, profile: profile)
        }) else { return nil }
        self.size = size
    }

    /// §7.4.1: 00 00 03 stands for 00 00.
    private static func unescaped(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var out: [UInt8] = [], zeros = 0
        for byte in bytes {
            if zeros >= 2, byte == 3 { zeros = 0; continue }
            zeros = byte == 0 ? zeros + 1 : 0
            out.append(byte)
        }
        return out
    }

    private static func size(_ bits: inout BitReader, profile: UInt8) -> VideoSize? {
        guard bits.ue() != nil else { return nil }
        var chroma: UInt32 = 1, separatePlanes = false
        if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(profile) {
            guard let format = bits.ue(), format <= 3 else { return nil }
            chroma = format
            if chroma == 3 {
                guard let separate = bits.flag() else { return nil }
                separatePlanes = separate
            }
            guard bits.ue() != nil, bits.ue() != nil, bits.skip(1), let hasMatrix = bits.flag() else { return nil }
            if hasMatrix { guard skipScalingLists(&bits, count: chroma == 3 ? 12 : 8) else { return nil } }
        }
        guard bits.ue() != nil, skipPictureOrder(&bits), bits.ue() != nil, bits.skip(1) else { return nil }
        guard let width = bits.ue(), let height = bits.ue(), width < Limits.macroblocks, height < Limits.macroblocks, let isFrameOnly = bits.flag() else { return nil }
        if !isFrameOnly { guard bits.skip(1) else { return nil } }
        guard bits.skip(1), let isCropped = bits.flag() else { return nil }
        let rows: UInt32 = isFrameOnly ? 1 : 2
        var pixels = (Int(width + 1) * 16, Int((height + 1) * rows) * 16)
        if isCropped {
            guard let left = bits.ue(), let right = bits.ue(), let top = bits.ue(), let bottom = bits.ue() else { return nil }
            let isSubsampled = chroma != 0 && !separatePlanes
            let unitX = isSubsampled && chroma != 3 ? 2 : 1
            let unitY = (isSubsampled && chroma == 1 ? 2 : 1) * Int(rows)
            pixels.0 -= (Int(left) + Int(right)) * unitX
            pixels.1 -= (Int(top) + Int(bottom)) * unitY
        }
        return pixels.0 > 0 && pixels.1 > 0 ? VideoSize(width: pixels.0, height: pixels.1) : nil
    }
    private static func skipPictureOrder(_ bits: inout BitReader) -> Bool {
        guard let type = bits.ue() else { return false }
        if type == 0 { return bits.ue() != nil }
        guard type == 1 else { return type == 2 }
        guard bits.skip(1), bits.se() != nil, bits.se() != nil, let count = bits.ue(), count <= Limits.references else { return false }
        for _ in 0..<count where bits.se() == nil { return false }
        return true
    }
    /// §7.3.2.1.1.1.
    private static func skipScalingLists(_ bits: inout BitReader, count: Int) -> Bool {
        for list in 0..<count {
            guard let isPresent = bits.flag() else { return false }
            guard isPresent else { continue }
            var last: Int32 = 8, next: Int32 = 8
            for _ in 0..<(list < 6 ? 16 : 64) {
                if next != 0 {
                    guard let delta = bits.se(), abs(Int(delta)) <= 256 else { return false }
                    next = (last + delta + 256) % 256
                }
                last = next == 0 ? last : next
            }
        }
        return true
    }
}

/// `avcC` (ISO/IEC 14496-15 §5.3.3.1): what Matroska's CodecPrivate holds for H.264.
package enum AVCConfiguration {
    package static func record(sps: [UInt8], pps: [UInt8]) -> [UInt8]? {
        guard sps.count >= 4, sps.count <= 0xFFFF, !pps.isEmpty, pps.count <= 0xFFFF else { return nil }
        var out: [UInt8] = [1, sps[1], sps[2], sps[3], 0xFC | 3, 0xE0 | 1]
        out += [UInt8(sps.count >> 8), UInt8(sps.count & 255)] + sps
        out += [1, UInt8(pps.count >> 8), UInt8(pps.count & 255)] + pps
        guard [100, 110, 122, 144].contains(sps[1]) else { return out }
        // High profiles add chroma format and bit depths; WebRTC's are 4:2:0 in 8 bits.
        return out + [0xFC | 1, 0xF8, 0xF8, 0]
    }
}
