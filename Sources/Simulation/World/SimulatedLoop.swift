// A node's loop in virtual time: the same interface as libuv's, driven by the world's queue.
import EventLoop
import Primitives

/// One life of one node's loop. It may be stalled (what comes meanwhile waits, in order) and killed (it drops everything
/// for ever, as a killed process; tasks of its actors stay suspended).
package final class SimulatedLoop: Loop, @unchecked Sendable {
    package enum State: Equatable, Sendable { case running, stalled, dead }

    package let name: String
    let number: UInt32
    private unowned let world: World
    package var clock: SimulatedClock
    package private(set) var state = State.running
    private let timers = TimerHeap()
    private var alarmAt: Int64?
    private var waiting: [World.Item] = []
    /// The machine's UDP ports; none for the stage.
    package var ports: DatagramPorts?
    package private(set) var jobsRun: UInt64 = 0
    private var prepareHooks: [@Sendable () -> Void] = []
    private var prepareIsDue = false
    /// How often it was stalled: a deadline missed by someone who could not look is nobody's fault.
    package private(set) var stalledFor: Int64 = 0
    private var stalledSince: Int64 = 0

    init(_ world: World, name: String, clock: SimulatedClock) {
        self.world = world
        self.name = name
        self.clock = clock
        number = world.nextLoop()
    }

    // MARK: Clock

    package var now: Instant { clock.monotonic(world.now) }
    package var wall: WallTime { clock.wall(world.now) }

    // MARK: Executor

    package var isCurrent: Bool { world.current === self }
    package func checkIsolated() { precondition(isCurrent, "not on loop \(name)") }
    package func isIsolatingCurrentContext() -> Bool? { isCurrent }
    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
    package func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }
    package func enqueue(_ job: consuming ExecutorJob) { world.push(.job(UnownedJob(job)), on: self) }
    package func post(_ work: @escaping @Sendable () -> Void) { world.push(.call(work), on: self) }

    // MARK: Timers

    @discardableResult
    package func schedule(after delay: Duration, _ work: @escaping @Sendable () -> Void) -> TimerToken {
        let token = timers.schedule(at: now + max(delay, .zero), work)
        arm()
        return token
    }
    package func reusableTimer(_ work: @escaping @Sendable () -> Void) -> TimerToken { timers.reusable(work) }
    package func setTimer(_ timer: TimerToken, to deadline: Instant?) {
        timers.set(timer, to: deadline)
        arm()
    }
    @discardableResult
    package func onPrepare(_ work: @escaping @Sendable () -> Void) -> Int {
        prepareHooks.append(work)
        return prepareHooks.count
    }
    private func arm() {
        guard let deadline = timers.deadline, deadline != .distantFuture else { return }
        let due = clock.world(deadline)
        if let alarmAt, alarmAt <= due { return }
        alarmAt = due
        world.push(.alarm, at: due, on: self)
    }
    private func ring() {
        alarmAt = nil
        let start = now
        while state == .running, let work = timers.takeDue(now: start) { work() }
        arm()
    }

    // MARK: Running

    func take(_ item: World.Item) {
        switch state {
        case .dead: return world.bury(item.work)
        case .stalled: return waiting.append(item)
        case .running: break
        }
        let outer = world.entering(self)
        defer { _ = world.entering(outer) }
        switch item.work {
        case .job(let job):
            jobsRun &+= 1
            world.note(UInt64(number) << 8 | 1)
            job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
        case .call(let body):
            jobsRun &+= 1
            world.note(UInt64(number) << 8 | 2)
            body()
        case .turnEnd: return endTurn()
        case .alarm:
            // One that was overtaken by an earlier deadline rings for nothing.
            guard alarmAt == item.time || (alarmAt ?? .max) <= world.now else { return }
            world.note(UInt64(number) << 8 | 3)
            ring()
        }
        if !prepareHooks.isEmpty { prepareSoon() }
    }
    /// A turn ends when nothing more is to be done at this instant.
    private func prepareSoon() {
        guard !prepareIsDue else { return }
        prepareIsDue = true
        world.push(.turnEnd, on: self)
    }
    private func endTurn() {
        prepareIsDue = false
        for hook in prepareHooks { hook() }
    }

    // MARK: Faults

    /// As SIGSTOP.
    package func stall() {
        guard state == .running else { return }
        state = .stalled
        stalledSince = world.now
    }
    /// As SIGCONT: what came meanwhile is done now, in its order.
    package func resume() {
        guard state == .stalled else { return }
        state = .running
        stalledFor += world.now - stalledSince
        let items = waiting
        waiting = []
        for item in items { world.push(item.work, on: self) }
    }
    /// As SIGKILL.
    package func kill() {
        state = .dead
        for item in waiting { world.bury(item.work) }
        waiting = []
        prepareHooks = []
    }
    /// The wall clock is set.
    package func stepWall(microseconds: Int64) { clock.skew += microseconds }
}
