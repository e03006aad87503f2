// Tokens that work once, and compositions that change by compare-and-set.
import Contracts
import Primitives
@testable import Store
import Testing

extension Sample {
    static func hash(_ number: Int) -> TokenHash { TokenHash([UInt8](repeating: 0xA5, count: 30) + [UInt8(number / 256), UInt8(number % 256)])! }
    static let guest = TokenBinding(kind: .guest, room: "room-a")
    static let composition = TokenBinding(kind: .composition, room: "room-a", recording: "rec-1")
}

@Suite struct Tokens {
    private func prepared(_ database: TestDatabase) async throws -> SQLStore {
        let store = try await database.storeWithRecordings()
        try await store.insert(Sample.room(), host: Sample.admission())
        return store
    }
    private func inserted(_ insertion: TokenInsertion) -> TokenRecord? { if case .inserted(let token) = insertion { token } else { nil } }

    @Test(arguments: Engine.here) func aTokenAdmitsOnce(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await prepared(database)
        var token = try #require(inserted(try await store.insertToken(Sample.hash(1), for: Sample.composition, scopes: ["preview:read", "export:create"], life: .seconds(1_800))))
        #expect(token.expiresAt == token.createdAt + .seconds(1_800))
        await #expect(throws: StoreError.conflict) { try await store.insertToken(Sample.hash(1), for: Sample.composition, scopes: [], life: .seconds(1)) }
        #expect(try await store.burnToken(Sample.hash(2), for: Sample.composition, scope: nil) == .refused(.unknown))
        for other in [Sample.guest, TokenBinding(kind: .composition, room: "room-b", recording: "rec-1"), TokenBinding(kind: .composition, room: "room-a", recording: "rec-2")] {
            #expect(try await store.burnToken(Sample.hash(1), for: other, scope: "export:create") == .refused(.foreign))
        }
        #expect(try await store.burnToken(Sample.hash(1), for: Sample.composition, scope: "composition:write") == .refused(.outOfScope))
        #expect(try await store.burnToken(Sample.hash(1), for: Sample.composition, scope: "export:creat") == .refused(.outOfScope))
        guard case .burned(let burned) = try await store.burnToken(Sample.hash(1), for: Sample.composition, scope: "export:create") else { Issue.record("refused"); return }
        let at = try #require(burned.burnedAt)
        token.burnedAt = at
        #expect(burned == token && at >= token.createdAt)
        #expect(try await store.burnToken(Sample.hash(1), for: Sample.composition, scope: "export:create") == .refused(.burned(at)))
        await database.close()
    }

