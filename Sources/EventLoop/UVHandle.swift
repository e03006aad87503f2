// One Swift owner for each libuv handle: memory, callbacks' way back, and the one place it is closed and freed.
import CLibuv
import Glibc

/// Base of everything that is a libuv handle. Confined to its loop; the loop keeps it alive until libuv has let go.
class UVHandle: @unchecked Sendable {
    let raw: UnsafeMutableRawPointer
    let loop: UVLoop
    private(set) var isClosing = false

    /// Allocates the handle; `start` runs libuv's init function on it.
    init(_ loop: UVLoop, _ type: uv_handle_type, _ operation: String, start: (UnsafeMutableRawPointer) -> Int32) throws(NetworkError) {
        self.loop = loop
        raw = .allocate(byteCount: uv_handle_size(type), alignment: 16)
        memset(raw, 0, uv_handle_size(type))
        let status = start(raw)
        if status != 0 { throw NetworkError(status: status, operation: operation) }
        handle.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        loop.adopt(self)
    }
    deinit { raw.deallocate() }

    final var handle: UnsafeMutablePointer<uv_handle_t> { raw.assumingMemoryBound(to: uv_handle_t.self) }
    /// The owner of a handle libuv hands to a callback.
    static func of(_ raw: UnsafeMutableRawPointer) -> Self {
        Unmanaged<Self>.fromOpaque(raw.assumingMemoryBound(to: uv_handle_t.self).pointee.data).takeUnretainedValue()
    }
    /// Asks libuv to let go; `didClose` follows in a later turn.
    final func closeHandle() {
        guard !isClosing else { return }
        isClosing = true
        uv_close(handle) { handle in
            let owner = UVHandle.of(UnsafeMutableRawPointer(handle!))
            owner.didClose()
            owner.loop.release(owner)
        }
    }
    /// Closed by its owner or by the loop's end; subclasses tell whoever holds them.
    func shutDown() { closeHandle() }
    func didClose() {}
}

/// A handle that only calls back: async, prepare, check.
final class UVHook: UVHandle, @unchecked Sendable {
    let work: () -> Void
    private init(_ loop: UVLoop, _ type: uv_handle_type, work: @escaping () -> Void, start: (UnsafeMutableRawPointer) -> Int32) throws(NetworkError) {
        self.work = work
        try super.init(loop, type, "make a loop hook", start: start)
    }
    static func async(_ loop: UVLoop, _ work: @escaping () -> Void) throws(NetworkError) -> UVHook {
        try UVHook(loop, UV_ASYNC, work: work) { raw in
            uv_async_init(loop.uv, raw.assumingMemoryBound(to: uv_async_t.self)) { UVHook.of(UnsafeMutableRawPointer($0!)).work() }
        }
    }
    /// Runs in each turn right before the loop looks for events. Does not keep the loop alive.
    static func prepare(_ loop: UVLoop, _ work: @escaping () -> Void) throws(NetworkError) -> UVHook {
        let hook = try UVHook(loop, UV_PREPARE, work: work) { uv_prepare_init(loop.uv, $0.assumingMemoryBound(to: uv_prepare_t.self)) }
        uv_prepare_start(hook.raw.assumingMemoryBound(to: uv_prepare_t.self)) { UVHook.of(UnsafeMutableRawPointer($0!)).work() }
        uv_unref(hook.handle)
        return hook
    }
    /// Runs in each turn right after events were handled. Does not keep the loop alive.
    static func check(_ loop: UVLoop, _ work: @escaping () -> Void) throws(NetworkError) -> UVHook {
        let hook = try UVHook(loop, UV_CHECK, work: work) { uv_check_init(loop.uv, $0.assumingMemoryBound(to: uv_check_t.self)) }
        uv_check_start(hook.raw.assumingMemoryBound(to: uv_check_t.self)) { UVHook.of(UnsafeMutableRawPointer($0!)).work() }
        uv_unref(hook.handle)
        return hook
    }
    func wake() { uv_async_send(raw.assumingMemoryBound(to: uv_async_t.self)) }
}

/// The loop's one libuv timer, set to the earliest deadline of its `TimerHeap`.
final class UVAlarm: UVHandle, @unchecked Sendable {
    private let work: () -> Void
    init(_ loop: UVLoop, _ work: @escaping () -> Void) throws(NetworkError) {
        self.work = work
        try super.init(loop, UV_TIMER, "make a timer") { uv_timer_init(loop.uv, $0.assumingMemoryBound(to: uv_timer_t.self)) }
    }
    private var timer: UnsafeMutablePointer<uv_timer_t> { raw.assumingMemoryBound(to: uv_timer_t.self) }
    func set(milliseconds: UInt64) {
        guard !isClosing else { return }
        uv_update_time(loop.uv)
        uv_timer_start(timer, { UVAlarm.of(UnsafeMutableRawPointer($0!)).work() }, milliseconds, 0)
    }
    func clear() { uv_timer_stop(timer) }
}

/// A process signal delivered on the loop.
final class UVSignal: UVHandle, @unchecked Sendable {
    private let work: @Sendable () -> Void
    init(_ loop: UVLoop, number: Int32, _ work: @escaping @Sendable () -> Void) throws(NetworkError) {
        self.work = work
        try super.init(loop, UV_SIGNAL, "watch a signal") { uv_signal_init(loop.uv, $0.assumingMemoryBound(to: uv_signal_t.self)) }
        let status = uv_signal_start(raw.assumingMemoryBound(to: uv_signal_t.self), { handle, _ in UVSignal.of(UnsafeMutableRawPointer(handle!)).work() }, number)
        if status != 0 {
            closeHandle()
            throw NetworkError(status: status, operation: "watch signal \(number)")
        }
        uv_unref(handle)
    }
}

/// Watches a file descriptor of ours for readiness. Confined to its loop. Closing the watch leaves the descriptor open.
package final class FileWatch: @unchecked Sendable {
    package struct Events: OptionSet, Sendable {
        package let rawValue: Int32
        package init(rawValue: Int32) { self.rawValue = rawValue }
        package static let readable = Events(rawValue: 1)
        package static let writable = Events(rawValue: 2)
    }
    private let poll: UVPoll
    init(loop: UVLoop, descriptor: Int32, handler: @escaping @Sendable (Events) -> Void) throws(NetworkError) {
        poll = try UVPoll(loop, descriptor: descriptor, handler)
    }
    /// Says which events to wait for; none stops the watch for now.
    package func wait(for events: Events) { poll.set(events) }
    package func close() { poll.shutDown() }
}

final class UVPoll: UVHandle, @unchecked Sendable {
    private let handler: @Sendable (FileWatch.Events) -> Void
    private var waiting: FileWatch.Events = []
    init(_ loop: UVLoop, descriptor: Int32, _ handler: @escaping @Sendable (FileWatch.Events) -> Void) throws(NetworkError) {
        self.handler = handler
        try super.init(loop, UV_POLL, "watch a descriptor") { uv_poll_init(loop.uv, $0.assumingMemoryBound(to: uv_poll_t.self), descriptor) }
    }
    func set(_ events: FileWatch.Events) {
        guard !isClosing, events != waiting else { return }
        waiting = events
        let poll = raw.assumingMemoryBound(to: uv_poll_t.self)
        if events.isEmpty { uv_poll_stop(poll); return }
        uv_poll_start(poll, events.rawValue) { handle, status, events in
            let owner = UVPoll.of(UnsafeMutableRawPointer(handle!))
            // An error is shown as readiness: the next read or write names it.
            owner.handler(status < 0 ? [.readable, .writable] : FileWatch.Events(rawValue: events))
        }
    }
}
