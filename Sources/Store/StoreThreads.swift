// The threads database connections live on, the bounded queue in front of them, and the watch that keeps every wait bounded.
package import Contracts
internal import EventLoop
internal import Glibc
internal import Primitives
internal import Synchronization

/// Runs jobs in the order they were asked, each on one of a few connections with a thread of its own each.
///
/// One more thread watches deadlines: a job that has not been answered `Limits.answer` after it was submitted fails as
/// `StoreError.away`. Still queued, it is not executed any more; already begun, it may have been written, and the
/// error says so.
package final class StoreThreads: @unchecked Sendable {
    package enum Limits {
        /// Jobs waiting; one more is refused as `away`.
        package static let queuedJobs = 1_024
        /// From submission to answer.
        package static let answer: Duration = .seconds(2)
        /// Pause after a connection that could not be opened, doubled each time up to the longest; jobs fail at once meanwhile.
        package static let firstPause: Duration = .milliseconds(50)
        package static let longestPause: Duration = .seconds(1)
    }
    /// One piece of work. Exactly one of `run` and `fail` reaches the caller; later ones are ignored by its answer.
    package struct Job: Sendable {
        let run: @Sendable (any SQLConnection) -> Void
        let fail: @Sendable (StoreError) -> Void
        fileprivate var deadline: Int64 = 0
        package init(run: @escaping @Sendable (any SQLConnection) -> Void, fail: @escaping @Sendable (StoreError) -> Void) {
            self.run = run
            self.fail = fail
        }
    }
    /// Makes a connection, in bounded time.
    package typealias Open = @Sendable () throws(StoreError) -> any SQLConnection
    /// Why connections are not opened for a while.
    private struct Refusal { var error: StoreError; var until: Int64; var pause: Int64 }

    private let open: Open
    private let answerNanoseconds: Int64
    private let monitor = Monitor()
    // Under `monitor`:
    private var queue = BoundedQueue<Job>(capacity: Limits.queuedJobs)
    private var running: [Job?]
    private var refusal: Refusal?
    private var isClosed = false
    private var threads: Int
    private var onEnd: [@Sendable () -> Void] = []

    package init(connections: Int = 1, answer: Duration = Limits.answer, open: @escaping Open) {
        self.open = open
        answerNanoseconds = answer.inNanoseconds
        running = Array(repeating: nil, count: connections)
        threads = connections + 1
        for index in 0..<connections { start { $0.work(index) } }
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

    /// Answers what is queued, closes the connections, ends the threads, then calls `done`.
    package func close(_ done: @escaping @Sendable () -> Void) {
        let ended = monitor.locked {
            isClosed = true
            monitor.wakeAll()
            if threads > 0 { onEnd.append(done) }
            return threads == 0
        }
        if ended { done() }
    }

    // MARK: Threads

    private func start(_ body: @escaping @Sendable (StoreThreads) -> Void) {
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

    private func work(_ index: Int) {
        var connection: (any SQLConnection)?
        while let job = next(index) {
            do throws(StoreError) {
                let current = if let connection, connection.isUsable { connection } else { try connect() }
                connection = current
                guard Monitor.now < job.deadline else { throw overdue(begun: false) }
                current.deadline = job.deadline
                job.run(current)
            } catch {
                job.fail(error)
            }
            monitor.locked { running[index] = nil }
        }
    }

    /// While the database refuses, nobody waits for it and it is not asked more often than the pause allows.
    private func connect() throws(StoreError) -> any SQLConnection {
        if let refusal = monitor.locked({ refusal }), refusal.until > Monitor.now { throw refusal.error }
        do throws(StoreError) {
            let connection = try open()
            monitor.locked { refusal = nil }
            return connection
        } catch {
            monitor.locked {
                let pause = refusal.map { min($0.pause * 2, Limits.longestPause.inNanoseconds) } ?? Limits.firstPause.inNanoseconds
                refusal = Refusal(error: error, until: Monitor.now + pause, pause: pause)
            }
            throw error
        }
    }

    private func next(_ index: Int) -> Job? {
        monitor.locked {
            while queue.isEmpty, !isClosed { monitor.wait() }
            running[index] = queue.pop()
            monitor.wakeAll()
            return running[index]
        }
    }

    private func watch() {
        while let late = nextLate() { late.job.fail(overdue(begun: late.begun)) }
    }
    private func overdue(begun: Bool) -> StoreError {
        .away("no answer in \(Duration.nanoseconds(answerNanoseconds)); \(begun ? "it may or may not have been written" : "it was not begun")")
    }

    /// Waits for the next job past its deadline. The queue is first in, first out with one limit, so its oldest is due first.
    private func nextLate() -> (job: Job, begun: Bool)? {
        monitor.locked {
            while true {
                if isClosed, queue.isEmpty, running.allSatisfy({ $0 == nil }) { return nil }
                let now = Monitor.now
                for index in running.indices {
                    guard let job = running[index], job.deadline <= now else { continue }
                    running[index]?.deadline = .max
                    return (job, true)
                }
                if let first = queue.first, first.deadline <= now, let job = queue.pop() { return (job, false) }
                let due = min(running.reduce(.max) { min($0, $1?.deadline ?? .max) }, queue.first?.deadline ?? .max)
                monitor.wait(until: due == .max ? nil : due)
            }
        }
    }
}
