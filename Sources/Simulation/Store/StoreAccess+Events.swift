// One machine's connection to the database: rooms' logs.
import Cluster
import Contracts
import Primitives

extension StoreAccess: EventStore {
    package func openLog(_ room: RoomID, epoch: Epoch) async throws -> LogOpening {
        let database = database
        return try await database.perform("openLog", from: host, writes: true) { (rows) throws(StoreError) in
            let opening = rows.events.openLog(room, epoch: epoch)
            if case .opened = opening { database.noteLog(room, epoch) }
            return opening
        }
    }
    package func appendEvents(_ batch: EventBatch) async throws -> AppendOutcome {
        let database = database
        return try await database.perform("appendEvents", from: host, writes: true) { (rows) throws(StoreError) in
            let before = rows.events.head(batch.room)
            var written = batch
            if !database.comparesEpochs { written.epoch = max(batch.epoch, before?.epoch ?? .none) }
            let outcome = try rows.events.append(written)
            if rows.events.head(batch.room)?.sequence != before?.sequence { database.noteLog(batch.room, batch.epoch) }
            return outcome
        }
    }
    package func roomLog(_ room: RoomID) async throws -> RoomLogHead? {
        try await database.perform("roomLog", from: host, writes: false) { (rows) throws(StoreError) in rows.events.head(room) }
    }
    package func events(room: RoomID, since: UInt64, limit: Int) async throws -> EventPage {
        try await database.perform("events", from: host, writes: false) { (rows) throws(StoreError) in rows.events.events(room: room, since: since, limit: limit) }
    }
    package func globalEvents(since: UInt64, limit: Int) async throws -> FeedPage {
        try await database.perform("globalEvents", from: host, writes: false) { (rows) throws(StoreError) in rows.events.globalEvents(since: since, limit: limit) }
    }
}
