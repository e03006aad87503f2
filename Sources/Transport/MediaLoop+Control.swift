// What the control side asks of a media loop: routers, peers, pipes, taps. On the loop's thread; may allocate.
import CShims
import EventLoop
import Forwarding
import Primitives
import WebRTC

extension MediaLoop {
    // MARK: Routers and sinks

    /// Makes a router core on this loop. Call its control functions on the loop; what they change is sent and timed at the end of the turn.
    package func makeRouter(configuration: RouterConfiguration = RouterConfiguration(), onEvent: @escaping (RouterEvent) -> Void = { _ in }) throws(TransportError) -> RouterCore {
        let target = try takeTarget()
        let core = RouterCore(configuration: configuration)
        use(target, router: core)
        routers[target] = RouterEntry(core: core, onEvent: onEvent)
        targetOf[ObjectIdentifier(core)] = target
        return core
    }
    /// Removes a router with all its peers and its pipes' streams.
    package func removeRouter(_ router: RouterCore) {
        guard let target = targetOf[ObjectIdentifier(router)] else { return }
        release(target: target, of: router)
        routers[target] = nil
    }
    /// Registers code of ours to get packets in place of a router.
    package func addSink(_ sink: any PacketSink) throws(TransportError) {
        guard targetOf[ObjectIdentifier(sink)] == nil else { return }
        let target = try takeTarget()
        use(target, router: nil)
        sinks[target] = sink
        targetOf[ObjectIdentifier(sink)] = target
    }
    package func removeSink(_ sink: any PacketSink) {
        guard let target = targetOf[ObjectIdentifier(sink)] else { return }
        release(target: target, of: sink)
        sinks[target] = nil
    }
    private func takeTarget() throws(TransportError) -> Int32 {
        if let free = freeTargets.pop() { return free }
        guard targetsUsed < Int32(Limits.targets) else { throw .full(limit: Limits.targets) }
        targetsUsed += 1
        return targetsUsed - 1
    }
    /// The dirty flag is left alone: the number may still stand in the round's list from before.
    private func use(_ target: Int32, router: RouterCore?) {
        targets[Int(target)].router = router.map { .passUnretained($0) }
        targets[Int(target)].isUsed = true
    }
    private func release(target: Int32, of owner: AnyObject) {
        for index in peers.keys.sorted() where slots[Int(index)].target == target { removePeer(index) }
        for pipe in pipes.values { pipe.forget(target: target) }
        targetOf[ObjectIdentifier(owner)] = nil
        // It may stand in the dirty list: the flag stays until the list is worked off.
        targets[Int(target)].router = nil
        targets[Int(target)].isUsed = false
        deadlines.set(target, nil)
        _ = freeTargets.push(target)
    }
    private func target(of owner: AnyObject) throws(TransportError) -> Int32 {
        guard let target = targetOf[ObjectIdentifier(owner)] else { throw .unknownTarget }
        return target
    }

    // MARK: Peers

    /// Adds a peer whose packets go to `router`. `onEvent` is called on the loop.
    /// - Parameter ownSocket: where to bind a socket for this peer alone: a client's, which is told apart by its port.
    package func addPeer(
        router: RouterCore, configuration: PeerSessionConfiguration, ownSocket: SocketAddress? = nil, onEvent: @escaping (PeerEvent) -> Void
    ) throws(TransportError) -> TransportIndex {
        try addPeer(target: target(of: router), configuration, ownSocket, onEvent)
    }
    /// As above, for code of ours registered by `addSink`.
    package func addPeer(
        sink: any PacketSink, configuration: PeerSessionConfiguration, ownSocket: SocketAddress? = nil, onEvent: @escaping (PeerEvent) -> Void
    ) throws(TransportError) -> TransportIndex {
        try addPeer(target: target(of: sink), configuration, ownSocket, onEvent)
    }
    private func addPeer(
        target: Int32, _ configuration: PeerSessionConfiguration, _ ownSocket: SocketAddress?, _ onEvent: @escaping (PeerEvent) -> Void
    ) throws(TransportError) -> TransportIndex {
        guard ownSocket != nil || fragments[configuration.localUfrag] == nil else { throw .fragmentTaken(configuration.localUfrag) }
        let session: PeerSession
        do { session = try PeerSession(configuration: configuration, now: loop.now, random: random) } catch { throw .session("\(error)") }
        let own = try ownSocket.map { address throws(TransportError) in
            do throws(NetworkError) { return try loop.openDatagrams(address) } catch { throw TransportError.network(error) }
        }
        let index = try takeSlot()
        let peer = PeerTransport(index: index, session: session, socket: own ?? socket, onEvent: onEvent)
        if let own {
            do throws(NetworkError) { peer.ownWatch = try loop.watchDatagrams(own) { self.drainMedia(own.descriptor, owner: index) } } catch {
                _ = freeSlots.push(index)
                throw .network(error)
            }
        } else {
            peer.fragments = [configuration.localUfrag]
            fragments[configuration.localUfrag] = index
        }
        peers[index] = peer
        slots[Int(index)] = TransportSlot(kind: .peer, target: target, descriptor: peer.socket.descriptor)
        pump(peer)
        return index
    }
    /// What signalling says of the other side; again on an ICE restart.
    /// - Parameters: `fingerprintAlgorithm` and `fingerprint` as spelt in `a=fingerprint`.
    package func setRemote(_ index: TransportIndex, ufrag: String, password: String, fingerprintAlgorithm: String, fingerprint: String) throws(TransportError) {
        guard let parsed = Fingerprint(algorithm: fingerprintAlgorithm, value: fingerprint) else { throw .badFingerprint }
        let peer = try peer(index)
        peer.session.setRemote(ufrag: ufrag, password: password, fingerprint: parsed)
        pump(peer)
    }
    /// New local credentials (ICE restart); the ones before go on working until the peer has nominated with the new.
    package func restart(_ index: TransportIndex, ufrag: String, password: String) throws(TransportError) {
        let peer = try peer(index)
        if peer.ownWatch == nil {
            guard fragments[ufrag] == nil else { throw .fragmentTaken(ufrag) }
            fragments[ufrag] = index
            peer.fragments.append(ufrag)
            if peer.fragments.count > PeerTransport.Limits.fragments { fragments[peer.fragments.removeFirst()] = nil }
        }
        peer.session.restart(localUfrag: ufrag, localPassword: password)
        pump(peer)
    }
    /// Where a client's checks go. - Returns: false when it knows too many already, or for a server's peer.
    @discardableResult
    package func addRemoteCandidate(_ index: TransportIndex, _ address: SocketAddress) throws(TransportError) -> Bool {
        let peer = try peer(index)
        defer { pump(peer) }
        return peer.session.addRemoteCandidate(address)
    }
    /// Where the peer is now; nil before it was nominated.
    package func selectedAddress(_ index: TransportIndex) -> SocketAddress? { peers[index]?.selected }
    package func isConnected(_ index: TransportIndex) -> Bool { slot(index)?.pointee.isKeyed ?? false }

