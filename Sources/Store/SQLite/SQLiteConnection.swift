// One SQLite connection, confined to the thread that opened it, and the translation of its result codes.
internal import CSQLite
package import Contracts
internal import Glibc

/// Owns one `sqlite3 *` and its prepared statements. Used by one thread at a time.
package final class SQLiteConnection: SQLConnection {
    enum Limits {
        /// How long SQLite itself waits for another process's write lock, in milliseconds.
        /// Below `StoreThreads.Limits.answer`, so that a locked database is reported by its own name.
        static let busyMilliseconds: Int32 = 1_500
        /// Attempts to switch a new file to WAL while other nodes do the same.
        static let openAttempts = 20
        static let openPauseMicroseconds: UInt32 = 50_000
    }

    private let handle: OpaquePointer
    private var statements: [String: SQLiteStatement] = [:]
    private var durability = Durability.disk
    /// SQLite's own wait for another process's lock is the only one here, and shorter than any deadline.
    package var deadline = Int64.max
    /// A file system that came back may need a fresh handle.
    package private(set) var isUsable = true
    package let clock = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
    // `BEGIN IMMEDIATE` has locked the whole file already.
    package let locking = "", lockingUnlocked = ""

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
        // From here on an error leaves through `deinit`, which closes it.
        try prepareForUse()
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

    package func execute(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> SQLResult {
        let statement = try prepared(sql, values)
        defer { statement.reset() }
        var result = SQLResult()
        while try advance(statement) { result.rows.append(statement.row) }
        result.changed = Int(sqlite3_changes64(handle))
        return result
    }

    package func transaction<T>(_ durability: Durability, _ body: () throws(StoreError) -> T) throws(StoreError) -> T {
        try use(durability)
        return try transaction("BEGIN IMMEDIATE", body)
    }
    package func snapshot<T>(_ body: () throws(StoreError) -> T) throws(StoreError) -> T { try transaction("BEGIN", body) }

    private func transaction<T>(_ begin: String, _ body: () throws(StoreError) -> T) throws(StoreError) -> T {
        try run(begin)
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

    private func prepared(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> SQLiteStatement {
        for value in values { try value.check() }
        let statement: SQLiteStatement
        if let known = statements[sql] {
            statement = known
        } else {
            var pointer: OpaquePointer?
            // `?1` is the place of the first value; `$1` would be a name.
            let code = sqlite3_prepare_v3(handle, String(sql.map { $0 == "$" ? "?" : $0 }), -1, UInt32(SQLITE_PREPARE_PERSISTENT), &pointer, nil)
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
        default:
            isUsable = false
            return .away("\(text) (SQLite \(code))")
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