    @Test(arguments: Engine.here) func ofManyWhoBurnATokenOneIsAdmitted(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await prepared(database)
        let stores = [store, database.store(), database.store()]
        for round in 0..<6 {
            _ = try await store.insertToken(Sample.hash(round), for: Sample.guest, scopes: [], life: .seconds(60))
            let answers = try await withThrowingTaskGroup(of: TokenBurn.self) { group in
                for index in 0..<9 { group.addTask { try await patiently { try await stores[index % 3].burnToken(Sample.hash(round), for: Sample.guest, scope: nil) }.0 } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let burned = answers.compactMap { if case .burned(let token) = $0 { token } else { nil } }
            let at = try #require(burned.first?.burnedAt)
            #expect(burned.count == 1)
            #expect(answers.filter { $0 == .refused(.burned(at)) }.count == 8)
        }
        await database.close()
    }

    @Test(arguments: Engine.here) func tokensEnd(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await prepared(database)
        func age(_ duration: Duration) async throws {
            try await store.perform { (connection) throws(StoreError) in
                for column in ["created_at", "expires_at", "burned_at"] { try connection.run("UPDATE tokens SET \(column) = \(column) - $1", [.integer(duration.inMicroseconds)]) }
            }
        }
        let token = try #require(inserted(try await store.insertToken(Sample.hash(1), for: Sample.guest, scopes: [], life: .seconds(60))))
        try await age(.seconds(61))
        #expect(try await store.burnToken(Sample.hash(1), for: Sample.guest, scope: nil) == .refused(.expired(WallTime(microseconds: token.expiresAt.microseconds - 61_000_000))))
        _ = try await store.insertToken(Sample.hash(2), for: Sample.guest, scopes: [], life: .seconds(60))
        #expect(try await store.burnToken(Sample.hash(1), for: Sample.guest, scope: nil) != .refused(.unknown), "remembered for a day")
        try await age(TokenLimits.endedKept)
        _ = try await store.insertToken(Sample.hash(3), for: Sample.guest, scopes: [], life: .seconds(60))
        #expect(try await store.burnToken(Sample.hash(1), for: Sample.guest, scope: nil) == .refused(.unknown))
        _ = try await store.insertToken(Sample.hash(4), for: Sample.composition, scopes: [], life: .seconds(60))
        _ = try await store.deleteRecording("rec-1")
        #expect(try await store.burnToken(Sample.hash(4), for: Sample.composition, scope: nil) == .refused(.unknown))
        await database.close()
    }

    @Test(arguments: Engine.here) func placesHoldSoManyUnusedTokens(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await prepared(database)
        #expect(try await store.insertToken(Sample.hash(0), for: TokenBinding(kind: .guest, room: "room-z"), scopes: [], life: .seconds(60)) == .unknownPlace)
        #expect(try await store.insertToken(Sample.hash(0), for: TokenBinding(kind: .composition, room: "room-z", recording: "rec-1"), scopes: [], life: .seconds(60)) == .unknownPlace)
        for number in 0..<TokenLimits.perRecording { _ = try await store.insertToken(Sample.hash(number), for: Sample.composition, scopes: [], life: .seconds(60)) }
        #expect(try await store.insertToken(Sample.hash(500), for: Sample.composition, scopes: [], life: .seconds(60)) == .full)
        _ = try await store.burnToken(Sample.hash(3), for: Sample.composition, scope: nil)
        #expect(inserted(try await store.insertToken(Sample.hash(500), for: Sample.composition, scopes: [], life: .seconds(60))) != nil)
        #expect(inserted(try await store.insertToken(Sample.hash(501), for: Sample.guest, scopes: [], life: .seconds(60))) != nil, "guests are counted apart")
        await database.close()
    }

    @Test(arguments: [
        (TokenBinding(kind: .guest, room: "r", recording: "x"), [], 60), (TokenBinding(kind: .composition, room: "r"), [], 60), (Sample.guest, ["a b"], 60), (Sample.guest, [""], 60),
        (Sample.guest, [String(repeating: "s", count: 65)], 60), (Sample.guest, Array(repeating: "s", count: 17), 60), (Sample.guest, [], 0), (Sample.guest, [], 8 * 24 * 3600),
    ] as [(TokenBinding, [String], Int64)])
    func whatCannotBeRightIsRefused(binding: TokenBinding, scopes: [String], seconds: Int64) {
        #expect(TokenRecord.mistake(binding: binding, scopes: scopes, life: .seconds(seconds)) != nil)
    }
    @Test func aHashHasItsLength() { #expect(TokenHash([1, 2, 3]) == nil && TokenHash([UInt8](repeating: 0, count: 33)) == nil) }
}

@Suite struct Compositions {
    @Test(arguments: Engine.here) func aCompositionChangesByCompareAndSet(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        func save(_ state: String, expecting: UInt64?, id: CompositionID = "c-1") async throws -> CompositionSaving {
            try await store.saveComposition(id, of: "rec-1", state: state, expecting: expecting)
        }
        #expect(try await save("{}", expecting: 3) == .conflict(nil))
        guard case .saved(let first) = try await save(#"{"layout":"grid"}"#, expecting: 0) else { Issue.record("not saved"); return }
        #expect(first.version == 1)
        #expect(try await store.composition("c-1", of: "rec-1") == first)
        #expect(try await save("{}", expecting: 0) == .conflict(first))
        guard case .saved(let second) = try await save("{}", expecting: 1), case .saved(let third) = try await save("[]", expecting: nil) else { Issue.record("not saved"); return }
        #expect(second.version == 2 && third.version == 3 && third.state == "[]")
        #expect(try await store.composition("c-1", of: "rec-2") == nil)
        #expect(try await store.saveComposition("c-1", of: "rec-9", state: "{}", expecting: nil) == .noRecording)
        await #expect(throws: StoreError.self) { try await save(String(repeating: " ", count: CompositionLimits.stateBytes + 1), expecting: nil) }
        await #expect(throws: StoreError.self) { try await save("{}", expecting: nil, id: "../x") }
        for number in 1..<CompositionLimits.perRecording { _ = try await save("{}", expecting: 0, id: CompositionID("d-\(number)")) }
        #expect(try await save("{}", expecting: 0, id: "e") == .full)
        #expect(try await store.compositions(of: "rec-1").count == CompositionLimits.perRecording)
        #expect(try await store.compositions(of: "rec-1").first == third)
        _ = try await store.deleteRecording("rec-1")
        #expect(try await store.compositions(of: "rec-1").isEmpty)
        await database.close()
    }

    @Test(arguments: Engine.here) func ofManyWhoChangeOneVersionOneDoes(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings(), other = database.store()
        for version in UInt64(0)..<8 {
            async let one = patiently { try await store.saveComposition("c", of: "rec-1", state: "1", expecting: version) }.0
            async let two = patiently { try await other.saveComposition("c", of: "rec-1", state: "2", expecting: version) }.0
            let answers = [try await one, try await two], stored = try #require(try await store.composition("c", of: "rec-1"))
            #expect(stored.version == version + 1)
            #expect(answers.contains(.saved(stored)) && answers.contains(.conflict(stored)))
        }
        await database.close()
    }
}
