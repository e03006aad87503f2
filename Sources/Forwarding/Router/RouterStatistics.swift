// What the control side may ask about one track. Allocates: not for the packet path.

package struct EncodingStatistics: Sendable, Equatable {
    package var ssrc: UInt32?
    package var isActive: Bool
    package var packets: UInt64
    package var bytes: UInt64
    /// Packets the network lost, whether or not they were recovered (RFC 3550 §6.4.1).
    package var lost: Int32
    package var recovered: UInt64
    /// In RTP timestamp units.
    package var jitter: UInt32
    package var keyFrames: UInt64
    package var roundTrip: Duration?
}

package struct OutboundStatistics: Sendable, Equatable {
    package var packets: UInt64
    package var bytes: UInt64
    package var resent: UInt64
    /// As the receiver last reported, in 1/256.
    package var fractionLost: UInt8
    package var cumulativeLost: Int32
    package var roundTrip: Duration?
    /// Which encoding is being sent; nil before the first key frame.
    package var encoding: UInt8?
}

extension RouterCore {
    /// By encoding; nil when the track is gone.
    package func statistics(of track: InboundTrack) -> [EncodingStatistics]? {
        guard let track = find(track) else { return nil }
        return (0..<track.pointee.streamCount).map { i in
            let stream = track.pointee.streams + i
            return EncodingStatistics(
                ssrc: stream.pointee.ssrc, isActive: stream.pointee.isActive, packets: stream.pointee.packets, bytes: stream.pointee.bytes,
                lost: stream.pointee.statistics?.cumulativeLost ?? 0, recovered: stream.pointee.recovered, jitter: stream.pointee.statistics?.jitter ?? 0,
                keyFrames: stream.pointee.keyFrameCount, roundTrip: stream.pointee.nack.roundTrip)
        }
    }
    package func statistics(of track: OutboundTrack) -> OutboundStatistics? {
        guard let reader = find(track) else { return nil }
        let reports = reader.pointee.peer?.pointee.reports ?? reader.pointee.pipeReports, current = reader.pointee.selection.current
        return OutboundStatistics(
            packets: reader.pointee.packets, bytes: reader.pointee.bytes, resent: reader.pointee.resent, fractionLost: reports.fractionLost,
            cumulativeLost: reports.cumulativeLost, roundTrip: reports.roundTrip, encoding: current == EncodingSelection.none ? nil : current)
    }
}
