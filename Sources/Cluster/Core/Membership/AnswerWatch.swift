// Whether a peer that answers pings answers calls as well.
// Decision: docs/decisions/0045-calls-without-answers.md

/// One link's calls, watched by ticks of this node: what stands still together with its watcher is not held against the peer.
///
///     calm ──a call, and no answer for `quiet` ticks (or others complain)──▶ asked ──no answer for `patience` ticks──▶ complaining
///      ▲                                                                      │                                            │
///      └───────────────────────────── any answer, a refusal too ──────────────┴────────────────────────────────────────────┘
package struct AnswerWatch: Equatable, Sendable {
    package enum Limits {
        /// Between two ticks.
        package static let tick = Duration.seconds(1)
        /// Ticks without an answer to anything, before the peer is asked for one.
        package static let quiet = 2
        /// Ticks that an answer to this question may take.
        package static let patience = 2
    }
    package enum Step: Equatable, Sendable {
        case rest
        /// Make a call that needs nothing but the way there and back.
        case ask
        /// Say that it does not answer; again at each tick.
        case complain
    }
    private enum State: Equatable {
        case calm
        /// Ticks since the first call without an answer.
        case waiting(Int)
        case asked(Int)
    }
    private var state = State.calm

    package init() {}
    /// A call left.
    package mutating func sent() { if state == .calm { state = .waiting(0) } }
    /// An answer came, in time or late, whatever it says.
    package mutating func answered() { state = .calm }
    /// Another member complains of the peer: it is asked at the next tick.
    package mutating func doubted() {
        if case .asked = state { return }
        state = .waiting(Limits.quiet)
    }
    package mutating func tick() -> Step {
        switch state {
        case .calm: return .rest
        case .waiting(let ticks):
            guard ticks >= Limits.quiet else {
                state = .waiting(ticks + 1)
                return .rest
            }
            state = .asked(0)
            return .ask
        case .asked(let ticks):
            guard ticks + 1 >= Limits.patience else {
                state = .asked(ticks + 1)
                return .rest
            }
            state = .asked(Limits.patience)
            return .complain
        }
    }
}
