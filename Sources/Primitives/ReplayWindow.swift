// Which packet counters of a flow were seen already (as RFC 4303 §3.4.3 does for ESP).

/// A sliding window over 64-bit counters. `check` before a packet is authenticated, `note` after.
package struct ReplayWindow {
    package enum Limits {
        /// Packets behind the newest that are still told apart; a batch may be reordered, not more.
        package static let packets: UInt64 = 1024
    }
    package enum Verdict: Equatable, Sendable { case fresh, replayed, tooOld }
    private var highest: UInt64 = 0
    private var started = false
    /// Bit `counter % packets`: seen.
    private var seen = InlineArray<16, UInt64>(repeating: 0)
    package init() {}

    package func check(_ counter: UInt64) -> Verdict {
        guard started, counter <= highest else { return .fresh }
        guard highest - counter < Limits.packets else { return .tooOld }
        return seen[word(counter)] & bit(counter) != 0 ? .replayed : .fresh
    }
    package mutating func note(_ counter: UInt64) {
        if !started || counter > highest {
            let skipped = started ? counter - highest : Limits.packets
            if skipped >= Limits.packets {
                for i in 0..<16 { seen[i] = 0 }
            } else {
                var next = highest &+ 1
                while next < counter {
                    seen[word(next)] &= ~bit(next)
                    next &+= 1
                }
            }
            highest = counter
            started = true
        } else if highest - counter >= Limits.packets { return }
        seen[word(counter)] |= bit(counter)
    }
    private func word(_ counter: UInt64) -> Int { Int(truncatingIfNeeded: counter % Limits.packets / 64) }
    private func bit(_ counter: UInt64) -> UInt64 { 1 << (counter % 64) }
}
