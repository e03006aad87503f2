// When which router or session wants to be called: a heap over small numbers, in fixed memory.
import Primitives

/// The earliest of many deadlines, each known by a number below `capacity`. No allocation after `init`. Confined to its loop.
package final class DeadlineHeap {
    private struct State { var count = 0 }
    private let capacity: Int
    private let state: UnsafeMutablePointer<State>
    private let heap: UnsafeMutablePointer<Int32>
    /// Where each number stands in `heap`; −1 when it has no deadline.
    private let position: UnsafeMutablePointer<Int32>
    private let deadlines: UnsafeMutablePointer<Int64>

    package init(capacity: Int) {
        self.capacity = capacity
        state = .allocate(capacity: 1)
        state.initialize(to: State())
        heap = .allocate(capacity: capacity)
        heap.initialize(repeating: -1, count: capacity)
        position = .allocate(capacity: capacity)
        position.initialize(repeating: -1, count: capacity)
        deadlines = .allocate(capacity: capacity)
        deadlines.initialize(repeating: 0, count: capacity)
    }
    deinit {
        state.deallocate()
        heap.deallocate()
        position.deallocate()
        deadlines.deallocate()
    }

    package var earliest: Instant? { state.pointee.count == 0 ? nil : Instant(nanoseconds: deadlines[Int(heap[0])]) }

    package func set(_ id: Int32, _ deadline: Instant?) {
        precondition(id >= 0 && Int(id) < capacity)
        guard let deadline else { return remove(id) }
        let at = Int(position[Int(id)])
        if at >= 0 {
            let before = deadlines[Int(id)]
            deadlines[Int(id)] = deadline.nanoseconds
            if deadline.nanoseconds < before { rise(at) } else { sink(at) }
            return
        }
        deadlines[Int(id)] = deadline.nanoseconds
        let end = state.pointee.count
        state.pointee.count = end + 1
        put(id, at: end)
        rise(end)
    }
    /// Takes out and returns a number whose deadline is at or before `now`; −1 when there is none.
    package func takeDue(now: Instant) -> Int32 {
        guard state.pointee.count > 0, deadlines[Int(heap[0])] <= now.nanoseconds else { return -1 }
        let id = heap[0]
        remove(id)
        return id
    }
    private func remove(_ id: Int32) {
        let at = Int(position[Int(id)])
        guard at >= 0 else { return }
        position[Int(id)] = -1
        let last = state.pointee.count - 1
        state.pointee.count = last
        guard at != last else { return }
        put(heap[last], at: at)
        rise(at)
        sink(Int(position[Int(heap[at])]))
    }
    private func put(_ id: Int32, at index: Int) {
        heap[index] = id
        position[Int(id)] = Int32(index)
    }
    private func precedes(_ a: Int, _ b: Int) -> Bool { deadlines[Int(heap[a])] < deadlines[Int(heap[b])] }
    private func exchange(_ a: Int, _ b: Int) {
        let id = heap[a]
        put(heap[b], at: a)
        put(id, at: b)
    }
    private func rise(_ start: Int) {
        var i = start
        while i > 0, precedes(i, (i - 1) / 2) {
            exchange(i, (i - 1) / 2)
            i = (i - 1) / 2
        }
    }
    private func sink(_ start: Int) {
        var i = start
        while true {
            var least = i
            let left = 2 * i + 1
            if left < state.pointee.count, precedes(left, least) { least = left }
            if left + 1 < state.pointee.count, precedes(left + 1, least) { least = left + 1 }
            guard least != i else { return }
            exchange(i, least)
            i = least
        }
    }
}
