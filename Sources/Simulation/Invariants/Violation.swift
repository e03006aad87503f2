// What must never happen.

/// Each is checked whenever something happens that could break it, and once more when all is quiet.
package enum Invariant: String, CaseIterable, Sendable {
    /// Every job runs on a loop of the simulation: only then does a seed decide its order.
    case oneThread = "one_thread"
    case timeStandsStill = "time_moves"
    /// Two runs of a seed leave the same trace.
    case replay
    /// No two actors of one virtual identity under one epoch.
    case oneOwner = "one_owner_per_epoch"
    /// Epochs of an identity only grow.
    case epochsGrow = "epochs_grow"
    /// Nothing is decided under an epoch once a later one decides, and no client is taken back to an earlier one.
    case staleDecision = "no_stale_decision"
    /// A call runs at most once; one that was answered ran; one refused as not executed did not.
    case executedOnce = "executed_once"
    /// Every call ends by its deadline.
    case answered = "every_waiter_answered"
    /// What was acknowledged as kept is in the room's log. What was not, but can be shown to have been said, is there or said to be lost.
    case acknowledged = "acknowledged_is_kept"
    /// A client sees each room's events without a hole, or is told that some are lost.
    case eventHole = "no_event_hole"
    /// An event is told to a client once.
    case eventTwice = "no_event_twice"
    /// Once all is quiet, everyone's idea of a room is the same.
    case roster = "roster_equal"
    /// Once all is quiet, every client that stayed is in its room; and nobody is told before that it left.
    case member = "member_kept"
    case queueBound = "queues_bounded"
    /// Of two connections of one client the later one counts.
    case newestCounts = "newest_counts"
    /// Once all is quiet, the cluster is whole again.
    case healed
    /// A node may not fall over by itself.
    case nodeFailed = "node_failed"
}

package struct Violation: Error, Sendable, Equatable {
    package var invariant: Invariant
    package var text: String
    /// Virtual nanoseconds.
    package var at: Int64
    package init(invariant: Invariant, text: String, at: Int64) { self.invariant = invariant; self.text = text; self.at = at }
}
