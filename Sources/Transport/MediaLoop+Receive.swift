// From the socket to the router: demultiplexing by first byte (RFC 7983), address and user name fragment.
import CShims
import Forwarding
import Primitives
import RTP
import WebRTC

extension MediaLoop {
    /// Takes what waits on a media socket, batch by batch; each batch's packets leave before the next is read.
    /// - Parameter owner: the peer whose own socket this is, or −1 for the loop's.
    func drainMedia(_ descriptor: Int32, owner: TransportIndex) {
        let datagrams = shim_receiver_datagrams(receiver)
        for _ in 0..<Limits.receiveRounds {
            let received = Int(loop.receiveDatagrams(receiver, descriptor))
            guard received > 0 else { return }
            let now = loop.now
            begin(datagrams)
            for i in 0..<received { take(datagrams + i, owner: owner, now: now) }
            flushRouters(now: now)
            guard received == Limits.receiveBatch else { return }
        }
    }
    /// Likewise for the pipe socket.
    func drainPipes() {
        let datagrams = shim_receiver_datagrams(receiver)
        for _ in 0..<Limits.receiveRounds {
            let received = Int(loop.receiveDatagrams(receiver, pipeSocket.descriptor))
            guard received > 0 else { return }
            let now = loop.now
            begin(datagrams)
            for i in 0..<received { takePipe(datagrams + i, now: now) }
            flushRouters(now: now)
            guard received == Limits.receiveBatch else { return }
        }
    }
    private func begin(_ first: UnsafeMutablePointer<shim_datagram>) {
        count.pointee.receiveBatches &+= 1
        count.pointee.kernelDrops = UInt64(shim_receiver_overflow(receiver))
        round.pointee.oldest = first.pointee.received_at
        round.pointee.sent = false
    }

    // MARK: Peers

    private func take(_ datagram: UnsafeMutablePointer<shim_datagram>, owner: TransportIndex, now: Instant) {
        let bytes = UnsafeRawBufferPointer(start: datagram.pointee.data, count: Int(datagram.pointee.length))
        count.pointee.datagramsIn &+= 1
        count.pointee.bytesIn &+= UInt64(bytes.count)
        guard datagram.pointee.truncated == 0 else { return count.pointee.drop(.truncated) }
        switch PacketKind.of(bytes) {
        case .media: receiveSRTP(datagram, isRTCP: false, owner: owner, now: now)
        case .rtcp: receiveSRTP(datagram, isRTCP: true, owner: owner, now: now)
        case .stun: receiveSTUN(bytes, from: SocketAddress(datagram.pointee.source), owner: owner, now: now)
        case .dtls: receiveDTLS(bytes, from: SocketAddress(datagram.pointee.source), owner: owner, now: now)
        default: count.pointee.drop(.unknownProtocol)
        }
    }

    @inline(__always)
    private func receiveSRTP(_ datagram: UnsafeMutablePointer<shim_datagram>, isRTCP: Bool, owner: TransportIndex, now: Instant) {
        let index = owner >= 0 ? owner : addresses.find(SocketAddress(datagram.pointee.source))
        guard index >= 0 else { return count.pointee.drop(.unknownAddress) }
        let slot = slots + Int(index)
        guard slot.pointee.isKeyed, let unprotect = slot.pointee.receiver else { return count.pointee.drop(.notKeyed) }
        let data = datagram.pointee.data, wireLength = Int(datagram.pointee.length)
        let length = unprotect._withUnsafeGuaranteedRef { isRTCP ? $0.unprotectRTCP(data, length: wireLength) : $0.unprotect(data, length: wireLength) }
        guard length > 0 else {
            slot.pointee.statistics.dropped &+= 1
            return count.pointee.drop(Self.drop(srtp: length))
        }
        slot.pointee.statistics.packetsIn &+= 1
        slot.pointee.statistics.bytesIn &+= UInt64(wireLength)
        deliver(data, length, isRTCP: isRTCP, to: slot.pointee.target, from: index, pipeStream: nil, receivedAt: datagram.pointee.received_at, now: now)
    }
    private static func drop(srtp result: Int) -> TransportDrop {
        switch SRTPDrop(rawValue: result) {
        case .notAuthentic: .srtpNotAuthentic
        case .replayed: .srtpReplayed
        case .tooOld: .srtpTooOld
        case .malformed: .srtpMalformed
        case .tooManyStreams: .srtpTooManyStreams
        default: .srtpFailed
        }
    }

