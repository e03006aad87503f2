// Nodes of two releases on one database: the later one takes its steps while the earlier one goes on, or is told why it may not.
import Contracts
import Primitives
import Testing

@testable import Store

@Suite struct Schemas {
    private static let known: [SchemaStep] = ["a", SchemaStep("b", keepsEarlier: false), "c"]

    @Test(arguments: [
        (0, 0, "abc"), (1, 1, "bc"), (2, 2, "c"), (3, 2, ""),
        // A later release's, which this one may use: nothing is taken back.
        (4, 2, ""), (9, 3, ""),
    ]) func whatIsMissing(version: Int, oldest: Int, expected: String) throws {
        #expect(try SchemaState(version: version, oldest: oldest).missing(of: Self.known).map(\.script).joined() == expected)
    }
    @Test(arguments: [(4, 4), (4096, 4096), (-1, -1)]) func whatIsRefused(version: Int, oldest: Int) {
        #expect(throws: StoreError.self) { try SchemaState(version: version, oldest: oldest).missing(of: Self.known) }
    }
    @Test func theLastStepThatAllMustKnowDecides() {
        #expect(SchemaState.after(Self.known) == SchemaState(version: 3, oldest: 2))
        #expect(SchemaState.after(["a", "b"]) == SchemaState(version: 2, oldest: 1))
    }
    @Test func bothDatabasesTakeTheSameSteps() {
        #expect(SQLiteMigrations.all.map(\.keepsEarlier) == PostgresMigrations.all.map(\.keepsEarlier))
    }
}

/// What a later release might add to this one's schema.
private enum Later {
    static let harmless: SchemaStep = "ALTER TABLE rooms ADD COLUMN colour TEXT; ALTER TABLE recordings ADD COLUMN mood TEXT NOT NULL DEFAULT 'fine'; CREATE TABLE later (number BIGINT)"
    static let harmlessSQLite: SchemaStep = "ALTER TABLE rooms ADD COLUMN colour TEXT; ALTER TABLE recordings ADD COLUMN mood TEXT NOT NULL DEFAULT 'fine'; CREATE TABLE later (number INTEGER) STRICT"
    static let breaking = SchemaStep("DROP TABLE pins", keepsEarlier: false)

    static func refusal(_ steps: Int) -> StoreError {
        .corrupt("a newer release has written the database (schema \(steps + 1), this release knows \(steps)): start that release")
    }
    /// An earlier release's store goes on, and so does one that is opened now.
    static func goOn(_ before: SQLStore, _ after: SQLStore) async throws {
        for (store, id) in [(before, "room-b"), (after, "room-c")] as [(SQLStore, RoomID)] {
            let room = Sample.room(id, code: "code-\(id)")
            try await store.insert(room, host: Sample.admission(id))
            #expect(try await before.room(id) == room)
            #expect(try await after.room(id) == room)
        }
        #expect(try await before.appendEvents(Sample.batch(after: 0, through: 1)) == .appended)
    }
}

@Suite struct SQLiteReleases {
    let folder = TemporaryFolder()

    @Test func anEarlierReleaseGoesOnBesideALaterOne() async throws {
        let before = SQLStore(sqlite: folder.database)
        try await before.insert(Sample.room(), host: Sample.admission())
        let later = try SQLiteConnection(path: folder.database)
        try SQLiteMigrations.bring(later, to: SQLiteMigrations.all + [Later.harmlessSQLite])
        let after = SQLStore(sqlite: folder.database)
        try await Later.goOn(before, after)
        // The earlier one took nothing back: the later one's next step is its own.
        try SQLiteMigrations.bring(later, to: SQLiteMigrations.all + [Later.harmlessSQLite, "ALTER TABLE later ADD COLUMN name TEXT"])
        for store in [before, after] { await store.close() }
    }
    @Test func aStepThatAllMustKnowKeepsEarlierReleasesOut() async throws {
        let later = try SQLiteConnection(path: folder.database)
        try SQLiteMigrations.bring(later, to: SQLiteMigrations.all + [Later.breaking])
        let store = SQLStore(sqlite: folder.database)
        await #expect(throws: Later.refusal(SQLiteMigrations.all.count)) { try await store.room("room-a") }
        await store.close()
    }
}

@Suite(.enabled(if: PostgresServer.programs != nil, "PostgreSQL is not installed"), .timeLimit(.minutes(2)))
struct PostgresReleases {
    @Test func anEarlierReleaseGoesOnBesideALaterOne() async throws {
        let server = try await PostgresServer.shared, name = try await server.makeDatabase(prepared: false)
        let before = SQLStore(postgres: server.url(name), answer: PostgresServer.patience)
        try await before.insert(Sample.room(), host: Sample.admission())
        let later = try connect(server.url(name))
        try PostgresMigrations.bring(later, to: PostgresMigrations.all + [Later.harmless])
        let after = SQLStore(postgres: server.url(name), answer: PostgresServer.patience)
        try await Later.goOn(before, after)
        try PostgresMigrations.bring(later, to: PostgresMigrations.all + [Later.harmless, "ALTER TABLE later ADD COLUMN name TEXT"])
        for store in [before, after] { await store.close() }
    }
    @Test func aStepThatAllMustKnowKeepsEarlierReleasesOut() async throws {
        let server = try await PostgresServer.shared, name = try await server.makeDatabase(prepared: false)
        try PostgresMigrations.bring(try connect(server.url(name)), to: PostgresMigrations.all + [Later.breaking])
        let store = SQLStore(postgres: server.url(name), answer: PostgresServer.patience)
        await #expect(throws: Later.refusal(PostgresMigrations.all.count)) { try await store.room("room-a") }
        await store.close()
    }
}
