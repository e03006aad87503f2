import Primitives
@testable import WebRTC

/// Bytes of a hexadecimal string; spaces and line ends are for the reader.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
func hexText(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
extension Array where Element == UInt8 {
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try withUnsafeBytes(body) }
}

// Packet calls work on pointers; tests compare values.
extension SRTPReceiver {
    /// What `unprotect` returns and leaves of a copy of `bytes`; `claiming` may say another length than the copy's.
    func opened(_ bytes: [UInt8], claiming length: Int? = nil) -> (length: Int, bytes: [UInt8]) {
        var copy = bytes + [UInt8](repeating: 0, count: 8)
        let result = copy.withUnsafeMutableBytes { unprotect($0.baseAddress!, length: length ?? bytes.count) }
        return (result, Array(copy.prefix(max(0, result))))
    }
    func openedRTCP(_ bytes: [UInt8]) -> (length: Int, bytes: [UInt8]) {
        var copy = bytes + [UInt8](repeating: 0, count: 8)
        let result = copy.withUnsafeMutableBytes { unprotectRTCP($0.baseAddress!, length: bytes.count) }
        return (result, Array(copy.prefix(max(0, result))))
    }
}
extension SRTPSender {
    /// What `protectRTCP` returns and makes of `packet` in a buffer of `capacity` bytes.
    func sealedRTCP(_ packet: [UInt8], capacity: Int = 1500) -> (length: Int, bytes: [UInt8]) {
        var wire = packet + [UInt8](repeating: 0, count: 32)
        let result = wire.withUnsafeMutableBytes { protectRTCP($0.baseAddress!, length: packet.count, capacity: capacity) }
        return (result, Array(wire.prefix(max(0, result))))
    }
}
