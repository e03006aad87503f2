// Round trips and the difference of two nodes' wall clocks, from pings that carry times (RFC 5905 §8).
import Primitives

package struct PeerClock: Sendable {
    package enum Limits {
        /// Samples kept: at one ping a second, a quarter of a minute.
        package static let samples = 16
        /// Pings without an answer.
        package static let pending = 8
        /// A clock farther away than this is told to people.
        package static let alarming = Duration.seconds(600)
        package static let interval = Duration.seconds(1)
    }
    private struct Sample: Sendable {
        var roundTrip: Duration
        var offset: Duration
    }
    private var pending: [(number: UInt64, at: Instant, wall: WallTime)] = []
    private var samples: [Sample] = []
    private var last: UInt64 = 0
    package init() {}

    /// - Returns: the number to ping with.
    package mutating func pinged(now: Instant, wall: WallTime) -> UInt64 {
        last += 1
        if pending.count >= Limits.pending { pending.removeFirst() }
        pending.append((last, now, wall))
        return last
    }
    /// - Parameters:
    ///   - received, sent: the peer's wall clock when it took the ping in and when it answered; nil from a peer that does not say.
    package mutating func ponged(_ number: UInt64, received: WallTime?, sent: WallTime?, now: Instant) {
        guard let index = pending.firstIndex(where: { $0.number == number }) else { return }
        let ping = pending[index]
        pending.removeSubrange(...index)
        let elapsed = now - ping.at
        guard elapsed >= .zero, let received, let sent, Self.isPlausible(received), Self.isPlausible(sent), sent >= received else {
            if elapsed >= .zero { add(Sample(roundTrip: elapsed, offset: samples.last?.offset ?? .zero)) }
            return
        }
        let roundTrip = max(.zero, elapsed - (sent - received))
        // Our clock at the answer is read off the monotonic one: a step between the two would count as half an offset.
        let there = received - ping.wall, back = sent - (ping.wall + elapsed)
        hasOffset = true
        add(Sample(roundTrip: roundTrip, offset: .nanoseconds(there.inNanoseconds / 2 + back.inNanoseconds / 2)))
    }
    private var hasOffset = false
    private static func isPlausible(_ time: WallTime) -> Bool { time.microseconds >= 0 && time.seconds < 1 << 34 }
    private mutating func add(_ sample: Sample) {
        if samples.count >= Limits.samples { samples.removeFirst() }
        samples.append(sample)
    }

    package var lastRoundTrip: Duration? { samples.last?.roundTrip }
    package var medianRoundTrip: Duration? {
        samples.isEmpty ? nil : samples.map(\.roundTrip).sorted()[samples.count / 2]
    }
    /// The peer's clock minus ours, from the quickest round trip kept: off by at most half of that.
    package var offset: Duration? {
        hasOffset ? samples.min { $0.roundTrip < $1.roundTrip }?.offset : nil
    }
    package var uncertainty: Duration? {
        hasOffset ? samples.map(\.roundTrip).min().map { .nanoseconds($0.inNanoseconds / 2) } : nil
    }
    package var isAlarming: Bool { offset.map { $0 > Limits.alarming || $0 < .zero - Limits.alarming } ?? false }
}

/// One link as it is now.
package struct LinkReport: Sendable, Equatable {
    package var peer: NodeName
    package var incarnation: Incarnation
    package var isOperator: Bool
    package var address: SocketAddress
    package var version: UInt32
    package var capabilities: Set<String>
    /// Sums of this link.
    package var bytesSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var framesSent: UInt64 = 0
    package var framesReceived: UInt64 = 0
    /// What waits to leave; what has come of unfinished messages.
    package var queueBytes = 0
    package var assemblingBytes = 0
    package var callsInFlight = 0
    package var callsExecuting = 0
    package var executingBytes = 0
    package var roundTrip: Duration?
    package var medianRoundTrip: Duration?
    /// The peer's wall clock minus this node's, and how far it may be off.
    package var clockOffset: Duration?
    package var clockUncertainty: Duration?
    /// Links to this peer before this one.
    package var reconnects = 0
}