    /// Says goodbye and forgets the peer with every track that came from or went to it; no event follows.
    package func removePeer(_ index: TransportIndex) {
        guard let peer = peers[index] else { return }
        peer.onEvent = nil
        peer.session.close()
        pump(peer)
        peers[index] = nil
        peer.ownWatch?.close()
        for fragment in peer.fragments { fragments[fragment] = nil }
        for address in peer.addresses where addresses.find(address) == index { addresses.remove(address) }
        deadlines.set(Self.deadlineID(index), nil)
        freeSlot(index)
    }
    private func peer(_ index: TransportIndex) throws(TransportError) -> PeerTransport {
        guard let peer = peers[index] else { throw .unknownTransport(index) }
        return peer
    }

    // MARK: Slots

    private func takeSlot() throws(TransportError) -> TransportIndex {
        // Fresh numbers first, then the one freed longest ago: a stale number meets a stranger as late as possible.
        if slotsUsed < Int32(Limits.transports) {
            slotsUsed += 1
            return slotsUsed - 1
        }
        guard let free = freeSlots.pop() else { throw .full(limit: Limits.transports) }
        return free
    }
    /// Routers forget the number first: it will be a stranger's one day.
    private func freeSlot(_ index: TransportIndex) {
        for entry in routers.values { entry.core.removeTransport(index) }
        (slots + Int(index)).forgetStreams()
        slots[Int(index)] = TransportSlot()
        _ = freeSlots.push(index)
    }

    // MARK: Pipes

    /// A flow number no pipe of this loop has.
    package func freeFlowID() -> UInt32 {
        while true {
            let id = UInt32(truncatingIfNeeded: random.next())
            if flows.find(id) < 0 { return id }
        }
    }
    package func addPipe(_ flow: PipeFlow) throws(TransportError) -> PipeTransport {
        guard flows.find(flow.localID) < 0 else { throw .flowTaken(flow.localID) }
        guard flow.sendKey.count == PipeTransport.Limits.keyLength, flow.receiveKey.count == PipeTransport.Limits.keyLength else { throw .badKey }
        let index = try takeSlot()
        let pipe: PipeTransport
        do { pipe = try PipeTransport(flow: flow, index: index) } catch {
            _ = freeSlots.push(index)
            throw .session("\(error)")
        }
        pipes[index] = pipe
        slots[Int(index)] = TransportSlot(kind: .pipe, isKeyed: true, descriptor: pipeSocket.descriptor, endpoint: pipeSocket.endpoint(flow.remote), pipe: .passUnretained(pipe))
        flows.set(flow.localID, index)
        return pipe
    }
    package func removePipe(_ index: TransportIndex) {
        guard let pipe = pipes[index] else { return }
        flows.remove(pipe.flow.localID)
        freeSlot(index)
        pipes[index] = nil
    }
    /// Says which router gets what arrives on `streamID`, media and feedback alike: both ends bind the stream.
    package func bindPipeStream(_ streamID: UInt32, of pipe: PipeTransport, to router: RouterCore) throws(TransportError) {
        try bind(streamID, pipe, target(of: router))
    }
    package func bindPipeStream(_ streamID: UInt32, of pipe: PipeTransport, toSink sink: any PacketSink) throws(TransportError) {
        try bind(streamID, pipe, target(of: sink))
    }
    private func bind(_ streamID: UInt32, _ pipe: PipeTransport, _ target: Int32) throws(TransportError) {
        guard pipes[pipe.index] === pipe else { throw .unknownTransport(pipe.index) }
        guard pipe.streams.count < PipeTransport.Limits.streams || pipe.streams.find(streamID) >= 0 else { throw .full(limit: PipeTransport.Limits.streams) }
        pipe.streams.set(streamID, target)
    }
    package func unbindPipeStream(_ streamID: UInt32, of pipe: PipeTransport) { pipe.streams.remove(streamID) }

    // MARK: Taps

    /// Adds a tap whose packets go into `ring`; the ring's one producing thread is then this loop's.
    package func addTap(_ ring: PacketRing) throws(TransportError) -> TransportIndex {
        let index = try takeSlot()
        let tap = TapTransport(ring: ring)
        taps[index] = tap
        slots[Int(index)] = TransportSlot(kind: .tap, isKeyed: true, ring: .passUnretained(tap.ring))
        return index
    }
    package func removeTap(_ index: TransportIndex) {
        guard taps[index] != nil else { return }
        freeSlot(index)
        taps[index] = nil
    }
}
