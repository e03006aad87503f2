// The wire form of a pipe between two media loops.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+
// | magic 0xC1    |                                                 associated data:
// +-+-+-+-+-+-+-+-+-----------------------------------------------+ 13 bytes, plain
// | flow id, as the receiver knows it (32)                         |
// +----------------------------------------------------------------+
// | packet counter (64): never repeats under one key               |
// +================================================================+
// | stream id (32)                                                 | sealed
// +---------------+------------------------------------------------+
// | kind (8)      | ingress receive time, µs wall (64)             |
// +----------------------------------------------------------------+
// | packet                                                         |
// +----------------------------------------------------------------+
// | AES-128-GCM tag (16 bytes); nonce = flow id ‖ counter          |
// +----------------------------------------------------------------+
// Kinds: 1 RTP, 2 RTCP, 3 RTP that reached the ingress node by RTX (RFC 4588). A receiver drops a kind it does not know, so 3 is sent only
// to those that said they know it (`PipeEnd.takesRecovered`).
import Primitives

package enum PipePacket {
    package enum Kind: UInt8, Sendable { case rtp = 1, rtcp = 2, recovered = 3 }
    package static let magic: UInt8 = 0xC1
    /// Bytes in front of the sealed part.
    package static let headerLength = 13
    /// Sealed bytes in front of the packet.
    package static let prefixLength = 13
    package static let tagLength = 16
    /// What a packet grows by.
    package static let overhead = headerLength + prefixLength + tagLength

    /// Writes header and prefix to `wire`, which must have `headerLength + prefixLength` bytes.
    @inline(__always)
    package static func write(to wire: UnsafeMutableRawPointer, flow: UInt32, counter: UInt64, stream: UInt32, kind: Kind, receivedAt: Int64) {
        wire.storeBytes(of: magic, as: UInt8.self)
        wire.storeBytes(of: flow.bigEndian, toByteOffset: 1, as: UInt32.self)
        wire.storeBytes(of: counter.bigEndian, toByteOffset: 5, as: UInt64.self)
        wire.storeBytes(of: stream.bigEndian, toByteOffset: 13, as: UInt32.self)
        wire.storeBytes(of: kind.rawValue, toByteOffset: 17, as: UInt8.self)
        wire.storeBytes(of: receivedAt.bigEndian, toByteOffset: 18, as: Int64.self)
    }
    /// The flow a datagram says it belongs to; nil when it is too short or not a pipe's.
    @inline(__always)
    package static func flow(of datagram: UnsafeRawBufferPointer) -> UInt32? {
        guard datagram.count >= overhead, datagram[0] == magic else { return nil }
        return UInt32(bigEndian: datagram.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
    }
    @inline(__always)
    package static func counter(of datagram: UnsafeRawPointer) -> UInt64 {
        UInt64(bigEndian: datagram.loadUnaligned(fromByteOffset: 5, as: UInt64.self))
    }
    @inline(__always)
    package static func stream(of datagram: UnsafeRawPointer) -> UInt32 {
        UInt32(bigEndian: datagram.loadUnaligned(fromByteOffset: 13, as: UInt32.self))
    }
    @inline(__always)
    package static func kind(of datagram: UnsafeRawPointer) -> UInt8 { datagram.load(fromByteOffset: 17, as: UInt8.self) }
    @inline(__always)
    package static func receivedAt(of datagram: UnsafeRawPointer) -> Int64 {
        Int64(bigEndian: datagram.loadUnaligned(fromByteOffset: 18, as: Int64.self))
    }
}
