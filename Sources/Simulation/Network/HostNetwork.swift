// One machine's network card as its node uses it.
import EventLoop
import Primitives

final class SimulatedListener: Listener, @unchecked Sendable {
    let host: Host
    let address: SocketAddress
    let loop: SimulatedLoop
    let bound: Int
    private let wires: Wires
    let onConnection: @Sendable (any Stream) -> Void
    init(_ wires: Wires, _ host: Host, _ address: SocketAddress, _ loop: SimulatedLoop, bound: Int, _ onConnection: @escaping @Sendable (any Stream) -> Void) {
        self.wires = wires; self.host = host; self.address = address; self.loop = loop; self.bound = bound; self.onConnection = onConnection
    }
    func close() { if wires.listeners[address] === self { wires.listeners[address] = nil } }
}

/// Makes listeners and connections for one life of one node.
package final class HostNetwork: Network, @unchecked Sendable {
    private let wires: Wires
    private let host: Host
    private let loop: SimulatedLoop
    package init(_ wires: Wires, host: Host, loop: SimulatedLoop) { self.wires = wires; self.host = host; self.loop = loop }

    package func listen(
        _ address: SocketAddress, backlog: Int, bufferBound: Int, onConnection: @escaping @Sendable (any Stream) -> Void
    ) throws(NetworkError) -> any Listener {
        guard wires.listeners[address] == nil else { throw .addressInUse(address) }
        let listener = SimulatedListener(wires, host, address, loop, bound: bufferBound, onConnection)
        wires.listeners[address] = listener
        return listener
    }
    package func connect(
        _ address: SocketAddress, timeout: Duration, bufferBound: Int, completion: @escaping @Sendable (Result<any Stream, NetworkError>) -> Void
    ) {
        let attempt = ConnectAttempt(wires, host, loop, address, bufferBound, completion)
        attempt.begin(timeout)
    }
    package func resolve(_ name: String) async throws -> [SocketAddress] {
        guard let numeric = SocketAddress(host: name, port: 0) else { throw NetworkError.nameNotFound(name) }
        return [numeric]
    }
}

/// One `connect`: SYNs until one gets through both ways, or time is up.
private final class ConnectAttempt: @unchecked Sendable {
    private let wires: Wires
    private let host: Host
    private let loop: SimulatedLoop
    private let address: SocketAddress
    private let bound: Int
    private var completion: (@Sendable (Result<any Stream, NetworkError>) -> Void)?
    private var timer: TimerToken?

    init(_ wires: Wires, _ host: Host, _ loop: SimulatedLoop, _ address: SocketAddress, _ bound: Int, _ completion: @escaping @Sendable (Result<any Stream, NetworkError>) -> Void) {
        self.wires = wires; self.host = host; self.loop = loop; self.address = address; self.bound = bound; self.completion = completion
    }
    func begin(_ timeout: Duration) {
        timer = loop.schedule(after: timeout) { self.answer(.failure(.timedOut(self.address))) }
        guard let target = Wires.host(of: address), wires.power.indices.contains(target) else { return loop.post { self.answer(.failure(.unreachable(self.address))) } }
        wires.world.after(0) { self.syn(target) }
    }
    private func syn(_ target: Host) {
        guard completion != nil, loop.state != .dead else { return }
        let isLost = wires.isCut(host, target) || wires.isCut(target, host) || wires.power[target] == .off || wires.chance(wires.paths[host][target].lost)
        if isLost { return wires.world.after(Wires.Limits.synAgain) { self.syn(target) } }
        wires.world.after(wires.delay(host, target)) { self.arrives(target) }
    }
    /// At the far machine: its kernel accepts, whether or not the process looks.
    private func arrives(_ target: Host) {
        guard completion != nil, loop.state != .dead, wires.power[target] != .off else { return }
        let back = wires.delay(target, host)
        guard let listener = wires.listeners[address] else {
            wires.countRefused()
            return wires.world.after(back, on: loop) { self.answer(.failure(.refused(self.address))) }
        }
        let near = Wires.address(of: host, port: wires.ephemeralPort())
        let (mine, theirs) = wires.makePair((host, loop, near, bound), (target, listener.loop, address, listener.bound))
        listener.loop.post { listener.onConnection(theirs) }
        wires.world.after(back, on: loop) { self.established(mine) }
    }
    private func established(_ stream: SimulatedStream) {
        guard completion != nil else { return stream.abort() }
        answer(.success(stream))
    }
    private func answer(_ result: Result<any Stream, NetworkError>) {
        timer?.cancel()
        timer = nil
        completion.take()?(result)
    }
}
