// What a node is doing right now: processor, packets, loss, and how late its control loop is.
internal import Contracts
internal import EventLoop
internal import Glibc
internal import Primitives
internal import Transport

/// Takes a sample of itself every second. Confined to the control loop.
final class NodeSampler: @unchecked Sendable {
    enum Limits {
        static let interval = Duration.seconds(1)
        /// Between two rings of the timer whose lateness is the loop's lag.
        static let tick = Duration.milliseconds(100)
    }
    private struct Reading {
        var at: Instant
        var cpu: Double
        var packetsIn: UInt64 = 0, packetsOut: UInt64 = 0, bytesIn: UInt64 = 0, bytesOut: UInt64 = 0
        /// Of publishers' packets: received, and given up.
        var received: UInt64 = 0, lost: UInt64 = 0
    }
    private let loop: any Loop
    private let media: [MediaLoop]
    private let name: NodeName
    private var last: Reading?
    private var worstLag = Duration.zero
    private var isStopped = false
    private(set) var sample: NodeSample

    init(name: NodeName, loop: any Loop, media: [MediaLoop]) {
        self.name = name
        self.loop = loop
        self.media = media
        sample = NodeSample(name: name, state: "up")
    }
    func start() {
        tick(due: loop.now + Limits.tick)
        loop.spawn { [self] in
            while !isStopped {
                await take()
                try? await loop.sleep(for: Limits.interval)
            }
        }
    }
    func stop() { isStopped = true }

    private func tick(due: Instant) {
        loop.schedule(after: due - loop.now) { [weak self] in
            guard let self, !isStopped else { return }
            worstLag = max(worstLag, loop.now - due)
            tick(due: loop.now + Limits.tick)
        }
    }
    private func take() async {
        var now = Reading(at: loop.now, cpu: Self.processSeconds())
        for loop in media {
            let counters = await loop.snapshot(), routed = await loop.routed()
            now.packetsIn += counters.datagramsIn + counters.pipePacketsIn
            now.packetsOut += counters.datagramsOut + counters.pipePacketsOut
            now.bytesIn += counters.bytesIn + counters.pipeBytesIn
            now.bytesOut += counters.bytesOut + counters.pipeBytesOut
            now.received += routed.received
            now.lost += routed.lost
        }
        if let last { sample = Self.sample(name, from: last, to: now, lag: worstLag) }
        worstLag = .zero
        last = now
    }
    private static func sample(_ name: NodeName, from last: Reading, to now: Reading, lag: Duration) -> NodeSample {
        let seconds = max(0.001, (now.at - last.at).inSeconds)
        // Routers come and go with their rooms, so that sums over them may shrink.
        func rate(_ count: (Reading) -> UInt64) -> Double { Double(count(now) > count(last) ? count(now) - count(last) : 0) / seconds }
        var sample = NodeSample(name: name, state: "up")
        sample.cpu = max(0, now.cpu - last.cpu) / seconds
        sample.loopLagMilliseconds = Double(lag.inMicroseconds) / 1000
        sample.packetsInPerSecond = rate(\.packetsIn)
        sample.packetsOutPerSecond = rate(\.packetsOut)
        sample.bytesInPerSecond = rate(\.bytesIn)
        sample.bytesOutPerSecond = rate(\.bytesOut)
        let received = rate(\.received), lost = rate(\.lost)
        sample.loss = received + lost > 0 ? lost / (received + lost) : 0
        sample.residentBytes = ProcessMetrics.residentBytes()
        return sample
    }
    private static func processSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }
}
