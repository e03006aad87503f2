// A libuv loop that is also an executor for actors and tasks.
import CLibuv
import Primitives
import CShims
import Glibc

/// One thread's loop.
///
/// Life: `init` → `start()` (own thread) or `run()` (calling thread) → `stop()` → `join()`. Between `init` and the
/// start it may be set up from the creating thread; afterwards everything but `post`, `enqueue`, `stop`, `join`, `now`
/// and `wall` belongs to the loop's thread. Once stopped it closes every handle and runs nothing more: posted work and
/// jobs that still arrive are dropped, as those of a killed process (their tasks stay suspended).
package final class UVLoop: Loop, @unchecked Sendable {
    package enum Limits {
        package static let jobsPerTurn = 4096      // then the loop looks at its sockets before it goes on
        package static let turnsAtEnd = 256        // uv_run turns a stopped loop gives its handles to close
        package static let readBufferBytes = 65_536
    }
    package let name: String
    /// The libuv loop, for libraries that bring their own handles (libwebsockets). They close them before `stop`.
    package let uv: UnsafeMutablePointer<uv_loop_t>
    /// What each stream of this loop reads into; its content lives until the read callback returns.
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Limits.readBufferBytes, alignment: 16)

    private enum Phase { case fresh, running, stopped }
    private var phase = Phase.fresh
    private let inbox = JobInbox()
    private var queue: [UInt] = []
    private var queueHead = 0
    private var draining = false
    /// Jobs and posted closures run so far: tells a prepare hook whether anyone but a socket has been at work.
    package private(set) var jobsRun: UInt64 = 0
    private let timers = TimerHeap()
    private var alarm: UVAlarm!
    private var alarmSetTo: Instant?
    private var waker: UVHook!
    private var handles: [UnsafeMutableRawPointer: UVHandle] = [:]
    private var dirtyStreams: [UVStream] = []
    private var prepareHooks: [(id: Int, work: @Sendable () -> Void)] = []
    private var nextHook = 0
    private var thread: pthread_t?

    package init(name: String) throws(NetworkError) {
        self.name = name
        _ = Self.ignoresBrokenPipes
        uv = .allocate(capacity: 1)
        let status = uv_loop_init(uv)
        guard status == 0 else {
            uv.deallocate()
            phase = .stopped
            throw NetworkError(status: status, operation: "make an event loop")
        }
        queue.reserveCapacity(Limits.jobsPerTurn)
        waker = try UVHook.async(self) { [unowned self] in self.drain() }
        alarm = try UVAlarm(self) { [unowned self] in self.alarmRang() }
        _ = try UVHook.prepare(self) { [unowned self] in self.beforePoll() }
        _ = try UVHook.check(self) { [unowned self] in self.drain() }
    }
    deinit { readBuffer.deallocate() }
    /// libuv writes streams without MSG_NOSIGNAL: a peer that is gone must be an EPIPE, not the end of the process.
    private static let ignoresBrokenPipes: Bool = signal(SIGPIPE, SIG_IGN) == nil

    /// What the loop waits on (epoll), and what libuv itself has registered there.
    package var pollDescriptor: Int32 { uv_backend_fd(uv) }
    package var ownDescriptors: [Int32] { [uv.pointee.async_io_watcher.fd, uv.pointee.signal_io_watcher.fd] }

    // MARK: Clock

    package var now: Instant { Instant(nanoseconds: Int64(bitPattern: uv_hrtime())) }
    package var wall: WallTime {
        var t = timespec()
        clock_gettime(CLOCK_REALTIME, &t)
        return WallTime(microseconds: Int64(t.tv_sec) &* 1_000_000 &+ Int64(t.tv_nsec) / 1000)
    }

    // MARK: Executor

    package var isCurrent: Bool { shim_current_loop() == Unmanaged.passUnretained(self).toOpaque() }
    package func checkIsolated() { precondition(isCurrent, "not on loop \(name)") }
    package func isIsolatingCurrentContext() -> Bool? { isCurrent }
    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
    package func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }
    package func enqueue(_ job: consuming ExecutorJob) { _ = accept(JobInbox.word(of: UnownedJob(job))) }
    package func post(_ work: @escaping @Sendable () -> Void) {
        let word = JobInbox.word(of: work)
        if !accept(word) { _ = JobInbox.takeWork(word) }
    }
    /// On the loop: a local queue, no atomics and no system call. From elsewhere: the inbox, one wake-up per burst.
    private func accept(_ word: UInt) -> Bool {
        if isCurrent { queue.append(word); return true }
        return inbox.push(word) { waker.wake() }
    }
    /// Runs what waits, in order; bounded, so that sockets get their turn.
    private func drain() {
        guard !draining else { return }
        draining = true
        defer { draining = false }
        inbox.take(into: &queue)
        let serial = asUnownedSerialExecutor(), task = asUnownedTaskExecutor()
        var budget = Limits.jobsPerTurn
        while queueHead < queue.count, budget > 0 {
            let word = queue[queueHead]
            queueHead += 1
            budget -= 1
            jobsRun &+= 1
            if JobInbox.isWork(word) { JobInbox.takeWork(word).work() } else { JobInbox.job(word).runSynchronously(isolatedTo: serial, taskExecutor: task) }
        }
        if queueHead == queue.count { queue.removeAll(keepingCapacity: true) } else { queue.removeSubrange(..<queueHead); waker.wake() }
        queueHead = 0
    }
    /// The last thing before the loop sleeps: jobs, then what they wrote, then what that caused.
    private func beforePoll() {
        drain()
        flushStreams()
        for hook in prepareHooks { hook.work() }
        if !queue.isEmpty { drain() }
        if !dirtyStreams.isEmpty { flushStreams() }
        if !queue.isEmpty { waker.wake() }
        setAlarm()
    }

    // MARK: Timers

    @discardableResult
    package func schedule(after delay: Duration, _ work: @escaping @Sendable () -> Void) -> TimerToken {
        requireLoop()
        return timers.schedule(at: now + max(delay, .zero), work)
    }
    /// A timer for one place that sets it often: `setTimer` does not allocate.
    package func reusableTimer(_ work: @escaping @Sendable () -> Void) -> TimerToken { timers.reusable(work) }
    /// Moves a reusable timer; nil stops it.
    package func setTimer(_ timer: TimerToken, to deadline: Instant?) { timers.set(timer, to: deadline) }
    private func alarmRang() {
        alarmSetTo = nil
        let start = now
        while let work = timers.takeDue(now: start) { work() }
    }
    /// Before each poll: libuv's timer follows the heap. Rounded up to its milliseconds, so that it never rings early.
    private func setAlarm() {
        guard let deadline = timers.deadline else {
            if alarmSetTo != nil { alarm.clear(); alarmSetTo = nil }
            return
        }
        guard deadline != alarmSetTo else { return }
        alarmSetTo = deadline
        let wait = max(0, (deadline - now).inNanoseconds)
        alarm.set(milliseconds: UInt64(wait / 1_000_000) + (wait % 1_000_000 == 0 ? 0 : 1))
    }

    // MARK: Watching

    /// Calls `handler` on the loop whenever the process gets signal `number`.
    package func onSignal(_ number: Int32, _ handler: @escaping @Sendable () -> Void) throws(NetworkError) {
        requireLoop()
        _ = try UVSignal(self, number: number, handler)
    }
    /// Calls `handler` on the loop when `descriptor` is ready for what `wait(for:)` asks.
    package func watch(_ descriptor: Int32, _ handler: @escaping @Sendable (FileWatch.Events) -> Void) throws(NetworkError) -> FileWatch {
        requireLoop()
        return try FileWatch(loop: self, descriptor: descriptor, handler: handler)
    }
    /// Runs `work` once a turn, after its jobs and right before the loop sleeps: the place to flush what a turn gathered.
    /// - Returns: what `removePrepareHook` takes.
    @discardableResult
    package func onPrepare(_ work: @escaping @Sendable () -> Void) -> Int {
        requireLoop()
        nextHook += 1
        prepareHooks.append((nextHook, work))
        return nextHook
    }
    package func removePrepareHook(_ id: Int) { prepareHooks.removeAll { $0.id == id } }

    func flushBeforePoll(_ stream: UVStream) { dirtyStreams.append(stream) }
    private func flushStreams() {
        let streams = dirtyStreams
        dirtyStreams.removeAll(keepingCapacity: true)
        for stream in streams { stream.flush() }
    }
    func adopt(_ handle: UVHandle) { handles[handle.raw] = handle }
    func release(_ handle: UVHandle) { handles[handle.raw] = nil }
    /// Setting up before the start is the creating thread's right; afterwards only the loop's.
    func requireLoop() { precondition(isCurrent || phase == .fresh, "call this on loop \(name)") }

    // MARK: Life

    /// Runs the loop on a thread of its own, named like the loop.
    package func start() {
        precondition(phase == .fresh, "loop \(name) was started before")
        var id = pthread_t()
        let status = pthread_create(&id, nil, { argument in
            Unmanaged<UVLoop>.fromOpaque(argument!).takeRetainedValue().run()
            return nil
        }, Unmanaged.passRetained(self).toOpaque())
        precondition(status == 0, "no thread for loop \(name): \(status)")
        thread = id
    }
    /// Runs the loop on the calling thread until `stop`.
    package func run() {
        shim_name_thread(name)
        shim_set_current_loop(Unmanaged.passUnretained(self).toOpaque())
        phase = .running
        uv_run(uv, UV_RUN_DEFAULT)
        finish()
        shim_set_current_loop(nil)
    }
    /// From any thread: the loop ends after the work posted before. A second call is harmless.
    package func stop() { post { uv_stop(self.uv) } }
    /// Waits for the thread begun by `start`. Not on the loop itself.
    package func join() {
        precondition(!isCurrent, "loop \(name) cannot wait for itself")
        guard let id = thread else { return }
        thread = nil
        pthread_join(id, nil)
    }
    private func finish() {
        for _ in 0..<Limits.turnsAtEnd where !queue.isEmpty { drain() }
        inbox.close()
        phase = .stopped
        prepareHooks.removeAll()
        for handle in Array(handles.values) where handle !== waker { handle.shutDown() }
        var turns = 0
        while turns < Limits.turnsAtEnd, handles.count > 1 { uv_run(uv, UV_RUN_NOWAIT); drain(); turns += 1 }
        waker.closeHandle()
        uv_walk(uv, { handle, _ in if uv_is_closing(handle) == 0 { uv_close(handle, nil) } }, nil)
        uv_run(uv, UV_RUN_DEFAULT)
        inbox.take(into: &queue)
        for word in queue where JobInbox.isWork(word) { _ = JobInbox.takeWork(word) }
        queue.removeAll()
        if uv_loop_close(uv) == 0 { uv.deallocate() }
        waker = nil
        alarm = nil
    }
}
