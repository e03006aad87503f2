import EventLoop
import Glibc
import Primitives
import Synchronization
import Testing

@testable import Node

@Suite struct MediaWatchdogTests {
    @Test func onlyManyTicksWithoutAnAnswerAreAStall() {
        var watch = StallWatch()
        #expect(watch.tick() == .ask)
        for _ in 1..<StallWatch.Limits.patience { #expect(watch.tick() == .wait) }
        watch.answered()
        #expect(watch.tick() == .ask)
        for _ in 1..<StallWatch.Limits.patience { #expect(watch.tick() == .wait) }
        #expect(watch.tick() == .stalled && watch.tick() == .wait, "told once")
    }

    /// One of two loops hangs in a system call.
    @Test func theLoopThatHangsIsNamed() async throws {
        let control = try UVLoop(name: "control"), media = try (0..<2).map { try UVLoop(name: "media-\($0)") }
        for loop in [control] + media { loop.start() }
        let stalled = Stalls(), hangs = Latch()
        let watchdog = MediaWatchdog(control: control, loops: media) { stalled.add($0) }
        control.run { watchdog.start() }
        media[1].post { hangs.wait() }
        while stalled.all.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
        #expect(stalled.all == [1])
        hangs.open()
        control.run { watchdog.stop() }
        for loop in media + [control] {
            loop.stop()
            loop.join()
        }
    }
}

private final class Stalls: Sendable {
    private let loops = Mutex<[Int]>([])
    var all: [Int] { loops.withLock { $0 } }
    func add(_ index: Int) { loops.withLock { $0.append(index) } }
}
/// Holds a thread until it is opened.
private final class Latch: @unchecked Sendable {
    private let semaphore: UnsafeMutablePointer<sem_t>
    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }
    deinit { semaphore.deallocate() }
    func wait() { while sem_wait(semaphore) != 0 {} }
    func open() { sem_post(semaphore) }
}
