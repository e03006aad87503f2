// The network between simulated machines: latency, loss, cuts in either direction, machines without power.
import EventLoop
import Primitives

/// A machine's number in its world: 0..<hosts. Its address is 10.0.0.(number + 1).
package typealias Host = Int

/// One direction between two machines.
package struct Path: Sendable {
    /// Nanoseconds.
    package var latency: Int64 = 300_000
    package var jitter: Int64 = 200_000
    /// Of a million segments or datagrams. A lost segment is sent again by TCP; a lost datagram is gone.
    package var lost: UInt64 = 0
    /// Of a million datagrams.
    package var doubled: UInt64 = 0
    package var reordered: UInt64 = 0
    package var isCut = false
    package init() {}
}

/// All paths, listeners and streams of a world. Streams behave as TCP's: in order, whole, late where the path is lossy or cut.
package final class Wires: @unchecked Sendable {
    package enum Limits {
        /// Bytes under way in one direction of one stream before its writer has to wait: the kernels' buffers.
        package static let kernelBytes = 262_144
        /// TCP's shortest time before a segment is sent again.
        package static let retransmission: Int64 = 200_000_000
        package static let retransmissionMost: Int64 = 1_600_000_000
        /// Between two SYNs.
        package static let synAgain: Int64 = 1_000_000_000
        package static let reorderedBy: Int64 = 20_000_000
    }
    package enum Power: Sendable {
        case on
        /// The process is gone, the kernel answers for it.
        case noProcess
        /// Nothing answers.
        case off
    }
    let world: World
    private var random: SplitMix64
    package var paths: [[Path]]
    package private(set) var power: [Power]
    var listeners: [SocketAddress: SimulatedListener] = [:]
    private var streams: [UInt64: SimulatedStream] = [:]
    private var lastStream: UInt64 = 0
    package private(set) var ports: DatagramPorts!
    package private(set) var counters = Counters()

    package struct Counters: Sendable, Equatable {
        package var segments: UInt64 = 0
        package var stalled: UInt64 = 0
        package var held: UInt64 = 0
        package var refused: UInt64 = 0
        package var datagrams: UInt64 = 0
        package var datagramsLost: UInt64 = 0
        /// Those on a path that was cut.
        package var datagramsCut: UInt64 = 0
        package var datagramsDoubled: UInt64 = 0
        package var datagramsReordered: UInt64 = 0
    }

    package init(_ world: World, hosts: Int) {
        self.world = world
        random = world.random("wires")
        paths = Array(repeating: Array(repeating: Path(), count: hosts), count: hosts)
        power = Array(repeating: .on, count: hosts)
        ports = DatagramPorts(self)
    }

    package static func address(of host: Host, port: UInt16) -> SocketAddress { SocketAddress(ipv4: 0x0A00_0001 + UInt32(host), port: port) }
    package static func host(of address: SocketAddress) -> Host? {
        let host = Int(address.ipv4) - 0x0A00_0001
        return address.isIPv4 && (0..<250).contains(host) ? host : nil
    }

    // MARK: Time on the way

    func chance(_ ofAMillion: UInt64) -> Bool { ofAMillion > 0 && random.next() % 1_000_000 < ofAMillion }
    func isCut(_ from: Host, _ to: Host) -> Bool { from != to && paths[from][to].isCut }
    func delay(_ from: Host, _ to: Host) -> Int64 {
        guard from != to else { return 20_000 }
        let path = paths[from][to]
        return path.latency + Int64(random.next() % UInt64(max(1, path.jitter)))
    }
    /// Of one segment, with what TCP needs to repair its losses.
    func segmentDelay(_ from: Host, _ to: Host) -> Int64 {
        counters.segments += 1
        var delay = delay(from, to), wait = Limits.retransmission
        while from != to, chance(paths[from][to].lost) {
            counters.stalled += 1
            delay += wait
            wait = min(wait * 2, Limits.retransmissionMost)
        }
        return delay
    }
    func repairDelay() -> Int64 { Int64(random.next() % UInt64(2 * Limits.retransmission)) }
    func countHeld() { counters.held += 1 }
    func countRefused() { counters.refused += 1 }

    /// The arrivals of one datagram, as nanoseconds from now; none when it is lost.
    func datagramDelays(_ from: Host, _ to: Host) -> [Int64] {
        counters.datagrams += 1
        let path = from == to ? Path() : paths[from][to]
        guard !path.isCut else { counters.datagramsCut += 1; return [] }
        guard !chance(path.lost) else { counters.datagramsLost += 1; return [] }
        var first = delay(from, to)
        if chance(path.reordered) { counters.datagramsReordered += 1; first += Limits.reorderedBy }
        guard chance(path.doubled) else { return [first] }
        counters.datagramsDoubled += 1
        return [first, first + delay(from, to)]
    }

    // MARK: Streams

    func makePair(_ near: (host: Host, loop: SimulatedLoop, address: SocketAddress, bound: Int), _ far: (host: Host, loop: SimulatedLoop, address: SocketAddress, bound: Int)) -> (SimulatedStream, SimulatedStream) {
        let a = SimulatedStream(self, id: lastStream + 1, near.host, near.loop, local: near.address, remote: far.address, bound: near.bound)
        let b = SimulatedStream(self, id: lastStream + 2, far.host, far.loop, local: far.address, remote: near.address, bound: far.bound)
        lastStream += 2
        (a.peer, b.peer) = (b, a)
        streams[a.id] = a
        streams[b.id] = b
        return (a, b)
    }
    func forget(_ stream: SimulatedStream) { streams[stream.id] = nil }
    private var inOrder: [SimulatedStream] { streams.keys.sorted().map { streams[$0]! } }
    /// A port for an outgoing connection.
    func ephemeralPort() -> UInt16 { UInt16(32_768 + lastStream / 2 % 28_000) }

    // MARK: Faults

    package func cut(_ from: Host, _ to: Host) { paths[from][to].isCut = true }
    package func heal(_ from: Host, _ to: Host) {
        guard paths[from][to].isCut else { return }
        paths[from][to].isCut = false
        for stream in inOrder where stream.host == from && stream.peer?.host == to { stream.pathIsBack() }
    }
    /// A middlebox forgets the streams between two machines.
    package func reset(_ a: Host, _ b: Host) -> Int {
        let found = inOrder.filter { ($0.host, $0.peer?.host) == (a, b) || ($0.host, $0.peer?.host) == (b, a) }
        for stream in found { stream.fail(.reset) }
        return found.count
    }
    /// The process on a machine is gone. - Parameter silently: power loss: nothing leaves any more, not even a FIN.
    package func processDied(_ host: Host, silently: Bool) {
        power[host] = silently ? .off : .noProcess
        for listener in listeners.values.filter({ $0.host == host }).sorted(by: { $0.address.port < $1.address.port }) { listener.close() }
        for stream in inOrder where stream.host == host { stream.processDied(silently: silently) }
    }
    package func processStarted(_ host: Host) { power[host] = .on }
    package var openStreams: Int { streams.count }
}
