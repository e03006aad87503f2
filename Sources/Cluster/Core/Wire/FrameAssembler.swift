// Cutting the byte stream of a link into frames.
//
//  0        4
//  | length | payload: type, then CBOR items |
// `length` counts the payload, big-endian.

package enum FrameError: Error, Equatable, Sendable, CustomStringConvertible {
    case tooLarge(bytes: Int)
    case empty
    case malformed(CBORError)
    /// A number or a count no sender of ours writes.
    case outOfRange(String)
    package var description: String {
        switch self {
        case .tooLarge(let bytes): "a frame of \(bytes) bytes; \(FrameAssembler.Limits.payloadBytes) are allowed"
        case .empty: "a frame without a type"
        case .malformed(let error): "a frame that does not parse: \(error)"
        case .outOfRange(let what): "a frame with an impossible \(what)"
        }
    }
}

/// Takes bytes as they come, hands out whole payloads.
package struct FrameAssembler {
    package enum Limits {
        package static let payloadBytes = 1 << 20
        package static let headBytes = 4
    }
    private var rest: [UInt8] = []
    package init() {}

    /// - Parameter each: called for every whole payload, borrowed; answers false to stop (the rest is dropped).
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, _ each: (UnsafeRawBufferPointer) throws(FrameError) -> Bool) throws(FrameError) {
        if rest.isEmpty {
            let used = try Self.cut(bytes, each)
            if used < bytes.count { rest.append(contentsOf: bytes[used...]) }
            return
        }
        rest.append(contentsOf: bytes)
        let whole = rest
        rest = []
        // A closure of typed errors cannot pass through `withUnsafeBytes`' generic one unchanged: carry the result out.
        let result = whole.withUnsafeBytes { raw -> Result<Int, FrameError> in
            do throws(FrameError) { return .success(try Self.cut(raw, each)) } catch { return .failure(error) }
        }
        let used = try result.get()
        if used < whole.count { rest = used == 0 ? whole : Array(whole[used...]) }
    }
    /// - Returns: bytes that belonged to whole frames.
    private static func cut(_ bytes: UnsafeRawBufferPointer, _ each: (UnsafeRawBufferPointer) throws(FrameError) -> Bool) throws(FrameError) -> Int {
        var offset = 0
        while bytes.count - offset >= Limits.headBytes {
            let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            guard length <= Limits.payloadBytes else { throw .tooLarge(bytes: length) }
            guard length > 0 else { throw .empty }
            guard bytes.count - offset - Limits.headBytes >= length else { break }
            let start = offset + Limits.headBytes
            offset = start + length
            guard try each(UnsafeRawBufferPointer(rebasing: bytes[start..<offset])) else { return bytes.count }
        }
        return offset
    }
    /// Bytes kept for a frame that is not whole yet.
    package var pendingBytes: Int { rest.count }
}
