// Carries out what a peer's session puts out.
import CShims
import EventLoop
import Forwarding
import Primitives
import WebRTC

extension MediaLoop {
    /// Takes all outputs of a session, then its deadline, then tells what happened.
    /// - Returns: whether the session took what it was given (nothing was dropped).
    @discardableResult
    func pump(_ peer: PeerTransport) -> Bool {
        guard !peer.isPumping else { return true }
        peer.isPumping = true
        var taken = true
        while let output = peer.session.takeOutput() {
            if case .dropped(let reason) = output {
                taken = false
                count.pointee.drop(Self.drop(reason))
            } else {
                carryOut(output, peer)
            }
        }
        peer.isPumping = false
        if peers[peer.index] === peer { deadlines.set(Self.deadlineID(peer.index), peer.session.deadline) }
        while !peer.events.isEmpty {
            let event = peer.events.removeFirst()
            peer.onEvent?(event)
        }
        return taken
    }
    private func carryOut(_ output: PeerSession.Output, _ peer: PeerTransport) {
        switch output {
        case .transmit(let bytes, let address): sendNow(bytes, to: address, by: peer.socket)
        case .validated(let address): claim(address, for: peer)
        case .invalidated(let address):
            peer.addresses.removeAll { $0 == address }
            if addresses.find(address) == peer.index { addresses.remove(address) }
        case .selected(let address):
            peer.selected = address
            slots[Int(peer.index)].endpoint = peer.socket.endpoint(address)
            peer.events.append(.selected(address))
        case .keyed(let keys): install(keys, peer)
        case .closed(let reason):
            slots[Int(peer.index)].isKeyed = false
            peer.events.append(.closed(reason))
        case .dropped: break
        }
    }

    /// The address is the peer's from now on. Ephemeral ports come back within seconds, so it may have been another's; that one stops
    /// sending there until it shows a valid check again.
    func claim(_ address: SocketAddress, for peer: PeerTransport) {
        guard peer.ownWatch == nil else { return }
        let before = addresses.set(address, peer.index)
        if before >= 0, before != peer.index {
            count.pointee.addressTakeovers &+= 1
            if let loser = peers[before], loser.selected == address { slots[Int(before)].endpoint = shim_endpoint() }
        }
        if !peer.addresses.contains(address) { peer.addresses.append(address) }
        if peer.selected == address { slots[Int(peer.index)].endpoint = peer.socket.endpoint(address) }
    }

    private func install(_ keys: SRTPKeys, _ peer: PeerTransport) {
        let slot = slots + Int(peer.index)
        do throws(SRTPError) {
            let sender = try SRTPSender(profile: keys.profile, keyAndSalt: keys.localKey)
            let receiver = try SRTPReceiver(profile: keys.profile, keyAndSalt: keys.remoteKey)
            slot.forgetStreams()
            slot.pointee.sender = .passUnretained(sender)
            slot.pointee.receiver = .passUnretained(receiver)
            slot.pointee.isKeyed = true
            (peer.sender, peer.receiver) = (sender, receiver)
            peer.events.append(.connected(keys.profile))
        } catch {
            // Keys of a finished handshake have the right size; the library refuses them only when memory is out.
            slot.pointee.isKeyed = false
            peer.session.close()
        }
    }
    private static func drop(_ reason: PeerSessionDrop) -> TransportDrop {
        switch reason {
        case .ice: .stunRefused
        case .notForSession: .unknownProtocol
        case .dtlsFromUnknownAddress, .dtlsTooEarly, .applicationData: .dtlsRefused
        case .closed: .peerClosed
        }
    }
}
