// A process that appends to a room's log for ever and says what has been acknowledged: tests kill it and look what is there.
import Contracts
import Glibc
import Primitives
import Store

/// `StoreWriter sqlite|postgres PATH|URL ROOM`: batches of 1 to 7 events under the epoch after the log's; a line with the last acknowledged number each.
@main struct StoreWriter {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let store = store(arguments[1], arguments[2]) else { exit(2) }
        let room = RoomID(arguments[3])
        let epoch = (try await store.roomLog(room)?.epoch ?? .none).next
        guard case .opened(let head) = try await store.openLog(room, epoch: epoch) else { exit(3) }
        var last = head.sequence
        while true {
            let through = last + 1 + last % 7
            let events = ((last + 1)...through).map { LoggedEvent(sequence: $0, epoch: epoch, at: WallTime(seconds: Int64($0)), type: "chat", payload: #"{"n":\#($0)}"#) }
            let outcome = try await store.appendEvents(EventBatch(room: room, epoch: epoch, after: last, events: events, state: Array("state \(through)".utf8)))
            guard outcome == .appended else { exit(4) }
            last = through
            let line = Array("\(last)\n".utf8)
            guard write(1, line, line.count) == line.count else { exit(5) }
        }
    }

    private static func store(_ kind: String, _ place: String) -> SQLStore? {
        switch kind {
        case "sqlite": return SQLStore(sqlite: place)
        case "postgres":
            guard let url = try? PostgresURL(place) else { return nil }
            return SQLStore(postgres: { () throws(StoreError) in url })
        default: return nil
        }
    }
}
