// The durable log of rooms: continuity by compare-and-set, fencing by epochs, a feed in which nothing appears late.
import Contracts
import Primitives
@testable import Store
import Testing

@Suite struct EventLogs {
    @Test(arguments: Engine.here) func aLogGrowsByCompareAndSetOnItsEnd(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        #expect(try await store.roomLog("room-a") == nil)
        #expect(try await store.appendEvents(Sample.batch(after: 2, through: 3)) == .conflict(highest: 0, epoch: .none))
        #expect(try await store.roomLog("room-a") == nil, "a refused batch leaves nothing behind")
        #expect(try await store.appendEvents(Sample.batch(after: 0, through: 3)) == .appended)
        #expect(try await store.appendEvents(Sample.batch(after: 4, through: 5)) == .conflict(highest: 3, epoch: Epoch(1)))
        #expect(try await store.appendEvents(Sample.batch(after: 3, through: 4)) == .appended)
        #expect(try await store.roomLog("room-a") == RoomLogHead(epoch: Epoch(1), sequence: 4))
        #expect(try await store.events(room: "room-a", since: 0, limit: 10) == EventPage(events: (1...4).map { Sample.event($0) }, highest: 4, isCut: false))
        #expect(try await store.events(room: "room-b", since: 0, limit: 10) == EventPage(events: [], highest: 0, isCut: false))
        await database.close()
    }

