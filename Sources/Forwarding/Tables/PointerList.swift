// Lists and slots of states that live behind pointers: what the packet path walks instead of arrays of objects.

/// A growable list of pointers. `append` allocates only beyond what was reserved.
struct PointerList<Element> {
    private var items: UnsafeMutablePointer<UnsafeMutablePointer<Element>>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int = 4) {
        self.capacity = capacity
        items = .allocate(capacity: capacity)
    }
    func deallocate() { items.deallocate() }

    @inline(__always) subscript(index: Int) -> UnsafeMutablePointer<Element> { items[index] }
    mutating func reserve(_ total: Int) {
        guard total > capacity else { return }
        let grown = max(total, capacity * 2)
        let new = UnsafeMutablePointer<UnsafeMutablePointer<Element>>.allocate(capacity: grown)
        new.moveInitialize(from: items, count: count)
        items.deallocate()
        items = new
        capacity = grown
    }
    mutating func append(_ pointer: UnsafeMutablePointer<Element>) {
        if count == capacity { reserve(count + 1) }
        (items + count).initialize(to: pointer)
        count += 1
    }
    /// Keeps the order of the others.
    mutating func remove(_ pointer: UnsafeMutablePointer<Element>) {
        guard let at = (0..<count).first(where: { items[$0] == pointer }) else { return }
        for i in at..<(count - 1) { items[i] = items[i + 1] }
        count -= 1
    }
    mutating func removeAll() { count = 0 }
}

/// States by slot number, each slot with a generation that grows when it is emptied.
struct SlotTable<Element> {
    private struct Slot { var pointer: UnsafeMutablePointer<Element>?; var generation: UInt32 }
    private var slots: UnsafeMutablePointer<Slot>
    private var capacity: Int
    /// Slots ever used: walk `0 ..< end`.
    private(set) var end = 0
    private(set) var count = 0

    init() {
        capacity = 8
        slots = .allocate(capacity: capacity)
    }
    func deallocate() { slots.deallocate() }

    @inline(__always) subscript(slot: Int) -> UnsafeMutablePointer<Element>? { slot < end ? slots[slot].pointer : nil }
    func find(_ slot: Int32, _ generation: UInt32) -> UnsafeMutablePointer<Element>? {
        guard slot >= 0, slot < end, slots[Int(slot)].generation == generation else { return nil }
        return slots[Int(slot)].pointer
    }

    /// Takes the lowest empty slot for what `make` builds from the slot's number and generation.
    mutating func insert(_ make: (Int32, UInt32) -> Element) -> UnsafeMutablePointer<Element> {
        let slot = (0..<end).first { slots[$0].pointer == nil } ?? append()
        let pointer = UnsafeMutablePointer<Element>.allocate(capacity: 1)
        pointer.initialize(to: make(Int32(slot), slots[slot].generation))
        slots[slot].pointer = pointer
        count += 1
        return pointer
    }
    /// Empties the slot and frees the state's memory; what the state itself owns was freed before.
    mutating func remove(_ slot: Int32) {
        guard let pointer = self[Int(slot)] else { return }
        pointer.deinitialize(count: 1)
        pointer.deallocate()
        slots[Int(slot)].pointer = nil
        slots[Int(slot)].generation &+= 1
        count -= 1
    }

    private mutating func append() -> Int {
        if end == capacity {
            let new = UnsafeMutablePointer<Slot>.allocate(capacity: capacity * 2)
            new.moveInitialize(from: slots, count: end)
            slots.deallocate()
            slots = new
            capacity *= 2
        }
        (slots + end).initialize(to: Slot(pointer: nil, generation: 0))
        end += 1
        return end - 1
    }
}
