// Who may see a room's recordings, and how long they are kept (docs/decisions/0039-consent-and-retention.md).
import Primitives

/// Said when the room is created; each recording has its own copy, `policy.json` beside its files.
package struct RecordingPolicy: Codable, Sendable, Equatable {
    package enum Viewers: String, Codable, Sendable, CaseIterable {
        /// The room's host and admins.
        case host
        /// And everyone who was admitted to the room.
        case participants
        /// And whoever knows the recording's id: 70 bits, never listed to strangers.
        case link
    }
    package enum Limits {
        /// Days after a recording's end.
        package static let retentionDays = 1...36_500
    }
    package var viewers: Viewers
    /// Nil: kept until somebody deletes it.
    package var retentionDays: Int?
    package init(viewers: Viewers = .participants, retentionDays: Int? = nil) { self.viewers = viewers; self.retentionDays = retentionDays }

    /// When a recording that ended at `end` is deleted.
    package func deleteAfter(_ end: WallTime) -> WallTime? { retentionDays.map { end + .seconds(Int64($0) * 86_400) } }

    package var json: JSON { .compact([("viewers", .string(viewers.rawValue)), ("retention_days", .int(retentionDays.map { Int64($0) }))]) }
    /// - Returns: nil for what is no policy.
    package init?(json: JSON) {
        guard let viewers = json["viewers"].map({ $0.string.flatMap(Viewers.init(rawValue:)) }) ?? .participants else { return nil }
        self.init(viewers: viewers)
        guard let days = json["retention_days"], days != .null else { return }
        guard let days = days.integer, Limits.retentionDays.contains(Int(clamping: days)) else { return nil }
        retentionDays = Int(days)
    }
}
