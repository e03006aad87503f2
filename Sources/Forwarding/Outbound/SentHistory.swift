// What one subscriber was sent, so that it can be sent the same again.
internal import Primitives

/// One packet as it went out. A retransmission without RTX must repeat it byte for byte: the SRTP keystream is the same (RFC 7714 §9.1).
struct SentPacket {
    /// Extended number in the inbound stream.
    var number: UInt64 = 0
    /// Milliseconds of the last transmission, modulo 2^32.
    var sentAt: UInt32 = 0
    var sequence: UInt16 = 0
    var pictureID: UInt16 = 0
    var tl0PictureIndex: UInt8 = 0
    /// Which timestamp offset was in force (`TimestampLine.splice`).
    var splice: UInt8 = 0
    var encoding: UInt8 = 0
    var resends: UInt8 = 0
    var hasMID = false
    /// An empty packet in the place of one that was left out late.
    var isFiller = false
}

/// A ring of the last packets by outgoing sequence number. Allocates in `init` only; owned by `PeerStream`.
struct SentHistory {
    enum Limits {
        static let videoPackets = 512
        static let audioPackets = 128
        /// Retransmissions of one packet.
        static let resendsMax: UInt8 = 10
        /// Shortest time between two transmissions of one packet.
        static let spacingMin = Duration.milliseconds(5)
        static let roundTripUnknown = Duration.milliseconds(20)
    }
    private let entries: UnsafeMutablePointer<SentPacket>
    private let mask: Int

    /// - Parameter packets: a power of two.
    init(packets: Int) {
        precondition(packets & (packets - 1) == 0)
        entries = .allocate(capacity: packets)
        entries.initialize(repeating: SentPacket(), count: packets)
        mask = packets - 1
    }
    func deallocate() { entries.deallocate() }

    @inline(__always) func record(_ packet: SentPacket) { entries[Int(packet.sequence) & mask] = packet }

    func find(_ sequence: UInt16) -> UnsafeMutablePointer<SentPacket>? {
        let entry = entries + (Int(sequence) & mask)
        return entry.pointee.number != 0 && entry.pointee.sequence == sequence ? entry : nil
    }

    /// Whether the packet may go out again now; if so, it is noted.
    static func admitsResend(_ packet: UnsafeMutablePointer<SentPacket>, roundTrip: Duration?, now: Instant) -> Bool {
        let time = milliseconds(now)
        let spacing = max(Limits.spacingMin, (roundTrip ?? Limits.roundTripUnknown) * 3 / 4)
        // The first repetition answers a loss that is at least a round trip old already.
        guard packet.pointee.resends < Limits.resendsMax, packet.pointee.resends == 0 || Int64(time &- packet.pointee.sentAt) >= spacing.inMilliseconds else {
            return false
        }
        packet.pointee.resends += 1
        packet.pointee.sentAt = time
        return true
    }
    static func milliseconds(_ now: Instant) -> UInt32 { UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) }
}
