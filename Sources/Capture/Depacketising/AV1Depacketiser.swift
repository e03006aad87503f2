// AV1: OBU elements of one temporal unit, joined over packets, each given its size field back
// (AV1 RTP payload specification §4.4–4.5; low-overhead format of AV1 §5, as Matroska wants it).
import RTP

enum AV1Depacketiser {
    private enum OBU {
        static let sequenceHeader: UInt8 = 1
        static let temporalDelimiter: UInt8 = 2
        static let tileList: UInt8 = 8
        static let padding: UInt8 = 15
    }

    static func frame(_ payloads: [UnsafeRawBufferPointer]) throws(FrameError) -> FrameBody {
        var data: [UInt8] = [], partial: [UInt8] = [], isPartial = false
        var sequenceHeader: Range<Int>?
        for payload in payloads {
            guard let head = payload.first, payload.count > 1 else { throw .malformed }
            let continues = head & 0x80 != 0, goesOn = head & 0x40 != 0
            guard continues == isPartial else { throw .badOrder }
            var elements = AV1Elements(payload), pending: UnsafeRawBufferPointer?, index = 0
            while index <= AV1Payload.Limits.elements, let element = try next(&elements) {
                index += 1
                if let whole = pending { try emit(whole, &partial, &isPartial, &data, &sequenceHeader) }
                pending = element
            }
            guard index <= AV1Payload.Limits.elements, let last = pending else { throw .malformed }
            if goesOn {
                if !isPartial { partial.removeAll(keepingCapacity: true) }
                partial.append(contentsOf: last)
                isPartial = true
            } else {
                try emit(last, &partial, &isPartial, &data, &sequenceHeader)
            }
        }
        guard !isPartial else { throw .badOrder }
        guard !data.isEmpty else { throw .empty }
        guard let range = sequenceHeader else { return FrameBody(data: data, isKey: false, configuration: nil, duration: nil) }
        guard let size = data.withUnsafeBytes({ AV1SequenceHeader.size(UnsafeRawBufferPointer(rebasing: $0[range])) }) else { throw .malformed }
        return FrameBody(data: data, isKey: true, configuration: .av1(size, sequenceHeader: Array(data[range])), duration: nil)
    }

    private static func next(_ elements: inout AV1Elements) throws(FrameError) -> UnsafeRawBufferPointer? {
        do { return try elements.next() } catch { throw .malformed }
    }
    /// One complete element: the rest of a fragmented OBU, or an OBU by itself.
    private static func emit(
        _ element: UnsafeRawBufferPointer, _ partial: inout [UInt8], _ isPartial: inout Bool, _ data: inout [UInt8], _ sequenceHeader: inout Range<Int>?
    ) throws(FrameError) {
        let start = data.count
        let type: UInt8?
        if isPartial {
            partial.append(contentsOf: element)
            isPartial = false
            let whole = partial
            type = try whole.withUnsafeBufferPointer { raw throws(FrameError) in try append(UnsafeRawBufferPointer(raw), &data) }
        } else {
            type = try append(element, &data)
        }
        if type == OBU.sequenceHeader, sequenceHeader == nil { sequenceHeader = start..<data.count }
    }
    /// Appends the OBU with a size field.
    /// - Returns: its type, nil when it was left out: delimiters, tile lists and padding do not belong into a file.
    private static func append(_ obu: UnsafeRawBufferPointer, _ data: inout [UInt8]) throws(FrameError) -> UInt8? {
        guard let head = obu.first, head & 0x80 == 0 else { throw .malformed }
        let type = head >> 3 & 0x0F
        let hasExtension = head & 0x04 != 0
        var start = hasExtension ? 2 : 1
        guard obu.count >= start else { throw .malformed }
        var end = obu.count
        if head & 0x02 != 0 {
            guard let (size, width) = leb128(UnsafeRawBufferPointer(rebasing: obu[start...])), size <= obu.count - start - width else { throw .malformed }
            start += width
            end = start + size
        }
        if type == OBU.temporalDelimiter || type == OBU.tileList || type == OBU.padding { return nil }
        data.append(head | 0x02)
        if hasExtension { data.append(obu[1]) }
        putLEB128(end - start, &data)
        data.append(contentsOf: obu[start..<end])
        return type
    }
    /// AV1 §4.10.5.
    static func leb128(_ bytes: UnsafeRawBufferPointer) -> (value: Int, width: Int)? {
        var value = 0
        for (i, byte) in bytes.prefix(AV1Payload.Limits.leb128Bytes).enumerated() {
            value |= Int(byte & 0x7F) << (7 * i)
            if byte & 0x80 == 0 { return (value, i + 1) }
        }
        return nil
    }
    static func putLEB128(_ value: Int, _ out: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            out.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        out.append(UInt8(rest))
    }
}

/// AV1 §5.5.1: as far as the largest frame size.
enum AV1SequenceHeader {
    /// - Parameter obu: with header and size field.
    static func size(_ obu: UnsafeRawBufferPointer) -> VideoSize? {
        guard let head = obu.first else { return nil }
        let start = head & 0x04 != 0 ? 2 : 1
        guard obu.count > start, let (_, width) = AV1Depacketiser.leb128(UnsafeRawBufferPointer(rebasing: obu[start...])), obu.count > start + width else { return nil }
        var bits = BitReader(UnsafeRawBufferPointer(rebasing: obu[(start + width)...]))
        guard bits.skip(4), let isReduced = bits.flag() else { return nil }   // seq_profile, still_picture
        guard isReduced ? bits.skip(5) : skipOperatingPoints(&bits) else { return nil }
        guard let widthBits = bits.bits(4), let heightBits = bits.bits(4),
            let w = bits.bits(Int(widthBits) + 1), let h = bits.bits(Int(heightBits) + 1)
        else { return nil }
        return VideoSize(width: Int(w) + 1, height: Int(h) + 1)
    }

    private static func skipOperatingPoints(_ bits: inout BitReader) -> Bool {
        guard let hasTiming = bits.flag() else { return false }
        var delayBits = 0, hasDecoderModel = false
        if hasTiming {
            guard bits.skip(64), let isEqual = bits.flag() else { return false }
            if isEqual { guard bits.uvlc() != nil else { return false } }
            guard let model = bits.flag() else { return false }
            hasDecoderModel = model
            if model {
                guard let length = bits.bits(5), bits.skip(32 + 5 + 5) else { return false }
                delayBits = Int(length) + 1
            }
        }
        guard let hasDisplayDelay = bits.flag(), let count = bits.bits(5) else { return false }
        for _ in 0...count {
            guard bits.skip(12), let level = bits.bits(5) else { return false }
            if level > 7 { guard bits.skip(1) else { return false } }
            if hasDecoderModel {
                guard let isPresent = bits.flag() else { return false }
                if isPresent { guard bits.skip(2 * delayBits + 1) else { return false } }
            }
            if hasDisplayDelay {
                guard let isPresent = bits.flag() else { return false }
                if isPresent { guard bits.skip(4) else { return false } }
            }
        }
        return true
    }
}
