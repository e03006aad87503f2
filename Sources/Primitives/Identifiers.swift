// Names of things, each a type of its own so that one cannot be passed for another.

/// A name that travels as a plain string. At most `maxBytes` bytes of UTF-8 when it comes from outside.
package protocol Identifier: Hashable, Comparable, Codable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    var rawValue: String { get }
    init(_ rawValue: String)
}

extension Identifier {
    package static var maxBytes: Int { 128 }
    package init(stringLiteral value: String) { self.init(value) }
    package var description: String { rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package init(from decoder: any Decoder) throws { self.init(try decoder.singleValueContainer().decode(String.self)) }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
    /// For ids in paths, URLs and storage keys: 1 to `maxBytes` bytes of `A-Z a-z 0-9 _ . -`, not starting with a dot.
    package var isSafe: Bool {
        let bytes = rawValue.utf8
        guard !bytes.isEmpty, bytes.count <= Self.maxBytes, bytes.first != UInt8(ascii: ".") else { return false }
        return bytes.allSatisfy {
            ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x61 && $0 <= 0x7A) || $0 == 0x5F || $0 == 0x2D || $0 == 0x2E
        }
    }
}

/// A room; `session_id`, `roomId`, `call_id` and a token's `room` are this one id.
package struct RoomID: Identifier { package let rawValue: String; package init(_ rawValue: String) { self.rawValue = rawValue } }
/// A participant of a room; stays the same when the client moves to another edge.
package struct ParticipantID: Identifier { package let rawValue: String; package init(_ rawValue: String) { self.rawValue = rawValue } }
/// A publication's track, unique in its room.
package struct TrackID: Identifier { package let rawValue: String; package init(_ rawValue: String) { self.rawValue = rawValue } }
package struct RecordingID: Identifier { package let rawValue: String; package init(_ rawValue: String) { self.rawValue = rawValue } }
/// A durable job of a recording: finalise, preview, export, thumbnail.
package struct JobID: Identifier { package let rawValue: String; package init(_ rawValue: String) { self.rawValue = rawValue } }
/// One of a recording's saved compositions.
package struct CompositionID: Identifier { package let rawValue: String; package init(_ rawValue: String) { self.rawValue = rawValue } }
/// A node's name in the topology.
package struct NodeName: Identifier { package let rawValue: String; package init(_ rawValue: String) { self.rawValue = rawValue } }

/// One life of a node: grows at every start, so that a dead one never returns. Milliseconds of wall time at start, made unique in the store.
package struct Incarnation: Hashable, Comparable, Codable, Sendable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Incarnation, b: Incarnation) -> Bool { a.rawValue < b.rawValue }
}

/// How often something that must exist once has been claimed. It only grows; receivers refuse an older one.
package struct Epoch: Hashable, Comparable, Codable, Sendable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static let none = Epoch(0)
    package var next: Epoch { Epoch(rawValue + 1) }
    package static func < (a: Epoch, b: Epoch) -> Bool { a.rawValue < b.rawValue }
}

/// Synchronisation source of an RTP stream (RFC 3550 §3).
package struct SSRC: Hashable, Codable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    package var description: String { String(rawValue) }
}
