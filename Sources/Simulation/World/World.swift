// Everything a seed decides happens here: one queue of work in virtual time, on one thread.
// Decision: docs/decisions/0025-simulation.md
import CShims
import EventLoop
import Primitives

/// Virtual time, the queue, the trace. Whatever runs in a simulation runs inside `run(until:)`, one item after another in
/// the order (time, number of entry); nothing else orders anything. Confined to the thread that calls `run`.
package final class World: @unchecked Sendable {
    package enum Limits {
        /// Items at one instant of virtual time; more means that time stands still.
        package static let itemsPerInstant = 400_000
        /// Lines kept of a trace, unless more are asked for.
        package static let traceLines = 400
    }
    /// Nanoseconds since the simulation began.
    package private(set) var now: Int64 = 0
    package let seed: UInt64
    package private(set) var trace: Trace
    /// The first broken invariant; nothing runs after it.
    package private(set) var violation: Violation?
    package private(set) var itemsRun: UInt64 = 0
    /// The wires, the store, the faults and the clients: it neither stalls nor dies.
    package private(set) var stage: SimulatedLoop!
    package private(set) var current: SimulatedLoop?
    private var future = ItemHeap()
    private var present: [Item] = []
    private var presentHead = 0
    private var sequence: UInt64 = 0
    private var loops: UInt32 = 0
    private var itemsNow = 0
    /// What dead loops were to do: kept, since a continuation that is thrown away complains.
    private var graveyard: [Work] = []

    /// - Parameter traceLines: how many lines to keep to show; costs time, changes nothing else.
    package init(seed: UInt64, traceLines: Int = 0) {
        self.seed = seed
        trace = Trace(lines: traceLines)
        stage = SimulatedLoop(self, name: "world", clock: SimulatedClock())
    }

    enum Work {
        case job(UnownedJob)
        case call(@Sendable () -> Void)
        case alarm
        case turnEnd
    }
    struct Item {
        var time: Int64
        var sequence: UInt64
        let place: SimulatedLoop
        let work: Work
    }

    /// A source of random numbers for one purpose: others' draws do not shift it.
    package func random(_ purpose: String) -> SplitMix64 {
        SplitMix64(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ StableHash.fnv1a(purpose.utf8))
    }
    func nextLoop() -> UInt32 {
        loops += 1
        return loops - 1
    }

    // MARK: The queue

    func push(_ work: Work, at time: Int64? = nil, on place: SimulatedLoop) {
        sequence += 1
        let item = Item(time: max(time ?? now, now), sequence: sequence, place: place, work: work)
        if item.time == now { present.append(item) } else { future.push(item) }
    }
    /// Runs `body` on `loop` (the stage, where nil) after `delay` nanoseconds of the world's time.
    package func after(_ delay: Int64, on loop: SimulatedLoop? = nil, _ body: @escaping @Sendable () -> Void) {
        push(.call(body), at: now + max(0, delay), on: loop ?? stage)
    }
    func bury(_ work: Work) { graveyard.append(work) }

    /// Runs what is due until `end`, or until an invariant breaks. Afterwards it is `end`.
    package func run(until end: Int64) {
        precondition(current == nil, "the world runs already")
        shim_catch_escaped_jobs({ Unmanaged<World>.fromOpaque($0).takeUnretainedValue().escaped(unsafeBitCast(UInt(bitPattern: $1), to: UnownedJob.self)) }, Unmanaged.passUnretained(self).toOpaque())
        defer { shim_catch_escaped_jobs(nil, nil) }
        while violation == nil, let item = next(until: end) {
            itemsRun += 1
            itemsNow += 1
            if itemsNow > Limits.itemsPerInstant { return fail(.timeStandsStill, "\(itemsNow) items at one instant; the last of \(item.place.name)") }
            item.place.take(item)
        }
        if violation == nil { now = end }
    }
    private func next(until end: Int64) -> Item? {
        if future.firstTime == now { return future.pop() }
        if presentHead < present.count {
            defer { presentHead += 1 }
            return present[presentHead]
        }
        present.removeAll(keepingCapacity: true)
        presentHead = 0
        guard let time = future.firstTime, time <= end else { return nil }
        now = time
        itemsNow = 0
        return future.pop()
    }
    func entering(_ loop: SimulatedLoop?) -> SimulatedLoop? {
        defer { current = loop }
        return current
    }

    // MARK: Saying

    /// Words that belong to the trace's hash: what happened, in the order it happened.
    package func note(_ a: UInt64, _ b: UInt64 = 0) { trace.add(a, b, at: now) }
    /// A line for people, and its text for the hash.
    package func say(_ line: @autoclosure () -> String) { trace.say(now, line()) }
    /// A line for people alone: made only where somebody reads.
    package func remark(_ line: @autoclosure () -> String) { trace.remark(now, line) }
    package func fail(_ invariant: Invariant, _ text: String) {
        guard violation == nil else { return }
        violation = Violation(invariant: invariant, text: text, at: now)
        say("VIOLATION \(invariant.rawValue): \(text)")
    }
    private func escaped(_ job: UnownedJob) {
        fail(.oneThread, "a job left its executors; loop \(current?.name ?? "none") had made it")
        push(.job(job), on: current ?? stage)
    }
}

/// A binary heap by (time, sequence). What is compared and swapped are plain numbers; the items stay where they are.
struct ItemHeap {
    private struct Key {
        var time: Int64
        var sequence: UInt64
        var slot: Int
    }
    private var keys: [Key] = []
    private var slots: [World.Item?] = []
    private var free: [Int] = []
    /// When the first one is due.
    var firstTime: Int64? { keys.first?.time }

    private static func precedes(_ a: Key, _ b: Key) -> Bool { a.time == b.time ? a.sequence < b.sequence : a.time < b.time }

    mutating func push(_ item: World.Item) {
        let slot = free.popLast() ?? slots.count
        if slot == slots.count { slots.append(item) } else { slots[slot] = item }
        keys.append(Key(time: item.time, sequence: item.sequence, slot: slot))
        var child = keys.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard Self.precedes(keys[child], keys[parent]) else { return }
            keys.swapAt(child, parent)
            child = parent
        }
    }
    mutating func pop() -> World.Item? {
        guard let last = keys.popLast() else { return nil }
        let top = keys.first ?? last
        if !keys.isEmpty {
            keys[0] = last
            sink()
        }
        free.append(top.slot)
        return slots[top.slot].take()
    }
    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            let left = 2 * parent + 1, right = left + 1
            if left < keys.count, Self.precedes(keys[left], keys[least]) { least = left }
            if right < keys.count, Self.precedes(keys[right], keys[least]) { least = right }
            guard least != parent else { return }
            keys.swapAt(parent, least)
            parent = least
        }
    }
}
