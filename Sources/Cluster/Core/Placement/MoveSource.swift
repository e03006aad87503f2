// The owner's side of moving a virtual actor. Design: docs/decisions/0022-placement-and-moves.md
import Primitives

/// One move, seen from the node that owns the actor.
///
///     reserving ─▶ draining ─▶ snapshotting ─▶ handing ─▶ claiming ─▶ moved
///         │            │             │            │           │ no answer
///         └────────────┴──── kept ───┴────────────┘           ▼
///                                                          settling ─▶ moved, returned, lost
///
/// Up to `handing` everything can be taken back and the source keeps the actor. With the compare-and-set the decision leaves
/// this node: while its outcome is unknown the actor stays shut, and the question is asked again until the store answers.
/// If the target is gone by then, this node takes the next epoch itself and goes on from the snapshot it still has.
///
/// In: what happened. Out: what to do. Inputs that belong to an earlier state are passed over.
package struct MoveSource: Sendable {
    package enum State: Equatable, Sendable {
        case reserving, draining, snapshotting
        case handing([UInt8])
        case claiming([UInt8])
        case settling([UInt8])
        case ended(MoveEnd)
    }
    package enum Input: Equatable, Sendable {
        /// The target has reserved capacity, or refuses.
        case reserved
        case refused(String)
        /// No call runs in the actor any more, and none will.
        case quiet
        case snapshot([UInt8])
        case snapshotFailed(String)
        /// The target has the whole snapshot, or could not be given it.
        case held
        case handingFailed(String)
        /// The store's answers, and that it gave none.
        case taken(Claim)
        case conflict(Claim)
        case noAnswer
        case targetGone
        case deadline
        /// The claim was lost to someone else while the move was under way.
        case claimLost
    }
    package enum Action: Equatable, Sendable {
        case reserve
        /// Let no call in; say `quiet` when none runs.
        case shut
        case takeSnapshot
        case hand([UInt8])
        /// Compare-and-set the claim to the target, or to this node.
        case claim(toTarget: Bool)
        /// Ask again a moment later.
        case claimLater(toTarget: Bool)
        /// Let calls in again; the actor goes on deciding.
        case reopen
        /// Tell the target to forget what it holds.
        case withdraw
        /// The target owns it: send it there, and the waiting calls after it.
        case release(Claim)
        /// The actor goes on here, made anew from the snapshot under this claim.
        case restore(Claim, [UInt8])
        /// Someone else owns it.
        case surrender(Claim?)
    }
    package let claim: Claim
    package let target: NodeName
    package let targetIncarnation: Incarnation
    package private(set) var state = State.reserving
    private var targetIsGone = false

    package init(claim: Claim, target: NodeName, targetIncarnation: Incarnation) {
        self.claim = claim; self.target = target; self.targetIncarnation = targetIncarnation
    }
    package func begin() -> [Action] { [.reserve] }
    /// Whether only the store's answer can end it.
    package var isDeciding: Bool {
        switch state {
        case .claiming, .settling: true
        default: false
        }
    }

    package mutating func handle(_ input: Input) -> [Action] {
        if input == .targetGone { targetIsGone = true }
        switch state {
        case .ended: return []
        case .claiming(let snapshot), .settling(let snapshot): return decided(input, snapshot)
        case .reserving, .draining, .snapshotting, .handing: return prepared(input)
        }
    }
    private mutating func prepared(_ input: Input) -> [Action] {
        switch (state, input) {
        case (.reserving, .reserved):
            state = .draining
            return [.shut]
        case (.draining, .quiet):
            state = .snapshotting
            return [.takeSnapshot]
        case (.snapshotting, .snapshot(let bytes)):
            state = .handing(bytes)
            return [.hand(bytes)]
        case (.handing(let bytes), .held):
            state = .claiming(bytes)
            return [.claim(toTarget: true)]
        case (.reserving, .refused(let why)): return keep(.refused(why))
        case (.snapshotting, .snapshotFailed(let why)): return keep(.snapshotFailed(why))
        case (.handing, .handingFailed(let why)): return keep(.unreachable(why))
        case (_, .targetGone): return keep(.unreachable("\(target) is down"))
        case (_, .deadline): return keep(.deadline)
        case (_, .claimLost): return end(.lost, [.withdraw, .surrender(nil)])
        default: return []
        }
    }
    private mutating func keep(_ why: MoveFailure) -> [Action] {
        let wasShut = state != .reserving
        return end(.kept(why), wasShut ? [.withdraw, .reopen] : [.withdraw])
    }
    private mutating func decided(_ input: Input, _ snapshot: [UInt8]) -> [Action] {
        switch input {
        case .taken(let taken), .conflict(let taken):
            if taken.epoch == claim.epoch.next, taken.node == target, taken.incarnation == targetIncarnation { return end(.moved(taken), [.release(taken)]) }
            if taken.epoch == claim.epoch.next, taken.node == claim.node, taken.incarnation == claim.incarnation { return end(.kept(.unreachable("\(target) is down")), [.restore(taken, snapshot)]) }
            return end(.lost, [.surrender(taken)])
        case .noAnswer:
            state = .settling(snapshot)
            return [.claimLater(toTarget: !targetIsGone)]
        case .claimLost: return end(.lost, [.surrender(nil)])
        // Whoever waits for the move is told when it is known, not when time is up.
        default: return []
        }
    }
    private mutating func end(_ end: MoveEnd, _ actions: [Action]) -> [Action] {
        state = .ended(end)
        return actions
    }
}

/// How a move ended.
package enum MoveEnd: Equatable, Sendable {
    case moved(Claim)
    /// The source has it still.
    case kept(MoveFailure)
    /// Neither: another node had claimed it.
    case lost
}

package enum MoveFailure: Error, Equatable, Codable, Sendable, CustomStringConvertible {
    /// The target does not take it; the text says why.
    case refused(String)
    case snapshotFailed(String)
    case unreachable(String)
    case deadline
    /// No node has it: its next call activates it, where it is pinned or placed.
    case notActive
    case movesAlready
    /// Too many moves at once on that node.
    case overloaded
    case lost
    package var description: String {
        switch self {
        case .refused(let why): "the target refuses: \(why)"
        case .snapshotFailed(let why): "its state could not be taken: \(why)"
        case .unreachable(let why): "the target cannot be reached: \(why)"
        case .deadline: "time was up; it stays where it was"
        case .notActive: "it is active nowhere; pin it, and its next call activates it there"
        case .movesAlready: "it is moving already"
        case .overloaded: "the node moves as many as it may at once; try again"
        case .lost: "another node claimed it meanwhile"
        }
    }
}
