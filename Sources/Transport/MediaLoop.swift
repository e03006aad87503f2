// One media port: a loop's thread, its UDP sockets, and every peer, pipe, tap and router that lives on it.
import CShims
import EventLoop
import Forwarding
import Glibc
import Primitives
import WebRTC

package enum TransportError: Error, Equatable, CustomStringConvertible {
    case network(NetworkError)
    /// No slot is free.
    case full(limit: Int)
    /// Another peer of this loop has the user name fragment.
    case fragmentTaken(String)
    case flowTaken(UInt32)
    case badKey
    case badFingerprint
    /// The router or sink is not one of this loop.
    case unknownTarget
    case unknownTransport(TransportIndex)
    case session(String)

    package var description: String {
        switch self {
        case .network(let error): error.description
        case .full(let limit): "this media loop holds its \(limit) transports or routers; add media ports"
        case .fragmentTaken(let fragment): "user name fragment \(fragment) is in use; draw another"
        case .flowTaken(let id): "pipe flow \(id) is in use; draw another"
        case .badKey: "a pipe key has \(PipeTransport.Limits.keyLength) bytes"
        case .badFingerprint: "the fingerprint is not a known hash in colon-separated hexadecimal"
        case .unknownTarget: "the router or sink does not belong to this media loop"
        case .unknownTransport(let index): "no transport \(index) on this media loop"
        case .session(let text): "the session cannot be made: \(text)"
        }
    }
}

