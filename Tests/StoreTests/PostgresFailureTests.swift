// What callers see when the server is stopped, killed, frozen, silent, full of locks, or the wrong one: a bounded wait, a typed
// error, and everything as it was once it is back.
import Cluster
import Contracts
import Glibc
import Primitives
@testable import Store
import Testing

func connect(_ url: String, answer: Duration = PostgresServer.patience) throws -> PostgresConnection {
    let connection = try PostgresConnection(PostgresURL(url), answer: answer)
    connection.deadline = .max
    return connection
}
private func awayText(_ body: () async throws -> Void) async -> String {
    do { try await body(); return "it answered" } catch StoreError.away(let text) { return text } catch { return "another error: \(error)" }
}

@Suite(.serialized, .enabled(if: PostgresServer.programs != nil, "PostgreSQL is not installed"), .timeLimit(.minutes(2)))
struct PostgresOutages {
    /// Of its own, as the shared one must stay.
    static let starting = Task.detached { try await blocking { try PostgresServer() } }
    let server: PostgresServer
    let url: String
    init() async throws {
        server = try await Self.starting.value
        url = server.url(try await server.makeDatabase())
    }

    @Test(arguments: ["stop", "kill"]) func whatWasWrittenIsThereAfter(way: String) async throws {
        let store = SQLStore(postgres: url, answer: PostgresServer.patience)
        try await store.insert(Sample.room(), host: Sample.admission())
        #expect(try await store.appendEvents(Sample.batch(after: 0, through: 3, state: [1])) == .appended)
        guard case .taken(let claim) = try await store.takeClaim(kind: "room", key: "a", by: "node-1", incarnation: Incarnation(1), expecting: .none) else { Issue.record("taken"); return }
        try await server.tell(way)
        let clock = ContinuousClock(), begun = clock.now
        for _ in 0..<20 { #expect(await awayText { _ = try await store.room("room-a") } != "it answered") }
        #expect(clock.now - begun < .seconds(20), "a refused connection is told at once")
        try await server.tell("start")
        let (room, _) = try await patiently { try await store.room("room-a") }
        #expect(room == Sample.room())
        #expect(try await store.claim(kind: "room", key: "a") == claim)
        #expect(try await store.roomLog("room-a") == RoomLogHead(epoch: Epoch(1), sequence: 3, state: [1], stateSequence: 3))
        #expect(try await store.appendEvents(Sample.batch(after: 3, through: 4)) == .appended)
        await store.close()
    }

    @Test func aFrozenServerCostsEachCallItsLimitAndNoThreadMore() async throws {
        let store = SQLStore(postgres: url, answer: .seconds(1))
        let (_, _) = try await patiently { try await store.insert(Sample.room(), host: Sample.admission()) }
        try await server.tell("freeze")
        let clock = ContinuousClock(), begun = clock.now
        let texts = await withTaskGroup(of: String.self) { group in
            for index in 0..<40 {
                group.addTask {
                    await awayText {
                        if index % 2 == 0 { _ = try await store.room("room-a") } else { _ = try await store.appendEvents(Sample.batch(RoomID("r\(index)"), after: 0, through: 1)) }
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(texts.allSatisfy { $0.contains("answer") }, "\(texts)")
        #expect(clock.now - begun < .seconds(20))
        // The threads are free again, or become so within a connection attempt: closing waits for them.
        try await server.tell("thaw")
        let (room, _) = try await patiently { try await store.room("room-a") }
        #expect(room != nil)
        await store.close()
    }

    @Test func eventsGoOnWithoutAHoleAcrossAnOutage() async throws {
        let store = SQLStore(postgres: url, answer: .seconds(1))
        var last: UInt64 = 0
        for word in ["", "stop", "start", "freeze", "thaw", "kill", "start"] {
            if !word.isEmpty { try await server.tell(word) }
            let isAway = ["stop", "freeze", "kill"].contains(word)
            for _ in 0..<3 {
                let batch = Sample.batch(after: last, through: last + 2)
                if isAway {
                    #expect(await awayText { _ = try await store.appendEvents(batch) } != "it answered")
                } else {
                    let (outcome, _) = try await patiently { try await store.appendEvents(batch) }
                    #expect(outcome == .appended)
                    last += 2
                }
            }
        }
        #expect(try await store.events(room: "room-a", since: 0, limit: 100).events == (1...last).map { Sample.event($0) })
        let feed = try await store.globalEvents(since: 0, limit: 100)
        #expect(feed.entries.map(\.position) == Array(1...last), "what was rolled back left no gap")
        await store.close()
    }
}

@Suite(.enabled(if: PostgresServer.programs != nil, "PostgreSQL is not installed"), .timeLimit(.minutes(2)))
struct PostgresFailures {
    private func database(prepared: Bool = true) async throws -> (server: PostgresServer, name: String) {
        let server = try await PostgresServer.shared
        return (server, try await server.makeDatabase(prepared: prepared))
    }

    @Test func nodesThatStartAtOnceMakeOneSchema() async throws {
        let (server, name) = try await database(prepared: false)
        let stores = (0..<6).map { _ in SQLStore(postgres: server.url(name)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for store in stores { group.addTask { _ = try await patiently { try await store.check() } } }
            try await group.waitForAll()
        }
        let connection = try connect(server.url(name))
        let versions = try connection.rows("SELECT version FROM troupe_schema") { (row) throws(StoreError) in row.integer(0) }
        #expect(versions == [Int64(PostgresMigrations.all.count)])
        for store in stores { await store.close() }
    }

    @Test func aDatabaseOfTheFirstReleaseIsBroughtUp() async throws {
        let (server, name) = try await database(prepared: false)
        let connection = try connect(server.url(name))
        try PostgresMigrations.bring(connection, to: [PostgresMigrations.all[0]])
        let store = SQLStore(postgres: server.url(name), answer: PostgresServer.patience)
        #expect(try await store.appendEvents(Sample.batch(after: 0, through: 1)) == .appended)
        await store.close()
    }

    @Test func aNewerReleasesDatabaseIsRefused() async throws {
        let (server, name) = try await database(prepared: false)
        let connection = try connect(server.url(name))
        try connection.script("CREATE TABLE troupe_schema (version BIGINT NOT NULL); INSERT INTO troupe_schema VALUES (4096)")
        let store = SQLStore(postgres: server.url(name), answer: PostgresServer.patience)
        await #expect(throws: StoreError.corrupt("a newer release has written the database (schema 4096, this release knows \(PostgresMigrations.all.count)): start that release")) {
            try await store.room("room-a")
        }
        await store.close()
    }

    @Test func aWrongPasswordIsNamedAndNotShown() async throws {
        let (server, name) = try await database()
        let store = SQLStore(postgres: server.url(name, password: "sesame"), answer: PostgresServer.patience)
        let text = await awayText { try await store.check() }
        #expect(text.contains("password authentication failed") && !text.contains("sesame"), "\(text)")
        await store.close()
        let nowhere = SQLStore(postgres: server.url("nowhere"), answer: PostgresServer.patience)
        #expect(await awayText { try await nowhere.check() }.contains("\"nowhere\" does not exist"))
        await nowhere.close()
        let encrypted = SQLStore(postgres: server.url(name, options: "sslmode=require"), answer: PostgresServer.patience)
        #expect(await awayText { try await encrypted.check() }.contains("SSL"), "TLS options are libpq's own")
        await encrypted.close()
    }

    @Test func aHostThatSaysNothingIsAwayInTimeAndTheNextOneIsTried() async throws {
        let (server, name) = try await database()
        let silent = try Silence()
        let url = "postgresql://troupe:p%40ss%2Fw%C3%B6rd@127.0.0.1:\(silent.port),127.0.0.1:\(server.port)/\(name)"
        let store = SQLStore(postgres: url, answer: .milliseconds(400))
        let clock = ContinuousClock(), begun = clock.now
        // The request's limit and the connection's are one: either may be told first.
        let text = await awayText { try await store.check() }
        #expect(text.contains("no answer in") || text.contains("does not answer a connection attempt"), "\(text)")
        _ = try await patiently { try await store.check() }
        #expect(clock.now - begun < .seconds(60))
        await store.close()
    }

    @Test func aLockThatIsHeldIsAwayByItsNameAndOverWithIt() async throws {
        let (server, name) = try await database()
        let store = SQLStore(postgres: server.url(name), answer: .seconds(4))
        try await store.insert(Sample.room(), host: Sample.admission())
        let other = try connect(server.url(name))
        try other.script("BEGIN; UPDATE rooms SET title = title")
        #expect(await awayText { try await store.endRoom("room-a", at: Sample.start) }.contains("lock timeout"))
        try other.script("COMMIT")
        try await store.endRoom("room-a", at: Sample.start)
        #expect(try await store.room("room-a")?.endedAt == Sample.start)
        await store.close()
    }

    /// A node that is stopped in the middle of an append must not keep the others from theirs.
    @Test func aTransactionLeftOpenIsEndedByTheServer() async throws {
        let (server, name) = try await database()
        let store = SQLStore(postgres: server.url(name), answer: .seconds(4))
        #expect(try await store.appendEvents(Sample.batch("room-b", after: 0, through: 1)) == .appended)
        let stopped = try connect(server.url(name), answer: .seconds(1))
        try stopped.script("BEGIN; UPDATE event_feed SET position = position + 1")
        let (outcome, _) = try await patiently { try await store.appendEvents(Sample.batch(after: 0, through: 1)) }
        #expect(outcome == .appended)
        #expect(throws: StoreError.self) { try stopped.script("COMMIT") }
        #expect(try await store.globalEvents(since: 1, limit: 1).entries.map(\.position) == [2])
        await store.close()
    }

    /// Two transactions that wait for each other: the one the server ends is tried again.
    @Test func aDeadlockIsResolved() async throws {
        let (server, name) = try await database()
        let store = SQLStore(postgres: server.url(name), answer: PostgresServer.patience)
        for room in ["room-a", "room-b"] as [RoomID] { _ = try await store.openLog(room, epoch: Epoch(1)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for order in [["room-a", "room-b"], ["room-b", "room-a"]] {
                group.addTask {
                    let connection = try connect(server.url(name, options: "options=-cdeadlock_timeout%3D50"))
                    var done = 0
                    while done < 10 {
                        do throws(StoreError) {
                            try connection.transaction(.disk) { () throws(StoreError) in
                                for room in order {
                                    try connection.run("UPDATE room_logs SET sequence = sequence + 1 WHERE room_id = $1", [.text(room)])
                                    try connection.run("SELECT pg_sleep(0.01)")
                                }
                            }
                            done += 1
                        } catch {
                            // Chosen as the victim too often in a row: nothing was written.
                            guard case .away(let text) = error, text.contains("40P01") else { throw error }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        for room in ["room-a", "room-b"] as [RoomID] { #expect(try await store.roomLog(room)?.sequence == 20) }
        await store.close()
    }

    @Test func everyKindOfValueComesBack() async throws {
        let (server, name) = try await database()
        let connection = try connect(server.url(name, overTCP: false))
        let values: [SQLValue] = [
            .integer(.min), .integer(.max), .integer(-1), .real(-0.1), .real(.infinity), .text(""), .text("Übung ‘1’ 🎬"), .bytes([]), .bytes([0, 255, 39]), .null,
        ]
        let result = try connection.execute("SELECT \(values.indices.map { "$\($0 + 1)\(values[$0] == .null ? "::bigint" : "")" }.joined(separator: ", "))", values)
        #expect(result.rows.map(\.values) == [values])
        #expect(try connection.execute("SELECT 7::int2, 8::int4, true, pg_sleep(0)", []).rows[0].values == [.integer(7), .integer(8), .integer(1), .null])
        #expect(throws: StoreError.self) { try connection.execute("SELECT 1.5::numeric", []) }
        #expect(throws: StoreError.self) { try connection.execute("SELECT $1", [.text("a\0b")]) }
        #expect(connection.isUsable)
    }

    @Test func renewalsDoNotWaitForTheDiskAndClaimsDo() async throws {
        let (server, name) = try await database()
        let connection = try connect(server.url(name))
        func setting() throws -> String? { try connection.first("SHOW synchronous_commit") { (row) throws(StoreError) in row.text(0) } }
        #expect(try connection.transaction(.process) { () throws(StoreError) in try connection.first("SHOW synchronous_commit") { (row) throws(StoreError) in row.text(0) } } == "off")
        #expect(try connection.transaction(.disk) { () throws(StoreError) in try connection.first("SHOW synchronous_commit") { (row) throws(StoreError) in row.text(0) } } == "on")
        let careless = try connect(server.url(name, options: "options=-csynchronous_commit%3Doff"))
        #expect(try careless.first("SHOW synchronous_commit") { (row) throws(StoreError) in row.text(0) } == "on")
        #expect(try setting() == "on")
    }
}

/// A listening socket that never answers.
private final class Silence {
    let port: UInt16
    private let descriptor: Int32
    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = self.descriptor
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 && listen(descriptor, 8) == 0 && getsockname(descriptor, $0, &length) == 0 }
        }
        port = UInt16(bigEndian: address.sin_port)
        guard isListening else { throw PostgresServer.Failure(description: "no silent port") }
    }
    deinit { close(descriptor) }
}

@Suite struct PostgresURLs {
    private func mistake(_ text: String) -> PostgresURL.Mistake? {
        do { _ = try PostgresURL(text); return nil } catch { return error }
    }
    @Test func aFileHoldsOneLine() throws {
        #expect(mistake("postgresql://a@b/c") == nil)
        #expect(mistake("# the cluster's database\n\n  host=db user=troupe password='x y'  \n") == nil)
        guard case .line(1, let empty)? = mistake("# nothing\n") else { Issue.record("empty"); return }
        #expect(empty.contains("postgresql://"))
        guard case .line(3, let two)? = mistake("# a\npostgresql://a@b/c\npostgresql://a@d/c\n") else { Issue.record("two"); return }
        #expect(two.contains("line 2"))
        guard case .line(2, let bad)? = mistake("\nsecret word\n") else { Issue.record("bad"); return }
        #expect(!bad.contains("secret") && bad.contains(PostgresURL.example))
    }
    @Test func eachFailureBringsAnotherHostToTheFront() throws {
        let url = try PostgresURL("postgresql://u@a:1,b:2,c:3/d?target_session_attrs=read-write")
        func of(_ attempt: Int) -> [String] { url.parameters(attempt: attempt).filter { ["host", "port"].contains($0.name) }.map(\.value) }
        #expect(of(0) == ["a,b,c", "1,2,3"] && of(1) == ["b,c,a", "2,3,1"] && of(3) == of(0))
        #expect(url.parameters(attempt: 1).contains { $0 == ("target_session_attrs", "read-write") })
        #expect(url.parameters(attempt: 0).contains { $0 == ("gssencmode", "disable") })
        #expect(try PostgresURL("host=a,b port=7").parameters(attempt: 1).contains { $0 == ("port", "7") })
    }
}
