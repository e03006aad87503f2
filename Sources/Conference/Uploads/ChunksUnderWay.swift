// Whose chunks are on their way to this node.
import Primitives

/// Bounds what one participant takes of a node's room for chunks, so that one who sends slowly, or many at once, leaves room for the others.
///
/// A pure value: `begin` and `end` come in pairs. It holds no more entries than there are chunks under way.
struct ChunksUnderWay {
    enum Limits {
        /// Of one participant of a room at one node. The page sends one at a time.
        static let chunks = 4
    }
    private struct Sender: Hashable {
        let room: RoomID
        let participant: ParticipantID
    }
    private var counts: [Sender: Int] = [:]

    /// - Returns: false for one too many, which is not counted.
    mutating func begin(_ participant: ParticipantID, of room: RoomID) -> Bool {
        let sender = Sender(room: room, participant: participant), count = counts[sender, default: 0]
        guard count < Limits.chunks else { return false }
        counts[sender] = count + 1
        return true
    }
    mutating func end(_ participant: ParticipantID, of room: RoomID) {
        let sender = Sender(room: room, participant: participant)
        guard let count = counts[sender] else { return }
        counts[sender] = count > 1 ? count - 1 : nil
    }
    var senders: Int { counts.count }
}
