// What a router hands to its media loop: packets ready to be encrypted and sent.

/// One outgoing packet.
///
/// The bytes to send are `wire[0 ..< headerLength + prefixLength]` followed by `payload[0 ..< payloadLength]`.
/// `.rtp`: the header (never encrypted) stands in `wire`, behind it `prefixLength` bytes of plain payload whose numbers were rewritten;
/// the rest of the payload is read from the router's cache. `.rtcp`, `.pipeRTCP`, `.tapRTCP`: everything is in `wire`, `headerLength` long.
/// `.pipeRTP`, `.tapRTP`: nothing is in `wire`; `payload` is the whole original packet.
package struct ForwardedPacket {
    package enum Kind: UInt8, Sendable { case rtp, rtcp, pipeRTP, pipeRTCP, tapRTP, tapRTCP }
    package var kind: Kind
    /// `.pipeRTP`, `.tapRTP`: it reached its ingress node by RTX.
    package var isRecovered = false
    package var transport: TransportIndex
    /// Dense per transport, from 0: with `ssrc` it names the SRTP stream whose rollover counter applies. A number is used again, with
    /// another SSRC, after its outbound track was removed. −1 for everything but `.rtp`.
    package var stream: Int32
    package var ssrc: UInt32
    package let wire: UnsafeMutableRawPointer
    package var headerLength: Int32
    package var prefixLength: Int32
    package var payload: UnsafeRawPointer?
    package var payloadLength: Int32
    /// Pipe stream id or tap tag.
    package var streamID: UInt32
    /// Wall time in µs at which the original packet reached its ingress node.
    package var receivedAt: Int64

    /// Plain bytes of the packet, before SRTP or the pipe's seal.
    package var length: Int { Int(headerLength) + Int(prefixLength) + Int(payloadLength) }
}

/// A bounded batch of outgoing packets, each with its own wire buffer. Allocated once, filled by `RouterCore.flush`, emptied by the shell.
package final class SendBatch {
    package enum Limits {
        /// Packets in one batch.
        package static let capacity = 256
        /// Bytes of one wire buffer; a multiple of the cache line, not of a page.
        package static let wireBytes = 1664
        /// Left free at the end of each for an SRTP tag, SRTCP index or a pipe's seal.
        package static let trailerBytes = 64
        /// What one packet may take of its wire buffer.
        package static let payloadBytes = wireBytes - trailerBytes
    }
    package let capacity: Int
    package let packets: UnsafeMutablePointer<ForwardedPacket>
    /// Packets to send: `packets[0 ..< count]`. Behind a pointer: a stored class property costs an exclusivity check at every access.
    package var count: Int {
        get { counter.pointee }
        set { counter.pointee = newValue }
    }
    private let counter: UnsafeMutablePointer<Int>
    private let storage: UnsafeMutableRawPointer

    package init(capacity: Int = Limits.capacity) {
        precondition(capacity > 0)
        self.capacity = capacity
        storage = .allocate(byteCount: capacity * Limits.wireBytes, alignment: 64)
        packets = .allocate(capacity: capacity)
        counter = .allocate(capacity: 1)
        counter.initialize(to: 0)
        for i in 0..<capacity {
            (packets + i).initialize(to: ForwardedPacket(
                kind: .rtp, transport: -1, stream: -1, ssrc: 0, wire: storage + i * Limits.wireBytes, headerLength: 0, prefixLength: 0,
                payload: nil, payloadLength: 0, streamID: 0, receivedAt: 0))
        }
    }
    deinit {
        counter.deallocate()
        packets.deallocate()
        storage.deallocate()
    }

    package var wireCapacity: Int { Limits.wireBytes }
    package var isFull: Bool { count == capacity }
    package var isEmpty: Bool { count == 0 }
    /// Forgets all packets; call after sending.
    package func removeAll() { count = 0 }
}
