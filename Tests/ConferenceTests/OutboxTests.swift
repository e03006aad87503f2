import Cluster
import Contracts
import Primitives
import Testing

@testable import Conference

/// What an edge is told of the store, and when.
@Suite struct OutboxTests {
    private let outbox = Outbox(target: .participant(RoomCoreTests.edge("e-ada")))
    /// The number named by `kept`, if any, and how many other deliveries a batch has.
    private struct Batch: Equatable {
        var kept: UInt64?
        var others: Int
    }
    private func next(_ persisted: UInt64) -> Batch? {
        outbox.nextBatch(persisted: persisted).map { batch in
            let kept = batch.compactMap { if case .kept(let number) = $0 { number } else { nil } }
            return Batch(kept: kept.first, others: batch.count - kept.count)
        }
    }

    @Test func whatTheStoreHasIsToldWithTheNextDelivery() {
        #expect(next(5) == nil)
        let isTaken = outbox.queue.push(.detached(.left))
        #expect(isTaken)
        #expect(next(5) == Batch(kept: 5, others: 1))
        outbox.delivered(persisted: 5)
        #expect(!outbox.hasWork && next(5) == nil && next(6) == nil)
    }
    @Test func anEdgeThatWaitsIsToldByItself() {
        outbox.awaited = 7
        #expect(!outbox.awaits(6) && next(6) == nil)
        #expect(outbox.awaits(7))
        #expect(next(8) == Batch(kept: 8, others: 0) && next(8) == Batch(kept: 8, others: 0), "until it has arrived")
        outbox.delivered(persisted: 8)
        #expect(!outbox.awaits(9) && next(9) == nil)
    }
}
