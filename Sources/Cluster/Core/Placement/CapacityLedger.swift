// What a node has given away of its capacity: used by actors, reserved by tokens.
import Primitives

/// The one book of a node's capacity. A token is written before the claim is asked for, in the same turn as the look at what
/// is free: however many first calls come at once, what is used and reserved never exceeds the capacity by their doing.
///
/// In: reservations with an end, their use, their return. Out: granted or not. A pure value.
package struct CapacityLedger: Sendable {
    private struct Entry {
        var cost: Int
        /// nil once used: until then the token lapses at this time.
        var expires: Instant?
    }
    /// Units. A kind's `cost` is in the same ones.
    package let capacity: Int
    private var entries: [VirtualIdentity: Entry] = [:]
    /// Units of actors that are here.
    package private(set) var used = 0
    /// Units of actors on their way.
    package private(set) var reserved = 0
    package init(capacity: Int) { self.capacity = max(0, capacity) }

    package var free: Int { capacity - used - reserved }

    /// Asks for a token.
    /// - Parameter regardless: granted even where it does not fit (an operator has pinned it here, or the kind is small change).
    package mutating func reserve(_ identity: VirtualIdentity, cost: Int, until expires: Instant, now: Instant, regardless: Bool = false) -> Bool {
        expire(now: now)
        let cost = max(0, cost)
        if let known = entries[identity] {
            // Its place is reserved or used already.
            if known.expires != nil { entries[identity]?.expires = max(expires, known.expires!) }
            return true
        }
        guard regardless || cost <= free else { return false }
        entries[identity] = Entry(cost: cost, expires: expires)
        reserved += cost
        return true
    }
    /// The actor is here: its token lapses no more. One that comes without a token is booked all the same.
    package mutating func use(_ identity: VirtualIdentity, cost: Int) {
        release(identity)
        entries[identity] = Entry(cost: max(0, cost), expires: nil)
        used += max(0, cost)
    }
    package mutating func release(_ identity: VirtualIdentity) {
        guard let entry = entries.removeValue(forKey: identity) else { return }
        if entry.expires == nil { used -= entry.cost } else { reserved -= entry.cost }
    }
    private mutating func expire(now: Instant) {
        guard reserved > 0 else { return }
        for (identity, entry) in entries { if let expires = entry.expires, expires <= now { release(identity) } }
    }
}
