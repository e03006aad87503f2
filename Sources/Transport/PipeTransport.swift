// One sealed flow between two media loops: AES-128-GCM over UDP, replay-protected, many streams.
import Forwarding
import Glibc
import Primitives
import WebRTC

/// What two media loops agreed on over their nodes' mutual TLS. Each direction has a key of its own.
package struct PipeFlow: Sendable {
    /// What the other side writes into its packets; unique at this media loop (`MediaLoop.freeFlowID`).
    package var localID: UInt32
    /// What we write: the other side's `localID`.
    package var remoteID: UInt32
    package var remote: SocketAddress
    /// 16 bytes each, fresh for each flow: packet counters start at zero.
    package var sendKey: [UInt8]
    package var receiveKey: [UInt8]
    /// The other side knows `PipePacket.Kind.recovered`.
    package var tellsRecovered: Bool
    package init(localID: UInt32, remoteID: UInt32, remote: SocketAddress, sendKey: [UInt8], receiveKey: [UInt8], tellsRecovered: Bool = false) {
        self.localID = localID; self.remoteID = remoteID; self.remote = remote; self.sendKey = sendKey; self.receiveKey = receiveKey
        self.tellsRecovered = tellsRecovered
    }
    /// For a flow that both sides know by one number.
    package init(id: UInt32, remote: SocketAddress, sendKey: [UInt8], receiveKey: [UInt8]) {
        self.init(localID: id, remoteID: id, remote: remote, sendKey: sendKey, receiveKey: receiveKey)
    }
}

/// Confined to its media loop.
package final class PipeTransport {
    package enum Limits {
        /// Bytes of AES key.
        package static let keyLength = 16
        /// Streams of one flow.
        package static let streams = 16_384
    }
    private struct State {
        var counter: UInt64 = 0
        var window = ReplayWindow()
    }
    package let flow: PipeFlow
    package let index: TransportIndex
    private let sealer: GCMSealer
    private let opener: GCMOpener
    private let state: UnsafeMutablePointer<State>
    /// Stream id → entry of the target table.
    let streams = FlatTable<UInt32>(emptyKey: 0)

    init(flow: PipeFlow, index: TransportIndex) throws(SRTPError) {
        sealer = try GCMSealer(key: flow.sendKey)
        opener = try GCMOpener(key: flow.receiveKey)
        self.flow = flow
        self.index = index
        state = .allocate(capacity: 1)
        state.initialize(to: State())
    }
    deinit { state.deallocate() }

    /// Unbinds all streams of a target that goes away.
    func forget(target: Int32) { streams.removeAll(where: { $0 == target }) }

    /// Seals a pipe packet of a batch in its wire buffer. - Returns: its length, or −1 when it does not fit.
    @inline(__always)
    func seal(_ packet: UnsafeMutablePointer<ForwardedPacket>) -> Int {
        let wire = packet.pointee.wire
        let header = PipePacket.headerLength, prefix = PipePacket.prefixLength
        let isRTCP = packet.pointee.kind == .pipeRTCP
        let inPlace = isRTCP ? Int(packet.pointee.headerLength) : 0
        let payload = isRTCP ? 0 : Int(packet.pointee.payloadLength)
        let total = PipePacket.overhead + inPlace + payload
        guard total <= SendBatch.Limits.wireBytes else { return -1 }
        if inPlace > 0 { memmove(wire + header + prefix, wire, inPlace) }
        let counter = state.pointee.counter
        state.pointee.counter = counter &+ 1
        let kind: PipePacket.Kind = isRTCP ? .rtcp : packet.pointee.isRecovered && flow.tellsRecovered ? .recovered : .rtp
        PipePacket.write(to: wire, flow: flow.remoteID, counter: counter, stream: packet.pointee.streamID, kind: kind, receivedAt: packet.pointee.receivedAt)
        let sealed = sealer.seal(
            nonce: wire + 1, associated: wire, associatedLength: header, out: wire + header, prefixLength: prefix + inPlace,
            payload: isRTCP ? nil : packet.pointee.payload, payloadLength: payload)
        return sealed ? total : -1
    }
    /// Opens a datagram of this flow in place.
    /// - Returns: nil when it is good: the packet begins behind header and prefix.
    @inline(__always)
    func open(_ datagram: UnsafeMutableRawPointer, length: Int) -> TransportDrop? {
        let counter = PipePacket.counter(of: datagram)
        switch state.pointee.window.check(counter) {
        case .fresh: break
        case .replayed: return .pipeReplayed
        case .tooOld: return .pipeTooOld
        }
        let header = PipePacket.headerLength
        guard opener.open(nonce: datagram + 1, associated: datagram, associatedLength: header, data: datagram + header, length: length - header - PipePacket.tagLength)
        else { return .pipeNotAuthentic }
        state.pointee.window.note(counter)
        return nil
    }
}
