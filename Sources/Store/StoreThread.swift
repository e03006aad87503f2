// The thread SQLite runs on, the bounded queue in front of it, and the watch that keeps every wait bounded.
package import Contracts
internal import EventLoop
internal import Glibc
internal import Primitives
internal import Synchronization

/// Runs jobs on one connection, one after another, on a thread of its own.
///
/// A second thread watches deadlines: a job that has not been answered `Limits.answer` after it was submitted fails as
/// `StoreError.away`. Still queued, it is not executed any more; already begun, it may have been written, and the
/// error says so.
package final class StoreThread: @unchecked Sendable {
    package enum Limits {
        /// Jobs waiting; one more is refused as `away`.
        package static let queuedJobs = 1_024
        /// From submission to answer.
        package static let answer: Duration = .seconds(2)
    }
    /// One piece of work. Exactly one of `run` and `fail` reaches the caller; later ones are ignored by its answer.
    package struct Job: Sendable {
        let run: @Sendable (SQLiteConnection) -> StoreError?
        let fail: @Sendable (StoreError) -> Void
        fileprivate var deadline: Int64 = 0
        package init(run: @escaping @Sendable (SQLiteConnection) -> StoreError?, fail: @escaping @Sendable (StoreError) -> Void) {
            self.run = run
            self.fail = fail
        }
    }

    private let open: @Sendable () throws(StoreError) -> SQLiteConnection
    private let answerNanoseconds: Int64
    private let monitor = Monitor()
    // Under `monitor`:
    private var queue = BoundedQueue<Job>(capacity: Limits.queuedJobs)
    private var running: Job?
    private var isClosed = false
    private var threads = 0
    private var onEnd: [@Sendable () -> Void] = []

    package init(answer: Duration = Limits.answer, open: @escaping @Sendable () throws(StoreError) -> SQLiteConnection) {
        self.open = open
        answerNanoseconds = answer.inNanoseconds
        threads = 2
        start { $0.work() }
        start { $0.watch() }
    }

    package func submit(_ job: Job) {
        var job = job
        job.deadline = Monitor.now + answerNanoseconds
        let refusal: StoreError? = monitor.locked {
            if isClosed { return .away("the store is closed") }
            guard queue.push(job) else { return .away("\(Limits.queuedJobs) requests wait for the store already") }
            monitor.wakeAll()
            return nil
        }
        if let refusal { job.fail(refusal) }
    }

    /// Answers what is queued, closes the connection, ends both threads, then calls `done`.
    package func close(_ done: @escaping @Sendable () -> Void) {
        let ended = monitor.locked {
            isClosed = true
            monitor.wakeAll()
            if threads > 0 { onEnd.append(done) }
            return threads == 0
        }
        if ended { done() }
    }

    // MARK: The two threads

    private func start(_ body: @escaping @Sendable (StoreThread) -> Void) {
        final class Entry { let run: () -> Void; init(_ run: @escaping () -> Void) { self.run = run } }
        var thread = pthread_t()
        let entry = Unmanaged.passRetained(Entry { [self] in
            body(self)
            ended()
        })
        let code = pthread_create(&thread, nil, { argument in
            if let argument { Unmanaged<Entry>.fromOpaque(argument).takeRetainedValue().run() }
            return nil
        }, entry.toOpaque())
        precondition(code == 0, "the system gives no more threads (\(code))")
        pthread_detach(thread)
    }

    private func ended() {
        let waiting = monitor.locked { () -> [@Sendable () -> Void] in
            threads -= 1
            guard threads == 0 else { return [] }
            defer { onEnd = [] }
            return onEnd
        }
        for done in waiting { done() }
    }

    private func work() {
        var connection: SQLiteConnection?
        while let job = next() {
            if connection == nil {
                do throws(StoreError) { connection = try open() } catch { job.fail(error) }
            }
            if let current = connection, case .away? = job.run(current) {
                // A file system that came back may need a fresh handle.
                connection = nil
            }
            monitor.locked { running = nil }
        }
        connection = nil
    }

    private func next() -> Job? {
        monitor.locked {
            while queue.isEmpty, !isClosed { monitor.wait() }
            running = queue.pop()
            monitor.wakeAll()
            return running
        }
    }

    private func watch() {
        while let late = nextLate() {
            late.job.fail(.away(late.begun
                ? "no answer in \(Duration.nanoseconds(answerNanoseconds)); it may or may not have been written"
                : "no answer in \(Duration.nanoseconds(answerNanoseconds)); it was not begun"))
        }
    }

    /// Waits for the next job past its deadline. Jobs are first in, first out with one limit, so the oldest is due first.
    private func nextLate() -> (job: Job, begun: Bool)? {
        monitor.locked {
            while true {
                if isClosed, queue.isEmpty, running == nil { return nil }
                let now = Monitor.now
                if let job = running, job.deadline <= now {
                    running?.deadline = .max
                    return (job, true)
                }
                if let first = queue.first, first.deadline <= now, let job = queue.pop() { return (job, false) }
                let due = min(running?.deadline ?? .max, queue.first?.deadline ?? .max)
                monitor.wait(until: due == .max ? nil : due)
            }
        }
    }
}