    /// To the router or sink that owns the transport or stream.
    @inline(__always)
    private func deliver(
        _ packet: UnsafeMutableRawPointer, _ length: Int, isRTCP: Bool, isRecovered: Bool = false, to target: Int32, from index: TransportIndex, pipeStream: UInt32?,
        receivedAt: Int64, now: Instant
    ) {
        guard target >= 0 else { return count.pointee.drop(.staleTransport) }
        guard let router = targets[Int(target)].router else {
            sinks[target]?.receive(UnsafeRawBufferPointer(start: packet, count: length), isRTCP: isRTCP, from: index, receivedAt: receivedAt, now: now)
            return
        }
        markDirty(target)
        router._withUnsafeGuaranteedRef {
            if isRTCP {
                $0.receiveRTCP(packet, length: length, from: index, pipeStream: pipeStream, receivedAt: receivedAt, now: now)
            } else {
                _ = $0.receiveRTP(packet, length: length, from: index, pipeStream: pipeStream, isRecovered: isRecovered, receivedAt: receivedAt, now: now)
            }
        }
    }

    /// A request goes to the peer whose fragment it names, wherever it comes from: that is how an address becomes a peer's, and how a
    /// peer takes over an address another one had. Everything else goes by address.
    private func receiveSTUN(_ bytes: UnsafeRawBufferPointer, from source: SocketAddress, owner: TransportIndex, now: Instant) {
        count.pointee.stunIn &+= 1
        if owner >= 0 {
            if let peer = peers[owner] { feed(peer, bytes, from: source, now: now) }
            return
        }
        if let fragment = STUN.localFragment(of: bytes) {
            guard let index = fragments[String(decoding: fragment, as: UTF8.self)], let peer = peers[index] else { return count.pointee.drop(.unknownFragment) }
            guard feed(peer, bytes, from: source, now: now) else { return }
            if addresses.find(source) != index, peer.addresses.contains(source) || peer.session.selected == source { claim(source, for: peer) }
            return
        }
        guard let peer = peers[addresses.find(source)] else { return count.pointee.drop(.strayResponse) }
        feed(peer, bytes, from: source, now: now)
    }
    private func receiveDTLS(_ bytes: UnsafeRawBufferPointer, from source: SocketAddress, owner: TransportIndex, now: Instant) {
        count.pointee.dtlsIn &+= 1
        guard let peer = peers[owner >= 0 ? owner : addresses.find(source)] else { return count.pointee.drop(.unknownAddress) }
        feed(peer, bytes, from: source, now: now)
    }
    /// - Returns: whether the session took it.
    @discardableResult
    private func feed(_ peer: PeerTransport, _ bytes: UnsafeRawBufferPointer, from source: SocketAddress, now: Instant) -> Bool {
        peer.session.receive(bytes, from: source, now: now)
        return pump(peer)
    }

    // MARK: Pipes

    private func takePipe(_ datagram: UnsafeMutablePointer<shim_datagram>, now: Instant) {
        let data = datagram.pointee.data, length = Int(datagram.pointee.length)
        count.pointee.datagramsIn &+= 1
        count.pointee.bytesIn &+= UInt64(length)
        guard datagram.pointee.truncated == 0, let id = PipePacket.flow(of: UnsafeRawBufferPointer(start: data, count: length)) else {
            return count.pointee.drop(.pipeMalformed)
        }
        let index = flows.find(id)
        guard index >= 0, let pipe = slots[Int(index)].pipe else { return count.pointee.drop(.pipeUnknownFlow) }
        let slot = slots + Int(index)
        if let reason = pipe._withUnsafeGuaranteedRef({ $0.open(data, length: length) }) {
            slot.pointee.statistics.dropped &+= 1
            return count.pointee.drop(reason)
        }
        slot.pointee.statistics.packetsIn &+= 1
        slot.pointee.statistics.bytesIn &+= UInt64(length)
        count.pointee.pipePacketsIn &+= 1
        count.pointee.pipeBytesIn &+= UInt64(length)
        let stream = PipePacket.stream(of: data), kind = PipePacket.kind(of: data)
        let target = pipe._withUnsafeGuaranteedRef { $0.streams.find(stream) }
        guard target >= 0 else { return count.pointee.drop(.pipeUnknownStream) }
        guard let kind = PipePacket.Kind(rawValue: kind) else { return count.pointee.drop(.pipeMalformed) }
        deliver(
            data + PipePacket.headerLength + PipePacket.prefixLength, length - PipePacket.overhead, isRTCP: kind == .rtcp, isRecovered: kind == .recovered, to: target,
            from: index, pipeStream: stream, receivedAt: PipePacket.receivedAt(of: data), now: now)
    }
}
