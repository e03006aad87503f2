// The WebSocket between one client and its edge, as values: in order, late, cut with the path, gone with the node.
import Conference
import EventLoop
import Primitives

/// One connection of one client. The client's side runs on the clients' loop, the other on the edge's.
final class SimulatedConnection: SignallingConnection, @unchecked Sendable {
    enum Limits {
        /// While the path is cut TCP tries again.
        static let again: Int64 = 100_000_000
    }
    let life: Life
    private let wires: Wires
    private let clients: (host: Host, loop: SimulatedLoop)
    private var session: (any SignallingSession)?
    private var downUntil: Int64 = 0
    private var upUntil: Int64 = 0
    private(set) var isClosed = false
    private var early: [ClientMessage] = []
    private var isLostEarly = false
    /// On the clients' loop.
    var onMessage: ((ServerMessage) -> Void)?
    var onClose: ((String) -> Void)?

    init(_ life: Life, _ wires: Wires, _ clients: (host: Host, loop: SimulatedLoop)) {
        self.life = life
        self.wires = wires
        self.clients = clients
    }

    // MARK: The edge's side

    func send(_ message: ServerMessage) {
        carry(from: life.host, to: clients.host, after: &downUntil, on: clients.loop) { if !$0.isClosed { $0.onMessage?(message) } }
    }
    func close(code: UInt16, reason: String) {
        carry(from: life.host, to: clients.host, after: &downUntil, on: clients.loop) { $0.end("\(code) \(reason)") }
    }
    /// The attachment is made: what the client said meanwhile is passed on.
    func attached(_ session: any SignallingSession) {
        self.session = session
        for message in early { session.receive(message) }
        early = []
        if isLostEarly { session.connectionLost() }
    }

    // MARK: The client's side

    func say(_ message: ClientMessage) {
        guard !isClosed else { return }
        carry(from: clients.host, to: life.host, after: &upUntil, on: life.loop) { connection in
            if let session = connection.session { session.receive(message) } else { connection.early.append(message) }
        }
    }
    /// The client goes away without a word.
    func drop() {
        guard !isClosed else { return }
        isClosed = true
        carry(from: clients.host, to: life.host, after: &upUntil, on: life.loop) { connection in
            if let session = connection.session { session.connectionLost() } else { connection.isLostEarly = true }
        }
    }
    /// The edge is gone, or hung up.
    func end(_ reason: String) {
        guard !isClosed else { return }
        isClosed = true
        onClose?(reason)
        onClose = nil
        onMessage = nil
    }

    private func carry(from: Host, to: Host, after last: inout Int64, on loop: SimulatedLoop, _ deliver: @escaping @Sendable (SimulatedConnection) -> Void) {
        let arrival = max(wires.world.now + wires.segmentDelay(from, to), last + 1)
        last = arrival
        land(from, to, arrival, loop, deliver)
    }
    private func land(_ from: Host, _ to: Host, _ time: Int64, _ loop: SimulatedLoop, _ deliver: @escaping @Sendable (SimulatedConnection) -> Void) {
        wires.world.after(time - wires.world.now) { [self] in
            guard !wires.isCut(from, to) else { return land(from, to, wires.world.now + Limits.again, loop, deliver) }
            guard wires.power[life.host] != .off, life.isAlive || loop === clients.loop else { return }
            loop.post { deliver(self) }
        }
    }
}
