// MID and RID values, compared without allocation.

/// Up to 32 bytes held inline. RFC 8285 §4.2 carries 16 in the one-byte form; longer names than 32 never match.
struct ShortName {
    enum Limits {
        static let bytes = 32
    }
    private var storage = InlineArray<32, UInt8>(repeating: 0)
    private let count: Int

    /// An empty or overlong name matches nothing.
    init(_ text: String) {
        let utf8 = text.utf8
        count = utf8.count <= Limits.bytes ? utf8.count : 0
        guard count > 0 else { return }
        for (i, byte) in utf8.enumerated() { storage[i] = byte }
    }
    var isEmpty: Bool { count == 0 }
    func matches(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard count > 0, bytes.count == count else { return false }
        for i in 0..<count where storage[i] != bytes[i] { return false }
        return true
    }
    /// Copies the name to `target` (at least `Limits.bytes` long).
    /// - Returns: its length.
    func copy(to target: UnsafeMutableRawPointer) -> Int {
        for i in 0..<count { target.storeBytes(of: storage[i], toByteOffset: i, as: UInt8.self) }
        return count
    }
}
