// The durable log of what happened in rooms, and the feed over all of them. Decision: docs/decisions/0023-postgresql-and-events.md
import Primitives

/// One entry of a room's log: a numbered event as it is kept, or the statement that numbers were lost.
///
/// Every number of a room belongs to exactly one entry. An ordinary event has one number (`first == sequence`); an
/// `events_lost` entry stands for all of `first...sequence`.
package struct LoggedEvent: Codable, Sendable, Hashable {
    package enum Limits {
        /// Bytes of `payload`, UTF-8.
        package static let payloadBytes = 64 * 1024
    }
    package var first: UInt64
    package var sequence: UInt64
    /// Under which the Room numbered it.
    package var epoch: Epoch
    package var at: WallTime
    /// As clients know it: `participant_joined`, `chat`, `events_lost`, …
    package var type: String
    /// A JSON object.
    package var payload: String
    package init(first: UInt64? = nil, sequence: UInt64, epoch: Epoch, at: WallTime, type: String, payload: String) {
        self.first = first ?? sequence; self.sequence = sequence; self.epoch = epoch; self.at = at; self.type = type; self.payload = payload
    }

    package static let lostType = "events_lost"
    package var isLoss: Bool { type == Self.lostType }

    /// States that events were numbered and cannot be shown any more.
    /// - Parameters:
    ///   - lost: the numbers whose events are lost.
    ///   - occupying: the numbers this entry stands for; other than `lost` where those were given out a second time.
    package static func lost(_ lost: ClosedRange<UInt64>, occupying: ClosedRange<UInt64>? = nil, epoch: Epoch, at: WallTime) -> LoggedEvent {
        let place = occupying ?? lost
        return LoggedEvent(
            first: place.lowerBound, sequence: place.upperBound, epoch: epoch, at: at, type: lostType,
            payload: #"{"from":\#(lost.lowerBound),"to":\#(lost.upperBound)}"#)
    }

    /// Memory it takes, about.
    package var byteCount: Int { type.utf8.count + payload.utf8.count + 64 }
}

/// What a room's node writes in one go: the entries that follow `after`, and the state the room has with them.
package struct EventBatch: Sendable, Equatable {
    package enum Limits {
        package static let events = 128
        /// Bytes of `state`.
        package static let stateBytes = 1 << 20
    }
    package var room: RoomID
    /// Of the claim under which the room is hosted; an older one than the log's is refused.
    package var epoch: Epoch
    /// The number the log must end with for `events` to follow.
    package var after: UInt64
    package var events: [LoggedEvent]
    /// What a Room without memory comes back from, as of the last of `events`; nil leaves what is kept.
    package var state: [UInt8]?
    package init(room: RoomID, epoch: Epoch, after: UInt64, events: [LoggedEvent], state: [UInt8]? = nil) {
        self.room = room; self.epoch = epoch; self.after = after; self.events = events; self.state = state
    }
    /// The last number once this is written.
    package var through: UInt64 { events.last?.sequence ?? after }

    /// Why no store takes this; nil for a batch whose numbers follow one another and whose sizes are within bounds.
    package var mistake: String? {
        var last = after
        for event in events {
            guard event.first == last &+ 1, event.sequence >= event.first else { return "event \(event.first) of room \(room) does not follow \(last)" }
            guard event.epoch <= epoch else { return "event \(event.sequence) of room \(room) is of a later epoch than its writer" }
            guard event.payload.utf8.count <= LoggedEvent.Limits.payloadBytes else { return "event \(event.sequence) of room \(room) is larger than \(LoggedEvent.Limits.payloadBytes) bytes" }
            last = event.sequence
        }
        if events.count > Limits.events { return "\(events.count) events of room \(room) at once; at most \(Limits.events)" }
        if let state, state.count > Limits.stateBytes { return "the state of room \(room) is larger than \(Limits.stateBytes) bytes" }
        return nil
    }
}

package enum AppendOutcome: Sendable, Equatable {
    /// All of it is in the log, now or since an earlier attempt.
    case appended
    /// Nothing was written: the log ends with `highest`, under `epoch`. A later epoch than one's own: the room is hosted elsewhere.
    case conflict(highest: UInt64, epoch: Epoch)
}

/// Where a room's log stands.
package struct RoomLogHead: Sendable, Equatable {
    package var epoch: Epoch
    /// The last number in the log; 0 for an empty one.
    package var sequence: UInt64
    /// As given with the batch that ended with `stateSequence`.
    package var state: [UInt8]?
    package var stateSequence: UInt64
    package init(epoch: Epoch, sequence: UInt64, state: [UInt8]? = nil, stateSequence: UInt64 = 0) {
        self.epoch = epoch; self.sequence = sequence; self.state = state; self.stateSequence = stateSequence
    }
}

package enum LogOpening: Sendable, Equatable {
    case opened(RoomLogHead)
    /// The log is fenced by this later epoch: the room is hosted elsewhere.
    case superseded(Epoch)
}

/// Entries of one room, in order.
package struct EventPage: Sendable, Equatable {
    package var events: [LoggedEvent]
    /// The last number in the log.
    package var highest: UInt64
    /// Entries after the asked number have been removed by retention.
    package var isCut: Bool
    package init(events: [LoggedEvent], highest: UInt64, isCut: Bool) { self.events = events; self.highest = highest; self.isCut = isCut }
}

/// An entry's place in the order in which entries of all rooms became visible.
package struct FeedEntry: Sendable, Equatable {
    package var position: UInt64
    package var room: RoomID
    package var event: LoggedEvent
    package init(position: UInt64, room: RoomID, event: LoggedEvent) { self.position = position; self.room = room; self.event = event }
}
package struct FeedPage: Sendable, Equatable {
    package var entries: [FeedEntry]
    /// What to ask with next.
    package var cursor: UInt64
    /// Entries after the asked position have been removed by retention.
    package var isCut: Bool
    package init(entries: [FeedEntry], cursor: UInt64, isCut: Bool) { self.entries = entries; self.cursor = cursor; self.isCut = isCut }
}

/// Keeps rooms' events without holes. Every call is bounded in time and throws `StoreError.away` where the store is.
///
/// A Room never waits for it: it tells its members first and writes in batches behind (`EventLog` decides which).
package protocol EventStore: Sendable {
    /// Fences the log: from now on nothing under an older epoch is taken. Asked once, by a Room that comes to life under a fresh claim.
    func openLog(_ room: RoomID, epoch: Epoch) async throws -> LogOpening
    /// Compare-and-set on the log's end. The same batch again, or one that begins with what is there already, is no conflict.
    /// A batch without events keeps its state only.
    func appendEvents(_ batch: EventBatch) async throws -> AppendOutcome
    /// Nil for a room that never had a log.
    func roomLog(_ room: RoomID) async throws -> RoomLogHead?
    /// Entries that stand for numbers after `since`, at most `limit`.
    func events(room: RoomID, since: UInt64, limit: Int) async throws -> EventPage
    /// Entries of all rooms after position `since`. What was once given before a position is given before it to everyone: no
    /// entry ever appears behind a cursor.
    func globalEvents(since: UInt64, limit: Int) async throws -> FeedPage
}
