// The loop as executor: order, threads, timers, deadlines, end.
import EventLoop
import Primitives
import Synchronization
import Testing

/// A loop on its own thread for the length of one test.
func withLoop<R>(_ body: (UVLoop) async throws -> R) async throws -> R {
    let loop = try UVLoop(name: "test")
    loop.start()
    let result: R
    do { result = try await body(loop) } catch {
        loop.stop()
        loop.join()
        throw error
    }
    loop.stop()
    loop.join()
    return result
}

extension Loop {
    /// Runs `body` on the loop and waits for its result.
    func call<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            post { continuation.resume(with: Result { try body() }) }
        }
    }
}

final class Log<Element: Sendable>: Sendable {
    private let items = Mutex<[Element]>([])
    func append(_ item: Element) { items.withLock { $0.append(item) } }
    var all: [Element] { items.withLock { $0 } }
}

/// A number several threads count up.
final class Tally: Sendable {
    private let count = Atomic<Int>(0)
    @discardableResult func increment(by n: Int = 1) -> Int { count.add(n, ordering: .relaxed).newValue }
    var value: Int { count.load(ordering: .relaxed) }
}

/// A place for one value that closures share.
final class Held<Value: Sendable>: Sendable {
    private let state = Mutex<Value?>(nil)
    func set(_ value: Value) { state.withLock { $0 = value } }
    func take() -> Value? { state.withLock { $0.take() } }
    var value: Value? { state.withLock { $0 } }
}

/// Opens once; waiting before or after is the same.
final class Gate: Sendable {
    private let once = OneAnswer<Void>()
    func signal() { once.answer(.success(())) }
    func wait() async { try? await withCheckedThrowingContinuation { once.open($0) } }
}

actor Counter {
    let loop: UVLoop
    var value = 0
    init(loop: UVLoop) { self.loop = loop }
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    func add(_ n: Int) -> Bool { value += n; return loop.isCurrent }
    func nested(_ other: Counter) async -> Bool { await other.add(1) && loop.isCurrent }
}

@Suite struct LoopTests {
    @Test func postedWorkRunsInOrderOnTheLoop() async throws {
        try await withLoop { loop in
            let log = Log<Int>()
            for i in 0..<10_000 { loop.post { log.append(i) } }
            let onLoop = try await loop.call { loop.isCurrent }
            #expect(onLoop)
            #expect(!loop.isCurrent)
            #expect(log.all == Array(0..<10_000))
        }
    }

    @Test func workPostedFromManyThreadsAllArrives() async throws {
        try await withLoop { loop in
            let count = Tally()
            let senders = (0..<8).map { _ in
                Task.detached { for _ in 0..<5000 { loop.post { count.increment() } } }
            }
            for sender in senders { await sender.value }
            try await loop.call {}
            #expect(count.value == 40_000)
        }
    }

    @Test func actorsRunOnTheirLoop() async throws {
        try await withLoop { loop in
            let a = Counter(loop: loop), b = Counter(loop: loop)
            #expect(await a.add(2))
            #expect(await a.nested(b))
            let entered = try await loop.call { a.assumeIsolated { $0.value } }
            #expect(entered == 2)
        }
    }

    @Test func actorsOfTwoLoopsCallEachOther() async throws {
        try await withLoop { first in
            try await withLoop { second in
                let a = Counter(loop: first), b = Counter(loop: second)
                for _ in 0..<500 { #expect(await a.nested(b)) }
                #expect(await b.value == 500)
            }
        }
    }

    @Test func spawnedTasksAndTheirChildrenStay() async throws {
        try await withLoop { loop in
            let task = Task(executorPreference: nil) {
                await withCheckedContinuation { continuation in
                    loop.spawn {
                        var stayed = loop.isCurrent
                        await Task.yield()
                        stayed = stayed && loop.isCurrent
                        async let child = loop.isCurrent
                        stayed = await child && stayed
                        continuation.resume(returning: stayed)
                    }
                }
            }
            #expect(await task.value)
        }
    }

    @Test func timersFireInOrderOfTheirDeadlines() async throws {
        try await withLoop { loop in
            let log = Log<String>()
            let started = loop.now
            try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
                loop.post {
                    loop.schedule(after: .milliseconds(20)) { log.append("20"); done.resume() }
                    loop.schedule(after: .milliseconds(5)) { log.append("5a") }
                    loop.schedule(after: .milliseconds(5)) { log.append("5b") }
                    let cancelled = loop.schedule(after: .milliseconds(1)) { log.append("never") }
                    loop.schedule(after: .zero) { log.append("0") }
                    cancelled.cancel()
                    cancelled.cancel()
                }
            }
            #expect(log.all == ["0", "5a", "5b", "20"])
            #expect(loop.now - started >= .milliseconds(20))
        }
    }

