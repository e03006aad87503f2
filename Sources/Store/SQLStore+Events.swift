// Rooms' logs and the feed over all of them.
package import Contracts
package import Primitives

extension SQLStore: EventStore {
    enum EventLimits {
        /// Entries of one answer, whatever was asked for.
        static let listed = 1_000
    }

    package func openLog(_ room: RoomID, epoch: Epoch) async throws -> LogOpening {
        let values: [SQLValue] = [.text(room.rawValue), try .counter(epoch.rawValue)]
        return try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let fenced = try connection.run("""
                    INSERT INTO room_logs AS known (room_id, epoch, sequence, changed_at) VALUES ($1, $2, 0, \(connection.clock))
                    ON CONFLICT (room_id) DO UPDATE SET epoch = $2, changed_at = \(connection.clock) WHERE known.epoch <= $2
                    """, values) == 1
                let head = try EventWriting.head(room, connection, withState: true) ?? RoomLogHead(epoch: .none, sequence: 0)
                return fenced ? .opened(head) : .superseded(head.epoch)
            }
        }
    }

    package func appendEvents(_ batch: EventBatch) async throws -> AppendOutcome {
        if let mistake = batch.mistake { throw StoreError.corrupt(mistake) }
        return try await appends.append(batch)
    }

    package func roomLog(_ room: RoomID) async throws -> RoomLogHead? {
        try await perform { (connection) throws(StoreError) in try EventWriting.head(room, connection, withState: true) }
    }

    package func events(room: RoomID, since: UInt64, limit: Int) async throws -> EventPage {
        let values: [SQLValue] = [.text(room.rawValue), .integer(Int64(clamping: since)), Self.bound(limit)]
        return try await perform { (connection) throws(StoreError) in
            try connection.snapshot { () throws(StoreError) in
                let events = try EventWriting.entries("WHERE room_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3", values, connection).map(\.event)
                let highest = try EventWriting.head(room, connection, withState: false)?.sequence ?? 0
                // The log has no holes, so what is missing before the first entry was there once.
                let isCut = events.first.map { $0.first > since &+ 1 } ?? (limit > 0 && highest > since)
                return EventPage(events: events, highest: highest, isCut: isCut)
            }
        }
    }

    package func globalEvents(since: UInt64, limit: Int) async throws -> FeedPage {
        let values: [SQLValue] = [.integer(Int64(clamping: since)), Self.bound(limit)]
        return try await perform { (connection) throws(StoreError) in
            try connection.snapshot { () throws(StoreError) in
                let entries = try EventWriting.entries("WHERE position > $1 ORDER BY position LIMIT $2", values, connection)
                let feed = try connection.first("SELECT position, removed FROM event_feed WHERE id = 1") { (row) throws(StoreError) in (try row.counter(0), try row.counter(1)) }
                let (last, removed) = feed ?? (0, 0)
                // A cursor from beyond the end belongs to a database that has been put back to an earlier state.
                return FeedPage(entries: entries, cursor: entries.last?.position ?? min(since, last), isCut: since < removed || since > last)
            }
        }
    }

    private static func bound(_ limit: Int) -> SQLValue { .integer(Int64(max(0, min(limit, EventLimits.listed)))) }
}
