import Cluster
import Contracts
import Primitives
import Store
import Testing

@Suite struct Leases {
    @Test(arguments: Engine.here) func everyLifeOfANodeIsNewer(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        #expect(try await store.registerNode("node-1", proposed: Incarnation(100)) == Incarnation(100))
        #expect(try await store.registerNode("node-1", proposed: Incarnation(200)) == Incarnation(200))
        #expect(try await store.registerNode("node-1", proposed: Incarnation(150)) == Incarnation(201), "the clock went back")
        #expect(try await store.registerNode("node-1", proposed: Incarnation(201)) == Incarnation(202))
        await #expect(throws: StoreError.self) { try await store.registerNode("node-1", proposed: Incarnation(.max)) }
        await database.close()
    }

    @Test(arguments: Engine.here) func onlyTheLatestLifeRenews(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        let first = try await store.registerNode("node-1", proposed: Incarnation(1))
        #expect(try await store.renewNode("node-1", incarnation: first))
        #expect(try await store.renewNode("node-1", incarnation: first))
        #expect(try await store.nodes() == [NodeLease(node: "node-1", incarnation: first, counter: 2)])
        let second = try await store.registerNode("node-1", proposed: Incarnation(2))
        #expect(try await store.renewNode("node-1", incarnation: first) == false)
        #expect(try await store.renewNode("node-2", incarnation: first) == false)
        #expect(try await store.nodes() == [NodeLease(node: "node-1", incarnation: second, counter: 0)])
        await database.close()
    }

    @Test(arguments: Engine.here) func aClaimIsTakenByCompareAndSet(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        func take(_ node: NodeName, expecting: UInt64) async throws -> ClaimOutcome {
            try await store.takeClaim(kind: "room", key: "a", by: node, incarnation: Incarnation(7), expecting: Epoch(expecting))
        }
        func claim(_ node: NodeName, _ epoch: UInt64, released: Bool = false) -> Claim {
            Claim(kind: "room", key: "a", node: node, incarnation: Incarnation(7), epoch: Epoch(epoch), isReleased: released)
        }
        #expect(try await store.claim(kind: "room", key: "a") == nil)
        #expect(try await take("node-1", expecting: 0) == .taken(claim("node-1", 1)))
        #expect(try await take("node-2", expecting: 0) == .conflict(claim("node-1", 1)))
        #expect(try await take("node-2", expecting: 1) == .taken(claim("node-2", 2)))
        try await store.releaseClaims([claim("node-1", 1)])
        #expect(try await store.claim(kind: "room", key: "a") == claim("node-2", 2), "an older claim releases nothing")
        try await store.releaseClaims([claim("node-2", 2)])
        #expect(try await store.claim(kind: "room", key: "a") == claim("node-2", 2, released: true))
        #expect(try await take("node-3", expecting: 2) == .taken(claim("node-3", 3)), "the epoch goes on growing")
        #expect(try await store.claim(kind: "recording", key: "a") == nil, "kinds are spaces of their own")
        await #expect(throws: StoreError.self) { try await store.takeClaim(kind: "x", key: "y", by: "node-1", incarnation: Incarnation(1), expecting: Epoch(.max)) }
        await database.close()
    }