    @Test(arguments: Engine.here) func aRepeatedBatchIsOneAndAHalfWrittenOneIsCompleted(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        for _ in 0..<2 { #expect(try await store.appendEvents(Sample.batch(after: 0, through: 3)) == .appended) }
        #expect(try await store.appendEvents(Sample.batch(after: 1, through: 5)) == .appended)
        #expect(try await store.appendEvents(Sample.batch(after: 0, through: 2)) == .appended)
        #expect(try await store.appendEvents(Sample.batch(after: 4, through: 6, text: "another")) == .conflict(highest: 5, epoch: Epoch(1)))
        #expect(try await store.appendEvents(Sample.batch(after: 1, through: 2, text: "another")) == .conflict(highest: 5, epoch: Epoch(1)))
        #expect(try await store.events(room: "room-a", since: 0, limit: 10).events == (1...5).map { Sample.event($0) })
        await database.close()
    }

    @Test(arguments: Engine.here) func anOlderEpochIsRefusedFromTheMomentTheLogIsOpened(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        #expect(try await store.openLog("room-a", epoch: Epoch(1)) == .opened(RoomLogHead(epoch: Epoch(1), sequence: 0)))
        #expect(try await store.appendEvents(Sample.batch(after: 0, through: 2, state: [1])) == .appended)
        let head = RoomLogHead(epoch: Epoch(2), sequence: 2, state: [1], stateSequence: 2)
        for _ in 0..<2 { #expect(try await store.openLog("room-a", epoch: Epoch(2)) == .opened(head)) }
        #expect(try await store.appendEvents(Sample.batch(after: 2, through: 3)) == .conflict(highest: 2, epoch: Epoch(2)))
        #expect(try await store.appendEvents(Sample.batch(after: 1, through: 2)) == .conflict(highest: 2, epoch: Epoch(2)), "not even what is there already")
        #expect(try await store.appendEvents(Sample.batch(after: 2, through: 2, state: [9])) == .conflict(highest: 2, epoch: Epoch(2)))
        #expect(try await store.openLog("room-a", epoch: Epoch(1)) == .superseded(Epoch(2)))
        #expect(try await store.roomLog("room-a") == head)
        #expect(try await store.appendEvents(Sample.batch(epoch: 3, after: 2, through: 3)) == .appended, "an append fences as well")
        #expect(try await store.roomLog("room-a")?.epoch == Epoch(3))
        await database.close()
    }

    @Test(arguments: Engine.here) func stateIsKeptWithItsBatch(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        let large = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try await store.appendEvents(Sample.batch(after: 0, through: 2, state: [])) == .appended)
        #expect(try await store.roomLog("room-a") == RoomLogHead(epoch: Epoch(1), sequence: 2, state: [], stateSequence: 2))
        #expect(try await store.appendEvents(Sample.batch(after: 2, through: 5, state: large)) == .appended)
        #expect(try await store.appendEvents(Sample.batch(after: 5, through: 6)) == .appended)
        #expect(try await store.roomLog("room-a") == RoomLogHead(epoch: Epoch(1), sequence: 6, state: large, stateSequence: 5))
        #expect(try await store.appendEvents(Sample.batch(after: 0, through: 2, state: [2])) == .appended)
        #expect(try await store.roomLog("room-a")?.state == large, "an older state never replaces a later one")
        #expect(try await store.appendEvents(Sample.batch(after: 6, through: 6, state: [6])) == .appended)
        #expect(try await store.roomLog("room-a") == RoomLogHead(epoch: Epoch(1), sequence: 6, state: [6], stateSequence: 6))
        await database.close()
    }

    @Test(arguments: Engine.here) func lostNumbersAreAnEntryOfTheirOwn(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        let lost = LoggedEvent.lost(3...7, epoch: Epoch(2), at: Sample.start)
        #expect(lost.payload == #"{"from":3,"to":7}"# && lost.type == "events_lost")
        #expect(try await store.appendEvents(Sample.batch(after: 0, through: 2)) == .appended)
        #expect(try await store.appendEvents(EventBatch(room: "room-a", epoch: Epoch(2), after: 2, events: [lost, Sample.event(8, epoch: 2)])) == .appended)
        #expect(try await store.events(room: "room-a", since: 4, limit: 10) == EventPage(events: [lost, Sample.event(8, epoch: 2)], highest: 8, isCut: false))
        #expect(try await store.events(room: "room-a", since: 7, limit: 10).events == [Sample.event(8, epoch: 2)])
        await database.close()
    }

    @Test(arguments: Engine.here) func aBatchThatCannotBeRightIsNotSent(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        var batches = [Sample.batch(after: 0, through: 3), Sample.batch(after: 0, through: 1, state: Array(repeating: 0, count: EventBatch.Limits.stateBytes + 1))]
        batches[0].events.remove(at: 1)
        batches.append(EventBatch(room: "room-a", epoch: Epoch(1), after: 0, events: [Sample.event(1, epoch: 2)]))
        batches.append(EventBatch(room: "room-a", epoch: Epoch(1), after: 0, events: [Sample.event(1, text: String(repeating: "x", count: LoggedEvent.Limits.payloadBytes))]))
        batches.append(Sample.batch(after: 0, through: UInt64(EventBatch.Limits.events) + 1))
        batches.append(EventBatch(room: "room-a", epoch: Epoch(1), after: .max, events: [Sample.event(0)]))
        for batch in batches {
            await #expect(throws: StoreError.self) { try await store.appendEvents(batch) }
        }
        #expect(try await store.roomLog("room-a") == nil)
        await database.close()
    }

    @Test(arguments: Engine.here) func pagesAreBounded(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        #expect(try await store.appendEvents(Sample.batch(after: 0, through: 100)) == .appended)
        #expect(try await store.events(room: "room-a", since: 10, limit: 3) == EventPage(events: (11...13).map { Sample.event($0) }, highest: 100, isCut: false))
        #expect(try await store.events(room: "room-a", since: 100, limit: 3) == EventPage(events: [], highest: 100, isCut: false))
        #expect(try await store.events(room: "room-a", since: .max, limit: .max).events.isEmpty)
        #expect(try await store.events(room: "room-a", since: 0, limit: -1).events.isEmpty)
        #expect(try await store.globalEvents(since: 98, limit: .max).entries.map(\.position) == [99, 100])
        #expect(try await store.globalEvents(since: 0, limit: 0) == FeedPage(entries: [], cursor: 0, isCut: false))
        #expect(try await store.globalEvents(since: 101, limit: 5) == FeedPage(entries: [], cursor: 100, isCut: true), "a cursor of a later database")
        await database.close()
    }

    /// The same calls, the same answers as the store in memory gives.
    @Test(arguments: Engine.here, [1, 2, 3] as [UInt64]) func itAnswersAsTheStoreInMemory(engine: Engine, seed: UInt64) async throws {
        let database = try await TestDatabase(engine), store = database.store(), memory = MemoryEventStore()
        var random = SplitMix64(seed: seed)
        func draw(_ bound: UInt64) -> UInt64 { random.next() % bound }
        for _ in 0..<120 {
            let room = RoomID("room-\(draw(2))"), epoch = 1 + draw(3), after = draw(3) == 0 ? draw(10) : (try await memory.roomLog(room)?.sequence ?? 0)
            switch draw(8) {
            case 0:
                let opened = try await memory.openLog(room, epoch: Epoch(epoch))
                #expect(try await store.openLog(room, epoch: Epoch(epoch)) == opened)
            case 1:
                #expect(try await store.roomLog(room) == memory.roomLog(room))
            case 2:
                #expect(try await store.events(room: room, since: after, limit: 4) == memory.events(room: room, since: after, limit: 4))
            case 3:
                #expect(try await store.globalEvents(since: after, limit: 4) == memory.globalEvents(since: after, limit: 4))
            default:
                let batch = Sample.batch(room, epoch: epoch, after: after, through: after + draw(4), text: "\(draw(2))", state: draw(2) == 0 ? [UInt8(draw(200))] : nil)
                let outcome = try await memory.appendEvents(batch)
                #expect(try await store.appendEvents(batch) == outcome)
            }
        }
        #expect(try await store.globalEvents(since: 0, limit: 1_000) == memory.globalEvents(since: 0, limit: 1_000))
        await database.close()
    }
}

@Suite struct EventFeeds {
    /// Several nodes write many rooms at once while a reader follows: it sees every entry once, in order, without a gap.
    @Test(arguments: Engine.here) func nothingAppearsBehindACursor(engine: Engine) async throws {
        let database = try await TestDatabase(engine)
        let rooms = 6, batches: UInt64 = 12, size: UInt64 = 3
        let total = UInt64(rooms) * batches * size
        let seen = try await withThrowingTaskGroup(of: [FeedEntry].self) { group in
            let reader = database.store()
            group.addTask {
                var seen: [FeedEntry] = []
                while seen.count < total {
                    try Task.checkCancellation()
                    let page = try await reader.globalEvents(since: UInt64(seen.count), limit: 7)
                    #expect(page.entries.map(\.position) == page.entries.indices.map { UInt64(seen.count + $0 + 1) }, "positions follow one another as they become visible")
                    #expect(!page.isCut)
                    seen += page.entries
                }
                return seen
            }
            for room in 0..<rooms {
                let store = database.store()
                group.addTask {
                    for index in 0..<batches {
                        let batch = Sample.batch(RoomID("room-\(room)"), after: index * size, through: (index + 1) * size)
                        // One file's lock is not given out in turn: who waited too long comes again, with the same batch.
                        let (outcome, _) = try await patiently { try await store.appendEvents(batch) }
                        #expect(outcome == .appended)
                    }
                    return []
                }
            }
            return try await group.reduce([], +)
        }
        for room in 0..<rooms {
            #expect(seen.filter { $0.room == RoomID("room-\(room)") }.map(\.event.sequence) == Array(1...(batches * size)))
        }
        await database.close()
    }

