// What a Room still has to tell one edge or one capture writer, in order.
import Cluster
import Contracts
import Primitives

/// A bounded queue with at most one batch in flight. Owned by the Room actor.
/// A batch whose outcome is unknown may arrive twice: receivers skip events by sequence number.
final class Outbox {
    enum Limits {
        static let deliveries = 1024
        static let batch = 64
        /// Attempts at one batch before the receiver counts as gone (its node's death is noticed within them).
        static let attempts = 5
        static let retryDelay = Duration.milliseconds(300)
    }
    enum Target: Codable, Sendable {
        case participant(ActorAddress)
        case writer(ActorAddress, RecordingID)

        var address: ActorAddress {
            switch self { case .participant(let address), .writer(let address, _): address }
        }

        func deliver(_ batch: [RoomDelivery], system: ClusterSystem) async throws {
            switch self {
            case .participant(let address): try await Participant.resolve(id: address, using: system).deliver(batch)
            case .writer(let address, _): try await CaptureWriter.resolve(id: address, using: system).deliver(batch)
            }
        }
    }

    let target: Target
    var queue = BoundedQueue<RoomDelivery>(capacity: Limits.deliveries, growingFrom: 4)
    var pumping = false
    /// The last number it was told the store has.
    var toldKept: UInt64 = 0
    /// The last number of which it waits to hear that: a client there said it.
    var awaited: UInt64 = 0
    /// Nothing more is taken; dropped once empty.
    var closing = false
    private var inFlight: [RoomDelivery] = []

    init(target: Target) { self.target = target }

    var hasWork: Bool { !inFlight.isEmpty || !queue.isEmpty }
    /// What has not certainly arrived, in order.
    var pending: [RoomDelivery] {
        var rest = queue, all = inFlight
        while let next = rest.pop() { all.append(next) }
        return all
    }
    /// It waits to hear that the store has what it has now.
    func awaits(_ persisted: UInt64) -> Bool { awaited > toldKept && persisted >= awaited }
    /// - Parameter persisted: the store has every number up to this one; told with whatever else there is, or by itself where somebody waits for it.
    func nextBatch(persisted: UInt64) -> [RoomDelivery]? {
        while inFlight.count < Limits.batch, let next = queue.pop() { inFlight.append(next) }
        guard !inFlight.isEmpty || awaits(persisted) && !closing else { return nil }
        return (persisted > toldKept ? [.kept(through: persisted)] : []) + inFlight
    }
    /// The last batch arrived.
    func delivered(persisted: UInt64) {
        inFlight = []
        toldKept = max(toldKept, persisted)
    }
}
