// What a media loop has done and what it dropped, in numbers that only grow.
import Primitives

/// Every way in which a datagram or an outgoing packet ends at a transport. Routers count their own (`Forwarding.DropReason`).
package enum TransportDrop: UInt8, CaseIterable, Sendable {
    // Arriving on a media port
    /// Longer than a receive buffer.
    case truncated
    /// The first byte names no protocol we speak (RFC 7983).
    case unknownProtocol
    /// Not STUN, and from an address no authenticated check came from.
    case unknownAddress
    /// A STUN request for a user name fragment nobody here has.
    case unknownFragment
    /// STUN without USERNAME from an address nobody has.
    case strayResponse
    /// The session refused a STUN message (malformed, wrong password, unexpected).
    case stunRefused
    /// The session refused a DTLS datagram.
    case dtlsRefused
    /// Media before the handshake finished.
    case notKeyed
    /// SRTP: not authentic, replayed, too old, malformed, too many SSRCs, other.
    case srtpNotAuthentic, srtpReplayed, srtpTooOld, srtpMalformed, srtpTooManyStreams, srtpFailed
    /// The peer was removed or its session is closed.
    case peerClosed

    // Arriving on a pipe port
    /// Not a pipe's packet, or too short for one.
    case pipeMalformed
    case pipeUnknownFlow
    case pipeNotAuthentic
    case pipeReplayed
    case pipeTooOld
    /// No router here has the stream.
    case pipeUnknownStream

    // Sending
    /// For a transport that is gone or belongs to another room.
    case staleTransport
    /// The peer has no nominated address or no keys yet.
    case notConnected
    /// SRTP or pipe sealing refused: stream table full, packet too long.
    case protectFailed
    /// No room in the socket's send buffer.
    case sendBufferFull
    /// The kernel refused to send: unreachable, filtered.
    case sendRefused
    /// A tap's ring was full: a hole in the journal.
    case tapFull
}

/// A snapshot of one media loop's counters.
package struct TransportCounters: Sendable {
    package internal(set) var datagramsIn: UInt64 = 0
    package internal(set) var bytesIn: UInt64 = 0
    package internal(set) var datagramsOut: UInt64 = 0
    package internal(set) var bytesOut: UInt64 = 0
    package internal(set) var receiveBatches: UInt64 = 0
    package internal(set) var sendCalls: UInt64 = 0
    /// Datagrams that left in `UDP_SEGMENT` runs, and how many runs.
    package internal(set) var segmentedOut: UInt64 = 0
    package internal(set) var segmentRuns: UInt64 = 0
    package internal(set) var pipePacketsIn: UInt64 = 0
    package internal(set) var pipeBytesIn: UInt64 = 0
    package internal(set) var pipePacketsOut: UInt64 = 0
    package internal(set) var pipeBytesOut: UInt64 = 0
    package internal(set) var tapPackets: UInt64 = 0
    package internal(set) var stunIn: UInt64 = 0
    package internal(set) var dtlsIn: UInt64 = 0
    /// Authenticated checks that took an address over from another peer.
    package internal(set) var addressTakeovers: UInt64 = 0
    /// Dropped by the kernel for want of receive buffer.
    package internal(set) var kernelDrops: UInt64 = 0
    /// Kernel receive timestamp of the oldest datagram of a round → return of the round's last send call.
    package internal(set) var delay = DelayHistogram()
    private var dropped = InlineArray<40, UInt64>(repeating: 0)

    package init() { precondition(TransportDrop.allCases.count <= 40) }
    package func drops(_ reason: TransportDrop) -> UInt64 { dropped[Int(reason.rawValue)] }
    @inline(__always) mutating func drop(_ reason: TransportDrop, _ count: UInt64 = 1) { dropped[Int(reason.rawValue)] &+= count }
    /// All reasons that occurred, for metrics and logs.
    package var allDrops: [(reason: TransportDrop, count: UInt64)] {
        TransportDrop.allCases.compactMap { drops($0) > 0 ? ($0, drops($0)) : nil }
    }
    /// Everything dropped, for whatever reason.
    package var dropTotal: UInt64 { TransportDrop.allCases.reduce(0) { $0 &+ drops($1) } }
}

/// Durations in µs, counted in buckets four to an octave: quantiles are right within 19 %.
package struct DelayHistogram: Sendable {
    private static let buckets = 96
    private var counts = InlineArray<96, UInt64>(repeating: 0)
    package private(set) var total: UInt64 = 0
    package init() {}

    package mutating func note(microseconds: Int64) {
        counts[Self.bucket(UInt64(max(0, microseconds)))] &+= 1
        total &+= 1
    }
    /// The upper end, in µs, of the bucket that holds quantile `q` (0 … 1); nil while empty.
    package func quantile(_ q: Double) -> Double? {
        guard total > 0 else { return nil }
        let wanted = UInt64((Double(total) * min(max(q, 0), 1)).rounded(.up))
        var sum: UInt64 = 0
        for i in 0..<Self.buckets {
            sum &+= counts[i]
            if sum >= max(1, wanted) { return Self.upperEnd(i) }
        }
        return Self.upperEnd(Self.buckets - 1)
    }
    private static func bucket(_ value: UInt64) -> Int {
        guard value >= 4 else { return Int(value) }
        let octave = 63 - value.leadingZeroBitCount
        return min(buckets - 1, 4 * (octave - 1) + Int(value >> UInt64(octave - 2)) & 3)
    }
    private static func upperEnd(_ bucket: Int) -> Double {
        guard bucket >= 4 else { return Double(bucket + 1) }
        let octave = bucket / 4 + 1
        return Double(UInt64(4 + bucket % 4 + 1) << UInt64(octave - 2))
    }
}
