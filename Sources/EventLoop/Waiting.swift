// Waiting with an end: sleep and deadlines by a loop's own timers (`Task.sleep` would leave the loop twice).
import Primitives
import Synchronization

/// What `withDeadline` throws when time is up. The operation was told to cancel; whether it still runs is unknown.
package struct DeadlineExceeded: Error, Equatable, CustomStringConvertible {
    package let after: Duration
    package init(after: Duration) { self.after = after }
    package var description: String { "no answer within \(after)" }
}

extension Loop {
    /// Suspends for `duration` by the loop's clock.
    /// - Throws: `CancellationError` as soon as the task is cancelled.
    package func sleep(for duration: Duration) async throws {
        let once = OneAnswer<Void>()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                once.open(continuation)
                self.run {
                    guard !once.isAnswered else { return }
                    let token = self.schedule(after: duration) { once.answer(.success(())) }
                    once.atEnd { self.run { token.cancel() } }
                }
            }
        } onCancel: {
            once.answer(.failure(CancellationError()))
        }
    }

    /// Runs `operation` as a task of this loop and waits at most `duration` for it; then the task is cancelled and
    /// `DeadlineExceeded` thrown at once, even where the operation does not heed cancellation.
    package func withDeadline<Value: Sendable>(
        _ duration: Duration, _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let once = OneAnswer<Value>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
                once.open(continuation)
                let task = self.spawn {
                    do { once.answer(.success(try await operation())) } catch { once.answer(.failure(error)) }
                }
                once.atEnd { task.cancel() }
                self.run {
                    guard !once.isAnswered else { return }
                    let token = self.schedule(after: duration) { once.answer(.failure(DeadlineExceeded(after: duration))) }
                    once.atEnd { self.run { token.cancel() } }
                }
            }
        } onCancel: {
            once.answer(.failure(CancellationError()))
        }
    }
}

/// A continuation that several sides may answer; the first one counts. Safe from any thread.
package final class OneAnswer<Value: Sendable>: Sendable {
    private struct State {
        var continuation: CheckedContinuation<Value, any Error>?
        var early: Result<Value, any Error>?
        var answered = false
        var atEnd: [@Sendable () -> Void] = []
    }
    private let state = Mutex(State())
    package init() {}

    package var isAnswered: Bool { state.withLock { $0.answered } }

    /// Gives the continuation; an answer that came before is delivered at once.
    package func open(_ continuation: CheckedContinuation<Value, any Error>) {
        let early = state.withLock { state -> Result<Value, any Error>? in
            if state.early == nil { state.continuation = continuation }
            return state.early.take()
        }
        if let early { continuation.resume(with: early) }
    }
    /// - Returns: whether this answer was the one that counted.
    @discardableResult
    package func answer(_ result: Result<Value, any Error>) -> Bool {
        let (won, continuation, ends) = state.withLock { state -> (Bool, CheckedContinuation<Value, any Error>?, [@Sendable () -> Void]) in
            guard !state.answered else { return (false, nil, []) }
            state.answered = true
            if state.continuation == nil { state.early = result }
            let ends = state.atEnd
            state.atEnd = []
            return (true, state.continuation.take(), ends)
        }
        guard won else { return false }
        for end in ends { end() }
        continuation?.resume(with: result)
        return true
    }
    /// `end` runs once the question is answered: at once when it already is.
    package func atEnd(_ end: @escaping @Sendable () -> Void) {
        let now = state.withLock { state -> Bool in
            if !state.answered { state.atEnd.append(end) }
            return state.answered
        }
        if now { end() }
    }
}
