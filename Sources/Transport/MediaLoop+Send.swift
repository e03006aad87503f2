// From the router's batch to the socket: one pass of encryption into each packet's wire buffer, then as few system calls as possible.
import CShims
import EventLoop
import Forwarding
import Glibc
import Primitives
import WebRTC

extension MediaLoop {
    /// Seals the packets `batch[from ..< batch.count]` that `target` filled in and queues them for `transmit`.
    func dispatch(_ batch: SendBatch, from start: Int, target: Int32) {
        let packets = batch.packets
        for i in start..<batch.count {
            let packet = packets + i
            let index = packet.pointee.transport
            guard index >= 0, index < slotsUsed else { count.pointee.drop(.staleTransport); continue }
            let slot = slots + Int(index)
            switch packet.pointee.kind {
            case .rtp, .rtcp: dispatchPeer(packet, slot, target: target)
            case .pipeRTP, .pipeRTCP: dispatchPipe(packet, slot)
            case .tapRTP, .tapRTCP: dispatchTap(packet, slot)
            }
        }
    }

    @inline(__always)
    private func dispatchPeer(_ packet: UnsafeMutablePointer<ForwardedPacket>, _ slot: UnsafeMutablePointer<TransportSlot>, target: Int32) {
        // A slot that was given to another room's peer since must not get this room's media.
        guard slot.pointee.kind == .peer, slot.pointee.target == target else { return count.pointee.drop(.staleTransport) }
        guard slot.pointee.isKeyed, slot.pointee.endpoint.length > 0, let sender = slot.pointee.sender else {
            slot.pointee.statistics.dropped &+= 1
            return count.pointee.drop(.notConnected)
        }
        let wire = packet.pointee.wire
        let length: Int
        if packet.pointee.kind == .rtp {
            let handle = slot.srtpHandle(stream: packet.pointee.stream, ssrc: packet.pointee.ssrc)
            length = sender._withUnsafeGuaranteedRef {
                $0.protect(
                    stream: handle, wire: wire, headerLength: Int(packet.pointee.headerLength), prefixLength: Int(packet.pointee.prefixLength),
                    payload: packet.pointee.payload, payloadLength: Int(packet.pointee.payloadLength), capacity: SendBatch.Limits.wireBytes)
            }
        } else {
            length = sender._withUnsafeGuaranteedRef { $0.protectRTCP(wire, length: Int(packet.pointee.headerLength), capacity: SendBatch.Limits.wireBytes) }
        }
        guard length > 0 else {
            slot.pointee.statistics.dropped &+= 1
            return count.pointee.drop(.protectFailed)
        }
        queue(wire, length, slot)
    }
    @inline(__always)
    private func dispatchPipe(_ packet: UnsafeMutablePointer<ForwardedPacket>, _ slot: UnsafeMutablePointer<TransportSlot>) {
        guard slot.pointee.kind == .pipe, let pipe = slot.pointee.pipe else { return count.pointee.drop(.staleTransport) }
        let length = pipe._withUnsafeGuaranteedRef { $0.seal(packet) }
        guard length > 0 else {
            slot.pointee.statistics.dropped &+= 1
            return count.pointee.drop(.protectFailed)
        }
        count.pointee.pipePacketsOut &+= 1
        count.pointee.pipeBytesOut &+= UInt64(length)
        queue(packet.pointee.wire, length, slot)
    }
    @inline(__always)
    private func dispatchTap(_ packet: UnsafeMutablePointer<ForwardedPacket>, _ slot: UnsafeMutablePointer<TransportSlot>) {
        guard slot.pointee.kind == .tap, let ring = slot.pointee.ring else { return count.pointee.drop(.staleTransport) }
        guard ring._withUnsafeGuaranteedRef({ $0.take(packet) }) else {
            slot.pointee.statistics.dropped &+= 1
            return count.pointee.drop(.tapFull)
        }
        count.pointee.tapPackets &+= 1
        slot.pointee.statistics.packetsOut &+= 1
        slot.pointee.statistics.bytesOut &+= UInt64(packet.pointee.length)
    }
    @inline(__always)
    private func queue(_ wire: UnsafeMutableRawPointer, _ length: Int, _ slot: UnsafeMutablePointer<TransportSlot>) {
        let place = outgoing + round.pointee.outgoing
        round.pointee.outgoing &+= 1
        place.initialize(to: shim_outgoing(data: wire, length: UInt32(length), fd: slot.pointee.descriptor, to: endpoint(of: slot)))
        slot.pointee.statistics.packetsOut &+= 1
        slot.pointee.statistics.bytesOut &+= UInt64(length)
        count.pointee.bytesOut &+= UInt64(length)
    }
    @inline(__always)
    private func endpoint(of slot: UnsafeMutablePointer<TransportSlot>) -> UnsafePointer<shim_endpoint> {
        let offset = MemoryLayout<TransportSlot>.offset(of: \.endpoint)!
        return UnsafeRawPointer(UnsafeRawPointer(slot) + offset).assumingMemoryBound(to: shim_endpoint.self)
    }

