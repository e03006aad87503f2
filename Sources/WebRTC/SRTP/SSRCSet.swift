// The SSRCs of one peer, numbered in the order they came.

/// At most `capacity` SSRCs: open addressing with a load of at most a half, one probe for a known one as a rule.
final class SSRCSet {
    private struct Slot { var ssrc: UInt32 = 0; var ordinal: Int32 = 0; var used = false }
    private let slots: UnsafeMutablePointer<Slot>
    private let mask: Int
    private let capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(1, capacity)
        var size = 2
        while size < self.capacity * 2 { size *= 2 }
        mask = size - 1
        slots = .allocate(capacity: size)
        slots.initialize(repeating: Slot(), count: size)
    }
    deinit { slots.deallocate() }

    /// The slot that holds `ssrc`, or the free one where it belongs.
    private func slot(_ ssrc: UInt32) -> UnsafeMutablePointer<Slot> {
        var i = Int(truncatingIfNeeded: UInt64(ssrc) &* 0x9E37_79B9_7F4A_7C15 >> 32) & mask
        while slots[i].used, slots[i].ssrc != ssrc { i = (i + 1) & mask }
        return slots + i
    }
    var isFull: Bool { count == capacity }
    /// The how-many-th the SSRC was, from 0; −1 for one that is not in.
    @inline(__always)
    func ordinal(of ssrc: UInt32) -> Int {
        let slot = slot(ssrc)
        return slot.pointee.used ? Int(slot.pointee.ordinal) : -1
    }
    /// Known already, or there is room for one more.
    func admits(_ ssrc: UInt32) -> Bool { count < capacity || slot(ssrc).pointee.used }
    /// A set that is full takes nothing more.
    func insert(_ ssrc: UInt32) {
        let slot = slot(ssrc)
        guard !slot.pointee.used, count < capacity else { return }
        slot.pointee = Slot(ssrc: ssrc, ordinal: Int32(count), used: true)
        count += 1
    }
}
