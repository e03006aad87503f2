// One PostgreSQL connection by libpq's asynchronous calls, confined to the thread that opened it: no wait without an end.
// https://www.postgresql.org/docs/15/libpq-async.html
internal import CPostgres
package import Contracts
internal import EventLoop
internal import Glibc
internal import Primitives

/// Owns one `PGconn *`.
///
/// libpq never waits here by itself: what it wants to read or write is waited for by `poll`, up to `deadline`. A server that is
/// stopped, or whose packets vanish, therefore costs one deadline and the connection. What the server does on its own, running a
/// statement, waiting for a lock, keeping the transaction of a node that was stopped in the middle of it, is bounded at the server.
package final class PostgresConnection: SQLConnection {
    /// Shares of the time a caller waits (`StoreThreads.Limits.answer`), so that what took too long is reported by its name.
    package enum Limits {
        /// For making a connection: name, TCP, TLS and authentication, and the schema.
        static func connect(_ answer: Duration) -> Duration { answer }
        // At the server:
        static func statement(_ answer: Duration) -> Duration { answer * 3 / 4 }
        static func lock(_ answer: Duration) -> Duration { answer / 2 }
        static func idleInTransaction(_ answer: Duration) -> Duration { answer }
        /// Attempts at a transaction that another one got in the way of (deadlock, serialisation failure).
        static let attempts = 3
    }

    private let handle: OpaquePointer
    package var deadline = Int64.max
    private var isBroken = false
    /// The last failed statement's SQLSTATE (appendix A of PostgreSQL's documentation).
    private var state = ""
    package let clock = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    // Rows that refer to these by a foreign key may still be added meanwhile.
    package let locking = "FOR NO KEY UPDATE", lockingUnlocked = "FOR NO KEY UPDATE SKIP LOCKED"

    /// - Parameters:
    ///   - attempt: how often connecting has failed before; each time another of several hosts comes first.
    ///   - answer: how long callers wait.
    package init(_ url: PostgresURL, attempt: Int = 0, answer: Duration = StoreThreads.Limits.answer) throws(StoreError) {
        let parameters = url.parameters(attempt: attempt)
        guard let opened = Self.start(parameters) else { throw .away("cannot connect to PostgreSQL: out of memory") }
        handle = opened
        deadline = Monitor.now + Limits.connect(answer).inNanoseconds
        // From here on an error leaves through `deinit`, which closes it.
        try connect()
        try prepareForUse(answer)
    }
    deinit { PQfinish(handle) }

    private static func start(_ parameters: [(name: String, value: String)]) -> OpaquePointer? {
        let names = parameters.map { strdup($0.name) }, values = parameters.map { strdup($0.value) }
        defer { for text in names + values { free(text) } }
        return (names.map { UnsafePointer<CChar>($0) } + [nil]).withUnsafeBufferPointer { names in
            (values.map { UnsafePointer<CChar>($0) } + [nil]).withUnsafeBufferPointer { values in
                PQconnectStartParams(names.baseAddress, values.baseAddress, 0)
            }
        }
    }

    private func connect() throws(StoreError) {
        var wanted = PGRES_POLLING_WRITING
        guard PQstatus(handle) != CONNECTION_BAD else { throw refused() }
        while true {
            switch wanted {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: try wait(for: POLLIN, "PostgreSQL does not answer a connection attempt")
            case PGRES_POLLING_WRITING: try wait(for: POLLOUT, "PostgreSQL does not answer a connection attempt")
            default: throw refused()
            }
            wanted = PQconnectPoll(handle)
        }
    }

    private func prepareForUse(_ answer: Duration) throws(StoreError) {
        PQsetNoticeReceiver(handle, { _, _ in }, nil)
        guard PQsetnonblocking(handle, 1) == 0 else { throw refused() }
        try script("""
            SET client_min_messages = warning;
            SET statement_timeout = \(Limits.statement(answer).inMilliseconds);
            SET lock_timeout = \(Limits.lock(answer).inMilliseconds);
            SET idle_in_transaction_session_timeout = \(Limits.idleInTransaction(answer).inMilliseconds);
            SET default_transaction_isolation = 'read committed';
            SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
            """)
    }

    /// Idle, and nothing came that was not asked for: a server that goes down says so before it closes.
    package var isUsable: Bool {
        guard !isBroken, PQstatus(handle) == CONNECTION_OK, PQtransactionStatus(handle) == PQTRANS_IDLE else { return false }
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) == 0
    }

    // MARK: Statements

    package func execute(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> SQLResult {
        for value in values { try value.check() }
        guard PostgresValues.withParameters(values, { PQsendQueryParams(handle, sql, $0, $1, $2, $3, $4, 1) }) == 1 else { throw broken() }
        return try PostgresValues.result(try answers().last)
    }

    /// Runs statements without parameters, as one transaction where they do not begin one themselves.
    package func script(_ sql: String) throws(StoreError) {
        guard PQsendQuery(handle, sql) == 1 else { throw broken() }
        _ = try answers()
    }

    package func transaction<T>(_ durability: Durability, _ body: () throws(StoreError) -> T) throws(StoreError) -> T {
        let begin = durability == .disk ? "BEGIN" : "BEGIN; SET LOCAL synchronous_commit = off"
        var attempt = 1
        while true {
            do throws(StoreError) { return try once(begin, body) } catch {
                guard ["40001", "40P01"].contains(state), attempt < Limits.attempts, Monitor.now < deadline, isUsable else { throw error }
                attempt += 1
            }
        }
    }
    package func snapshot<T>(_ body: () throws(StoreError) -> T) throws(StoreError) -> T {
        try once("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", body)
    }

    private func once<T>(_ begin: String, _ body: () throws(StoreError) -> T) throws(StoreError) -> T {
        try script(begin)
        do {
            let value = try body()
            try script("COMMIT")
            return value
        } catch {
            let reason = state
            if !isBroken, PQtransactionStatus(handle) != PQTRANS_IDLE {
                do throws(StoreError) { try script("ROLLBACK") } catch { isBroken = true }
            }
            state = reason
            throw error
        }
    }

    // MARK: Waiting

    /// Sends what is queued and takes all results of a query; the first error among them is thrown once all have come.
    private func answers() throws(StoreError) -> [PostgresResult] {
        state = ""
        while true {
            let left = PQflush(handle)
            if left == 0 { break }
            guard left == 1 else { throw broken() }
            try wait(for: POLLIN | POLLOUT, "PostgreSQL takes nothing; it may or may not have been written")
            guard PQconsumeInput(handle) == 1 else { throw broken() }
        }
        var results: [PostgresResult] = [], failure: StoreError?
        while true {
            while PQisBusy(handle) == 1 {
                try wait(for: POLLIN, "PostgreSQL does not answer; it may or may not have been written")
                guard PQconsumeInput(handle) == 1 else { throw broken() }
            }
            guard let pointer = PQgetResult(handle) else { break }
            let result = PostgresResult(pointer)
            if let error = result.error {
                if failure == nil { failure = self.failure(error) }
            } else {
                results.append(result)
            }
        }
        if let failure { throw failure }
        return results
    }

    private func wait(for events: Int32, _ complaint: String) throws(StoreError) {
        while true {
            var descriptor = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
            let left = deadline - Monitor.now
            guard left > 0 else {
                isBroken = true
                throw .away(complaint)
            }
            let ready = poll(&descriptor, 1, Int32(clamping: left / 1_000_000 + 1))
            if ready > 0 { return }
            if ready < 0, errno != EINTR { throw broken() }
        }
    }

    // MARK: Errors

    private var message: String {
        let text = PQerrorMessage(handle).map { String(cString: $0) } ?? ""
        return text.split(whereSeparator: \.isNewline).map { $0.trimmingSpace }.filter { !$0.isEmpty }.joined(separator: "; ")
    }
    private func refused() -> StoreError {
        isBroken = true
        return .away("cannot connect to PostgreSQL: \(message)")
    }
    private func broken() -> StoreError {
        isBroken = true
        return .away("the connection to PostgreSQL broke: \(message); it may or may not have been written")
    }

    /// SQLSTATE classes as the store's errors (https://www.postgresql.org/docs/15/errcodes-appendix.html).
    private func failure(_ error: PostgresResult.Failure) -> StoreError {
        state = error.state
        switch error.state.prefix(2) {
        case "23": return .conflict
        case "40": return .away("\(error.text) (PostgreSQL \(error.state)); nothing was written")
        case "XX" where error.state != "XX000": return .corrupt("the database is damaged (\(error.text)): stop the nodes and put back a copy")
        case "22": return .corrupt("the database does not take this (\(error.text))")
        case "42" where error.state == "42501": return .away("\(error.text): grant it to the role of the nodes, or let the role own the database")
        case "42", "0A": return .corrupt("the database is not as this release expects (\(error.text))")
        case "57" where error.state == "57014", "55": return .away("\(error.text) (PostgreSQL \(error.state)); nothing was written")
        default:
            // Shutting down, a standby that does not write, no room, no such database: another connection may fare better.
            isBroken = true
            return .away("\(error.text) (PostgreSQL \(error.state))")
        }
    }
}

private extension Substring {
    var trimmingSpace: Substring {
        var rest = self
        while rest.first == " " || rest.first == "\t" { rest.removeFirst() }
        return rest
    }
}