    /// Gives the queued datagrams to the kernel. What it does not take is counted and lost, as on any network.
    func transmit() {
        let waiting = round.pointee.outgoing
        guard waiting > 0 else { return }
        round.pointee.outgoing = 0
        round.pointee.sent = true
        round.pointee.report = shim_send_report()
        loop.sendDatagrams(sender, outgoing, UInt32(waiting), &round.pointee.report)
        let report = round.pointee.report
        count.pointee.datagramsOut &+= report.sent
        count.pointee.sendCalls &+= report.calls
        count.pointee.segmentedOut &+= report.segmented
        count.pointee.segmentRuns &+= report.runs
        if report.full > 0 { count.pointee.drop(.sendBufferFull, report.full) }
        if report.refused > 0 { count.pointee.drop(.sendRefused, report.refused) }
    }
    /// One STUN or DTLS datagram, at once.
    func sendNow(_ bytes: [UInt8], to address: SocketAddress, by socket: DatagramSocket) {
        var endpoint = socket.endpoint(address)
        let status = bytes.withUnsafeBytes { loop.sendDatagram(socket.descriptor, $0, to: &endpoint) }
        if status == 0 {
            count.pointee.datagramsOut &+= 1
            count.pointee.bytesOut &+= UInt64(bytes.count)
        } else {
            count.pointee.drop(status == -EAGAIN ? .sendBufferFull : .sendRefused)
        }
    }

    // MARK: Packets of our own

    /// Sends one RTP packet as it is to a peer; it leaves at the end of the turn. For the load client and tests.
    /// - Parameters:
    ///   - stream: a small number of the caller's for this SSRC, as in `ForwardedPacket.stream`.
    ///   - headerLength: bytes of RTP header with CSRCs and extension.
    package func sendRTP(_ packet: UnsafeRawBufferPointer, headerLength: Int, stream: Int32, to index: TransportIndex) {
        guard headerLength >= 12, packet.count >= headerLength, let place = directPlace(packet) else { return count.pointee.drop(.protectFailed) }
        place.pointee.kind = .rtp
        place.pointee.transport = index
        place.pointee.stream = stream
        place.pointee.ssrc = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        place.pointee.headerLength = Int32(headerLength)
        place.pointee.prefixLength = Int32(packet.count - headerLength)
    }
    /// Likewise one compound RTCP packet.
    package func sendRTCP(_ packet: UnsafeRawBufferPointer, to index: TransportIndex) {
        guard packet.count >= 8, let place = directPlace(packet) else { return count.pointee.drop(.protectFailed) }
        place.pointee.kind = .rtcp
        place.pointee.transport = index
        place.pointee.stream = -1
        place.pointee.headerLength = Int32(packet.count)
        place.pointee.prefixLength = 0
    }
    /// Likewise one packet over a pipe. Kept apart from a router's: nothing answers requests for it again.
    package func sendPipe(_ packet: UnsafeRawBufferPointer, isRTCP: Bool, stream: UInt32, receivedAt: Int64, to index: TransportIndex) {
        guard !packet.isEmpty, packet.count <= SendBatch.Limits.wireBytes - PipePacket.overhead, let place = directPlace(packet) else {
            return count.pointee.drop(.protectFailed)
        }
        // Both kinds stand whole in the wire here; the seal moves and encrypts them in place.
        place.pointee.kind = .pipeRTCP
        place.pointee.transport = index
        place.pointee.streamID = stream
        place.pointee.isRecovered = false
        place.pointee.receivedAt = receivedAt
        place.pointee.headerLength = Int32(packet.count)
        place.pointee.prefixLength = 0
        if !isRTCP {
            // An RTP packet is read from behind the place its header and prefix will take.
            let body = place.pointee.wire + PipePacket.headerLength + PipePacket.prefixLength
            memmove(body, place.pointee.wire, packet.count)
            place.pointee.kind = .pipeRTP
            place.pointee.headerLength = 0
            place.pointee.payload = UnsafeRawPointer(body)
            place.pointee.payloadLength = Int32(packet.count)
        }
    }
    /// A place in the loop's own batch with the packet copied into its wire; nil when the packet is too long.
    private func directPlace(_ packet: UnsafeRawBufferPointer) -> UnsafeMutablePointer<ForwardedPacket>? {
        guard packet.count <= SendBatch.Limits.wireBytes - SendBatch.Limits.trailerBytes else { return nil }
        if direct.isFull { flushDirect() }
        let place = direct.packets + direct.count
        direct.count += 1
        memcpy(place.pointee.wire, packet.baseAddress!, packet.count)
        place.pointee.payload = nil
        place.pointee.payloadLength = 0
        return place
    }
    func flushDirect() {
        guard !direct.isEmpty else { return }
        transmit()
        for i in 0..<direct.count {
            let index = direct.packets[i].transport
            let target = index >= 0 && index < slotsUsed ? slots[Int(index)].target : -1
            dispatchOne(i, target)
        }
        transmit()
        direct.removeAll()
    }
    private func dispatchOne(_ i: Int, _ target: Int32) {
        let packet = direct.packets + i
        let index = packet.pointee.transport
        guard let slot = slot(index) else { return count.pointee.drop(.staleTransport) }
        if packet.pointee.kind == .rtp || packet.pointee.kind == .rtcp { dispatchPeer(packet, slot, target: target) } else { dispatchPipe(packet, slot) }
    }
}
