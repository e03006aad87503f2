// An event store in memory: for tests, the simulator, and a node that is alone and keeps nothing.
import Primitives
import Synchronization

/// The rows of an event store, changed by whole transactions; they mean what the durable stores' mean. Forgets nothing by age.
package struct EventRows: Sendable {
    private var heads: [RoomID: RoomLogHead] = [:]
    /// The feed: an entry's position is its index and one.
    private var feed: [FeedEntry] = []
    /// Of each room, the places of its entries in the feed.
    private var places: [RoomID: [Int]] = [:]
    package init() {}

    package mutating func openLog(_ room: RoomID, epoch: Epoch) -> LogOpening {
        var head = heads[room] ?? RoomLogHead(epoch: .none, sequence: 0)
        guard head.epoch <= epoch else { return .superseded(head.epoch) }
        head.epoch = epoch
        heads[room] = head
        return .opened(head)
    }

    package mutating func append(_ batch: EventBatch) throws(StoreError) -> AppendOutcome {
        if let mistake = batch.mistake { throw StoreError.corrupt(mistake) }
        var head = heads[batch.room] ?? RoomLogHead(epoch: .none, sequence: 0)
        let conflict = AppendOutcome.conflict(highest: head.sequence, epoch: head.epoch)
        guard head.epoch <= batch.epoch, head.sequence >= batch.after else { return conflict }
        let old = batch.events.prefix { $0.sequence <= head.sequence }
        guard head.sequence >= batch.through || (old.last?.sequence ?? batch.after) == head.sequence else { return conflict }
        guard Array(entries(of: batch.room, after: batch.after).prefix(old.count)) == Array(old) else { return conflict }
        for event in batch.events[old.endIndex...] {
            places[batch.room, default: []].append(feed.count)
            feed.append(FeedEntry(position: UInt64(feed.count) + 1, room: batch.room, event: event))
        }
        head.epoch = batch.epoch
        head.sequence = max(head.sequence, batch.through)
        if let bytes = batch.state, batch.through >= head.stateSequence { (head.state, head.stateSequence) = (bytes, batch.through) }
        heads[batch.room] = head
        return .appended
    }
    private func entries(of room: RoomID, after number: UInt64) -> [LoggedEvent] {
        (places[room] ?? []).lazy.map { feed[$0].event }.filter { $0.sequence > number }
    }

    package func head(_ room: RoomID) -> RoomLogHead? { heads[room] }

    package func events(room: RoomID, since: UInt64, limit: Int) -> EventPage {
        EventPage(events: Array(entries(of: room, after: since).prefix(max(0, limit))), highest: heads[room]?.sequence ?? 0, isCut: false)
    }

    package func globalEvents(since: UInt64, limit: Int) -> FeedPage {
        let last = UInt64(feed.count)
        let found = Array(feed.dropFirst(Int(clamping: since)).prefix(max(0, limit)))
        return FeedPage(entries: found, cursor: found.last?.position ?? min(since, last), isCut: since > last)
    }
}

package final class MemoryEventStore: EventStore {
    private struct State {
        var rows = EventRows()
        var isAway = false
    }
    private let state = Mutex(State())
    package init() {}

    /// While true every call throws `StoreError.away`.
    package var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }
    private func perform<R: Sendable>(_ body: (inout EventRows) throws(StoreError) -> sending R) throws(StoreError) -> R {
        try state.withLock { state throws(StoreError) in
            if state.isAway { throw .away("the store in memory plays dead") }
            return try body(&state.rows)
        }
    }

    package func openLog(_ room: RoomID, epoch: Epoch) async throws -> LogOpening { try perform { $0.openLog(room, epoch: epoch) } }
    package func appendEvents(_ batch: EventBatch) async throws -> AppendOutcome { try perform { (rows) throws(StoreError) in try rows.append(batch) } }
    package func roomLog(_ room: RoomID) async throws -> RoomLogHead? { try perform { $0.head(room) } }
    package func events(room: RoomID, since: UInt64, limit: Int) async throws -> EventPage { try perform { $0.events(room: room, since: since, limit: limit) } }
    package func globalEvents(since: UInt64, limit: Int) async throws -> FeedPage { try perform { $0.globalEvents(since: since, limit: limit) } }
}
