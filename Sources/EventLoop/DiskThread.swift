// Work on files on a thread of its own: a slow disk must not hold up a loop.
import Glibc
import Primitives
import Synchronization

/// Runs short pieces of blocking work one after another. Bounded: a full queue refuses.
package final class DiskThread: @unchecked Sendable {
    package enum Limits { package static let queued = 1024 }     // pieces of work
    /// So much waits already, or it has stopped: the work was not taken.
    package struct Busy: Error, Sendable { package init() {} }
    private struct State {
        var queue = BoundedQueue<@Sendable () -> Void>(capacity: Limits.queued)
        var stopped = false
    }
    private let state = Mutex(State())
    private let wake: UnsafeMutablePointer<sem_t>
    private var thread = pthread_t()

    package init(name: String) {
        wake = .allocate(capacity: 1)
        sem_init(wake, 0, 0)
        let status = pthread_create(&thread, nil, { argument in
            Unmanaged<DiskThread>.fromOpaque(argument!).takeRetainedValue().run()
            return nil
        }, Unmanaged.passRetained(self).toOpaque())
        precondition(status == 0, "no thread `\(name)` for files: \(status)")
    }
    deinit {
        sem_destroy(wake)
        wake.deallocate()
    }
    package func perform(_ work: @escaping @Sendable () -> Void) -> Bool {
        let taken = state.withLock { !$0.stopped && $0.queue.push(work) }
        if taken { sem_post(wake) }
        return taken
    }
    /// Runs `work` there and comes back with its result, or with `Busy`.
    package func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let taken = perform {
                do { continuation.resume(returning: try work()) } catch { continuation.resume(throwing: error) }
            }
            if !taken { continuation.resume(throwing: Busy()) }
        }
    }
    /// What was taken before is still done; then the thread ends.
    package func stop() {
        let first = state.withLock { state in
            defer { state.stopped = true }
            return !state.stopped
        }
        guard first else { return }
        sem_post(wake)
        pthread_detach(thread)
    }
    private func run() {
        while true {
            while sem_wait(wake) != 0 {}
            let work = state.withLock { state in state.queue.pop() }
            if let work { work() } else if state.withLock({ $0.stopped }) { return }
        }
    }
}
