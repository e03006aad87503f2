// What became of an operator's orders.
import Primitives

package struct MoveReport: Codable, Sendable, Equatable {
    package var room: RoomID
    package var from: NodeName?
    package var to: NodeName
    package var epoch: Epoch
    /// How long it took; 0 where it was there already.
    package var milliseconds: Double
    package init(room: RoomID, from: NodeName?, to: NodeName, epoch: Epoch, milliseconds: Double) {
        self.room = room; self.from = from; self.to = to; self.epoch = epoch; self.milliseconds = milliseconds
    }
}

package struct PinReport: Codable, Sendable, Equatable {
    package var room: RoomID
    package var node: NodeName?
    package init(room: RoomID, node: NodeName?) { self.room = room; self.node = node }
}

/// How far a node is with emptying itself.
package struct DrainReport: Codable, Sendable, Equatable {
    package enum Limits {
        /// Seconds a drain may take.
        package static let seconds: ClosedRange<Double> = 0...3600
        package static let usual: Double = 60
        /// Failures that are told.
        package static let failures = 8
    }
    package enum State: String, Codable, Sendable {
        /// It takes work: nobody drains it.
        case none
        case draining
        /// Nothing is left on it; it takes no new work until `undrain`.
        case drained
        /// The deadline came first: what was left was cut off, or stays.
        case incomplete
    }
    package var node: NodeName
    package var state: State
    /// To the deadline, while it drains.
    package var secondsLeft: Double?
    /// Rooms and recordings: on the node at the beginning, still there.
    package var actors: Int
    package var actorsLeft: Int
    /// Clients: at the beginning, told to move, gone to other nodes, gone by themselves, cut at the deadline although they know
    /// `move`, cut because they do not, and among all those still here.
    package var clients: Int
    package var told: Int
    package var moved: Int
    package var left: Int
    package var cut: Int
    package var cutUnaware: Int
    package var clientsLeft: Int
    /// What could not be moved, and why.
    package var failures: [String]
    package init(node: NodeName, state: State = .none) {
        self.node = node; self.state = state
        actors = 0; actorsLeft = 0; clients = 0; told = 0; moved = 0; left = 0; cut = 0; cutUnaware = 0; clientsLeft = 0; failures = []
    }
    package var isOver: Bool { state != .draining }
}

package enum RebalanceOrder: String, Codable, Sendable {
    /// Works a plan out and does nothing.
    case plan
    /// Works one out and carries it out.
    case begin
    case status, stop, resume
}

package struct RebalanceReport: Codable, Sendable, Equatable {
    package enum State: String, Codable, Sendable {
        case none, planned, running, stopped, done
        package var isOpen: Bool { self == .running || self == .stopped }
    }
    package struct Move: Codable, Sendable, Equatable {
        package var kind: String
        package var key: String
        package var from: NodeName
        package var to: NodeName
        /// Placement's units.
        package var cost: Int
        /// `pinned`, `draining`, `overloaded`.
        package var reason: String
        /// Why it was not made.
        package var failure: String?
        package init(kind: String, key: String, from: NodeName, to: NodeName, cost: Int, reason: String, failure: String? = nil) {
            self.kind = kind; self.key = key; self.from = from; self.to = to; self.cost = cost; self.reason = reason; self.failure = failure
        }
    }
    package enum Limits {
        /// Moves that are listed; a plan has at most so many.
        package static let moves = 256
    }
    package var state: State
    /// Who carries it out.
    package var node: NodeName?
    /// In the order in which they are made; of a plan under way those that failed.
    package var moves: [Move]
    package var planned: Int
    package var made: Int
    package var failed: Int
    package init(state: State, node: NodeName? = nil, moves: [Move] = [], planned: Int = 0, made: Int = 0, failed: Int = 0) {
        self.state = state; self.node = node; self.moves = moves; self.planned = planned; self.made = made; self.failed = failed
    }
    package var waiting: Int { max(0, planned - made - failed) }
}
