// Packets from one thread to one other through a ring of fixed size, without locks or allocation.
//
// Entry, aligned to 8 bytes; positions grow for ever, the offset is position & (capacity − 1):
//  0        4        8                 16     17     24
//  | length | tag    | received at, µs | kind | mark | bytes … padded to 8 |
// The mark is 1 for a packet that its ingress node had by RTX, else 0.
// A length of `skip` says: nothing more before the end of the storage, go on at offset 0.

import Synchronization

/// A bounded single-producer single-consumer byte ring: a media loop writes packets, the journal thread reads them.
///
/// `write` and `refuse` belong to the producing thread, `drain` to the consuming one; the counters may be read from any thread.
/// A full ring refuses the packet and counts it; the next packet that fits is preceded by one `overflow` entry that says how
/// many were refused and from when to when, so that the hole is recorded with its cause.
package final class PacketRing: @unchecked Sendable {
    package enum Limits {
        package static let minimumBytes = 4 << 10
        /// About 25 s of ten 2.5 Mbit/s publications: what a stalled disk may take before packets are lost.
        package static let defaultBytes = 8 << 20
        package static let maximumBytes = 1 << 30
        package static let packetBytes = 65_535
    }
    package enum Kind: UInt8, Sendable {
        case rtp = 1, rtcp = 2
        /// Packets were refused here; `Overflow(entry)` reads how many.
        case overflow = 3
    }
    /// One packet, borrowed from the ring: valid until the `drain` body returns.
    package struct Entry {
        package let kind: Kind
        /// Which track: chosen by whoever registered the tap.
        package let tag: UInt32
        /// Wall time in microseconds at the ingress node.
        package let receivedAt: Int64
        /// It reached its ingress node by RTX.
        package let isRecovered: Bool
        package let bytes: UnsafeRawBufferPointer
    }
    /// What an `overflow` entry carries.
    package struct Overflow: Equatable, Sendable {
        package var packets: UInt64
        /// Receive times (µs) of the first and last refused packet.
        package var from: Int64
        package var to: Int64
    }
    private enum Layout {
        static let head = 24
        static let skip = UInt32.max
        static let overflowBytes = 24
    }
    /// State of the producing thread alone.
    private struct Producer {
        var tail: UInt64 = 0
        var knownHead: UInt64 = 0
        var refused = Overflow(packets: 0, from: 0, to: 0)
    }

    package let capacity: Int
    private let mask: UInt64
    private let storage: UnsafeMutableRawPointer
    private let producer: UnsafeMutablePointer<Producer>
    /// Next byte to read; written by the consumer.
    private let head = Atomic<UInt64>(0)
    private let spacing: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    /// Next byte to write; written by the producer.
    private let tail = Atomic<UInt64>(0)
    private let refusedTotal = Atomic<UInt64>(0)
    private let writtenTotal = Atomic<UInt64>(0)

    /// - Parameter capacity: bytes; rounded up to a power of two within `Limits`.
    package init(capacity: Int = Limits.defaultBytes) {
        var size = Limits.minimumBytes
        while size < capacity, size < Limits.maximumBytes { size <<= 1 }
        self.capacity = size
        mask = UInt64(size - 1)
        storage = .allocate(byteCount: size, alignment: 64)
        producer = .allocate(capacity: 1)
        producer.initialize(to: Producer())
    }
    deinit { storage.deallocate(); producer.deallocate() }

    /// Packets refused for want of room since the beginning.
    package var refused: UInt64 { refusedTotal.load(ordering: .relaxed) }
    /// Packets accepted since the beginning.
    package var written: UInt64 { writtenTotal.load(ordering: .relaxed) }
    package var isEmpty: Bool { head.load(ordering: .acquiring) == tail.load(ordering: .acquiring) }

    // MARK: - Producer

    /// Copies one packet, given in two parts, into the ring. No allocation, no system call.
    /// - Returns: false when it does not fit; it was counted.
    package func write(
        tag: UInt32, kind: Kind, isRecovered: Bool = false, receivedAt: Int64, header: UnsafeRawPointer, headerLength: Int,
        payload: UnsafeRawPointer? = nil, payloadLength: Int = 0
    ) -> Bool {
        guard headerLength >= 0, payloadLength >= 0, headerLength <= Limits.packetBytes, payloadLength <= Limits.packetBytes - headerLength,
            payload != nil || payloadLength == 0, announceRefused(),
            let target = reserve(headerLength + payloadLength)
        else { return refuse(receivedAt) }
        putHead(target, length: headerLength + payloadLength, tag: tag, kind: kind, isRecovered: isRecovered, receivedAt: receivedAt)
        (target + Layout.head).copyMemory(from: header, byteCount: headerLength)
        if let payload { (target + Layout.head + headerLength).copyMemory(from: payload, byteCount: payloadLength) }
        commit(headerLength + payloadLength)
        writtenTotal.store(writtenTotal.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        return true
    }
    /// As above, for a packet in one piece.
    package func write(tag: UInt32, kind: Kind, isRecovered: Bool = false, receivedAt: Int64, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return refuse(receivedAt) }
        return write(tag: tag, kind: kind, isRecovered: isRecovered, receivedAt: receivedAt, header: base, headerLength: bytes.count)
    }

    private func refuse(_ receivedAt: Int64) -> Bool {
        if producer.pointee.refused.packets == 0 { producer.pointee.refused.from = receivedAt }
        producer.pointee.refused.packets &+= 1
        producer.pointee.refused.to = receivedAt
        refusedTotal.store(refusedTotal.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        return false
    }
    /// Writes the overflow entry that is due, if any.
    private func announceRefused() -> Bool {
        let refused = producer.pointee.refused
        guard refused.packets != 0 else { return true }
        guard let target = reserve(Layout.overflowBytes) else { return false }
        putHead(target, length: Layout.overflowBytes, tag: 0, kind: .overflow, receivedAt: refused.to)
        let body = target + Layout.head
        body.storeBytes(of: refused.packets, as: UInt64.self)
        body.storeBytes(of: refused.from, toByteOffset: 8, as: Int64.self)
        body.storeBytes(of: refused.to, toByteOffset: 16, as: Int64.self)
        commit(Layout.overflowBytes)
        producer.pointee.refused.packets = 0
        return true
    }
    private func size(_ length: Int) -> UInt64 { UInt64((Layout.head + length + 7) & ~7) }

    /// Room for an entry in one piece, a skip mark written where the end of the storage is too near; nil when there is none.
    private func reserve(_ length: Int) -> UnsafeMutableRawPointer? {
        let need = size(length)
        let position = producer.pointee.tail
        let untilEnd = UInt64(capacity) - (position & mask)
        let skipped = untilEnd < need ? untilEnd : 0
        if UInt64(capacity) &- (position &- producer.pointee.knownHead) < skipped + need {
            producer.pointee.knownHead = head.load(ordering: .acquiring)
            guard UInt64(capacity) &- (position &- producer.pointee.knownHead) >= skipped + need else { return nil }
        }
        if skipped > 0 { (storage + Int(position & mask)).storeBytes(of: Layout.skip, as: UInt32.self) }
        producer.pointee.tail = position &+ skipped
        return storage + Int(producer.pointee.tail & mask)
    }
    private func putHead(_ target: UnsafeMutableRawPointer, length: Int, tag: UInt32, kind: Kind, isRecovered: Bool = false, receivedAt: Int64) {
        target.storeBytes(of: UInt32(length), as: UInt32.self)
        target.storeBytes(of: tag, toByteOffset: 4, as: UInt32.self)
        target.storeBytes(of: receivedAt, toByteOffset: 8, as: Int64.self)
        target.storeBytes(of: kind.rawValue, toByteOffset: 16, as: UInt8.self)
        target.storeBytes(of: isRecovered ? 1 : 0, toByteOffset: 17, as: UInt8.self)
    }
    private func commit(_ length: Int) {
        producer.pointee.tail &+= size(length)
        tail.store(producer.pointee.tail, ordering: .releasing)
    }

    // MARK: - Consumer

    /// Hands over what stands in the ring, oldest first, up to what was there when the call began.
    /// - Parameter body: answers false to leave the entry in the ring and stop.
    /// - Returns: entries consumed.
    @discardableResult
    package func drain(_ body: (Entry) -> Bool) -> Int {
        let end = tail.load(ordering: .acquiring)
        var position = head.load(ordering: .relaxed)
        var consumed = 0
        while position != end {
            let at = storage + Int(position & mask)
            let length = at.load(as: UInt32.self)
            if length == Layout.skip {
                position &+= UInt64(capacity) - (position & mask)
                continue
            }
            let entry = Entry(
                kind: Kind(rawValue: at.load(fromByteOffset: 16, as: UInt8.self)) ?? .rtp,
                tag: at.load(fromByteOffset: 4, as: UInt32.self),
                receivedAt: at.load(fromByteOffset: 8, as: Int64.self),
                isRecovered: at.load(fromByteOffset: 17, as: UInt8.self) != 0,
                bytes: UnsafeRawBufferPointer(start: at + Layout.head, count: Int(length)))
            guard body(entry) else { break }
            position &+= size(Int(length))
            consumed += 1
            // Gives room back early during a long drain, so that a producer at full speed is not refused meanwhile.
            if consumed & 63 == 0 { head.store(position, ordering: .releasing) }
        }
        head.store(position, ordering: .releasing)
        return consumed
    }
}

extension PacketRing.Overflow {
    /// - Returns: nil for an entry of another kind.
    package init?(_ entry: PacketRing.Entry) {
        guard entry.kind == .overflow, entry.bytes.count >= 24 else { return nil }
        self.init(
            packets: entry.bytes.loadUnaligned(as: UInt64.self),
            from: entry.bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self),
            to: entry.bytes.loadUnaligned(fromByteOffset: 16, as: Int64.self))
    }
}
