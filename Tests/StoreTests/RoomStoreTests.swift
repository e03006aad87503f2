import Contracts
import Primitives
import Store
import Testing

@Suite struct RoomRows {
    @Test(arguments: Engine.here) func aRoomComesBackAsItWasPut(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.insert(Sample.room(), host: Sample.admission())
        #expect(try await store.room("room-a") == Sample.room())
        #expect(try await store.room(code: "abc-def") == Sample.room())
        #expect(try await store.admission(room: "room-a", participant: "p-host") == Sample.admission())
        #expect(try await store.room("room-b") == nil)
        #expect(try await store.room(code: "nothing") == nil)
        await database.close()
    }

    @Test(arguments: Engine.here) func aMeetingCodeIsUniqueAmongRoomsThatHaveNotEnded(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.insert(Sample.room(), host: Sample.admission())
        await #expect(throws: StoreError.conflict) { try await store.insert(Sample.room("room-b"), host: Sample.admission("room-b")) }
        #expect(try await store.room("room-b") == nil, "the refused room left nothing behind")
        try await store.endRoom("room-a", at: Sample.start + .seconds(60))
        try await store.insert(Sample.room("room-b"), host: Sample.admission("room-b"))
        #expect(try await store.room(code: "abc-def")?.id == "room-b")
        await database.close()
    }

    @Test(arguments: Engine.here) func theFirstEndStands(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.insert(Sample.room(), host: Sample.admission())
        try await store.endRoom("room-a", at: Sample.start + .seconds(60))
        try await store.endRoom("room-a", at: Sample.start + .seconds(90))
        #expect(try await store.room("room-a")?.endedAt == Sample.start + .seconds(60))
        await #expect(throws: StoreError.notFound) { try await store.endRoom("room-x", at: Sample.start) }
        await database.close()
    }

    @Test(arguments: Engine.here) func anAdmissionIsIdempotentAndNeverOverwritten(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.insert(Sample.room(), host: Sample.admission())
        let guest = Sample.admission("room-a", "p-guest", role: .guest)
        try await store.admit(guest)
        try await store.admit(guest)
        var other = guest
        other.role = .host
        await #expect(throws: StoreError.conflict) { try await store.admit(other) }
        #expect(try await store.admission(room: "room-a", participant: "p-guest") == guest)
        await #expect(throws: StoreError.notFound) { try await store.admit(Sample.admission("room-x", "p-1")) }
        await database.close()
    }

    @Test(arguments: Engine.here) func aBareAdmissionBurnsOnceWhoeverAsks(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.insert(Sample.room(), host: Sample.admission())
        let second = database.store()
        let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<16 {
                let asked = index % 2 == 0 ? store : second
                group.addTask { try await asked.burnBareAdmission(room: "room-a", participant: "p-host") }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(wins == 1)
        #expect(try await store.burnBareAdmission(room: "room-a", participant: "p-nobody") == false)
        await database.close()
    }

    @Test(arguments: Engine.here) func anAnswerIsKeptForADay(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        let first = StoredAnswer(status: 201, body: #"{"session_id":"room-a"}"#)
        try await store.keep(first, idempotencyKey: "k1", at: Sample.start)
        try await store.keep(StoredAnswer(status: 500, body: ""), idempotencyKey: "k1", at: Sample.start + .seconds(5))
        #expect(try await store.answer(idempotencyKey: "k1") == first)
        try await store.keep(first, idempotencyKey: "k2", at: Sample.start + .seconds(86_401))
        #expect(try await store.answer(idempotencyKey: "k1") == nil)
        await database.close()
    }
}
