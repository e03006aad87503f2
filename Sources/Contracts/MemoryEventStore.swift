// An event store in memory: for tests, the simulator, and a node that is alone and keeps nothing.
import Primitives
import Synchronization

/// Means what the durable stores mean; a test gives them the same calls. It forgets nothing by age.
package final class MemoryEventStore: EventStore {
    private struct State {
        var heads: [RoomID: RoomLogHead] = [:]
        /// The feed: an entry's position is its index and one.
        var feed: [FeedEntry] = []
        var isAway = false
    }
    private let state = Mutex(State())
    package init() {}

    /// While true every call throws `StoreError.away`.
    package var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }
    private func perform<R: Sendable>(_ body: (inout State) -> sending R) throws(StoreError) -> R {
        try state.withLock { state throws(StoreError) in
            if state.isAway { throw .away("the store in memory plays dead") }
            return body(&state)
        }
    }

    package func openLog(_ room: RoomID, epoch: Epoch) async throws -> LogOpening {
        try perform { state in
            var head = state.heads[room] ?? RoomLogHead(epoch: .none, sequence: 0)
            guard head.epoch <= epoch else { return .superseded(head.epoch) }
            head.epoch = epoch
            state.heads[room] = head
            return .opened(head)
        }
    }

    package func appendEvents(_ batch: EventBatch) async throws -> AppendOutcome {
        if let mistake = batch.mistake { throw StoreError.corrupt(mistake) }
        return try perform { state in
            var head = state.heads[batch.room] ?? RoomLogHead(epoch: .none, sequence: 0)
            let conflict = AppendOutcome.conflict(highest: head.sequence, epoch: head.epoch)
            guard head.epoch <= batch.epoch, head.sequence >= batch.after else { return conflict }
            let old = batch.events.prefix { $0.sequence <= head.sequence }
            guard head.sequence >= batch.through || (old.last?.sequence ?? batch.after) == head.sequence else { return conflict }
            let kept = state.feed.filter { $0.room == batch.room && $0.event.sequence > batch.after }.map(\.event).prefix(old.count)
            guard Array(kept) == Array(old) else { return conflict }
            for event in batch.events[old.endIndex...] {
                state.feed.append(FeedEntry(position: UInt64(state.feed.count) + 1, room: batch.room, event: event))
            }
            head.epoch = batch.epoch
            head.sequence = max(head.sequence, batch.through)
            if let bytes = batch.state, batch.through >= head.stateSequence { (head.state, head.stateSequence) = (bytes, batch.through) }
            state.heads[batch.room] = head
            return .appended
        }
    }

    package func roomLog(_ room: RoomID) async throws -> RoomLogHead? { try perform { $0.heads[room] } }

    package func events(room: RoomID, since: UInt64, limit: Int) async throws -> EventPage {
        try perform { state in
            let found = state.feed.filter { $0.room == room && $0.event.sequence > since }.map(\.event)
            return EventPage(events: Array(found.prefix(max(0, limit))), highest: state.heads[room]?.sequence ?? 0, isCut: false)
        }
    }

    package func globalEvents(since: UInt64, limit: Int) async throws -> FeedPage {
        try perform { state in
            let last = UInt64(state.feed.count)
            let found = Array(state.feed.dropFirst(Int(clamping: since)).prefix(max(0, limit)))
            return FeedPage(entries: found, cursor: found.last?.position ?? min(since, last), isCut: since > last)
        }
    }
}
