// The embedded store: one SQLite file, shared by the nodes of one machine.
package import Contracts
internal import Synchronization

/// Keeps rooms, admissions, recordings and claims in one SQLite database (WAL).
///
/// Every call answers within `StoreThread.Limits.answer` or throws `StoreError.away`; nothing on a caller's thread
/// ever waits for the disk. Opening happens at the first call, and again after a failure: a node starts, and goes
/// on, without its store.
package final class SQLiteStore: Sendable {
    private let thread: StoreThread

    /// - Parameter answer: how long a call may take before it fails as `away`.
    package init(path: String, answer: Duration = .seconds(2)) {
        thread = StoreThread(answer: answer) { () throws(StoreError) -> SQLiteConnection in
            let connection = try SQLiteConnection(path: path)
            try Migrations.bring(connection, to: Migrations.all)
            return connection
        }
    }

    /// Whether the database can be opened and read now.
    package func check() async throws(StoreError) {
        try await perform { (connection) throws(StoreError) in _ = try connection.first("SELECT count(*) FROM rooms") { (row) throws(StoreError) in row.integer(0) } }
    }

    /// Answers what was asked before, then closes the file.
    package func close() async {
        await withCheckedContinuation { continuation in thread.close { continuation.resume() } }
    }

    /// Runs `work` on the store's thread.
    func perform<T: Sendable>(_ work: @escaping @Sendable (SQLiteConnection) throws(StoreError) -> T) async throws(StoreError) -> T {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<T, StoreError>, Never>) in
            let answer = Answer(continuation)
            thread.submit(.init(
                run: { connection in
                    do throws(StoreError) {
                        answer.settle(.success(try work(connection)))
                        return nil
                    } catch {
                        answer.settle(.failure(error))
                        return error
                    }
                },
                fail: { answer.settle(.failure($0)) }))
        }
        return try result.get()
    }
}

/// A caller's continuation; the first answer resumes it, later ones are ignored.
private final class Answer<T: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Result<T, StoreError>, Never>?>
    init(_ continuation: CheckedContinuation<Result<T, StoreError>, Never>) { self.continuation = Mutex(continuation) }
    func settle(_ result: Result<T, StoreError>) {
        continuation.withLock { $0.take() }?.resume(returning: result)
    }
}
