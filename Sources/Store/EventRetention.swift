// How long events are kept.
internal import Contracts
internal import Primitives

enum EventRetention {
    /// Entries of one room; older ones go as new ones come, `stride` at a time.
    static let eventsPerRoom: UInt64 = 10_000
    static let stride: UInt64 = 256
    /// By the database's clock.
    static let age: Duration = .seconds(7 * 24 * 3600)
    /// Entries, and logs of ended rooms, one look removes.
    static let removedAtOnce = 1_024

    /// Removes what exceeds a room's share, inside the transaction of the append that exceeds it.
    static func trim(_ batch: EventBatch, _ connection: any SQLConnection) throws(StoreError) {
        guard batch.through > eventsPerRoom, batch.through / stride != batch.after / stride else { return }
        let values: [SQLValue] = [.text(batch.room.rawValue), try .counter(batch.through - eventsPerRoom)]
        let last = try connection.first(
            "SELECT position FROM room_events WHERE room_id = $1 AND sequence <= $2 ORDER BY sequence DESC LIMIT 1", values) { (row) throws(StoreError) in row.integer(0) }
        guard let last else { return }
        try connection.run("DELETE FROM room_events WHERE room_id = $1 AND sequence <= $2", values)
        try mark(last, connection)
    }

    /// Removes what has outlived `age`, a bounded number at a time, in a transaction of its own.
    /// - Returns: whether there may be more.
    @discardableResult
    static func apply(to connection: any SQLConnection) throws(StoreError) -> Bool {
        let age = SQLValue.integer(age.inMicroseconds), bound = SQLValue.integer(Int64(removedAtOnce))
        return try connection.transaction { () throws(StoreError) in
            var removed = 0
            // Positions follow the database's clock, so the oldest entries stand first.
            let old = try connection.rows("""
                SELECT position FROM (SELECT position, kept_at FROM room_events ORDER BY position LIMIT $2) AS oldest
                WHERE kept_at < \(connection.clock) - $1 ORDER BY position DESC LIMIT 1
                """, [age, bound]) { (row) throws(StoreError) in row.integer(0) }
            if let last = old.first {
                removed = try connection.run("DELETE FROM room_events WHERE position <= $1", [.integer(last)])
                try mark(last, connection)
            }
            // What is left of rooms that have ended and whose events are gone.
            try connection.run("""
                DELETE FROM room_logs WHERE room_id IN (
                    SELECT log.room_id FROM room_logs AS log WHERE log.changed_at < \(connection.clock) - $1
                        AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.id = log.room_id AND rooms.ended_at IS NULL)
                        AND NOT EXISTS (SELECT 1 FROM room_events WHERE room_events.room_id = log.room_id)
                    ORDER BY log.room_id LIMIT $2)
                """, [age, bound])
            return removed >= removedAtOnce
        }
    }

    /// Tells readers of the feed whose cursor is older that something is gone.
    private static func mark(_ position: Int64, _ connection: any SQLConnection) throws(StoreError) {
        try connection.run("UPDATE event_feed SET removed = $1 WHERE id = 1 AND removed < $1", [.integer(position)])
    }
}
