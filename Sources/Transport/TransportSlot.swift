// The media loop's table of transports as the packet path sees it: plain memory, no reference counting.
import CShims
import Forwarding
import Primitives
import WebRTC

/// What went over one transport.
package struct TransportStatistics: Sendable {
    package internal(set) var packetsIn: UInt64 = 0
    package internal(set) var bytesIn: UInt64 = 0
    package internal(set) var packetsOut: UInt64 = 0
    package internal(set) var bytesOut: UInt64 = 0
    /// Packets that came and were refused, and packets that should have gone and did not.
    package internal(set) var dropped: UInt64 = 0
    package init() {}
}

/// One entry. Objects are retained by the control tables of `MediaLoop` for as long as they stand here.
struct TransportSlot {
    enum Kind: UInt8 { case free, peer, pipe, tap }
    /// An outbound stream's SRTP handle; −1 before the first packet of that SSRC.
    struct StreamHandle {
        var ssrc: UInt32 = 0
        var handle: Int32 = -1
    }
    var kind = Kind.free
    var isKeyed = false
    /// Entry of the target table that gets what arrives here; −1 for pipes (each stream has its own) and taps.
    var target: Int32 = -1
    /// The socket packets leave by.
    var descriptor: Int32 = -1
    /// Where they go; without an address while none is nominated.
    var endpoint = shim_endpoint()
    var sender: Unmanaged<SRTPSender>?
    var receiver: Unmanaged<SRTPReceiver>?
    var streams: UnsafeMutablePointer<StreamHandle>?
    var streamCount: Int32 = 0
    var pipe: Unmanaged<PipeTransport>?
    var ring: Unmanaged<PacketRing>?
    var statistics = TransportStatistics()
}

extension UnsafeMutablePointer<TransportSlot> {
    /// The SRTP handle of an outbound stream, registered at its first packet; negative when refused.
    @inline(__always)
    func srtpHandle(stream: Int32, ssrc: UInt32) -> Int32 {
        if stream >= 0, stream < pointee.streamCount {
            let known = pointee.streams![Int(stream)]
            if known.handle >= 0, known.ssrc == ssrc { return known.handle }
        }
        return registerStream(stream, ssrc)
    }
    /// The first packet of a stream, or of another SSRC in its place. Allocates when the table grows.
    @inline(never)
    private func registerStream(_ stream: Int32, _ ssrc: UInt32) -> Int32 {
        guard stream >= 0, Int(stream) < SRTPSender.Limits.streams, let sender = pointee.sender?.takeUnretainedValue() else { return -1 }
        if stream >= pointee.streamCount { growStreams(toHold: Int(stream)) }
        let entry = pointee.streams! + Int(stream)
        if entry.pointee.handle >= 0 { sender.release(stream: entry.pointee.handle) }
        entry.pointee = TransportSlot.StreamHandle(ssrc: ssrc, handle: sender.register(ssrc: ssrc))
        return entry.pointee.handle
    }
    private func growStreams(toHold stream: Int) {
        let old = Int(pointee.streamCount)
        let new = Swift.max(16, old * 2, stream + 1)
        let streams = UnsafeMutablePointer<TransportSlot.StreamHandle>.allocate(capacity: new)
        streams.initialize(repeating: TransportSlot.StreamHandle(), count: new)
        if let before = pointee.streams {
            streams.update(from: before, count: old)
            before.deallocate()
        }
        pointee.streams = streams
        pointee.streamCount = Int32(new)
    }
    func forgetStreams() {
        pointee.streams?.deallocate()
        pointee.streams = nil
        pointee.streamCount = 0
    }
}

/// Who gets the packets of a transport: a router, or code of ours (the load client, tests).
struct TargetSlot {
    var router: Unmanaged<RouterCore>?
    var isUsed = false
    /// Has packets or control changes to flush.
    var isDirty = false
}

/// Gets decrypted packets instead of a router. Called on the media loop, once for each packet; the bytes are valid during the call.
package protocol PacketSink: AnyObject {
    func receive(_ packet: UnsafeRawBufferPointer, isRTCP: Bool, from: TransportIndex, receivedAt: Int64, now: Instant)
}
