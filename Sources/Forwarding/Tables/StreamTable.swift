// From a transport and an SSRC (or pipe stream id) to a stream.

/// An open-addressing hash table with linear probing and no tombstones. Memory grows in `reserve` only, so looking up and learning an SSRC
/// from a packet never allocate.
struct StreamTable {
    private struct Entry { var key: UInt64; var value: Int32 }
    private static let empty: Int32 = -1
    private var entries: UnsafeMutablePointer<Entry>
    private var mask: Int
    private(set) var count = 0
    /// Entries that fit without growing: half the slots.
    var capacity: Int { (mask + 1) / 2 }

    init() {
        mask = 15
        entries = Self.allocate(16)
    }
    func deallocate() { entries.deallocate() }

    static func key(_ transport: TransportIndex, _ id: UInt32) -> UInt64 { UInt64(UInt32(bitPattern: transport)) << 32 | UInt64(id) }

    /// The value, never negative; −1 when the key is not there.
    @inline(__always) func find(_ key: UInt64) -> Int32 {
        var i = home(key)
        while entries[i].value != Self.empty {
            if entries[i].key == key { return entries[i].value }
            i = (i &+ 1) & mask
        }
        return Self.empty
    }

    /// Makes room for `total` entries. Allocates: control calls only.
    mutating func reserve(_ total: Int) {
        guard total > capacity else { return }
        var slots = mask + 1
        while slots / 2 < total { slots *= 2 }
        let old = entries, oldSlots = mask + 1
        entries = Self.allocate(slots)
        mask = slots - 1
        count = 0
        for i in 0..<oldSlots where old[i].value != Self.empty { _ = insert(old[i].key, old[i].value) }
        old.deallocate()
    }

    /// Adds or replaces.
    /// - Returns: false when the table is at the capacity reserved.
    mutating func insert(_ key: UInt64, _ value: Int32) -> Bool {
        var i = home(key)
        while entries[i].value != Self.empty {
            if entries[i].key == key { entries[i].value = value; return true }
            i = (i &+ 1) & mask
        }
        guard count < capacity else { return false }
        entries[i] = Entry(key: key, value: value)
        count += 1
        return true
    }

    /// Removes, and moves later entries of the run back so that every probe still finds its own.
    mutating func remove(_ key: UInt64) {
        var hole = home(key)
        while entries[hole].value != Self.empty, entries[hole].key != key { hole = (hole &+ 1) & mask }
        guard entries[hole].value != Self.empty else { return }
        count -= 1
        var i = (hole &+ 1) & mask
        while entries[i].value != Self.empty {
            let distance = (i &- home(entries[i].key)) & mask
            if distance >= (i &- hole) & mask { entries[hole] = entries[i]; hole = i }
            i = (i &+ 1) & mask
        }
        entries[hole].value = Self.empty
    }

    @inline(__always) private func home(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    }
    private static func allocate(_ slots: Int) -> UnsafeMutablePointer<Entry> {
        let entries = UnsafeMutablePointer<Entry>.allocate(capacity: slots)
        entries.initialize(repeating: Entry(key: 0, value: empty), count: slots)
        return entries
    }
}
