// Writing RTP headers and extension blocks into a caller's buffer (RFC 3550 §5.1, RFC 8285).

extension RTPHeader {
    /// Writes the 12 fixed bytes, without contributors or padding.
    /// - Parameter target: at least `fixedLength` bytes.
    package static func write(
        to target: UnsafeMutableRawPointer, payloadType: UInt8, marker: Bool, sequence: UInt16, timestamp: UInt32, ssrc: UInt32,
        hasExtensionBlock: Bool = false
    ) {
        target.storeBytes(of: version << 6 | (hasExtensionBlock ? 0x10 : 0), as: UInt8.self)
        target.storeBytes(of: (marker ? 0x80 : 0) | (payloadType & 0x7F), toByteOffset: 1, as: UInt8.self)
        target.storeBytes(of: sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
        target.storeBytes(of: timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
        target.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
    }
}

/// Builds one extension block: 4 bytes of head, elements, zero padding to a multiple of 4. No allocation.
///
/// The form is chosen up front: one-byte for ids 1…14 with values of 1…16 bytes, two-byte for all others (RFC 8285 §4.1.2).
package struct ExtensionBlockWriter {
    private let target: UnsafeMutableRawPointer
    private let capacity: Int
    private let isTwoByte: Bool
    private var length = 4

    /// - Parameters:
    ///   - target: where the block begins, straight after the fixed header and contributors.
    ///   - capacity: bytes that may be written there.
    package init(to target: UnsafeMutableRawPointer, capacity: Int, twoByte: Bool = false) {
        self.target = target
        self.capacity = capacity
        isTwoByte = twoByte
    }

    /// - Returns: false when the element does not fit the form or the room left; nothing was written then.
    package mutating func append(id: UInt8, _ value: UnsafeRawBufferPointer) -> Bool {
        let head = isTwoByte ? 2 : 1
        let fits = isTwoByte ? (id != 0 && value.count <= 255) : (id >= 1 && id <= 14 && value.count >= 1 && value.count <= 16)
        guard fits, paddedLength(length + head + value.count) <= capacity else { return false }
        if isTwoByte {
            target.storeBytes(of: id, toByteOffset: length, as: UInt8.self)
            target.storeBytes(of: UInt8(value.count), toByteOffset: length + 1, as: UInt8.self)
        } else {
            target.storeBytes(of: id << 4 | UInt8(value.count - 1), toByteOffset: length, as: UInt8.self)
        }
        if let base = value.baseAddress { (target + length + head).copyMemory(from: base, byteCount: value.count) }
        length += head + value.count
        return true
    }

    /// Pads, writes the head and closes the block.
    /// - Returns: its length in bytes; 0 when no element was appended: write no block and clear the X bit then.
    package mutating func finish() -> Int {
        guard length > 4 else { return 0 }
        let padded = paddedLength(length)
        while length < padded { target.storeBytes(of: 0, toByteOffset: length, as: UInt8.self); length += 1 }
        let profile = isTwoByte ? RTPHeader.twoByteProfile : RTPHeader.oneByteProfile
        target.storeBytes(of: profile.bigEndian, as: UInt16.self)
        target.storeBytes(of: UInt16(padded / 4 - 1).bigEndian, toByteOffset: 2, as: UInt16.self)
        return padded
    }

    private func paddedLength(_ n: Int) -> Int { (n + 3) & ~3 }
}
