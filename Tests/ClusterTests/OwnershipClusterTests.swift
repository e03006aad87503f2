// Ownership on real nodes: bursts, pins, deaths, majorities, freezing, plans.
import Distributed
import EventLoop
import Primitives
import Testing

@testable import Cluster

private func tally(_ node: TestNode, _ key: String = "k") -> Tally { node.system.reference(Tally.self, kind: Tally.kind, key: key) }
private func patiently<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
    try await ClusterSystem.$deadline.withValue(.seconds(20), operation: body)
}

@Suite(.serialized) struct CapacityTests {
    @Test func aBurstOfFirstCallsCannotOvershoot() async throws {
        let book = TallyBook(), names: [NodeName] = ["a", "b", "c"]
        try await withCluster(names, change: { $0.units = $0.name == "c" ? 200 : 100 }, prepare: { book.host(on: $0, cost: 2) }) { nodes async throws in
            let placed = Log<Tally.Reading>(), full = Log<String>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<1000 {
                    let node = nodes[index % 3], reference = tally(node, "burst\(index)")
                    group.addTask {
                        do { placed.append(try await patiently { try await reference.add("\(index)") }) } catch ClusterError.notExecuted(.full(let text)) { full.append(text) }
                    }
                }
                try await group.waitForAll()
            }
            // 400 units in twos: 200 actors, each node exactly full, and everyone else was told who holds what.
            #expect(placed.count == 200 && full.count == 800)
            for (node, units) in zip(nodes, [100, 100, 200]) {
                #expect(await node.system.claims().count == units / 2)
                #expect(placed.all.filter { $0.node == node.name }.count == units / 2)
                let load = await nodes[0].system.loads()[node.name]
                #expect(load?.used == units && load?.reserved == 0)
            }
            #expect(full.all.allSatisfy { text in names.allSatisfy { text.contains("\($0): ") } })
            let gone = await nodes[0].system.claims()[0]
            await nodes[0].system.deactivate(kind: Tally.kind, key: gone.key)
            let late = try await patiently { try await tally(nodes[2], "latecomer").add("late") }
            #expect(late.node == "a")
        }
    }
    @Test func aPinIsHeldToWhereverItIsCalledAndWhateverIsFree() async throws {
        let book = TallyBook(), names: [NodeName] = ["a", "b", "c"]
        try await withCluster(names, change: { if $0.name == "b" { $0.units = 0 } }, prepare: { book.host(on: $0) }) { nodes async throws in
            for index in 0..<6 {
                try await nodes[0].system.pin(kind: Tally.kind, key: "p\(index)", to: "b")
                #expect(try await tally(nodes[index % 3], "p\(index)").add("\(index)").node == "b")
            }
            // Unpinned it stays where it is active; let go, it is placed like any other: not on a full node.
            try await nodes[2].system.unpin(kind: Tally.kind, key: "p0")
            #expect(try await tally(nodes[0], "p0").read().node == "b")
            await nodes[1].system.deactivate(kind: Tally.kind, key: "p0")
            let placed = try await patiently { try await tally(nodes[0], "p0").read() }
            #expect(placed.node != "b")
            // Pinned to nobody who is there: as if it were not.
            try await nodes[0].system.pin(kind: Tally.kind, key: "q", to: "z")
            #expect(try await tally(nodes[0], "q").add("q").value == 1)
        }
    }
    @Test func firstCallsPreferTheirRegion() async throws {
        let book = TallyBook()
        try await withCluster(["a", "b", "c"], change: { $0.region = $0.name == "c" ? "south" : "north" }, prepare: { book.host(on: $0, prefersCallersRegion: true) }) { nodes async throws in
            for index in 0..<10 {
                #expect(try await tally(nodes[2], "s\(index)").add("s\(index)").node == "c")
                #expect(try await tally(nodes[0], "n\(index)").add("n\(index)").node != "c")
                // Once it is somewhere, everyone finds it there.
                #expect(try await tally(nodes[1], "s\(index)").read().node == "c")
            }
        }
    }
    @Test func deactivatingWaitsForWhatRuns() async throws {
        let book = TallyBook()
        try await withCluster(["a", "b"], prepare: { book.host(on: $0) }) { nodes async throws in
            let owner = try await tally(nodes[0]).add("1").node, host = nodes.first { $0.name == owner }!
            async let slow = patiently { try await tally(nodes[0]).linger(1500) }
            try await until("it runs") { try await host.system.onLoop { if case .active(let resident) = host.system.virtuals.slots[VirtualIdentity(kind: Tally.kind, key: "k")] { resident.running == 1 } else { false } } }
            let began = ContinuousClock.now
            await host.system.deactivate(kind: Tally.kind, key: "k")
            #expect(ContinuousClock.now - began >= .milliseconds(200))
            let ended = try await slow
            #expect(ended.epoch == Epoch(1))
            #expect(try await tally(nodes[1]).add("2") == Tally.Reading(node: owner, epoch: Epoch(2), value: 1))
        }
    }
}

