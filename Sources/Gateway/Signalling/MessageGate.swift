// What one client may send: rate and patience, decided without a socket.
package import Primitives

/// Judges each message of one connection. A value; `now` is an argument.
package struct MessageGate: Sendable {
    package enum Verdict: Equatable, Sendable {
        case pass
        /// Over the rate: answered with `rate_limited`, not acted on.
        case refuse
        case closeRateLimited
        case closeMalformed
    }
    private var bucket: TokenBucket
    private let refusalsMax: Int
    private let malformedMax: Int
    /// Since the client last paused long enough for a full burst.
    private var refusals = 0
    private var malformed = 0

    package init(limits: GatewayLimits, now: Instant) {
        bucket = TokenBucket(rate: limits.messagesPerSecond, burst: limits.messageBurst, now: now)
        refusalsMax = limits.refusalsBeforeClose
        malformedMax = limits.malformedBeforeClose
    }
    package mutating func message(now: Instant) -> Verdict {
        // Patience comes back after a pause only: a client that keeps sending too fast is closed in the end.
        if bucket.isFull(now: now) { refusals = 0 }
        if bucket.take(now: now) { return .pass }
        refusals += 1
        return refusals > refusalsMax ? .closeRateLimited : .refuse
    }
    package mutating func malformedMessage() -> Verdict {
        malformed += 1
        return malformed > malformedMax ? .closeMalformed : .refuse
    }
}
