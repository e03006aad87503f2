// Events of all rooms as operators read them.
import Primitives

package struct EventQuery: Codable, Sendable, Equatable {
    package enum Limits { package static let page = 100; package static let pageMost = 500 }
    /// Events after this position of the feed; with `room`, after this number of the room.
    package var since: UInt64
    package var limit: Int
    package var room: RoomID?
    package init(since: UInt64 = 0, limit: Int = Limits.page, room: RoomID? = nil) { self.since = since; self.limit = limit; self.room = room }
    package var rows: Int { min(max(1, limit), Limits.pageMost) }
}

/// One event and its place. `payload` is a JSON object with the members of docs/protocol.
package struct EventEntry: Codable, Sendable, Equatable {
    /// In the feed of all rooms; nil where one room was asked for.
    package var position: UInt64?
    package var room: RoomID
    /// The first number it stands for: smaller than `sequence` where several were lost.
    package var first: UInt64
    package var sequence: UInt64
    package var epoch: Epoch
    package var at: WallTime
    package var type: String
    package var payload: String
    package init(position: UInt64? = nil, room: RoomID, first: UInt64, sequence: UInt64, epoch: Epoch, at: WallTime, type: String, payload: String) {
        self.position = position; self.room = room; self.first = first; self.sequence = sequence; self.epoch = epoch
        self.at = at; self.type = type; self.payload = payload
    }
}

package struct EventFeed: Codable, Sendable, Equatable {
    package var events: [EventEntry]
    /// What to ask with next.
    package var cursor: UInt64
    /// Events after the asked place have been removed by retention.
    package var isCut: Bool
    package init(events: [EventEntry], cursor: UInt64, isCut: Bool) { self.events = events; self.cursor = cursor; self.isCut = isCut }
}
