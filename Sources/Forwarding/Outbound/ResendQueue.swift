// Packets to send a second time, or later than the others, waiting for the next flush.

/// A ring of at most `Limits.jobs`. Allocates in `init` only.
struct ResendQueue {
    enum Limits {
        /// Jobs waiting; more are refused and counted.
        static let jobs = 2_048
        /// Packets of a key frame sent on from the cache after its first one came late.
        static let catchUpPackets: UInt64 = 128
    }
    enum Work {
        /// By the subscriber's sequence number: answered by RTX.
        case again(UInt16)
        /// By the publisher's extended number: forwarded as if it arrived now.
        case late(UInt64)
        /// By the publisher's extended number: the original, over a pipe.
        case original(UInt64)
    }
    struct Job {
        var reader: OutboundTrack
        var encoding: UInt8
        var work: Work
    }
    private let jobs: UnsafeMutablePointer<Job>
    private var head = 0
    private(set) var count = 0

    init() {
        jobs = .allocate(capacity: Limits.jobs)
        jobs.initialize(repeating: Job(reader: OutboundTrack(slot: -1, generation: 0), encoding: 0, work: .again(0)), count: Limits.jobs)
    }
    func deallocate() { jobs.deallocate() }

    var isEmpty: Bool { count == 0 }
    /// - Returns: false when full.
    mutating func push(_ job: Job) -> Bool {
        guard count < Limits.jobs else { return false }
        jobs[(head + count) % Limits.jobs] = job
        count += 1
        return true
    }
    mutating func pop() -> Job {
        precondition(count > 0)
        defer { head = (head + 1) % Limits.jobs; count -= 1 }
        return jobs[head]
    }
    /// What came after `number` before `number` itself did.
    mutating func catchUp(_ reader: OutboundTrack, encoding: UInt8, after number: UInt64, through highest: UInt64) {
        guard highest > number, highest - number <= Limits.catchUpPackets else { return }
        for late in (number + 1)...highest {
            guard push(Job(reader: reader, encoding: encoding, work: .late(late))) else { return }
        }
    }
}
