// A process that writes until it is killed, and says what has been acknowledged: tests kill it and look what is there.
import Contracts
import Glibc
import Primitives
import Store

/// `StoreWriter sqlite|postgres PATH|URL events ROOM|jobs NODE`
@main struct StoreWriter {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 5, let store = store(arguments[1], arguments[2]) else { exit(2) }
        switch arguments[3] {
        case "events": try await events(store, RoomID(arguments[4]))
        case "jobs": try await jobs(store, NodeName(arguments[4]))
        default: exit(2)
        }
    }

    /// Batches of 1 to 7 events under the epoch after the log's, for ever; says the last acknowledged number of each.
    private static func events(_ store: SQLStore, _ room: RoomID) async throws {
        let epoch = (try await store.roomLog(room)?.epoch ?? .none).next
        guard case .opened(let head) = try await store.openLog(room, epoch: epoch) else { exit(3) }
        var last = head.sequence
        while true {
            let through = last + 1 + last % 7
            let events = ((last + 1)...through).map { LoggedEvent(sequence: $0, epoch: epoch, at: WallTime(seconds: Int64($0)), type: "chat", payload: #"{"n":\#($0)}"#) }
            let outcome = try await store.appendEvents(EventBatch(room: room, epoch: epoch, after: last, events: events, state: Array("state \(through)".utf8)))
            guard outcome == .appended else { exit(4) }
            last = through
            say(last)
        }
    }

    /// Works on jobs named `job-N` until none waits; says N of each that is finished.
    private static func jobs(_ store: SQLStore, _ node: NodeName) async throws {
        let owner = JobOwner(node: node, incarnation: try await store.registerNode(node, proposed: Incarnation(1)))
        while let job = try await store.claimNextJob(kinds: JobKind.allCases, by: owner) {
            guard try await store.heartbeat(job.id, epoch: job.epoch, progress: 0.5, secondsLeft: 1) == .held else { exit(4) }
            guard case .stands = try await store.finish(job.id, epoch: job.epoch, result: #"{"life":\#(owner.incarnation.rawValue)}"#) else { exit(4) }
            guard let number = UInt64(job.id.rawValue.dropFirst(4)) else { exit(5) }
            say(number)
        }
    }

    private static func say(_ number: UInt64) {
        let line = Array("\(number)\n".utf8)
        guard write(1, line, line.count) == line.count else { exit(5) }
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
