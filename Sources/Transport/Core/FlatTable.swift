// Key to slot, looked up for each packet: open addressing in memory of its own, no hashing state, no allocation but in control calls.
import Primitives

/// A key whose bits can be mixed cheaply. Not seeded: tables keyed from outside hold only entries that were authenticated.
package protocol FlatKey: Equatable, BitwiseCopyable {
    var mixed: UInt64 { get }
}
extension UInt32: FlatKey {
    package var mixed: UInt64 { UInt64(self) &* 0x9E37_79B9_7F4A_7C15 }
}

extension SocketAddress: FlatKey {
    package var mixed: UInt64 {
        let word = (low ^ (high &* 0xFF51_AFD7_ED55_8CCD) ^ (UInt64(port) << 32)) &* 0x9E37_79B9_7F4A_7C15
        return word ^ (word >> 29)
    }
}

/// Maps keys to non-negative `Int32` values with linear probing and backward-shift deletion; at most half full.
/// Confined to its loop.
package final class FlatTable<Key: FlatKey> {
    private struct Entry: BitwiseCopyable {
        var key: Key
        var value: Int32
    }
    private struct Storage {
        var entries: UnsafeMutablePointer<Entry>
        var mask: Int
        var count: Int
    }
    private let storage: UnsafeMutablePointer<Storage>
    private let emptyKey: Key

    /// - Parameter emptyKey: any key; it only fills unused entries.
    package init(emptyKey: Key) {
        self.emptyKey = emptyKey
        storage = .allocate(capacity: 1)
        storage.initialize(to: Storage(entries: Self.makeEntries(16, emptyKey), mask: 15, count: 0))
    }
    deinit {
        storage.pointee.entries.deallocate()
        storage.deallocate()
    }
    private static func makeEntries(_ size: Int, _ key: Key) -> UnsafeMutablePointer<Entry> {
        let entries = UnsafeMutablePointer<Entry>.allocate(capacity: size)
        entries.initialize(repeating: Entry(key: key, value: -1), count: size)
        return entries
    }

    package var count: Int { storage.pointee.count }

    /// The value of `key`, or −1.
    @inline(__always)
    package func find(_ key: Key) -> Int32 {
        let s = storage.pointee
        return s.entries[Self.place(of: key, s)].value
    }
    /// - Returns: the value `key` had before, or −1.
    @discardableResult
    package func set(_ key: Key, _ value: Int32) -> Int32 {
        precondition(value >= 0)
        if (storage.pointee.count + 1) * 2 > storage.pointee.mask + 1 { grow() }
        let place = Self.place(of: key, storage.pointee)
        let old = storage.pointee.entries[place].value
        storage.pointee.entries[place] = Entry(key: key, value: value)
        if old < 0 { storage.pointee.count += 1 }
        return old
    }
    /// - Returns: the value `key` had, or −1.
    @discardableResult
    package func remove(_ key: Key) -> Int32 {
        let s = storage.pointee
        var hole = Self.place(of: key, s)
        let old = s.entries[hole].value
        guard old >= 0 else { return -1 }
        var probe = hole
        while true {
            probe = (probe + 1) & s.mask
            guard s.entries[probe].value >= 0 else { break }
            let home = Self.home(of: s.entries[probe].key, s)
            // Entries stay reachable: one moves into the hole unless its home lies behind the hole.
            if (probe - home) & s.mask >= (probe - hole) & s.mask {
                s.entries[hole] = s.entries[probe]
                hole = probe
            }
        }
        s.entries[hole] = Entry(key: emptyKey, value: -1)
        storage.pointee.count -= 1
        return old
    }

    /// Removes every entry whose value `matches`.
    package func removeAll(where matches: (Int32) -> Bool) {
        let s = storage.pointee
        var keys: [Key] = []
        for i in 0...s.mask where s.entries[i].value >= 0 && matches(s.entries[i].value) { keys.append(s.entries[i].key) }
        for key in keys { remove(key) }
    }

    @inline(__always)
    private static func home(of key: Key, _ s: Storage) -> Int { Int(truncatingIfNeeded: key.mixed >> 20) & s.mask }
    /// Where `key` stands, or the unused entry where it would.
    @inline(__always)
    private static func place(of key: Key, _ s: Storage) -> Int {
        var i = home(of: key, s)
        while s.entries[i].value >= 0, s.entries[i].key != key { i = (i + 1) & s.mask }
        return i
    }
    private func grow() {
        let old = storage.pointee
        let size = (old.mask + 1) * 2
        var new = Storage(entries: Self.makeEntries(size, emptyKey), mask: size - 1, count: old.count)
        for i in 0...old.mask where old.entries[i].value >= 0 { new.entries[Self.place(of: old.entries[i].key, new)] = old.entries[i] }
        new.count = old.count
        old.entries.deallocate()
        storage.pointee = new
    }
}
