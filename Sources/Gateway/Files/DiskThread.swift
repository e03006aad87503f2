// File reads on a thread of their own: a slow disk must not hold up the control loop.
internal import Glibc
internal import Synchronization
internal import Primitives

/// Runs short pieces of blocking work one after another. Bounded: a full queue refuses.
final class DiskThread: @unchecked Sendable {
    enum Limits { static let queued = 1024 }     // pieces of work
    private struct State {
        var queue = BoundedQueue<@Sendable () -> Void>(capacity: Limits.queued)
        var stopped = false
    }
    private let state = Mutex(State())
    private let wake: UnsafeMutablePointer<sem_t>
    private var thread = pthread_t()

    init(name: String) {
        wake = .allocate(capacity: 1)
        sem_init(wake, 0, 0)
        let status = pthread_create(&thread, nil, { argument in
            Unmanaged<DiskThread>.fromOpaque(argument!).takeRetainedValue().run()
            return nil
        }, Unmanaged.passRetained(self).toOpaque())
        precondition(status == 0, "no thread for file reads: \(status)")
    }
    deinit {
        sem_destroy(wake)
        wake.deallocate()
    }
    /// - Returns: false when too much waits already, or after `stop`; the work was not taken.
    func perform(_ work: @escaping @Sendable () -> Void) -> Bool {
        let taken = state.withLock { !$0.stopped && $0.queue.push(work) }
        if taken { sem_post(wake) }
        return taken
    }
    /// Runs `work` there and comes back with its result.
    func run<Value: Sendable>(_ work: @escaping @Sendable () throws(Failure) -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let taken = perform {
                do { continuation.resume(returning: try work()) } catch { continuation.resume(throwing: error) }
            }
            if !taken { continuation.resume(throwing: Failure(503, "disk_busy", "too many files are being read; try again in a moment")) }
        }
    }
    /// What was taken before is still done; then the thread ends.
    func stop() {
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
