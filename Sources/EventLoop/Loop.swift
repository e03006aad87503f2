// What a loop is: one thread (or the simulator's turn) on which callbacks, timers and actors run one after another.
import Primitives

/// A serial place to run things, a clock, and timers.
///
/// As a `SerialExecutor` it is what an actor names in `unownedExecutor`:
/// `nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }`;
/// callbacks that already run on the loop enter such an actor by `assumeIsolated`, without a hop.
/// As a `TaskExecutor` it keeps tasks begun by `spawn` on its thread wherever no actor says otherwise.
/// `now` and `wall` may be read from any thread.
package protocol Loop: SerialExecutor, TaskExecutor, TimeSource {
    /// Whether the caller runs on this loop.
    var isCurrent: Bool { get }
    /// Runs `work` on the loop, later. From any thread; first in, first out per sender. Work posted after the loop
    /// has stopped is dropped.
    func post(_ work: @escaping @Sendable () -> Void)
    /// Runs `work` on the loop once `delay` has passed. Call it on the loop.
    @discardableResult
    func schedule(after delay: Duration, _ work: @escaping @Sendable () -> Void) -> TimerToken
}

extension Loop {
    /// The one way to begin a root task in a shell: it and its structured children stay on this loop.
    /// (A bare `Task {}` runs on the global pool and pays two thread switches for each call to an actor here.)
    @discardableResult
    package func spawn(_ operation: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        Task(executorPreference: self) { await operation() }
    }

    /// Runs `work` now when called on the loop, else posts it.
    package func run(_ work: @escaping @Sendable () -> Void) {
        if isCurrent { work() } else { post(work) }
    }

    /// Runs `work` every `interval` from now on, until the returned timer is cancelled. Call it on the loop.
    package func every(_ interval: Duration, _ work: @escaping @Sendable () -> Void) -> RepeatingTimer {
        RepeatingTimer(loop: self, interval: interval, work: work)
    }
}

/// A timer that starts itself again until cancelled. Confined to its loop.
package final class RepeatingTimer: @unchecked Sendable {
    private let loop: any Loop
    private let interval: Duration
    private let work: @Sendable () -> Void
    private var token: TimerToken?
    private var cancelled = false

    init(loop: any Loop, interval: Duration, work: @escaping @Sendable () -> Void) {
        self.loop = loop
        self.interval = interval
        self.work = work
        arm()
    }
    private func arm() {
        token = loop.schedule(after: interval) { [weak self] in
            guard let self, !self.cancelled else { return }
            self.work()
            if !self.cancelled { self.arm() }
        }
    }
    /// Call it on the loop. Dropping the last reference cancels as well.
    package func cancel() {
        cancelled = true
        token?.cancel()
        token = nil
    }
}
