// What callers see when the database is locked, hung, damaged, newer, or not to be had: a bounded wait and a typed error.
import Contracts
import Glibc
import Primitives
import Store
import Synchronization
import Testing

private func isAway(_ error: (any Error)?) -> Bool {
    if case .away? = error as? StoreError { return true }
    return false
}
private func isCorrupt(_ error: (any Error)?) -> Bool {
    if case .corrupt? = error as? StoreError { return true }
    return false
}

@Suite struct SQLiteFailures {
    let folder = TemporaryFolder()

    @Test func filesAreTheOwnersOnly() async throws {
        let store = SQLStore(sqlite: "\(folder.path)/deep/er/troupe.db")
        try await store.insert(Sample.room(), host: Sample.admission())
        #expect(folder.permissions("deep/er/troupe.db") == 0o600)
        #expect(folder.permissions("deep/er/troupe.db-wal") == 0o600)
        #expect(folder.permissions("deep") == 0o700)
        await store.close()
    }

    @Test func aPlaceThatCannotBeWrittenIsAway() async throws {
        let store = SQLStore(sqlite: "/proc/nowhere/troupe.db")
        #expect(isAway(await #expect(throws: StoreError.self) { try await store.check() }))
        await store.close()
    }

    @Test func aDamagedFileIsNamedAndKept() async throws {
        let file = fopen(folder.database, "w")
        fputs(String(repeating: "this is no database. ", count: 400), file)
        fclose(file)
        let store = SQLStore(sqlite: folder.database)
        #expect(isCorrupt(await #expect(throws: StoreError.self) { try await store.room("room-a") }))
        await store.close()
    }

    @Test func aNewerReleasesFileIsRefused() async throws {
        let connection = try SQLiteConnection(path: folder.database)
        try connection.execute("PRAGMA user_version = 4096")
        let store = SQLStore(sqlite: folder.database)
        #expect(isCorrupt(await #expect(throws: StoreError.self) { try await store.room("room-a") }))
        await store.close()
    }

    @Test func aLockHeldByAnotherProcessIsAwayInTimeAndOverWhenItIsGone() async throws {
        let patient = SQLStore(sqlite: folder.database)
        try await patient.insert(Sample.room(), host: Sample.admission())
        await patient.close()
        let store = SQLStore(sqlite: folder.database, answer: .milliseconds(200))
        let other = try SQLiteConnection(path: folder.database)
        try other.execute("BEGIN IMMEDIATE")
        // The caller's own limit answers, not SQLite's.
        let refused = await error { try await store.admit(Sample.admission("room-a", "p-2", role: .guest)) }
        #expect(isAway(refused) && "\(refused!)".contains("no answer in 0.2 seconds"))
        try other.execute("COMMIT")
        // Whatever became of the late write, the same admission again is the same one.
        while isAway(await error { try await store.admit(Sample.admission("room-a", "p-2", role: .guest)) }) {}
        #expect(try await store.admission(room: "room-a", participant: "p-2")?.role == .guest)
        await store.close()
    }

    private func error(_ body: () async throws -> Void) async -> (any Error)? {
        do { try await body(); return nil } catch { return error }
    }
}

@Suite(.timeLimit(.minutes(2))) struct StoreQueues {
    let folder = TemporaryFolder()

    /// Submits a job and waits for its verdict: nil when it ran.
    private func submit(_ thread: StoreThreads, _ body: @escaping @Sendable () -> Void = {}) async -> StoreError? {
        await withCheckedContinuation { continuation in
            let once = Mutex<CheckedContinuation<StoreError?, Never>?>(continuation)
            thread.submit(.init(
                run: { _ in body(); once.withLock { $0.take() }?.resume(returning: nil) },
                fail: { error in once.withLock { $0.take() }?.resume(returning: error) }))
        }
    }

    @Test func aHungDiskFailsTheRunningJobAndNeverBeginsTheOverdueOnes() async throws {
        let path = folder.database
        let thread = StoreThreads(answer: .milliseconds(100)) { () throws(StoreError) in try SQLiteConnection(path: path) }
        let gate = Gate(), executed = Atomic<Int>(0)
        // On a busy machine one may be overdue before the thread comes to it: then the next one is the one that hangs.
        var verdict = "not begun"
        while verdict.contains("not begun") {
            guard case .away(let text)? = await submit(thread, { gate.wait() }) else { Issue.record("the hung job must fail"); return }
            verdict = text
        }
        #expect(verdict.contains("may or may not"))
        guard case .away(let late)? = await submit(thread, { executed.add(1, ordering: .relaxed) }) else { Issue.record("the queued job must fail"); return }
        #expect(late.contains("not begun"))
        gate.open()
        while let failure = await submit(thread) {
            guard case .away(let text) = failure, text.contains("not begun") else { Issue.record("it goes on once the disk answers: \(failure)"); return }
        }
        #expect(executed.load(ordering: .relaxed) == 0)
        await withCheckedContinuation { continuation in thread.close { continuation.resume() } }
    }

    @Test func theQueueIsBounded() async throws {
        let path = folder.database
        let thread = StoreThreads(answer: .seconds(30)) { () throws(StoreError) in try SQLiteConnection(path: path) }
        let gate = Gate(), began = Gate()
        thread.submit(.init(run: { _ in began.open(); gate.wait() }, fail: { _ in }))
        await began.opened()
        let failures = Mutex<[StoreError]>([])
        for _ in 0..<(StoreThreads.Limits.queuedJobs + 3) {
            thread.submit(.init(run: { _ in }, fail: { error in failures.withLock { $0.append(error) } }))
        }
        #expect(failures.withLock { $0.count } == 3)
        gate.open()
        await withCheckedContinuation { continuation in thread.close { continuation.resume() } }
        #expect(isAway(await submit(thread)), "closed refuses")
    }
}

/// A gate one thread waits at until another opens it.
private final class Gate: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let waiters = Mutex<(open: Bool, [CheckedContinuation<Void, Never>])>((false, []))
    init() { sem_init(semaphore, 0, 0) }
    func wait() { while sem_wait(semaphore) != 0 {} }
    func open() {
        sem_post(semaphore)
        for waiter in waiters.withLock({ state in state.open = true; defer { state.1 = [] }; return state.1 }) { waiter.resume() }
    }
    func opened() async {
        await withCheckedContinuation { continuation in
            let already = waiters.withLock { state in
                if !state.open { state.1.append(continuation) }
                return state.open
            }
            if already { continuation.resume() }
        }
    }
}
