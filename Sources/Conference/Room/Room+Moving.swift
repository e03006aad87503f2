// A Room on its way to another node: its memory and what it still has to tell go along; its edges hear of it by its next word.
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

/// What one edge, or one capture writer, had not been told yet.
struct OutboxState: Codable, Sendable {
    var target: Outbox.Target
    var deliveries: [RoomDelivery]
}
struct MovingRoom: Codable, Sendable {
    var state: RoomState
    var outboxes: [OutboxState]
}

extension Room: MovingActor {
    /// Stops deciding and delivering, and gives the state. `stay` or `left` follows.
    func prepareMove() throws -> [UInt8] {
        isMoving = true
        do {
            let waiting = outboxes.filter { !$0.value.closing || $0.value.hasWork }.sorted { "\($0.key)" < "\($1.key)" }
            return try CBOREncoder.encode(MovingRoom(
                state: core.state(now: context.loop.now), outboxes: waiting.map { OutboxState(target: $0.value.target, deliveries: $0.value.pending) }))
        } catch {
            isMoving = false
            throw error
        }
    }
    /// The move was given up.
    func stay() {
        isMoving = false
        for address in outboxes.keys { resumePump(address) }
        writeLog()
    }
    /// It goes on elsewhere.
    func left() { claimLost() }

    /// Activation on the node it moved to.
    static func activate(from bytes: [UInt8], claim: Claim, context: ConferenceContext) async throws -> Room {
        let moved = try CBORDecoder.decode(MovingRoom.self, from: bytes)
        let room = Room(context: context, core: RoomCore(moved.state, node: context.system.node, epoch: claim.epoch, now: context.loop.now, wall: context.loop.wall))
        await room.local { $0.takeOver(moved.outboxes) }
        return room
    }
    /// First what was left to say, under the epoch it was said; then the room as it is, which makes every edge follow this one.
    private func takeOver(_ waiting: [OutboxState]) {
        let snapshot = core.snapshot()
        for one in waiting {
            let address = one.target.address
            let outbox = Outbox(target: one.target)
            outboxes[address] = outbox
            if case .writer(_, let recording) = one.target { followers[address] = recording }
            for delivery in one.deliveries { send(delivery, to: address) }
            if one.deliveries.contains(where: \.isLast) { outbox.closing = true } else { send(.refreshed(snapshot), to: address) }
        }
        live()
    }
}

extension RoomDelivery {
    /// Nothing is said to the edge after it.
    var isLast: Bool { if case .detached = self { true } else { false } }
}
