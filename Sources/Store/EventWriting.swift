// How batches of events enter the log and get their places in the feed. Decision: docs/decisions/0023-postgresql-and-events.md
internal import Contracts
internal import Primitives

enum EventWriting {
    /// Writes what follows its room's log; refuses the rest.
    ///
    /// Rows are locked in one order, rooms by id and then the feed, so that transactions of several nodes never wait for each
    /// other in a circle. The feed's row comes last and is held until the commit: positions become visible in their order.
    /// - Returns: an outcome for each batch, in order.
    static func append(_ batches: [EventBatch], to connection: any SQLConnection) throws(StoreError) -> [AppendOutcome] {
        if batches.isEmpty { return [] }
        return try connection.transaction { () throws(StoreError) in
            var outcomes = Array(repeating: AppendOutcome.appended, count: batches.count)
            var added: [(room: RoomID, event: LoggedEvent)] = []
            for index in batches.indices.sorted(by: { (batches[$0].room, $0) < (batches[$1].room, $1) }) {
                switch try advance(batches[index], connection) {
                case .conflict(let head): outcomes[index] = .conflict(highest: head.sequence, epoch: head.epoch)
                case .added(let events): added += events.map { (batches[index].room, $0) }
                }
            }
            for index in batches.indices where outcomes[index] == .appended { try EventRetention.trim(batches[index], connection) }
            if !added.isEmpty { try place(added, connection) }
            return outcomes
        }
    }

    private enum Step {
        case conflict(RoomLogHead)
        /// The log has been moved on to the batch's end; these entries are new.
        case added([LoggedEvent])
    }

    /// Moves a room's head by compare-and-set, or finds out why it cannot be moved.
    private static func advance(_ batch: EventBatch, _ connection: any SQLConnection) throws(StoreError) -> Step {
        if try move(batch, from: batch.after, connection) { return .added(batch.events) }
        guard let head = try head(batch.room, connection, withState: false) else { return try begin(batch, connection) }
        guard head.epoch <= batch.epoch, head.sequence >= batch.after else { return .conflict(head) }
        // An earlier attempt got through, wholly or in part: what is there must be what is to be written.
        let old = batch.events.prefix { $0.sequence <= head.sequence }
        guard head.sequence >= batch.through || (old.last?.sequence ?? batch.after) == head.sequence else { return .conflict(head) }
        let kept = try entries("WHERE room_id = $1 AND sequence > $2 AND sequence <= $3 ORDER BY sequence", [.text(batch.room.rawValue), .counter(batch.after), .counter(old.last?.sequence ?? batch.after)], connection)
        guard kept.map(\.event) == Array(old) else { return .conflict(head) }
        let rest = Array(batch.events[old.endIndex...])
        if rest.isEmpty {
            try keepState(batch, connection)
            return .added([])
        }
        guard try move(batch, from: head.sequence, connection) else { return .conflict(try self.head(batch.room, connection, withState: false) ?? head) }
        return .added(rest)
    }

    private static func move(_ batch: EventBatch, from: UInt64, _ connection: any SQLConnection) throws(StoreError) -> Bool {
        var values: [SQLValue] = [.text(batch.room.rawValue), try .counter(batch.epoch.rawValue), try .counter(batch.through), try .counter(from)]
        var state = ""
        if let bytes = batch.state {
            state = ", state = $5, state_sequence = $3"
            values.append(.bytes(bytes))
        }
        return try connection.run(
            "UPDATE room_logs SET epoch = $2, sequence = $3, changed_at = \(connection.clock)\(state) WHERE room_id = $1 AND epoch <= $2 AND sequence = $4", values) == 1
    }

    private static func begin(_ batch: EventBatch, _ connection: any SQLConnection) throws(StoreError) -> Step {
        guard batch.after == 0 else { return .conflict(RoomLogHead(epoch: .none, sequence: 0)) }
        let made = try connection.run("""
            INSERT INTO room_logs (room_id, epoch, sequence, state, state_sequence, changed_at) VALUES ($1, $2, $3, $4, $5, \(connection.clock)) ON CONFLICT DO NOTHING
            """, [
                .text(batch.room.rawValue), .counter(batch.epoch.rawValue), .counter(batch.through), SQLValue(batch.state), .counter(batch.state == nil ? 0 : batch.through),
            ]) == 1
        if made { return .added(batch.events) }
        return .conflict(try head(batch.room, connection, withState: false) ?? RoomLogHead(epoch: .none, sequence: 0))
    }

    private static func keepState(_ batch: EventBatch, _ connection: any SQLConnection) throws(StoreError) {
        guard let state = batch.state else { return }
        try connection.run("""
            UPDATE room_logs SET epoch = $2, state = $4, state_sequence = $3, changed_at = \(connection.clock)
            WHERE room_id = $1 AND epoch <= $2 AND state_sequence <= $3
            """, [.text(batch.room.rawValue), .counter(batch.epoch.rawValue), .counter(batch.through), .bytes(state)])
    }

    private static func place(_ added: [(room: RoomID, event: LoggedEvent)], _ connection: any SQLConnection) throws(StoreError) {
        let last = try connection.first("UPDATE event_feed SET position = position + $1 WHERE id = 1 RETURNING position", [.integer(Int64(added.count))]) { (row) throws(StoreError) in row.integer(0) }
        guard let last else { throw .corrupt("the database has no event feed; put back a copy") }
        var position = last - Int64(added.count), rows: [[SQLValue]] = []
        for (room, event) in added {
            position += 1
            rows.append([
                .integer(position), .text(room.rawValue), try .counter(event.first), try .counter(event.sequence), try .counter(event.epoch.rawValue),
                .integer(event.at.microseconds), .text(event.type), .text(event.payload),
            ])
        }
        try connection.insert("INSERT INTO room_events (position, room_id, first_number, sequence, epoch, at, type, payload)", rows)
    }

    // MARK: Reading

    static func head(_ room: RoomID, _ connection: any SQLConnection, withState: Bool) throws(StoreError) -> RoomLogHead? {
        try connection.first("SELECT epoch, sequence, state_sequence\(withState ? ", state" : "") FROM room_logs WHERE room_id = $1", [.text(room.rawValue)]) { (row) throws(StoreError) in
            RoomLogHead(epoch: Epoch(try row.counter(0)), sequence: try row.counter(1), state: withState ? row.optionalBytes(3) : nil, stateSequence: try row.counter(2))
        }
    }

    /// - Parameter condition: what follows `FROM room_events`.
    static func entries(_ condition: String, _ values: [SQLValue], _ connection: any SQLConnection) throws(StoreError) -> [FeedEntry] {
        try connection.rows("SELECT position, room_id, first_number, sequence, epoch, at, type, payload FROM room_events \(condition)", values) { (row) throws(StoreError) in
            FeedEntry(
                position: try row.counter(0), room: RoomID(row.text(1)),
                event: LoggedEvent(
                    first: try row.counter(2), sequence: try row.counter(3), epoch: Epoch(try row.counter(4)),
                    at: WallTime(microseconds: row.integer(5)), type: row.text(6), payload: row.text(7)))
        }
    }
}
