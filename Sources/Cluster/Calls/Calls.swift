// One call as its caller's node keeps it, and as its actor's node does.
import Distributed
import EventLoop
import Primitives

/// What a caller is given: a value of this node, or the encoded one of another.
enum CallAnswer: @unchecked Sendable {
    case value((any Codable)?)
    case encoded([UInt8])
}

/// A call under way, at the caller's side. Confined to the control loop once begun; `answer` may be used anywhere.
final class OutgoingCall: @unchecked Sendable {
    let recipient: ActorAddress
    let method: String
    let arguments: [any Codable]
    let expires: Instant
    let answer = OneAnswer<CallAnswer>()
    /// From now on it may have been executed.
    var mayHaveRun = false
    /// How often it has been sent on to another node.
    var redirects = 0
    /// How often it waited for an owner to be judged or a link to come back.
    var waits = 0

    init(recipient: ActorAddress, method: String, arguments: [any Codable], expires: Instant) {
        self.recipient = recipient; self.method = method; self.arguments = arguments; self.expires = expires
    }
    var isOver: Bool { answer.isAnswered }
    func fail(_ error: any Error) { answer.answer(.failure(error)) }
    /// Time is up, the task was cancelled, or the link is gone: what the caller may conclude depends on how far the call got.
    func giveUp(_ unknown: UnknownOutcomeReason, _ notExecuted: NotExecutedReason) {
        fail(mayHaveRun ? ClusterError.unknownOutcome(unknown) : ClusterError.notExecuted(notExecuted))
    }
}

/// A call to be executed here. Confined to the control loop.
final class IncomingCall: @unchecked Sendable {
    let method: String
    let arguments: CallDecoder.Source
    let expires: Instant
    /// The caller of this node, if it is one.
    let origin: OutgoingCall?
    /// Whether it came from an operator's client, which may call little.
    let isOperators: Bool
    private let finish: @Sendable (CallOutcome) -> Void

    init(
        method: String, arguments: CallDecoder.Source, expires: Instant, origin: OutgoingCall? = nil, isOperators: Bool = false,
        finish: @escaping @Sendable (CallOutcome) -> Void
    ) {
        self.method = method; self.arguments = arguments; self.expires = expires; self.origin = origin; self.isOperators = isOperators; self.finish = finish
    }
    func finish(_ outcome: CallOutcome) { finish(outcome) }
    /// Whether nobody waits any more and it has not begun: then it must not begin.
    func isStale(now: Instant) -> Bool { now >= expires || origin?.isOver == true }
}
