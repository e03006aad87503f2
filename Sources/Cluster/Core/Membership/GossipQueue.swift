// Rumors on their way: each is passed on a bounded number of times, the least told first (SWIM §4.1).
import Primitives

package struct GossipQueue: Sendable {
    private struct Entry {
        var rumor: Rumor
        var sent = 0
        var age: UInt64
    }
    private var entries: [Rumor.Key: Entry] = [:]
    private var last: UInt64 = 0
    /// Rumors that had to make room for newer ones.
    package private(set) var dropped: UInt64 = 0
    package init() {}

    package var isEmpty: Bool { entries.isEmpty }
    package var count: Int { entries.count }

    /// Replaces what it supersedes and begins anew.
    package mutating func add(_ rumor: Rumor) {
        last += 1
        if entries[rumor.key] == nil, entries.count >= Membership.Limits.rumors, let oldest = entries.min(by: { $0.value.age < $1.value.age })?.key {
            entries[oldest] = nil
            dropped += 1
        }
        entries[rumor.key] = Entry(rumor: rumor, age: last)
    }
    package mutating func remove(about name: NodeName, kind: Int) { entries = entries.filter { $0.key.name != name || $0.key.kind != kind } }

    /// What to tell next, about `subject` first: who is doubted must hear it before it answers.
    /// - Parameters:
    ///   - bytes: about how much fits.
    ///   - times: how often each may be told.
    package mutating func take(bytes: Int, times: Int, first subject: NodeName? = nil) -> [Rumor] {
        guard !entries.isEmpty else { return [] }
        let order = entries.sorted { a, b in
            let (mineFirst, otherFirst) = (a.key.name == subject, b.key.name == subject)
            if mineFirst != otherFirst { return mineFirst }
            return (a.value.sent, b.value.age) < (b.value.sent, a.value.age)
        }
        var taken: [Rumor] = [], left = bytes
        for (key, entry) in order where taken.count < Rumor.Limits.perMessage {
            let weight = entry.rumor.weight
            guard weight <= left else { continue }
            left -= weight
            taken.append(entry.rumor)
            if entry.sent + 1 >= times { entries[key] = nil } else { entries[key]?.sent += 1 }
        }
        return taken
    }
}
