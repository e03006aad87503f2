import Contracts
import Glibc
import Primitives
import Store
import Synchronization

/// A folder of its own for one test, removed with it.
final class TemporaryFolder: Sendable {
    let path: String
    init() {
        var template = Array("/tmp/troupe-store-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    deinit {
        for name in ["troupe.db", "troupe.db-wal", "troupe.db-shm", "deep/er/troupe.db", "deep/er/troupe.db-wal", "deep/er/troupe.db-shm"] { unlink("\(path)/\(name)") }
        for name in ["deep/er", "deep", ""] { rmdir("\(path)/\(name)") }
    }
    var database: String { "\(path)/troupe.db" }
    func permissions(_ name: String) -> mode_t {
        var status = stat()
        return stat("\(path)/\(name)", &status) == 0 ? status.st_mode & 0o777 : 0
    }
}

/// One empty database for one test, and the stores a test opens on it.
final class TestDatabase: Sendable {
    let place: Place
    private let opened = Mutex<[SQLStore]>([])
    enum Place: Sendable {
        case sqlite(TemporaryFolder)
        case postgres(url: String)
    }

    init(_ engine: Engine) async throws {
        switch engine {
        case .sqlite: place = .sqlite(TemporaryFolder())
        case .postgres:
            let server = try await PostgresServer.shared
            place = .postgres(url: server.url(try await server.makeDatabase()))
        }
    }
    /// As another node opens it.
    func store(answer: Duration = PostgresServer.patience) -> SQLStore {
        let store = switch place {
        case .sqlite(let folder): SQLStore(sqlite: folder.database, answer: answer)
        case .postgres(let url): SQLStore(postgres: url, answer: answer)
        }
        opened.withLock { $0.append(store) }
        return store
    }
    func close() async {
        for store in opened.withLock({ stores in defer { stores = [] }; return stores }) { await store.close() }
    }
}

/// The databases every promise of the store is tested with.
enum Engine: String, Sendable {
    case sqlite, postgres
    static let here: [Engine] = {
        if PostgresServer.programs != nil { return [.sqlite, .postgres] }
        print("PostgreSQL is not tested: no /usr/lib/postgresql/*/bin/initdb (Debian: postgresql-15)")
        return [.sqlite]
    }()
}

extension SQLStore {
    convenience init(postgres url: String, answer: Duration = StoreThreads.Limits.answer) {
        self.init(postgres: { () throws(StoreError) in
            do { return try PostgresURL(url) } catch { throw .away("\(error)") }
        }, answer: answer)
    }
}

/// Runs `body` until the store answers. - Returns: its value and how often the store was away.
func patiently<T>(_ body: () async throws -> T) async throws -> (T, away: Int) {
    var away = 0
    while true {
        do { return (try await body(), away) } catch StoreError.away {
            away += 1
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
enum Sample {
    static let start = WallTime(seconds: 1_900_000_000)
    static func room(_ id: RoomID = "room-a", code: String = "abc-def", ended: WallTime? = nil) -> RoomRecord {
        RoomRecord(id: id, meetingCode: code, title: "Übung ‘1’", hostName: "Ann", mode: .sfu, maxParticipants: 12, recordingPolicy: nil, region: "eu", createdAt: start, endedAt: ended)
    }
    static func admission(_ room: RoomID = "room-a", _ participant: ParticipantID = "p-host", role: ParticipantRole = .host) -> AdmissionRecord {
        AdmissionRecord(roomID: room, participantID: participant, name: "Ann", role: role, admittedAt: start)
    }
    static func recording(_ id: RecordingID, room: RoomID = "room-a", state: RecordingState = .recording, recorder: NodeName = "node-1", epoch: UInt64 = 1, at: Int64 = 0) -> RecordingRecord {
        RecordingRecord(status: RecordingStatus(recordingID: id, roomID: room, state: state), recorder: recorder, epoch: Epoch(epoch), startedAt: start + .seconds(at), title: "Talk")
    }
}

extension Sample {
    static func event(_ sequence: UInt64, epoch: UInt64 = 1, type: String = "chat", text: String = "hello") -> LoggedEvent {
        LoggedEvent(sequence: sequence, epoch: Epoch(epoch), at: start + .milliseconds(Int64(sequence)), type: type, payload: #"{"text":"\#(text)"}"#)
    }
    /// Events `after + 1` to `through`.
    static func batch(_ room: RoomID = "room-a", epoch: UInt64 = 1, after: UInt64, through: UInt64, text: String = "hello", state: [UInt8]? = nil) -> EventBatch {
        EventBatch(room: room, epoch: Epoch(epoch), after: after, events: after < through ? ((after + 1)...through).map { event($0, epoch: epoch, text: text) } : [], state: state)
    }
}
