// What a router has done, in numbers that only grow.

package struct RouterCounters: Sendable {
    package internal(set) var rtpIn: UInt64 = 0
    package internal(set) var rtpBytesIn: UInt64 = 0
    package internal(set) var rtpOut: UInt64 = 0
    package internal(set) var rtpBytesOut: UInt64 = 0
    package internal(set) var rtcpIn: UInt64 = 0
    package internal(set) var rtcpOut: UInt64 = 0
    /// Retransmissions sent, by RTX or as originals over a pipe.
    package internal(set) var resent: UInt64 = 0
    /// Packets that reached us after we asked for them.
    package internal(set) var recovered: UInt64 = 0
    /// Sequence numbers asked for by subscribers, and by us.
    package internal(set) var nacksIn: UInt64 = 0
    package internal(set) var nacksOut: UInt64 = 0
    /// Packets given up after all requests for them.
    package internal(set) var unrecovered: UInt64 = 0
    /// Key-frame requests by subscribers (PLI and FIR), and by us.
    package internal(set) var keyFrameRequestsIn: UInt64 = 0
    package internal(set) var keyFrameRequestsOut: UInt64 = 0
    /// Outbound streams that went over to another source of their track, and those of them whose source had fallen silent before.
    package internal(set) var sourceSwitches: UInt64 = 0
    package internal(set) var switchesAfterSilence: UInt64 = 0
    /// Frames between the last of a source that still sent and the first of the next, by capture time: none should ever be.
    package internal(set) var framesLostAtSwitch: UInt64 = 0
    package internal(set) var eventsLost: UInt64 = 0
    /// By `DropReason.rawValue`.
    private var dropped = InlineArray<32, UInt64>(repeating: 0)

    init() { precondition(DropReason.allCases.count <= 32) }
    package func drops(_ reason: DropReason) -> UInt64 { dropped[Int(reason.rawValue)] }
    @inline(__always) mutating func drop(_ reason: DropReason) { dropped[Int(reason.rawValue)] &+= 1 }
}