@Suite(.serialized) struct DeathTests {
    @Test func theDeadsActorsComeBackWithoutACall() async throws {
        let book = TallyBook(), names: [NodeName] = ["a", "b", "c", "d"], store = MemoryLeaseStore()
        try await withCluster(names, leases: store, prepare: { book.host(on: $0, revives: true) }) { nodes async throws in
            let keys = (0..<300).map { "r\($0)" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for key in keys { group.addTask { _ = try await patiently { try await tally(nodes[0], key).add("\(key)") } } }
                try await group.waitForAll()
            }
            let dead = await nodes[3].system.claims(), still = Set(keys).subtracting(dead.map(\.key))
            #expect(dead.count > 30)
            nodes[3].kill()
            try await until("all are back") { try await store.orphans(kinds: [Tally.kind], limit: 1).isEmpty && dead.allSatisfy { book.activations(of: $0.key).count == 2 } }
            for claim in dead {
                let lives = book.activations(of: claim.key)
                #expect(lives.map(\.epoch) == [Epoch(1), Epoch(2)] && lives[1].node != "d", "once, and no more")
            }
            for key in still { #expect(book.activations(of: key).count == 1) }
            let revived = nodes[..<3].map { $0.system.counters().revived }
            #expect(revived.reduce(0, +) == UInt64(dead.count) && revived.allSatisfy { $0 > 0 }, "dealt out: \(revived)")
        }
    }
    /// Three vote, two are gone: the one that is left may not decide alone who lives.
    @Test func aMinorityTakesNothing() async throws {
        let book = TallyBook(), names: [NodeName] = ["a", "b", "c"], store = MemoryLeaseStore()
        try await withCluster(names, leases: store, change: { $0.leaseTime = .milliseconds(500) }, prepare: { book.host(on: $0) }) { nodes async throws in
            #expect(try await nodes[0].system.voters().names == names)
            for node in nodes { try await node.system.pin(kind: Tally.kind, key: "of-\(node.name)", to: node.name) }
            for node in nodes { #expect(try await tally(nodes[0], "of-\(node.name)").add("1-\(node.name)").node == node.name) }
            nodes[1].kill()
            nodes[2].kill()
            try await until("a is alone") { nodes[0].seesUp(["a"]) }
            await #expect(throws: ClusterError.self) {
                try await ClusterSystem.$deadline.withValue(.seconds(2)) { try await tally(nodes[0], "of-c").add("2") }
            }
            #expect(try await store.claim(kind: Tally.kind, key: "of-c")?.node == "c")
            // Its own go on: it reaches the store.
            #expect(try await tally(nodes[0], "of-a").add("3").value == 2)
            // An operator says that one of them will not come back: of two voters none is a majority, and the row decides.
            try await nodes[0].system.removeVoter("b")
            let taken = try await patiently { try await tally(nodes[0], "of-c").add("4") }
            #expect(taken.node == "a")
        }
    }
    /// Of two, the row decides: as long as it is renewed nothing is taken, whatever became of the link.
    @Test func ofTwoTheRowDecides() async throws {
        let book = TallyBook(), store = MemoryLeaseStore()
        try await withCluster(["a", "b"], leases: store, change: { $0.leaseTime = .milliseconds(500) }, prepare: { book.host(on: $0) }) { nodes async throws in
            try await nodes[0].system.pin(kind: Tally.kind, key: "k", to: "b")
            #expect(try await tally(nodes[0]).add("1").node == "b")
            let incarnation = nodes[1].system.incarnation
            nodes[1].kill()
            try await until("b is down") { nodes[0].sees(["a"]) }
            // Somebody still renews b's row.
            let isDone = Flag()
            let renewing = nodes[0].loop.spawn {
                while !isDone.isRaised {
                    _ = try? await store.renewNode("b", incarnation: incarnation)
                    try? await nodes[0].loop.sleep(for: .milliseconds(50))
                }
            }
            await #expect(throws: ClusterError.self) { try await ClusterSystem.$deadline.withValue(.seconds(2)) { try await tally(nodes[0]).add("2") } }
            isDone.raise()
            await renewing.value
            let taken = try await patiently { try await tally(nodes[0]).add("3") }
            #expect(taken == Tally.Reading(node: "a", epoch: Epoch(2), value: 1))
            #expect(try await store.renewNode("b", incarnation: incarnation) == false, "that life is over")
        }
    }
}

@Suite(.serialized) struct FreezingTests {
    @Test func whoReachesNeitherStoreNorMajorityDecidesNothing() async throws {
        let book = TallyBook(), shared = MemoryLeaseStore(), names: [NodeName] = ["a", "b", "c"]
        let stores = Dictionary(uniqueKeysWithValues: names.map { ($0, FaultyStore(shared)) })
        let frozen = Log<Bool>()
        try await withCluster(names, storeOf: { stores[$0]! }, change: { $0.leaseTime = .milliseconds(600) }, prepare: { node in
            book.host(on: node)
            if node.name == "a" { node.system.observeFreeze { frozen.append($0) } }
        }) { nodes async throws in
            try await nodes[0].system.pin(kind: Tally.kind, key: "k", to: "a")
            #expect(try await tally(nodes[0]).add("1").node == "a")
            // The store alone: a majority is there, everything goes on, and nobody takes anything.
            stores["a"]!.isCut = true
            try await until("it was noticed") { nodes[0].notices.all.contains { $0.hasPrefix("store away") } }
            for call in 0..<5 { #expect(try await tally(nodes[call % 3]).add("away\(call)").epoch == Epoch(1)) }
            #expect(frozen.all == [])
            // The others as well.
            nodes[1].kill()
            nodes[2].kill()
            try await until("a is frozen") { frozen.all == [true] }
            await #expect(throws: ClusterError.notExecuted(.frozen)) { try await ClusterSystem.$deadline.withValue(.milliseconds(500)) { try await tally(nodes[0]).add("frozen") } }
            #expect(book.executions["frozen"] == nil)
            // A call that waits is executed once it thaws.
            async let waiting = patiently { try await tally(nodes[0]).add("waited") }
            stores["a"]!.isCut = false
            let waited = try await waiting
            #expect(waited == Tally.Reading(node: "a", epoch: Epoch(1), value: 7))
            #expect(frozen.all == [true, false] && nodes[0].system.counters().freezes == 1 && book.lost == [])
        }
    }
    @Test func whatWasTakenWhileFrozenIsLost() async throws {
        let book = TallyBook(), shared = MemoryLeaseStore(), names: [NodeName] = ["a", "b"]
        let stores = Dictionary(uniqueKeysWithValues: names.map { ($0, FaultyStore(shared)) })
        try await withCluster(names, storeOf: { stores[$0]! }, change: { $0.leaseTime = .milliseconds(600) }, prepare: { book.host(on: $0) }) { nodes async throws in
            for key in ["taken", "kept"] {
                try await nodes[0].system.pin(kind: Tally.kind, key: key, to: "a")
                _ = try await tally(nodes[0], key).add("1\(key)")
            }
            let stored = try #require(try await shared.claim(kind: Tally.kind, key: "taken"))
            stores["a"]!.isCut = true
            nodes[1].kill()
            try await until("a is frozen") { nodes[0].notices.all.contains { $0.hasPrefix("neither the store") } }
            _ = try await shared.takeClaim(kind: Tally.kind, key: "taken", by: "b", incarnation: nodes[1].system.incarnation, expecting: stored.epoch)
            stores["a"]!.isCut = false
            let kept = try await patiently { try await tally(nodes[0], "kept").add("2kept") }
            #expect(kept.value == 2)
            #expect(book.lost == ["taken"])
            #expect(await nodes[0].system.claims().map(\.key) == ["kept"])
        }
    }
}

@Suite(.serialized) struct PlanTests {
    @Test func aPlanIsCarriedOutStoppedAndResumed() async throws {
        let book = TallyBook(), names: [NodeName] = ["a", "b", "c"]
        try await withCluster(names, prepare: { book.host(on: $0) }) { nodes async throws in
            // Thirty on one node, by an operator's word that is then taken back.
            for index in 0..<30 {
                try await nodes[0].system.pin(kind: Tally.kind, key: "r\(index)", to: "a")
                _ = try await tally(nodes[1], "r\(index)").add("\(index)")
                try await nodes[0].system.unpin(kind: Tally.kind, key: "r\(index)")
            }
            let plan = try await nodes[2].system.rebalancePlan()
            #expect(plan.count >= 18 && plan.allSatisfy { $0.from == "a" && $0.reason == .overloaded })
            let run = nodes[2].system.carryOut(plan, perSecond: 20, atOnce: 2)
            #expect(run.progress == PlanProgress(planned: plan.count))
            run.resume()
            for await progress in run.updates() where progress.made >= 3 { break }
            run.stop()
            try await until("what was under way is done") { run.progress.underWay == 0 }
            let halfway = run.progress
            #expect(halfway.state == .stopped && halfway.made < plan.count)
            #expect(await nodes[0].system.claims().count == 30 - halfway.made)
            run.resume()
            for await _ in run.updates() {}
            #expect(run.progress.state == .done && run.progress.made == plan.count && run.progress.failures == [])
            #expect(try await nodes[2].system.rebalancePlan() == [], "then there is nothing to plan")
            for index in 0..<30 { #expect(try await tally(nodes[index % 3], "r\(index)").add("again\(index)").value == 2) }
            // A drain empties a node.
            let drain = nodes[0].system.carryOut(try await nodes[0].system.drainPlan("b"), perSecond: 500)
            drain.resume()
            for await _ in drain.updates() {}
            #expect(drain.progress.failures == [] && drain.progress.made > 0)
            #expect(await nodes[1].system.claims() == [])
            #expect(book.lateExecutions == 0)
        }
    }
}
