// VP9: one picture is one frame per spatial layer; several become a superframe (RFC 9628 §4, VP9 bitstream annex B).
import RTP

enum VP9Depacketiser {
    enum Limits {
        static let spatialLayers = 8   // of a superframe (VP9 annex B), and of the descriptor
    }

    static func frame(_ payloads: [UnsafeRawBufferPointer]) throws(FrameError) -> FrameBody {
        var data: [UInt8] = [], sizes: [Int] = [], first: VP9Descriptor?, isOpen = false
        for payload in payloads {
            let descriptor: VP9Descriptor
            do { descriptor = try VP9Descriptor(payload) } catch { throw .malformed }
            guard descriptor.startsFrame != isOpen else { throw .badOrder }
            if descriptor.startsFrame {
                guard sizes.count < Limits.spatialLayers else { throw .tooLarge }
                sizes.append(0)
            }
            if first == nil { first = descriptor }
            let body = payload[descriptor.length...]
            data.append(contentsOf: body)
            sizes[sizes.count - 1] += body.count
            isOpen = !descriptor.endsFrame
        }
        guard let first, !isOpen else { throw .badOrder }
        guard !data.isEmpty, !sizes.contains(0) else { throw .empty }
        let isKey = first.isKeyFrame
        let header = data.withUnsafeBytes { VP9Header($0) }
        guard !isKey || header?.isKey == true else { throw .malformed }
        if sizes.count > 1 { data += superframeIndex(sizes) }
        let size = isKey ? (first.size ?? header?.size) : nil
        return FrameBody(data: data, isKey: isKey, configuration: size.map { .vp9($0) }, duration: nil)
    }

    /// Annex B: a marker with the frame count and the width of the sizes, the sizes little-endian, the marker again.
    static func superframeIndex(_ sizes: [Int]) -> [UInt8] {
        let largest = sizes.max() ?? 0
        let width = max(1, (Int.bitWidth - largest.leadingZeroBitCount + 7) / 8)
        let marker = 0xC0 | UInt8(width - 1) << 3 | UInt8(sizes.count - 1)
        var out = [marker]
        for size in sizes { for i in 0..<width { out.append(UInt8(truncatingIfNeeded: size >> (8 * i))) } }
        return out + [marker]
    }
}

/// The start of the uncompressed header (VP9 bitstream §6.2): enough for key frames and their size.
struct VP9Header {
    let isKey: Bool
    /// Of a key frame.
    let size: VideoSize?

    init?(_ bytes: UnsafeRawBufferPointer) {
        var bits = BitReader(bytes)
        guard bits.bits(2) == 2, let low = bits.bits(1), let high = bits.bits(1) else { return nil }
        let profile = high << 1 | low
        if profile == 3, bits.bits(1) != 0 { return nil }
        guard let showsExisting = bits.flag() else { return nil }
        if showsExisting { (isKey, size) = (false, nil); return }
        guard let isInter = bits.flag(), bits.skip(2) else { return nil }
        isKey = !isInter
        guard isKey else { size = nil; return }
        guard bits.bits(24) == 0x49_8342, Self.skipColor(&bits, profile: profile),
            let width = bits.bits(16), let height = bits.bits(16)
        else { return nil }
        size = VideoSize(width: Int(width) + 1, height: Int(height) + 1)
    }

    private static func skipColor(_ bits: inout BitReader, profile: UInt32) -> Bool {
        if profile >= 2, bits.bits(1) == nil { return false }
        guard let space = bits.bits(3) else { return false }
        let isRGB = space == 7
        if !isRGB { return bits.skip(1) && (profile & 1 == 0 || bits.skip(3)) }
        return profile & 1 == 1 ? bits.skip(1) : false   // RGB needs profile 1 or 3
    }
}
