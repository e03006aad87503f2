// Which packets of a received stream to ask for again, and when (RFC 4585 §6.2.1).
internal import Primitives

struct MissingPackets {
    enum Limits {
        static let kept = 256                                   // numbers asked for at a time
        static let attempts = 8
        static let firstWait = Duration.milliseconds(10)        // a packet out of order arrives by then
        static let nextWait = Duration.milliseconds(60)
    }
    private struct Entry {
        var sequence: UInt64
        var due: Instant
        var attempts = 0
    }
    private var entries: [Entry] = []
    private(set) var asked: UInt64 = 0
    var isEmpty: Bool { entries.isEmpty }

    /// The numbers between two that arrived.
    mutating func skipped(_ range: Range<UInt64>, now: Instant) {
        for sequence in range.suffix(Limits.kept) { entries.append(Entry(sequence: sequence, due: now + Limits.firstWait)) }
        if entries.count > Limits.kept { entries.removeFirst(entries.count - Limits.kept) }
    }
    mutating func arrived(_ sequence: UInt64) {
        if let index = entries.firstIndex(where: { $0.sequence == sequence }) { entries.remove(at: index) }
    }
    mutating func takeDue(now: Instant) -> [UInt16] {
        var wanted: [UInt16] = []
        for index in entries.indices where entries[index].due <= now {
            wanted.append(UInt16(truncatingIfNeeded: entries[index].sequence))
            entries[index].due = now + Limits.nextWait
            entries[index].attempts += 1
        }
        entries.removeAll { $0.attempts >= Limits.attempts }
        asked += UInt64(wanted.count)
        return wanted
    }
}
