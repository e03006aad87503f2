// A first-in first-out queue that cannot grow past its bound.

/// A ring of at most `capacity` elements. `push` refuses when full: the caller decides and counts what that means.
package struct BoundedQueue<Element> {
    package let capacity: Int
    private var storage: [Element?]
    private var head = 0
    package private(set) var count = 0

    /// - Parameter first: elements there is room for at once; more is made when it is needed, up to `capacity`. nil: room for all
    ///   of them, so that `push` never allocates.
    package init(capacity: Int, growingFrom first: Int? = nil) {
        precondition(capacity > 0 && first ?? 1 > 0)
        self.capacity = capacity
        storage = Array(repeating: nil, count: min(first ?? capacity, capacity))
    }
    package var isEmpty: Bool { count == 0 }
    package var isFull: Bool { count == capacity }
    /// - Returns: false when full; the element was not taken.
    package mutating func push(_ element: Element) -> Bool {
        guard count < capacity else { return false }
        if count == storage.count { grow() }
        storage[(head + count) % storage.count] = element
        count += 1
        return true
    }
    package mutating func pop() -> Element? {
        guard count > 0 else { return nil }
        defer { head = (head + 1) % storage.count; count -= 1 }
        return storage[head].take()
    }
    /// To twice the room; the oldest element comes first again.
    private mutating func grow() {
        let more = min(storage.count, capacity - storage.count)
        storage = Array(storage[head...]) + storage[..<head] + Array(repeating: nil, count: more)
        head = 0
    }
    package var first: Element? { count == 0 ? nil : storage[head] }
}