    @Test(arguments: Engine.here) func twoWritersOfOneEpochNeverMix(engine: Engine) async throws {
        let database = try await TestDatabase(engine), stores = [database.store(), database.store()]
        for after in UInt64(0)..<10 {
            let outcomes = try await withThrowingTaskGroup(of: AppendOutcome.self) { group in
                for (index, store) in stores.enumerated() {
                    group.addTask { try await store.appendEvents(Sample.batch(after: after, through: after + 1, text: "\(index)")) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.filter { $0 == .appended }.count == 1)
            #expect(outcomes.contains(.conflict(highest: after + 1, epoch: Epoch(1))))
        }
        await database.close()
    }

    @Test(arguments: Engine.here) func manyRoomsShareATransaction(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        let rooms = 300
        try await withThrowingTaskGroup(of: Void.self) { group in
            for room in 0..<rooms {
                group.addTask {
                    let outcome = try await store.appendEvents(Sample.batch(RoomID("room-\(room)"), after: 0, through: 2))
                    #expect(outcome == .appended)
                }
            }
            try await group.waitForAll()
        }
        #expect(try await store.globalEvents(since: 0, limit: 1_000).entries.count == rooms * 2)
        await database.close()
    }
}

@Suite struct EventsInTheCourseOfTime {
    @Test(arguments: Engine.here) func aRoomKeepsItsShare(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        let step: UInt64 = 128, bound = EventRetention.eventsPerRoom
        // One entry may stand for many numbers.
        let lost = [1...10, 11...bound].map { LoggedEvent.lost($0, epoch: Epoch(1), at: Sample.start) }
        #expect(try await store.appendEvents(EventBatch(room: "room-a", epoch: Epoch(1), after: 0, events: lost)) == .appended)
        var after = bound
        while after < bound + 3 * step {
            #expect(try await store.appendEvents(Sample.batch(after: after, through: after + step)) == .appended)
            after += step
        }
        let page = try await store.events(room: "room-a", since: 0, limit: 1)
        #expect(page == EventPage(events: [lost[1]], highest: after, isCut: true))
        #expect(try await store.events(room: "room-a", since: 10, limit: 1).isCut == false)
        #expect(try await store.globalEvents(since: 0, limit: 1).isCut)
        #expect(try await store.globalEvents(since: 1, limit: 1).isCut == false)
        await database.close()
    }

    @Test(arguments: Engine.here) func eventsGoByAgeAndLogsWithTheirRooms(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.insert(Sample.room(), host: Sample.admission())
        for room in ["room-a", "room-b"] as [RoomID] { #expect(try await store.appendEvents(Sample.batch(room, after: 0, through: 3)) == .appended) }
        let age = EventRetention.age.inMicroseconds
        try await store.perform { (connection) throws(StoreError) in
            try connection.run("UPDATE room_events SET kept_at = kept_at - $1 WHERE position <= 5", [.integer(age + 1)])
            try connection.run("UPDATE room_logs SET changed_at = changed_at - $1", [.integer(age + 1)])
            try EventRetention.apply(to: connection)
        }
        #expect(try await store.globalEvents(since: 0, limit: 10).entries.map(\.position) == [6])
        #expect(try await store.globalEvents(since: 4, limit: 10).isCut)
        #expect(try await store.globalEvents(since: 5, limit: 10).isCut == false)
        #expect(try await store.events(room: "room-a", since: 1, limit: 10) == EventPage(events: [], highest: 3, isCut: true))
        #expect(try await store.appendEvents(Sample.batch(after: 3, through: 4)) == .appended, "the log goes on where it was")
        try await store.perform { (connection) throws(StoreError) in
            try connection.run("UPDATE room_events SET kept_at = kept_at - $1", [.integer(age + 1)])
            try connection.run("UPDATE room_logs SET changed_at = changed_at - $1", [.integer(age + 1)])
            try EventRetention.apply(to: connection)
        }
        #expect(try await store.roomLog("room-a")?.sequence == 4, "a room that has not ended keeps its log's head")
        #expect(try await store.roomLog("room-b") == nil)
        await database.close()
    }
}
