// The store: every protocol of Contracts and Cluster over one relational database.
package import Contracts
internal import Primitives
internal import Synchronization

/// Keeps rooms, admissions, recordings, claims and events in one SQLite file (WAL) or one PostgreSQL database.
///
/// Statements are written once for both, so that both mean the same. Every call answers within `StoreThreads.Limits.answer`
/// or throws `StoreError.away`; nothing on a caller's thread ever waits for a disk or a server. Opening happens at the
/// first call, and again after a failure: a node starts, and goes on, without its store.
package final class SQLStore: Sendable {
    let threads: StoreThreads
    let appends: AppendGroup

    package init(_ threads: StoreThreads, answer: Duration = StoreThreads.Limits.answer) {
        self.threads = threads
        appends = AppendGroup(threads, answer: answer)
    }

    /// - Parameter answer: how long a call may take before it fails as `away`.
    package convenience init(sqlite path: String, answer: Duration = StoreThreads.Limits.answer) {
        self.init(StoreThreads(answer: answer) { () throws(StoreError) in
            let connection = try SQLiteConnection(path: path)
            try SQLiteMigrations.bring(connection, to: SQLiteMigrations.all)
            return connection
        }, answer: answer)
    }

    package enum Limits {
        /// Connections of one node to a PostgreSQL server. Appends of events use one at most, so claims always find another.
        package static let postgresConnections = 3
    }
    /// - Parameter url: asked for again with every connection, so that a password can be changed while the node runs.
    package convenience init(postgres url: @escaping @Sendable () throws(StoreError) -> PostgresURL, answer: Duration = StoreThreads.Limits.answer) {
        let failures = Mutex(0)
        self.init(StoreThreads(connections: Limits.postgresConnections, answer: answer) { () throws(StoreError) in
            do throws(StoreError) {
                let connection = try PostgresConnection(try url(), attempt: failures.withLock { $0 }, answer: answer)
                try PostgresMigrations.bring(connection, to: PostgresMigrations.all)
                return connection
            } catch {
                failures.withLock { $0 &+= 1 }
                throw error
            }
        }, answer: answer)
    }

    /// Whether the database can be opened and read now.
    package func check() async throws(StoreError) {
        try await perform { (connection) throws(StoreError) in _ = try connection.first("SELECT count(*) FROM rooms") { (row) throws(StoreError) in row.integer(0) } }
    }

    /// Answers what was asked before, then closes the connections.
    package func close() async {
        await withCheckedContinuation { continuation in threads.close { continuation.resume() } }
    }

    /// Runs `work` on one of the store's threads.
    func perform<T: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws(StoreError) -> T) async throws(StoreError) -> T {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<T, StoreError>, Never>) in
            let answer = Answer(continuation)
            threads.submit(.init(
                run: { connection in
                    do throws(StoreError) { answer.settle(.success(try work(connection))) } catch { answer.settle(.failure(error)) }
                },
                fail: { answer.settle(.failure($0)) }))
        }
        return try result.get()
    }
}

/// A caller's continuation; the first answer resumes it, later ones are ignored.
final class Answer<T: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Result<T, StoreError>, Never>?>
    init(_ continuation: CheckedContinuation<Result<T, StoreError>, Never>) { self.continuation = Mutex(continuation) }
    func settle(_ result: Result<T, StoreError>) {
        continuation.withLock { $0.take() }?.resume(returning: result)
    }
}
