// Where recordings end up: objects under keys, in a local folder or an S3 bucket. Decision: docs/decisions/0033-object-storage.md
package import Primitives

/// An object's name: `rooms/{room_id}/{recording_id}/tracks/…`, the same layout in every store.
///
/// A key that came from outside is checked once, here: parts of `A–Z a–z 0–9 _ . - =` joined by single slashes, none of
/// them beginning with a dot, so no key leaves the folder it is put under.
package struct ObjectKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    package enum Limits {
        /// S3's own bound on a key, in bytes of UTF-8.
        package static let keyBytes = 1_024
        /// Bytes of one part: a file system's bound on a name.
        package static let partBytes = 200
    }
    package let rawValue: String

    package init(_ text: String) throws(ObjectStorageError) {
        guard !text.isEmpty, text.utf8.count <= Limits.keyBytes else { throw .badKey(String(text.prefix(80))) }
        for part in text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard !part.isEmpty, part.count <= Limits.partBytes, part.first != UInt8(ascii: "."), part.allSatisfy(Self.isPlain) else { throw .badKey(String(text.prefix(80))) }
        }
        rawValue = text
    }
    package var description: String { rawValue }
    package static func < (a: ObjectKey, b: ObjectKey) -> Bool { a.rawValue < b.rawValue }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "="): true
        default: false
        }
    }
}

package struct ObjectInfo: Sendable, Equatable {
    package var key: ObjectKey
    /// Bytes.
    package var size: Int64
    package var modifiedAt: WallTime
    package init(key: ObjectKey, size: Int64, modifiedAt: WallTime) { self.key = key; self.size = size; self.modifiedAt = modifiedAt }
}

package enum ObjectStorageError: Error, Sendable, Equatable {
    case badKey(String)
    case notFound
    /// The range lies outside the object (`size` bytes) or is larger than one answer may be.
    case badRange(size: Int64)
    /// Full, read-only, unreachable: what the system said. Retry later.
    case away(String)
    /// Wrong keys, no such bucket, too large: the same again fails again. Says what to do.
    case refused(String)
}

package enum ObjectStoreLimits {
    /// Bytes read back at a time.
    static let comparedBytes: Int64 = 4 << 20
}

/// Puts, reads, lists and deletes objects. Calls block on the disk or the network, in bounded time: they belong on threads of their own,
/// never on a loop.
package protocol ObjectStore: Sendable {
    /// Makes the whole object visible at once, replacing what was there; durable when it returns.
    func put(_ key: ObjectKey, bytes: [UInt8]) throws(ObjectStorageError)
    /// The same with a file's content, of any size; the file stays, and must not change meanwhile.
    func put(_ key: ObjectKey, file path: String) throws(ObjectStorageError)
    /// Writes an object of any size into a file that appears whole, replacing what was there.
    @discardableResult
    func get(_ key: ObjectKey, to path: String) throws(ObjectStorageError) -> ObjectInfo
    /// The bytes of `range`, clamped to the object's end.
    func read(_ key: ObjectKey, range: Range<Int64>) throws(ObjectStorageError) -> [UInt8]
    func info(_ key: ObjectKey) throws(ObjectStorageError) -> ObjectInfo
    /// Objects whose key begins with `prefix` taken as whole parts ("rooms/a" does not list "rooms/ab"), in key order.
    func list(under prefix: ObjectKey) throws(ObjectStorageError) -> [ObjectInfo]
    /// Deleting what is not there is done already.
    func delete(_ key: ObjectKey) throws(ObjectStorageError)
    /// Deletes every object under `prefix`.
    func deleteAll(under prefix: ObjectKey) throws(ObjectStorageError)
}

extension ObjectStore {
    /// Puts a file and reads it back.
    /// - Returns: whether what is stored is what the file holds, byte for byte.
    package func putVerified(_ key: ObjectKey, file path: String) throws(ObjectStorageError) -> Bool {
        try put(key, file: path)
        let file = try Descriptor(source: path), size = try file.status(key).size
        guard try info(key).size == size else { return false }
        var offset: Int64 = 0
        while offset < size {
            let piece = try file.read(from: offset, count: Int(min(ObjectStoreLimits.comparedBytes, size - offset)))
            guard !piece.isEmpty, try read(key, range: offset..<(offset + Int64(piece.count))) == piece else { return false }
            offset += Int64(piece.count)
        }
        return true
    }
    /// Bytes of all objects under `prefix`.
    package func size(under prefix: ObjectKey) throws(ObjectStorageError) -> Int64 {
        try list(under: prefix).reduce(0) { $0 &+ $1.size }
    }
}
