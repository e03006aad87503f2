import RTP
import Testing

/// Runs `body` over the array's bytes.
@discardableResult
func reading<R>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try bytes.withUnsafeBytes(body) }

/// "80 6f 00 01" or "806f0001".
func hex(_ text: String) -> [UInt8] {
    let digits = text.utf8.filter { $0 != 0x20 && $0 != 0x0A }.map { UInt8(String(UnicodeScalar($0)), radix: 16)! }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// What `write` put into a buffer of `capacity` bytes; `write` answers whether all went as it should.
func writing(capacity: Int = 1500, _ write: (inout RTCPWriter) -> Bool) -> [UInt8] {
    var buffer = [UInt8](repeating: 0xEE, count: capacity)
    return buffer.withUnsafeMutableBytes {
        var writer = RTCPWriter($0)
        let succeeded = write(&writer)
        #expect(succeeded)
        return Array(writer.written)
    }
}

/// `#expect` with an equality whose left side mutates.
func check<T: Equatable>(_ value: T, _ expected: T, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(value == expected, sourceLocation: sourceLocation)
}
func require<T>(_ value: T?, sourceLocation: SourceLocation = #_sourceLocation) throws -> T {
    try #require(value, sourceLocation: sourceLocation)
}