    @Test func sleepEndsByTimeAndByCancellation() async throws {
        try await withLoop { loop in
            let started = loop.now
            try await loop.sleep(for: .milliseconds(10))
            #expect(loop.now - started >= .milliseconds(10))
            let sleeper = Task { try await loop.sleep(for: .seconds(3600)) }
            sleeper.cancel()
            await #expect(throws: CancellationError.self) { try await sleeper.value }
        }
    }

    @Test func deadlines() async throws {
        try await withLoop { loop in
            let answer = try await loop.withDeadline(.seconds(60)) { 42 }
            #expect(answer == 42)
            await #expect(throws: DeadlineExceeded(after: .milliseconds(5))) {
                try await loop.withDeadline(.milliseconds(5)) { try await loop.sleep(for: .seconds(3600)) }
            }
            // An operation that never looks at its cancellation is not waited for.
            await #expect(throws: DeadlineExceeded(after: .milliseconds(5))) {
                try await loop.withDeadline(.milliseconds(5)) { while true { await Task.yield() ; if loop.now.nanoseconds < 0 { break } ; if Task.isCancelled { try? await loop.sleep(for: .zero); break } } }
            }
            struct Refused: Error, Equatable {}
            await #expect(throws: Refused()) { try await loop.withDeadline(.seconds(60)) { throw Refused() } }
        }
    }

    @Test func repeatingTimerRunsUntilCancelled() async throws {
        try await withLoop { loop in
            let runs = Tally()
            let held = Held<RepeatingTimer>()
            await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
                loop.post {
                    let timer = loop.every(.milliseconds(1)) {
                        guard runs.increment() == 3 else { return }
                        held.take()?.cancel()
                        loop.schedule(after: .milliseconds(10)) { done.resume() }
                    }
                    held.set(timer)
                }
            }
            #expect(runs.value == 3)
        }
    }

    @Test func stoppedLoopDropsWhatStillComes() async throws {
        let loop = try UVLoop(name: "ending")
        let ran = Tally()
        loop.post { ran.increment() }
        loop.start()
        loop.stop()
        loop.join()
        loop.post { ran.increment() }
        loop.stop()
        #expect(ran.value == 1)
    }

    @Test func prepareHookRunsAfterTheJobsOfItsTurn() async throws {
        try await withLoop { loop in
            let log = Log<String>()
            await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
                loop.post {
                    let hook = Held<Int>()
                    log.append("job")
                    let id = loop.onPrepare { log.append("flush"); done.resume(); loop.removePrepareHook(hook.take()!) }
                    hook.set(id)
                    loop.post { log.append("job it made") }
                }
            }
            #expect(log.all == ["job", "job it made", "flush"])
        }
    }
}

@Suite struct TimerHeapTests {
    @Test func randomSchedulesComeOutSorted() {
        var random = SplitMix64(seed: 7)
        let heap = TimerHeap(), log = Log<Int64>()
        var tokens: [(TimerToken, Int64)] = []
        for _ in 0..<2000 {
            let at = Int64(random.next() % 500)
            tokens.append((heap.schedule(at: Instant(nanoseconds: at)) { log.append(at) }, at))
        }
        var expected: [Int64] = []
        for (token, at) in tokens { if random.next() % 3 == 0 { token.cancel() } else { expected.append(at) } }
        #expect(heap.count == expected.count)
        #expect(heap.takeDue(now: Instant(nanoseconds: -1)) == nil)
        while let work = heap.takeDue(now: Instant(nanoseconds: 500)) { work() }
        #expect(log.all == expected.sorted())
        #expect(heap.deadline == nil)
        #expect(tokens.allSatisfy { !$0.0.isPending })
    }
}
