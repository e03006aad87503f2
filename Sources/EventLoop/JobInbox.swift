// Jobs and posted closures on their way to a loop's thread, without a lock and without an allocation per job.
import Synchronization

/// A closure on its way to the loop; the tagged half of the inbox's words.
final class PostedWork {
    let work: @Sendable () -> Void
    /// The word behind this one while in the inbox. Written by the sender before it is published.
    var link: UInt = 0
    init(_ work: @escaping @Sendable () -> Void) { self.work = work }
}

/// Many senders, one receiver: a stack linked through the elements, taken whole and turned round.
///
/// A word is either a Swift job (its scheduler-private word at offset 16 is the link; that offset is what
/// `ExecutorJob.withUnsafeExecutorPrivateData` reports) or, with its lowest bit set, a retained `PostedWork`.
final class JobInbox: Sendable {
    private let head = Atomic<UInt>(0)
    private let senders = Atomic<Int>(0)
    private let closed = Atomic<Bool>(false)

    static func word(of job: UnownedJob) -> UInt { unsafeBitCast(job, to: UInt.self) }
    static func word(of work: @escaping @Sendable () -> Void) -> UInt {
        UInt(bitPattern: Unmanaged.passRetained(PostedWork(work)).toOpaque()) | 1
    }
    static func isWork(_ word: UInt) -> Bool { word & 1 == 1 }
    static func takeWork(_ word: UInt) -> PostedWork {
        Unmanaged<PostedWork>.fromOpaque(UnsafeRawPointer(bitPattern: word & ~1)!).takeRetainedValue()
    }
    static func job(_ word: UInt) -> UnownedJob { unsafeBitCast(word, to: UnownedJob.self) }

    /// Puts `word` in and calls `wake` when the inbox was empty.
    /// - Returns: false once closed: the word was not taken.
    func push(_ word: UInt, wake: () -> Void) -> Bool {
        senders.add(1, ordering: .sequentiallyConsistent)
        defer { senders.subtract(1, ordering: .sequentiallyConsistent) }
        guard !closed.load(ordering: .sequentiallyConsistent) else { return false }
        var top = head.load(ordering: .relaxed)
        while true {
            Self.setLink(of: word, to: top)
            let (exchanged, original) = head.compareExchange(expected: top, desired: word, successOrdering: .acquiringAndReleasing, failureOrdering: .relaxed)
            if exchanged { break }
            top = original
        }
        if top == 0 { wake() }
        return true
    }
    /// Appends everything that waits to `queue`, oldest first.
    func take(into queue: inout [UInt]) {
        var word = head.exchange(0, ordering: .acquiringAndReleasing)
        guard word != 0 else { return }
        let start = queue.count
        while word != 0 {
            queue.append(word)
            word = Self.link(of: word)
        }
        queue[start...].reverse()
    }
    /// After this nothing comes in any more, and no sender is inside `wake`.
    func close() {
        closed.store(true, ordering: .sequentiallyConsistent)
        while senders.load(ordering: .sequentiallyConsistent) != 0 {}
    }

    private static func link(of word: UInt) -> UInt {
        if isWork(word) { return Unmanaged<PostedWork>.fromOpaque(UnsafeRawPointer(bitPattern: word & ~1)!)._withUnsafeGuaranteedRef { $0.link } }
        return UnsafePointer<UInt>(bitPattern: word &+ 16)!.pointee
    }
    private static func setLink(of word: UInt, to next: UInt) {
        if isWork(word) { Unmanaged<PostedWork>.fromOpaque(UnsafeRawPointer(bitPattern: word & ~1)!)._withUnsafeGuaranteedRef { $0.link = next } } else {
            UnsafeMutablePointer<UInt>(bitPattern: word &+ 16)!.pointee = next
        }
    }
}
