// Carrying out a plan of moves: limited in rate, stopped and resumed at will, telling how far it is.
import EventLoop
import Primitives
import Synchronization

package struct PlanProgress: Equatable, Sendable {
    package enum State: Equatable, Sendable { case running, stopped, done }
    package struct Failure: Equatable, Sendable {
        package var move: PlannedMove
        package var text: String
    }
    package var state = State.stopped
    /// Moves of the plan, those made, and those that failed: what failed stays where it was.
    package var planned: Int
    package var made = 0
    package var failures: [Failure] = []
    package var underWay = 0
    package var left: Int { planned - made - failures.count }
}

/// Safe from any thread. Moves under way when it is stopped are finished.
package final class PlanRun: Sendable {
    package enum Limits {
        /// Moves begun in one second, and under way at once.
        package static let perSecond = 20
        package static let atOnce = 4
        /// One move.
        package static let move = Duration.seconds(10)
    }
    private struct Book {
        var progress: PlanProgress
        var rest: [PlannedMove]
        var watchers: [AsyncStream<PlanProgress>.Continuation] = []
        var isLooping = false
    }
    private let system: ClusterSystem
    private let interval: Duration
    private let atOnce: Int
    private let book: Mutex<Book>

    init(_ system: ClusterSystem, _ plan: [PlannedMove], perSecond: Int, atOnce: Int) {
        self.system = system
        self.atOnce = max(1, atOnce)
        interval = .seconds(1) / max(1, perSecond)
        book = Mutex(Book(progress: PlanProgress(planned: plan.count), rest: plan))
    }
    package var progress: PlanProgress { book.withLock { $0.progress } }
    /// Progress as it is made, the latest only; ends when the plan is done.
    package func updates() -> AsyncStream<PlanProgress> {
        let (stream, continuation) = AsyncStream<PlanProgress>.makeStream(bufferingPolicy: .bufferingNewest(1))
        book.withLock { book in
            continuation.yield(book.progress)
            if book.progress.state == .done { continuation.finish() } else { book.watchers.append(continuation) }
        }
        return stream
    }
    /// Begins, or goes on after `stop`.
    package func resume() {
        let mustLoop = book.withLock { book in
            guard book.progress.state == .stopped else { return false }
            book.progress.state = .running
            defer { book.isLooping = true }
            return !book.isLooping
        }
        if mustLoop { system.loop.spawn { [self] in await loop() } }
    }
    package func stop() { change { if $0.state == .running { $0.state = .stopped } } }

    private func change(_ change: (inout PlanProgress) -> Void) {
        book.withLock { book in
            change(&book.progress)
            for watcher in book.watchers { watcher.yield(book.progress) }
        }
    }
    /// The next move, if one may begin now.
    private func next() -> PlannedMove? {
        book.withLock { book in
            guard book.progress.state == .running, !book.rest.isEmpty, book.progress.underWay < atOnce else { return nil }
            book.progress.underWay += 1
            return book.rest.removeFirst()
        }
    }
    private func loop() async {
        await withTaskGroup(of: Void.self) { group in
            while book.withLock({ $0.progress.state == .running && !$0.rest.isEmpty }) {
                if let move = next() { group.addTask { [self] in await make(move) } } else { await group.next() }
                try? await system.loop.sleep(for: interval)
            }
        }
        end()
    }
    private func make(_ move: PlannedMove) async {
        do {
            _ = try await system.move(kind: move.identity.kind, key: move.identity.key, to: move.to, deadline: Limits.move)
            change { $0.underWay -= 1; $0.made += 1 }
        } catch { change { $0.underWay -= 1; $0.failures.append(.init(move: move, text: "\(error)")) } }
    }
    private func end() {
        let goesOn = book.withLock { book -> Bool in
            book.isLooping = false
            if book.progress.state == .running, !book.rest.isEmpty { book.isLooping = true; return true }
            guard book.rest.isEmpty else { return false }
            book.progress.state = .done
            for watcher in book.watchers {
                watcher.yield(book.progress)
                watcher.finish()
            }
            book.watchers = []
            return false
        }
        if goesOn { system.loop.spawn { [self] in await loop() } }
    }
}
