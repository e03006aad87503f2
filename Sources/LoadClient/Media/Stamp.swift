// What every synthetic payload ends with: when it was sent. Forwarding leaves payloads alone, so the far side can tell the delay.
internal import Primitives

/// | magic "TRLD" | number of the packet in its track, 32 bits | wall clock at sending, µs, 64 bits |
struct Stamp: Equatable {
    static let length = 16
    private static let magic: UInt32 = 0x5452_4C44
    var number: UInt32
    var sentAt: Int64

    init(number: UInt32, sentAt: Int64) { self.number = number; self.sentAt = sentAt }
    /// Reads the end of a payload; nil where there is no stamp.
    init?(endOf payload: UnsafeRawBufferPointer) {
        guard payload.count >= Self.length else { return nil }
        let at = payload.count - Self.length
        guard UInt32(bigEndian: payload.loadUnaligned(fromByteOffset: at, as: UInt32.self)) == Self.magic else { return nil }
        number = UInt32(bigEndian: payload.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self))
        sentAt = Int64(bigEndian: payload.loadUnaligned(fromByteOffset: at + 8, as: Int64.self))
    }
    /// Over the last bytes of `payload`, which has room for it.
    func write(atEndOf payload: UnsafeMutableRawBufferPointer) {
        guard payload.count >= Self.length else { return }
        let at = payload.count - Self.length
        payload.storeBytes(of: Self.magic.bigEndian, toByteOffset: at, as: UInt32.self)
        payload.storeBytes(of: number.bigEndian, toByteOffset: at + 4, as: UInt32.self)
        payload.storeBytes(of: sentAt.bigEndian, toByteOffset: at + 8, as: Int64.self)
    }
}
