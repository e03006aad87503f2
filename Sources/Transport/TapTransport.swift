// A journal's tap: whole packets with their receive time into a ring that a writer thread drains.
import Forwarding
import Primitives

/// Keeps the ring alive while its slot stands in the table. Confined to its media loop.
final class TapTransport {
    let ring: PacketRing
    init(ring: PacketRing) { self.ring = ring }
}

extension PacketRing {
    /// Copies one tap packet of a batch. - Returns: false when the ring is full; it counts and journals the hole.
    @inline(__always)
    func take(_ packet: UnsafeMutablePointer<ForwardedPacket>) -> Bool {
        if packet.pointee.kind == .tapRTCP {
            return write(tag: packet.pointee.streamID, kind: .rtcp, receivedAt: packet.pointee.receivedAt, header: packet.pointee.wire, headerLength: Int(packet.pointee.headerLength))
        }
        guard let payload = packet.pointee.payload else { return true }
        return write(
            tag: packet.pointee.streamID, kind: .rtp, isRecovered: packet.pointee.isRecovered, receivedAt: packet.pointee.receivedAt, header: payload,
            headerLength: Int(packet.pointee.payloadLength))
    }
}
