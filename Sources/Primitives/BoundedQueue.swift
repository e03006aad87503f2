// A first-in first-out queue that cannot grow past its bound.

/// A ring of at most `capacity` elements. `push` refuses when full: the caller decides and counts what that means.
package struct BoundedQueue<Element> {
    package let capacity: Int
    private var storage: [Element?]
    private var head = 0
    package private(set) var count = 0

    package init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
        storage = Array(repeating: nil, count: capacity)
    }
    package var isEmpty: Bool { count == 0 }
    package var isFull: Bool { count == capacity }
    /// - Returns: false when full; the element was not taken.
    package mutating func push(_ element: Element) -> Bool {
        guard count < capacity else { return false }
        storage[(head + count) % capacity] = element
        count += 1
        return true
    }
    package mutating func pop() -> Element? {
        guard count > 0 else { return nil }
        defer { head = (head + 1) % capacity; count -= 1 }
        return storage[head].take()
    }
    package var first: Element? { count == 0 ? nil : storage[head] }
}
