// The packets of one inbound stream, kept for its subscribers and for retransmission (RFC 4588 §1).

internal import RTP

/// What is known of a packet beside its bytes; read once per subscriber.
struct PacketFacts {
    struct Flags: OptionSet {
        let rawValue: UInt16
        static let marker = Flags(rawValue: 1 << 0)
        /// Decoding may begin here. Every audio packet has it.
        static let keyFrame = Flags(rawValue: 1 << 1)
        static let startsFrame = Flags(rawValue: 1 << 2)
        /// A receiver may switch up to this packet's temporal layer here.
        static let layerSync = Flags(rawValue: 1 << 3)
        static let pictureID = Flags(rawValue: 1 << 4)
        static let longPictureID = Flags(rawValue: 1 << 5)
        static let tl0PictureIndex = Flags(rawValue: 1 << 6)
        static let paddingOnly = Flags(rawValue: 1 << 7)
        /// It reached its ingress node by RTX.
        static let recovered = Flags(rawValue: 1 << 8)
        // No set literals on the packet path: unoptimised they are arrays.
        static let none = Flags()
        static let startsKeyFrame = Flags(rawValue: keyFrame.rawValue | startsFrame.rawValue)
    }
    var timestamp: UInt32 = 0
    var payloadType: UInt8 = 0
    var codec: Codec = .opus
    var flags = Flags.none
    var temporalID: UInt8 = 0
    var tl0PictureIndex: UInt8 = 0
    var pictureID: UInt16 = 0
    /// Bytes of the VP8 descriptor; 0 for other codecs.
    var descriptorLength: UInt8 = 0
    /// Header extensions that are passed through: `ExtensionURI` << 24 | length << 16 | offset in the packet; 0 is none.
    var extensions = SIMD4<UInt32>()
}

extension Codec {
    /// The enum's tag: `==` of an enum of another module is a call through a witness table, several times a packet.
    @inline(__always) var tag: UInt8 {
        switch self { case .opus: 0; case .vp8: 1; case .vp9: 2; case .h264: 3; case .av1: 4 }
    }
    @inline(__always) func `is`(_ other: Codec) -> Bool { tag == other.tag }
}

/// One packet in the cache.
struct CachedPacket {
    /// Extended sequence number; 0: the entry is empty.
    var number: UInt64 = 0
    /// Where its bytes begin in the stream of all bytes ever written to the arena.
    var position: UInt64 = 0
    /// µs of wall time at the ingress node.
    var receivedAt: Int64 = 0
    var length: UInt16 = 0
    var payloadOffset: UInt16 = 0
    var payloadLength: UInt16 = 0
    var facts = PacketFacts()
}

/// A ring of bytes and a ring of entries. The oldest packets give way, in bytes or in numbers, whichever comes first.
///
/// Owned by `InboundStream`; allocates in `init` only. Pointers are good until the next `insert`.
struct PacketCache {
    enum Limits {
        /// Longest packet kept, in bytes: what a datagram on an Ethernet path can hold.
        static let packetBytes = 1_500
        /// Video: packets, and bytes (1.6 s of 2.5 Mbit/s).
        static let videoPackets = 512
        static let videoBytes = 512 * 1_024
        /// Audio: packets (2.5 s of 20 ms), and bytes.
        static let audioPackets = 128
        static let audioBytes = 32 * 1_024
    }
    private let entries: UnsafeMutablePointer<CachedPacket>
    private let entryMask: UInt64
    private let arena: UnsafeMutableRawPointer
    private let arenaSize: UInt64
    private var written: UInt64 = 0

    init(kind: Codec.Kind) {
        let isVideo = kind == .video
        self.init(packets: isVideo ? Limits.videoPackets : Limits.audioPackets, bytes: isVideo ? Limits.videoBytes : Limits.audioBytes)
    }
    /// Both powers of two.
    init(packets: Int, bytes: Int) {
        precondition(packets & (packets - 1) == 0 && bytes & (bytes - 1) == 0 && bytes >= 2 * Limits.packetBytes)
        entries = .allocate(capacity: packets)
        entries.initialize(repeating: CachedPacket(), count: packets)
        entryMask = UInt64(packets - 1)
        arena = .allocate(byteCount: bytes, alignment: 64)
        arenaSize = UInt64(bytes)
    }
    func deallocate() {
        entries.deallocate()
        arena.deallocate()
    }

    /// Bytes written so far: the position the next packet has, or comes after.
    var position: UInt64 { written }
    var packetCapacity: Int { Int(entryMask) + 1 }

    /// The packet of that number, if its bytes are still there.
    @inline(__always) func find(_ number: UInt64) -> UnsafePointer<CachedPacket>? {
        let entry = entries + Int(number & entryMask)
        guard entry.pointee.number == number, number != 0, written &- entry.pointee.position <= arenaSize else { return nil }
        return UnsafePointer(entry)
    }
    @inline(__always) func bytes(of packet: UnsafePointer<CachedPacket>) -> UnsafeRawPointer {
        UnsafeRawPointer(arena + Int(packet.pointee.position & (arenaSize &- 1)))
    }

    /// Copies a packet in.
    /// - Parameters:
    ///   - number: not in the cache (`find` was asked).
    ///   - keeping: position from which on nothing may be overwritten: the oldest packet that still waits to be forwarded.
    /// - Returns: nil when it would overwrite those, is too long, or its entry belongs to a later packet.
    mutating func insert(
        _ number: UInt64, _ bytes: UnsafeRawBufferPointer, header: RTPHeader, facts: PacketFacts, receivedAt: Int64, keeping: UInt64
    ) -> UnsafePointer<CachedPacket>? {
        guard let source = bytes.baseAddress, bytes.count <= Limits.packetBytes else { return nil }
        let entry = entries + Int(number & entryMask)
        guard entry.pointee.number <= number else { return nil }
        var start = written
        let offset = start & (arenaSize &- 1), length = UInt64(bytes.count)
        if offset &+ length > arenaSize { start &+= arenaSize &- offset }   // a packet never wraps
        guard start &+ length &- min(keeping, start) <= arenaSize else { return nil }
        (arena + Int(start & (arenaSize &- 1))).copyMemory(from: source, byteCount: bytes.count)
        written = start &+ length
        entry.pointee = CachedPacket(
            number: number, position: start, receivedAt: receivedAt, length: UInt16(bytes.count), payloadOffset: UInt16(header.payloadOffset),
            payloadLength: UInt16(header.payloadLength), facts: facts)
        return UnsafePointer(entry)
    }
}
