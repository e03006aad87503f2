// When to ask a publisher for a key frame (RFC 4585 §6.3.1).
internal import Primitives

/// Merges what many subscribers want into few PLIs for one inbound stream.
///
/// Any key frame that begins after a wish satisfies it, whoever it was sent for. A pure value; owned by `InboundStream`.
struct KeyFrameArbiter {
    enum Limits {
        /// Shortest time between two requests.
        static let intervalMin = Duration.milliseconds(250)
        /// First repetition of a request without an answer; doubles up to `retryMax`.
        static let retryFirst = Duration.milliseconds(400)
        static let retryMax = Duration.seconds(2)
        /// Requests for one wish, then it is dropped until somebody wishes again.
        static let attemptsMax = 16
    }
    private var isWanted = false
    private var attempts = 0
    private var lastRequest: Instant?

    /// When to call `takeDue` next; nil while nothing is wanted.
    var deadline: Instant? {
        guard isWanted else { return nil }
        guard let lastRequest else { return .origin }
        return lastRequest + (attempts == 0 ? Limits.intervalMin : retryInterval)
    }

    /// Somebody cannot decode without a key frame.
    mutating func request() {
        guard !isWanted else { return }
        isWanted = true
        attempts = 0
    }
    /// A key frame begins, or nobody wants one any more.
    mutating func satisfy() {
        isWanted = false
        attempts = 0
    }
    /// - Returns: true when a PLI is to be sent now.
    mutating func takeDue(now: Instant) -> Bool {
        guard let deadline, deadline <= now else { return false }
        lastRequest = now
        attempts += 1
        if attempts >= Limits.attemptsMax { isWanted = false }
        return true
    }
    private var retryInterval: Duration {
        min(Limits.retryFirst * (1 << min(attempts - 1, 4)), Limits.retryMax)
    }
}