    @Test(arguments: Engine.here) func manyNodesRacingForOneEpochGiveOneOwner(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        let stores = [store, database.store(), database.store()]
        for epoch in UInt64(0)..<8 {
            let outcomes = try await withThrowingTaskGroup(of: ClaimOutcome.self) { group in
                for (index, asked) in stores.enumerated() {
                    group.addTask { try await asked.takeClaim(kind: "room", key: "a", by: NodeName("node-\(index)"), incarnation: Incarnation(1), expecting: Epoch(epoch)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let owner = try #require(try await store.claim(kind: "room", key: "a"))
            #expect(owner.epoch == Epoch(epoch + 1))
            #expect(outcomes.filter { $0 == .taken(owner) }.count == 1)
            #expect(outcomes.filter { $0 == .conflict(owner) }.count == 2)
        }
        await database.close()
    }

    @Test(arguments: Engine.here) func aRetiredLifeNeitherRenewsNorReturns(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        let life = try await store.registerNode("node-1", proposed: Incarnation(7))
        _ = try await store.renewNode("node-1", incarnation: life)
        #expect(try await store.retireNode("node-1", incarnation: life, counter: 0) == false, "it has renewed since")
        #expect(try await store.retireNode("node-1", incarnation: life, counter: 1))
        #expect(try await store.renewNode("node-1", incarnation: life) == false)
        #expect(try await store.nodes() == [NodeLease(node: "node-1", incarnation: Incarnation(8), counter: 0)])
        #expect(try await store.retireNode("node-1", incarnation: life, counter: nil), "it is over already")
        #expect(try await store.retireNode("node-9", incarnation: life, counter: nil), "nobody has heard of it")
        #expect(try await store.registerNode("node-1", proposed: Incarnation(7)) == Incarnation(9))
        await database.close()
    }
    @Test(arguments: Engine.here) func orphansAreWhatLivesThatAreOverHold(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        _ = try await store.registerNode("node-1", proposed: Incarnation(1))
        _ = try await store.registerNode("node-2", proposed: Incarnation(1))
        for key in ["a", "b", "c", "d"] { _ = try await store.takeClaim(kind: "room", key: key, by: "node-1", incarnation: Incarnation(1), expecting: .none) }
        _ = try await store.takeClaim(kind: "room", key: "e", by: "node-2", incarnation: Incarnation(1), expecting: .none)
        _ = try await store.takeClaim(kind: "job", key: "f", by: "node-1", incarnation: Incarnation(1), expecting: .none)
        try await store.releaseClaims([Claim(kind: "room", key: "b", node: "node-1", incarnation: Incarnation(1), epoch: Epoch(1))])
        #expect(try await store.claims(of: "node-1", incarnation: Incarnation(1)).map(\.key) == ["f", "a", "c", "d"])
        #expect(try await store.orphans(kinds: ["room", "job"], limit: 9) == [])
        _ = try await store.retireNode("node-1", incarnation: Incarnation(1), counter: nil)
        let orphans = try await store.orphans(kinds: ["room"], limit: 9)
        #expect(orphans.map(\.key) == ["a", "c", "d"])
        #expect(try await store.orphans(kinds: ["room", "job"], limit: 2).map(\.key) == ["f", "a"])
        // One of them is taken meanwhile: the batch takes the others.
        _ = try await store.takeClaim(kind: "room", key: "c", by: "node-3", incarnation: Incarnation(1), expecting: Epoch(1))
        let taken = try await store.takeClaims(orphans, by: "node-2", incarnation: Incarnation(1))
        #expect(taken == ["a", "d"].map { Claim(kind: "room", key: $0, node: "node-2", incarnation: Incarnation(1), epoch: Epoch(2)) })
        #expect(try await store.takeClaims(orphans, by: "node-3", incarnation: Incarnation(1)) == [], "twice is once")
        await database.close()
    }
    @Test(arguments: Engine.here) func votersChangeByCompareAndSetAndPinsAreReplaced(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        #expect(try await store.voters() == VoterSet())
        #expect(try await store.setVoters(["b", "a"], expecting: 0) == VoterSet(version: 1, names: ["a", "b"]))
        #expect(try await store.setVoters(["c"], expecting: 0) == VoterSet(version: 1, names: ["a", "b"]))
        #expect(try await store.setVoters(["c"], expecting: 5) == VoterSet(version: 1, names: ["a", "b"]))
        #expect(try await store.setVoters([], expecting: 1) == VoterSet(version: 2, names: []))
        #expect(try await store.pin(kind: "room", key: "a") == nil)
        try await store.setPin(kind: "room", key: "a", to: "node-1")
        try await store.setPin(kind: "room", key: "a", to: "node-2")
        #expect(try await store.pins() == [Pin(kind: "room", key: "a", node: "node-2")])
        try await store.setPin(kind: "room", key: "a", to: nil)
        #expect(try await store.pins() == [])
        await database.close()
    }

    /// The simulator's store and this one must mean the same: the same calls, the same answers.
    @Test(arguments: Engine.here, [1, 2, 3] as [UInt64])
    func itAnswersAsTheStoreInMemory(engine: Engine, seed: UInt64) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        var random = SplitMix64(seed: seed)
        let memory = MemoryLeaseStore()
        func draw(_ bound: UInt64) -> UInt64 { random.next() % bound }
        for _ in 0..<200 {
            let node = NodeName("node-\(draw(3))"), incarnation = Incarnation(draw(6)), key = "k\(draw(3))", epoch = Epoch(draw(5))
            switch draw(12) {
            case 0: #expect(try await memory.registerNode(node, proposed: incarnation) == store.registerNode(node, proposed: incarnation))
            case 1: #expect(try await memory.renewNode(node, incarnation: incarnation) == store.renewNode(node, incarnation: incarnation))
            case 2: #expect(try await memory.nodes() == store.nodes())
            case 3: #expect(try await memory.claim(kind: "room", key: key) == store.claim(kind: "room", key: key))
            case 4:
                let first = try await memory.takeClaim(kind: "room", key: key, by: node, incarnation: incarnation, expecting: epoch)
                #expect(try await first == store.takeClaim(kind: "room", key: key, by: node, incarnation: incarnation, expecting: epoch))
            case 5:
                let counter = draw(2) == 0 ? nil : epoch.rawValue
                let first = try await memory.retireNode(node, incarnation: incarnation, counter: counter)
                #expect(try await first == store.retireNode(node, incarnation: incarnation, counter: counter))
            case 6:
                let claims = (0..<3).map { Claim(kind: "room", key: "k\($0)", node: node, incarnation: incarnation, epoch: epoch) }
                #expect(try await memory.takeClaims(claims, by: node, incarnation: incarnation) == store.takeClaims(claims, by: node, incarnation: incarnation))
            case 7: #expect(try await memory.claims(of: node, incarnation: incarnation) == store.claims(of: node, incarnation: incarnation))
            case 8: #expect(try await memory.orphans(kinds: ["room"], limit: 2) == store.orphans(kinds: ["room"], limit: 2))
            case 9: #expect(try await memory.setVoters([node], expecting: epoch.rawValue) == store.setVoters([node], expecting: epoch.rawValue))
            case 10:
                let to = epoch == .none ? nil : node
                try await memory.setPin(kind: "room", key: key, to: to)
                try await store.setPin(kind: "room", key: key, to: to)
                #expect(try await memory.pins() == store.pins())
                #expect(try await memory.pin(kind: "room", key: key) == store.pin(kind: "room", key: key))
            default:
                let claim = Claim(kind: "room", key: key, node: node, incarnation: incarnation, epoch: epoch)
                try await memory.releaseClaims([claim])
                try await store.releaseClaims([claim])
            }
        }
        await database.close()
    }
}
