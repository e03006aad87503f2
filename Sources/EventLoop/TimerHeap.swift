// The timers of one loop in order of their deadlines. Pure: the loop, real or simulated, says what time it is.
import Primitives

/// One pending timer. Confined to its loop.
package final class TimerToken: @unchecked Sendable {
    fileprivate var deadline: Instant
    fileprivate var sequence: UInt64
    /// Whether `work` stays after it ran, to be set again.
    fileprivate let isReusable: Bool
    fileprivate var work: (@Sendable () -> Void)?
    fileprivate var index = -1
    fileprivate weak var heap: TimerHeap?

    fileprivate init(deadline: Instant, sequence: UInt64, heap: TimerHeap, isReusable: Bool = false, work: @escaping @Sendable () -> Void) {
        self.isReusable = isReusable
        self.deadline = deadline
        self.sequence = sequence
        self.heap = heap
        self.work = work
    }
    /// After this the work does not run. Call it on the loop; a second call is harmless.
    package func cancel() {
        work = nil
        heap?.remove(self)
    }
    package var isPending: Bool { index >= 0 }
    /// Earlier deadline first; equal deadlines in the order they were scheduled.
    fileprivate func precedes(_ other: TimerToken) -> Bool {
        deadline == other.deadline ? sequence < other.sequence : deadline < other.deadline
    }
}

/// A binary heap whose elements know their place, so that cancelling frees at once.
package final class TimerHeap {
    private var heap: [TimerToken] = []
    private var sequence: UInt64 = 0
    package init() {}

    package var count: Int { heap.count }
    /// When the next timer is due; nil while there is none.
    package var deadline: Instant? { heap.first?.deadline }

    package func schedule(at deadline: Instant, _ work: @escaping @Sendable () -> Void) -> TimerToken {
        sequence += 1
        let token = TimerToken(deadline: deadline, sequence: sequence, heap: self, work: work)
        token.index = heap.count
        heap.append(token)
        rise(from: token.index)
        return token
    }
    /// A timer that is not pending yet and may be set again and again: `set` does not allocate.
    package func reusable(_ work: @escaping @Sendable () -> Void) -> TimerToken {
        TimerToken(deadline: .distantFuture, sequence: 0, heap: self, isReusable: true, work: work)
    }
    /// Moves a reusable timer to `deadline`; nil takes it out.
    package func set(_ token: TimerToken, to deadline: Instant?) {
        guard token.isReusable, token.work != nil else { return }
        if let deadline, token.index >= 0, token.deadline == deadline { return }
        remove(token)
        guard let deadline else { return }
        sequence += 1
        token.deadline = deadline
        token.sequence = sequence
        token.index = heap.count
        heap.append(token)
        rise(from: token.index)
    }
    /// The work of the earliest timer due at `now`, removed; nil when none is due.
    package func takeDue(now: Instant) -> (@Sendable () -> Void)? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        let work = first.work
        if !first.isReusable { first.work = nil }
        remove(first)
        return work
    }
    fileprivate func remove(_ token: TimerToken) {
        let hole = token.index
        guard hole >= 0 else { return }
        token.index = -1
        let last = heap.removeLast()
        guard last !== token else { return }
        heap[hole] = last
        last.index = hole
        rise(from: hole)
        sink(from: last.index)
    }
    private func rise(from start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { return }
            exchange(child, parent)
            child = parent
        }
    }
    private func sink(from start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].precedes(heap[least]) { least = child }
            guard least != parent else { return }
            exchange(parent, least)
            parent = least
        }
    }
    private func exchange(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        heap[a].index = a
        heap[b].index = b
    }
}