/// Everything but `snapshot` and the constants is called on `loop` (or before it starts).
///
/// From socket to socket: `drain` (MediaLoop+Receive) → `receiveSRTP` → `RouterCore` → `flushRouters` (MediaLoop+Rounds) →
/// `dispatch`, `transmit` (MediaLoop+Send). On this way nothing allocates, hops, waits or locks.
package final class MediaLoop: @unchecked Sendable {
    package enum Limits {
        /// Peers, pipes and taps of one loop.
        package static let transports = 8192
        /// Routers and sinks of one loop.
        package static let targets = 1024
        /// Datagrams of one recvmmsg.
        package static let receiveBatch = 64
        /// Bytes of a receive buffer: an Ethernet frame and then some.
        package static let receiveBufferBytes = 2048
        /// Batches taken before other events get their turn.
        package static let receiveRounds = 8
        /// Batches one router may fill in a row before the loop asks itself whether it ever ends.
        static let flushRounds = 4096
        /// A timer that is due again at once waits this long.
        static let timerStep = Duration.milliseconds(1)
    }
    /// State of one receive round.
    struct Round {
        var outgoing = 0
        var dirty = 0
        /// Kernel receive time of the oldest media of this round, µs; 0 when none.
        var oldest: Int64 = 0
        var sent = false
        var report = shim_send_report()
    }
    /// A libuv loop of its own; a simulation brings another.
    package let loop: any DatagramLoop
    package let address: SocketAddress
    package let pipeAddress: SocketAddress
    /// What answers carry as candidates.
    package let candidates: [SocketAddress]
    package let certificate: DTLSCertificate
    let random: any RandomSource
    let socket: DatagramSocket
    let pipeSocket: DatagramSocket

    // The packet path's memory
    let slots: UnsafeMutablePointer<TransportSlot>
    let targets: UnsafeMutablePointer<TargetSlot>
    let dirty: UnsafeMutablePointer<Int32>
    let settled: UnsafeMutablePointer<Int32>
    let round: UnsafeMutablePointer<Round>
    let count: UnsafeMutablePointer<TransportCounters>
    let outgoing: UnsafeMutablePointer<shim_outgoing>
    let receiver: OpaquePointer
    let sender: OpaquePointer
    let batch = SendBatch()
    let direct = SendBatch()
    let addresses = FlatTable<SocketAddress>(emptyKey: SocketAddress(ipv4: 0, port: 0))
    let flows = FlatTable<UInt32>(emptyKey: 0)
    let deadlines = DeadlineHeap(capacity: Limits.targets + Limits.transports)

    // Control tables
    var peers: [TransportIndex: PeerTransport] = [:]
    var pipes: [TransportIndex: PipeTransport] = [:]
    var taps: [TransportIndex: TapTransport] = [:]
    var fragments: [String: TransportIndex] = [:]
    var routers: [Int32: RouterEntry] = [:]
    var sinks: [Int32: any PacketSink] = [:]
    var targetOf: [ObjectIdentifier: Int32] = [:]
    var freeSlots = BoundedQueue<TransportIndex>(capacity: Limits.transports)
    var freeTargets = BoundedQueue<Int32>(capacity: Limits.targets)
    var slotsUsed: TransportIndex = 0
    var targetsUsed: Int32 = 0
    var watches: [any DatagramWatch] = []
    var timer: TimerToken?
    var jobsSeen: UInt64 = 0

    struct RouterEntry {
        let core: RouterCore
        let onEvent: (RouterEvent) -> Void
    }

    /// - Parameters:
    ///   - bind: where peers' datagrams arrive; port 0 lets the system choose. On a machine with several addresses bind the announced one.
    ///   - pipeBind: likewise for pipes from other nodes.
    ///   - announced: the addresses clients are told, without port: the bound port is added. Empty means `bind`.
    package convenience init(
        name: String, bind: SocketAddress, pipeBind: SocketAddress, announced: [SocketAddress] = [], certificate: DTLSCertificate, random: any RandomSource
    ) throws(TransportError) {
        let loop: UVLoop
        do throws(NetworkError) { loop = try UVLoop(name: name) } catch { throw .network(error) }
        try self.init(loop: loop, bind: bind, pipeBind: pipeBind, announced: announced, certificate: certificate, random: random)
    }
    /// As above, on a loop that was made elsewhere and has not started.
    package init(
        loop: any DatagramLoop, bind: SocketAddress, pipeBind: SocketAddress, announced: [SocketAddress] = [], certificate: DTLSCertificate, random: any RandomSource
    ) throws(TransportError) {
        do throws(NetworkError) {
            socket = try loop.openDatagrams(bind)
            pipeSocket = try loop.openDatagrams(pipeBind)
        } catch { throw .network(error) }
        self.loop = loop
        let port = socket.address.port
        address = socket.address
        pipeAddress = pipeSocket.address
        candidates = announced.isEmpty ? [socket.address] : announced.map { $0.port == 0 ? $0.with(port: port) : $0 }
        self.certificate = certificate
        self.random = random
        slots = .allocate(capacity: Limits.transports)
        slots.initialize(repeating: TransportSlot(), count: Limits.transports)
        targets = .allocate(capacity: Limits.targets)
        targets.initialize(repeating: TargetSlot(), count: Limits.targets)
        dirty = .allocate(capacity: Limits.targets)
        settled = .allocate(capacity: Limits.targets)
        round = .allocate(capacity: 1)
        round.initialize(to: Round())
        count = .allocate(capacity: 1)
        count.initialize(to: TransportCounters())
        outgoing = .allocate(capacity: batch.capacity)
        guard let receiver = shim_receiver_new(UInt32(Limits.receiveBatch), UInt32(Limits.receiveBufferBytes)), let sender = shim_sender_new(UInt32(batch.capacity))
        else { fatalError("out of memory") }
        self.receiver = receiver
        self.sender = sender
        do throws(NetworkError) { try watch() } catch { throw .network(error) }
    }
    deinit {
        for i in 0..<Int(slotsUsed) { (slots + i).forgetStreams() }
        slots.deallocate()
        targets.deallocate()
        dirty.deallocate()
        settled.deallocate()
        round.deallocate()
        count.deallocate()
        outgoing.deallocate()
        shim_receiver_free(receiver)
        shim_sender_free(sender)
    }
    /// The loop keeps these closures, and by them this object, until it has stopped.
    private func watch() throws(NetworkError) {
        let media = try loop.watchDatagrams(socket) { self.drainMedia(self.socket.descriptor, owner: -1) }
        let pipe = try loop.watchDatagrams(pipeSocket) { self.drainPipes() }
        watches = [media, pipe]
        timer = loop.reusableTimer { self.timerRang() }
        loop.onPrepare { self.beforePoll() }
    }

    /// The libuv loop, for whoever starts, watches and stops it. Not in a simulation.
    package var uvLoop: UVLoop {
        guard let uv = loop as? UVLoop else { preconditionFailure("this media loop does not run on libuv") }
        return uv
    }

    /// Says goodbye to all peers and forgets everything else; then the loop may be stopped.
    package func shutDown() {
        for index in peers.keys.sorted() { removePeer(index) }
        for index in pipes.keys.sorted() { removePipe(index) }
        for index in taps.keys.sorted() { removeTap(index) }
        for watch in watches { watch.close() }
        watches = []
    }

    // MARK: Counters

    package func counters() -> TransportCounters { count.pointee }
    package func statistics(_ index: TransportIndex) -> TransportStatistics? {
        slot(index).map { $0.pointee.statistics }
    }
    /// The counters, from any task.
    package func snapshot() async -> TransportCounters {
        await withCheckedContinuation { continuation in loop.run { continuation.resume(returning: self.count.pointee) } }
    }

    /// Of the routers there are: publishers' packets that arrived, and those given up after every request for them. From any task.
    package func routed() async -> (received: UInt64, lost: UInt64) {
        await withCheckedContinuation { continuation in
            loop.run { continuation.resume(returning: self.routers.values.reduce((0, 0)) { ($0.0 &+ $1.core.counters.rtpIn, $0.1 &+ $1.core.counters.unrecovered) }) }
        }
    }

    /// The slot of a transport in use.
    func slot(_ index: TransportIndex) -> UnsafeMutablePointer<TransportSlot>? {
        guard index >= 0, index < slotsUsed, slots[Int(index)].kind != .free else { return nil }
        return slots + Int(index)
    }
}
