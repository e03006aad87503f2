// A member under suspicion: how long until this node gives it up.
import Primitives

/// Lifeguard's suspicion: it begins patient and grows short as others, each on its own, come to the same.
package struct Doubt: Sendable, Equatable {
    /// What this node has seen itself.
    package enum Evidence: Int, Comparable, Sendable {
        case hearsay, silence, lostLink
        package static func < (a: Evidence, b: Evidence) -> Bool { a.rawValue < b.rawValue }
    }
    package var since: Instant
    package var evidence: Evidence
    package var suspects: Set<NodeName>
    package var votes: Set<NodeName>
    /// Added where the member has just been heard of, or this node itself was stalled.
    package var extended = Duration.zero

    /// shortest + (longest − shortest) · (1 − log(C+1)/log(K+1)): C confirmations of the K that can be expected.
    package func patience(_ timing: Membership.Timing, members: Int) -> Duration {
        let (shortest, longest) = evidence == .lostLink ? (timing.lossShortest, timing.lossLongest) : (timing.silenceShortest, timing.silenceLongest)
        let expected = min(timing.indirect, members - 2)
        // Of two nodes the other one has nobody who could confirm.
        guard expected > 0 else { return shortest * 2 + extended }
        let confirmations = min(expected, max(0, suspects.count - 1))
        let done = Self.logarithm(confirmations + 1) * 1000 / Self.logarithm(expected + 1)
        return longest - (longest - shortest) * done / 1000 + extended
    }
    /// The voter has to come to it anew.
    package mutating func takeBack(voteOf name: NodeName, _ now: Instant) {
        guard votes.remove(name) != nil else { return }
        since = now
        extended = .zero
    }
    package func deadline(_ timing: Membership.Timing, members: Int) -> Instant { since + patience(timing, members: members) }

    /// Base 2, in thousandths: exact integers keep simulations alike on every machine.
    static func logarithm(_ value: Int) -> Int {
        guard value > 1 else { return 0 }
        let table = [0, 1000, 1585, 2000, 2322, 2585, 2807, 3000]
        return value <= table.count ? table[value - 1] : 3000 + (value - 8) * 50
    }
}

/// Members in an order of their own each round: every one is probed once before any is probed twice (SWIM §4.3).
package struct ProbeRound: Sendable {
    private var rest: [NodeName] = []
    package init() {}
    package mutating func next(of members: [NodeName], random: inout SplitMix64) -> NodeName? {
        guard !members.isEmpty else { return nil }
        while true {
            while let name = rest.popLast() { if members.contains(name) { return name } }
            rest = members
            random.shuffle(&rest)
        }
    }
}

extension SplitMix64 {
    package mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }
    package mutating func shuffle<T>(_ items: inout [T]) {
        guard items.count > 1 else { return }
        for i in stride(from: items.count - 1, to: 0, by: -1) { items.swapAt(i, below(i + 1)) }
    }
}
