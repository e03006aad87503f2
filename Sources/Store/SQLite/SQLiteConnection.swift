// One SQLite connection, confined to the thread that opened it, and the translation of its result codes.
internal import CSQLite
package import Contracts
internal import Glibc

/// What a transaction must survive before its write call returns.
enum Durability {
    /// Written to the disk: epochs, claims, whatever is promised to someone.
    case disk
    /// Handed to the operating system: survives this process, not a power cut. Renewals, which are worthless after one.
    case process
}

/// Owns one `sqlite3 *` and its prepared statements. Used by one thread at a time.
package final class SQLiteConnection {
    enum Limits {
        /// How long SQLite itself waits for another process's write lock, in milliseconds.
        /// Below `StoreThread.Limits.answer`, so that a locked database is reported by its own name.
        static let busyMilliseconds: Int32 = 1_500
        /// Attempts to switch a new file to WAL while other nodes do the same.
        static let openAttempts = 20
        static let openPauseMicroseconds: UInt32 = 50_000
    }

    private let handle: OpaquePointer
    private var statements: [String: SQLiteStatement] = [:]
    private var durability = Durability.disk

    /// Opens or creates the database at `path`, its folder included, readable by its owner only.
    package init(path: String) throws(StoreError) {
        try Self.createPrivately(path)
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard let opened, code == SQLITE_OK else {
            let text = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(opened)
            throw .away("cannot open \(path): \(text)")
        }
        handle = opened
        do {
            try prepareForUse()
        } catch {
            sqlite3_close_v2(opened)
            throw error
        }
    }

    deinit {
        statements.removeAll()
        sqlite3_close_v2(handle)
    }

    private func prepareForUse() throws(StoreError) {
        sqlite3_busy_timeout(handle, Limits.busyMilliseconds)
        // Changing the journal mode does not go through the busy handler, so a start of several nodes at once tries again.
        var attempt = 1
        while true {
            do {
                try execute("PRAGMA journal_mode = WAL")
                break
            } catch {
                guard case .away = error, attempt < Limits.openAttempts else { throw error }
                attempt += 1
                usleep(Limits.openPauseMicroseconds)
            }
        }
        try execute("PRAGMA synchronous = FULL")
        try execute("PRAGMA foreign_keys = ON")
        try execute("PRAGMA trusted_schema = OFF")
        try execute("PRAGMA temp_store = MEMORY")
    }

    // MARK: Statements

    /// Runs one or more statements without parameters.
    package func execute(_ sql: String) throws(StoreError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(code) }
    }

    /// Runs one statement to its end.
    /// - Returns: how many rows it changed.
    @discardableResult
    func run(_ sql: String, _ values: [SQLiteValue] = []) throws(StoreError) -> Int {
        let statement = try prepared(sql, values)
        defer { statement.reset() }
        while try advance(statement) {}
        return Int(sqlite3_changes64(handle))
    }

    /// All rows of a query, each turned into a value.
    func rows<T>(_ sql: String, _ values: [SQLiteValue] = [], _ make: (SQLiteRow) throws(StoreError) -> T) throws(StoreError) -> [T] {
        let statement = try prepared(sql, values)
        defer { statement.reset() }
        var found: [T] = []
        while try advance(statement) { found.append(try make(SQLiteRow(statement: statement))) }
        return found
    }

    /// The first row of a query, if there is one.
    func first<T>(_ sql: String, _ values: [SQLiteValue] = [], _ make: (SQLiteRow) throws(StoreError) -> T) throws(StoreError) -> T? {
        let statement = try prepared(sql, values)
        defer { statement.reset() }
        return try advance(statement) ? try make(SQLiteRow(statement: statement)) : nil
    }

    /// Runs `body` inside `BEGIN IMMEDIATE … COMMIT`; an error rolls back.
    func transaction<T>(_ durability: Durability = .disk, _ body: () throws(StoreError) -> T) throws(StoreError) -> T {
        try use(durability)
        try run("BEGIN IMMEDIATE")
        do {
            let value = try body()
            try run("COMMIT")
            return value
        } catch {
            if sqlite3_get_autocommit(handle) == 0 { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
            throw error
        }
    }

    private func use(_ wanted: Durability) throws(StoreError) {
        guard wanted != durability else { return }
        try execute(wanted == .disk ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
        durability = wanted
    }

    private func prepared(_ sql: String, _ values: [SQLiteValue]) throws(StoreError) -> SQLiteStatement {
        let statement: SQLiteStatement
        if let known = statements[sql] {
            statement = known
        } else {
            var pointer: OpaquePointer?
            let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &pointer, nil)
            guard code == SQLITE_OK, let pointer else { throw failure(code) }
            statement = SQLiteStatement(pointer)
            statements[sql] = statement
        }
        for (index, value) in values.enumerated() {
            let code = statement.bind(value, at: Int32(index + 1))
            guard code == SQLITE_OK else { throw failure(code) }
        }
        return statement
    }

    private func advance(_ statement: SQLiteStatement) throws(StoreError) -> Bool {
        switch sqlite3_step(statement.pointer) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw failure(code)
        }
    }

    // MARK: Errors

    /// SQLite's primary result codes as the store's errors (https://www.sqlite.org/rescode.html).
    private func failure(_ code: Int32) -> StoreError {
        let text = String(cString: sqlite3_errmsg(handle))
        switch code & 0xFF {
        case SQLITE_CONSTRAINT: return .conflict
        case SQLITE_CORRUPT, SQLITE_NOTADB: return .corrupt("the database is damaged (\(text)): stop the nodes and put back a copy, or move the file away to begin anew")
        case SQLITE_ERROR, SQLITE_SCHEMA, SQLITE_MISMATCH: return .corrupt("the database is not as this release expects (\(text))")
        default: return .away("\(text) (SQLite \(code))")
        }
    }

    /// Makes the folder and an empty file that only their owner can read: rows hold what admits people to rooms.
    private static func createPrivately(_ path: String) throws(StoreError) {
        var parent = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: true).dropLast() {
            parent += (parent.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            if mkdir(parent, 0o700) != 0, errno != EEXIST { throw .away("cannot create the folder \(parent): \(String(cString: strerror(errno)))") }
        }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .away("cannot open \(path): \(String(cString: strerror(errno)))") }
        close(descriptor)
    }
}
