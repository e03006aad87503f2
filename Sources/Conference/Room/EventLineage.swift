// What a room's log has of its earlier epochs, so that what an edge brings late is entered once, and only what is missing.
// Decision: docs/decisions/0023-postgresql-and-events.md
import Primitives

/// How far the store's log went when each epoch began, and what of an epoch's numbers beyond was entered all the same.
///
/// An epoch that is taken over goes on for a moment without knowing: what it numbers then has numbers that the next one gives to
/// other events. An edge that was cut off may bring it after any number of epochs. A pure value, owned by `EventLog`; goes along
/// with the room's state.
package struct EventLineage: Codable, Sendable, Equatable {
    package enum Limits {
        /// Epochs; of older ones everything counts as accounted for that a later one began with.
        package static let epochs = 64
    }
    private struct Mark: Codable, Sendable, Equatable {
        var epoch: Epoch
        /// The store's last number when it opened the log.
        var opened: UInt64?
        /// Its numbers up to here were recovered, entered under others, or said to be lost.
        var entered: UInt64?
    }
    /// By epoch.
    private var marks: [Mark] = []
    package init() {}

    package mutating func opened(_ epoch: Epoch, at number: UInt64) { change(epoch) { $0.opened = number } }
    package mutating func entered(_ epoch: Epoch, through number: UInt64) { change(epoch) { $0.entered = max($0.entered ?? 0, number) } }
    private mutating func change(_ epoch: Epoch, _ body: (inout Mark) -> Void) {
        let place = marks.firstIndex { $0.epoch >= epoch } ?? marks.count
        if place == marks.count || marks[place].epoch != epoch { marks.insert(Mark(epoch: epoch), at: place) }
        body(&marks[place])
        if marks.count > Limits.epochs { marks.removeFirst() }
    }

    /// Whether another epoch is known to have opened the log between the two.
    package func hasEpoch(between earlier: Epoch, and later: Epoch) -> Bool { marks.contains { $0.epoch > earlier && $0.epoch < later && $0.opened != nil } }
    /// The last of an epoch's numbers that the log accounts for: those the next epoch to open it found there, and those it got later.
    package func accounted(_ epoch: Epoch) -> UInt64 { max(found(after: epoch), marks.first { $0.epoch == epoch }?.entered ?? 0) }
    /// The store's last number when the next epoch known of began.
    package func found(after epoch: Epoch) -> UInt64 { marks.first { $0.epoch > epoch && $0.opened != nil }?.opened ?? 0 }
}
