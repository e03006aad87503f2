// Retransmission streams: one packet of another stream, behind its own sequence number (RFC 4588 §4).
//
// | RTP header (RTX stream's SSRC, PT, sequence) | OSN: original sequence, 16 bits | original payload |

package enum Retransmission {
    /// Bytes of the original sequence number.
    package static let prefixLength = 2

    /// The original sequence number, or nil for a packet that carries nothing (padding sent as a probe).
    package static func originalSequence(of header: RTPHeader) -> UInt16? {
        guard header.payloadLength > prefixLength else { return nil }
        return header.bytes.be16(header.payloadOffset)
    }

    /// Turns an RTX packet into the packet it repeats, in place: the header moves two bytes to the right over the OSN.
    /// - Parameters:
    ///   - packet: the RTX packet, decrypted; `header` is its view.
    ///   - ssrc: of the original stream; `payloadType`: of the original codec.
    /// - Returns: the original packet, inside `packet`; nil when it carries nothing.
    package static func unwrap(_ packet: UnsafeMutableRawBufferPointer, header: RTPHeader, ssrc: UInt32, payloadType: UInt8) -> UnsafeMutableRawBufferPointer? {
        guard let sequence = originalSequence(of: header), let base = packet.baseAddress else { return nil }
        let start = base + prefixLength
        start.copyMemory(from: base, byteCount: header.payloadOffset)
        overwrite(start, payloadType: payloadType, sequence: sequence, ssrc: ssrc)
        return UnsafeMutableRawBufferPointer(start: start, count: packet.count - prefixLength)
    }

    /// Writes `original` as a packet of an RTX stream.
    /// - Returns: bytes written, or nil when `target` is too small.
    package static func wrap(_ original: RTPHeader, ssrc: UInt32, payloadType: UInt8, sequence: UInt16, into target: UnsafeMutableRawBufferPointer) -> Int? {
        let length = original.bytes.count - original.paddingLength + prefixLength
        guard target.count >= length, let to = target.baseAddress, let from = original.bytes.baseAddress else { return nil }
        to.copyMemory(from: from, byteCount: original.payloadOffset)
        to.storeBytes(of: to.load(as: UInt8.self) & ~0x20, as: UInt8.self)   // padding is not repeated
        overwrite(to, payloadType: payloadType, sequence: sequence, ssrc: ssrc)
        to.storeBytes(of: original.sequence.bigEndian, toByteOffset: original.payloadOffset, as: UInt16.self)
        (to + original.payloadOffset + prefixLength).copyMemory(from: from + original.payloadOffset, byteCount: original.payloadLength)
        return length
    }

    private static func overwrite(_ header: UnsafeMutableRawPointer, payloadType: UInt8, sequence: UInt16, ssrc: UInt32) {
        let marker = header.load(fromByteOffset: 1, as: UInt8.self) & 0x80
        header.storeBytes(of: marker | (payloadType & 0x7F), toByteOffset: 1, as: UInt8.self)
        header.storeBytes(of: sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
        header.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
    }
}
