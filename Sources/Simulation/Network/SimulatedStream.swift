// One end of a TCP connection between simulated machines.
import EventLoop
import Primitives

/// Behaves as libuv's stream does: a turn's writes leave together; what the kernels' buffers do not take waits, bounded;
/// handlers are called on the loop; `onClose` comes last and once.
final class SimulatedStream: Stream, @unchecked Sendable {
    enum Segment {
        case bytes([UInt8])
        case end
        case reset
    }
    let id: UInt64
    let host: Host
    let loop: SimulatedLoop
    let localAddress: SocketAddress
    let remoteAddress: SocketAddress
    /// nil once that end is gone altogether.
    weak var peer: SimulatedStream?
    private let wires: Wires
    private let bound: Int

    // Sending
    private var pending: [UInt8] = []
    private var underWay = 0
    private var flushIsDue = false
    private var overBound = false
    private var ending = false
    /// Sent while the path was cut: the kernel tries again until it is back.
    private var held: [Segment] = []
    private var lastArrival: Int64 = 0
    // Receiving
    private var arrived: [Segment] = []
    private var readIsDue = false
    // Ending
    private var end: StreamEnd?
    /// The process that had it is gone: what arrives is answered by the kernel, or by nobody.
    private var orphaned = false

    var onBytes: (@Sendable (UnsafeRawBufferPointer) -> Void)? { didSet { readSoon() } }
    var onClose: (@Sendable (StreamEnd) -> Void)?
    var onDrain: (@Sendable () -> Void)?
    var isReadingPaused = false { didSet { readSoon() } }

    init(_ wires: Wires, id: UInt64, _ host: Host, _ loop: SimulatedLoop, local: SocketAddress, remote: SocketAddress, bound: Int) {
        self.wires = wires
        self.id = id
        self.host = host
        self.loop = loop
        localAddress = local
        remoteAddress = remote
        self.bound = bound
    }

    // MARK: Writing

    var bufferedBytes: Int { pending.count }

    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        guard !ending, end == nil else { return false }
        pending.append(contentsOf: bytes)
        flushSoon()
        if bufferedBytes > bound { overBound = true }
        return !overBound
    }
    private func flushSoon() {
        guard !flushIsDue else { return }
        flushIsDue = true
        loop.post { self.flush() }
    }
    private func flush() {
        flushIsDue = false
        guard end == nil else { return }
        let room = max(0, Wires.Limits.kernelBytes - underWay)
        if !pending.isEmpty, room > 0 {
            let bytes = pending.count <= room ? pending : Array(pending.prefix(room))
            if bytes.count == pending.count { pending.removeAll(keepingCapacity: true) } else { pending.removeFirst(bytes.count) }
            underWay += bytes.count
            send(.bytes(bytes))
        }
        if ending, pending.isEmpty {
            send(.end)
            return finish(.local)
        }
        if overBound, bufferedBytes <= bound / 2 {
            overBound = false
            onDrain?()
        }
    }
    private func send(_ segment: Segment) {
        guard let peer else { return }
        guard !wires.isCut(host, peer.host), held.isEmpty else {
            wires.countHeld()
            return held.append(segment)
        }
        transmit(segment, to: peer, extra: 0)
    }
    private func transmit(_ segment: Segment, to peer: SimulatedStream, extra: Int64) {
        let arrival = max(wires.world.now + extra + wires.segmentDelay(host, peer.host), lastArrival)
        lastArrival = arrival
        wires.world.push(.call { peer.arrives(segment) }, at: arrival, on: wires.world.stage)
    }
    func pathIsBack() {
        guard let peer, !held.isEmpty, wires.power[host] != .off else { return }
        let segments = held, wait = wires.repairDelay()
        held = []
        for segment in segments { transmit(segment, to: peer, extra: wait) }
        if end != nil { wires.forget(self) }
    }

    // MARK: Receiving

    /// In the kernel of this end's machine.
    private func arrives(_ segment: Segment) {
        guard wires.power[host] != .off else { return }
        guard !orphaned, end == nil else {
            if case .bytes = segment { answerReset() }
            return
        }
        arrived.append(segment)
        readSoon()
    }
    /// Nobody has this stream any more: the sender is told.
    private func answerReset() {
        guard let peer, !wires.isCut(host, peer.host) else { return }
        wires.world.after(wires.delay(host, peer.host)) { peer.arrives(.reset) }
    }
    private func readSoon() {
        guard !readIsDue, !arrived.isEmpty, end == nil else { return }
        readIsDue = true
        loop.post { self.read() }
    }
    private func read() {
        readIsDue = false
        while end == nil, !ending || onBytes != nil, let first = arrived.first {
            switch first {
            case .bytes(let bytes):
                guard let onBytes, !isReadingPaused else { return }
                arrived.removeFirst()
                peer?.wasRead(bytes.count)
                bytes.withUnsafeBytes { onBytes($0) }
            case .end:
                arrived.removeFirst()
                finish(.remote)
            case .reset:
                arrived.removeFirst()
                finish(.failed(.reset))
            }
        }
    }
    /// The far end has taken bytes: its window opens again.
    private func wasRead(_ count: Int) {
        underWay -= count
        guard end == nil, !pending.isEmpty else { return }
        wires.world.after(wires.delay(peer?.host ?? host, host), on: loop) { self.flushSoon() }
    }

    // MARK: Ending

    func close() {
        guard !ending, end == nil else { return }
        ending = true
        flushSoon()
    }
    func abort() {
        guard end == nil else { return }
        send(.reset)
        finish(.local)
    }
    func fail(_ error: NetworkError) {
        guard end == nil, !orphaned else { return }
        loop.post { self.finish(.failed(error)) }
    }
    func processDied(silently: Bool) {
        guard !orphaned else { return }
        orphaned = true
        arrived = []
        pending = []
        if silently { held = [] } else if end == nil { send(.end) }
        wires.forget(self)
        onBytes = nil
        onClose = nil
        onDrain = nil
    }
    private func finish(_ reason: StreamEnd) {
        guard end == nil else { return }
        end = reason
        pending = []
        if held.isEmpty { wires.forget(self) }
        loop.post {
            let tell = self.onClose
            self.onBytes = nil
            self.onClose = nil
            self.onDrain = nil
            tell?(reason)
        }
    }
}
