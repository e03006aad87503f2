// Moves on real nodes: callers hammer an actor while it goes from node to node.
import Distributed
import EventLoop
import Primitives
import Testing

@testable import Cluster

private func tally(_ node: TestNode, _ key: String = "k") -> Tally { node.system.reference(Tally.self, kind: Tally.kind, key: key) }
private func patiently<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
    try await ClusterSystem.$deadline.withValue(.seconds(20), operation: body)
}

@Suite(.serialized) struct MoveTests {
    @Test func aMovedActorKeepsItsStateAndItsCallers() async throws {
        let book = TallyBook(), store = MemoryLeaseStore()
        try await withCluster(["a", "b", "c"], leases: store, prepare: { book.host(on: $0) }) { nodes async throws in
            let owner = try await tally(nodes[0]).add("1").node
            let others = nodes.filter { $0.name != owner }
            // Asked anywhere, also where neither of the two is.
            let claim = try await others[1].system.move(kind: Tally.kind, key: "k", to: others[0].name)
            #expect(claim.node == others[0].name && claim.epoch == Epoch(2))
            for (index, node) in nodes.enumerated() {
                #expect(try await tally(node).add("after\(index)") == Tally.Reading(node: others[0].name, epoch: Epoch(2), value: index + 2))
            }
            #expect(try await store.claim(kind: Tally.kind, key: "k") == claim)
            #expect(book.left == 1 && book.lateExecutions == 0 && book.lost == [])
            #expect(await nodes.first { $0.name == owner }!.system.claims() == [])
            // To where it is: nothing to do.
            #expect(try await nodes[0].system.move(kind: Tally.kind, key: "k", to: others[0].name) == claim)
        }
    }
    @Test func callersHammerItThrough200Moves() async throws {
        let book = TallyBook(), names: [NodeName] = ["a", "b", "c"]
        try await withCluster(names, prepare: { book.host(on: $0) }) { nodes async throws in
            let values = Log<Int>(), isOver = Flag()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, node) in nodes.enumerated() { for caller in 0..<2 {
                    group.addTask {
                        try await node.run {
                            let reference = tally(node)
                            var number = 0
                            while !isOver.isRaised {
                                number += 1
                                let reading = try await ClusterSystem.$deadline.withValue(.seconds(20)) { try await reference.add("\(index)/\(caller)/\(number)") }
                                values.append(reading.value)
                            }
                        }
                    }
                } }
                group.addTask {
                    defer { isOver.raise() }
                    var random = SplitMix64(seed: 200), moves = 0
                    while moves < 200 {
                        let asked = nodes[Int(random.next() % 3)], to = names[Int(random.next() % 3)]
                        do {
                            try await asked.system.move(kind: Tally.kind, key: "k", to: to)
                            moves += 1
                        } catch MoveFailure.notActive {
                            // Moved since the store was asked for its owner, or not called at all yet.
                        }
                    }
                }
                try await group.waitForAll()
            }
            // Every call was executed once, wherever; none was lost; the sequence has no gap.
            let count = values.count
            #expect(values.all.sorted() == Array(1...count))
            #expect(book.executions.count == count && book.executions.values.allSatisfy { $0 == 1 })
            #expect(book.lateExecutions == 0)
            #expect(nodes.reduce(0) { $0 + $1.system.counters().moves } >= 100)
            #expect(count > 200)
        }
    }
    @Test func withKillsInBetweenEveryCallIsCountedOnceOrReportedUnknown() async throws {
        let book = TallyBook(), names: [NodeName] = ["a", "b", "c", "d", "e"]
        try await withCluster(names, prepare: { book.host(on: $0) }) { nodes async throws in
            let certain = Log<String>(), unknown = Log<String>(), refused = Log<String>(), isOver = Flag()
            try await withThrowingTaskGroup(of: Void.self) { group in
                // Callers live on the three nodes that stay.
                for node in nodes[..<3] { for caller in 0..<2 {
                    group.addTask {
                        try await node.run {
                            let reference = tally(node)
                            var number = 0
                            while !isOver.isRaised {
                                number += 1
                                let call = "\(node.name)/\(caller)/\(number)"
                                do {
                                    _ = try await ClusterSystem.$deadline.withValue(.seconds(10)) { try await reference.add(call) }
                                    certain.append(call)
                                } catch ClusterError.unknownOutcome { unknown.append(call) } catch ClusterError.notExecuted { refused.append(call) }
                            }
                        }
                    }
                } }
                group.addTask {
                    defer { isOver.raise() }
                    var random = SplitMix64(seed: 7), moves = 0
                    for round in 0..<90 {
                        let alive = nodes.filter { !$0.isKilled }
                        // Twice it is lured to a node that dies with it, or on the way there.
                        let doomed = round < 30 ? nodes[3] : round < 60 ? nodes[4] : nil
                        let to = doomed.map { $0.isKilled || round % 3 > 0 ? alive[Int(random.next() % UInt64(alive.count))].name : $0.name } ?? alive[Int(random.next() % UInt64(alive.count))].name
                        if round == 29 || round == 59, let doomed {
                            async let moving: Claim = nodes[0].system.move(kind: Tally.kind, key: "k", to: doomed.name)
                            doomed.kill()
                            _ = try? await moving
                            continue
                        }
                        do { _ = try await nodes[0].system.move(kind: Tally.kind, key: "k", to: to, deadline: .seconds(5)); moves += 1 } catch {
                            // It is being claimed anew, say: the next move begins when it answers.
                            _ = try? await ClusterSystem.$deadline.withValue(.seconds(10)) { try await tally(nodes[0]).read() }
                        }
                    }
                    #expect(moves > 20)
                }
                try await group.waitForAll()
            }
            // It answers in the end.
            _ = try await ClusterSystem.$deadline.withValue(.seconds(20)) { try await tally(nodes[0]).read() }
            let executions = book.executions
            #expect(executions.values.allSatisfy { $0 == 1 }, "no call is executed twice")
            #expect(certain.all.allSatisfy { executions[$0] == 1 })
            #expect(refused.all.allSatisfy { executions[$0] == nil }, "what is said not to have run has not")
            #expect(Set(executions.keys).isSubset(of: Set(certain.all + unknown.all)))
            #expect(certain.count > 100)
        }
    }
    @Test func whatGoesWrongLeavesItWhereItWas() async throws {
        let book = TallyBook(), names: [NodeName] = ["a", "b", "c"]
        try await withCluster(names, change: { if $0.name == "b" { $0.units = 0 } }, prepare: { book.host(on: $0) }) { nodes async throws in
            try await nodes[0].system.pin(kind: Tally.kind, key: "k", to: "a")
            #expect(try await tally(nodes[2]).add("1").node == "a")
            func fails(_ to: NodeName, _ deadline: Duration = .seconds(5)) async -> MoveFailure? {
                do { try await nodes[2].system.move(kind: Tally.kind, key: "k", to: to, deadline: deadline) } catch { return error as? MoveFailure }
                return nil
            }
            guard case .refused(let text) = await fails("b") else { Issue.record("a full node takes nothing"); return }
            #expect(text.contains("0 of 0 units"))
            #expect(await fails("z") == .unreachable("z takes no work"))
            // A call that does not end in time: those that waited behind it go on.
            async let slow = patiently { try await tally(nodes[2]).linger(1500) }
            try await until("it runs") { try await nodes[0].system.onLoop { if case .active(let resident) = nodes[0].system.virtuals.slots[VirtualIdentity(kind: Tally.kind, key: "k")] { resident.running == 1 } else { false } } }
            async let failure = fails("c", .milliseconds(400))
            try await until("it is shut") { try await nodes[0].system.onLoop { if case .shut = nodes[0].system.virtuals.slots[VirtualIdentity(kind: Tally.kind, key: "k")] { true } else { false } } }
            async let waited = patiently { try await tally(nodes[2]).add("2") }
            let why = await failure, behind = try await waited
            #expect(why == .deadline)
            #expect(behind == Tally.Reading(node: "a", epoch: Epoch(1), value: 2))
            _ = try await slow
            #expect(await fails("c") == nil, "afterwards it moves")
            #expect(try await tally(nodes[0]).read() == Tally.Reading(node: "c", epoch: Epoch(2), value: 2))
            await #expect(throws: MoveFailure.notActive) { try await nodes[0].system.move(kind: Tally.kind, key: "never", to: "c") }
        }
    }
    @Test func aSnapshotThatFailsKeepsTheActor() async throws {
        let book = TallyBook()
        try await withCluster(["a", "b"], prepare: { book.host(on: $0, snapshotFails: true) }) { nodes async throws in
            let owner = try await tally(nodes[0]).add("1").node, other: NodeName = owner == "a" ? "b" : "a"
            await #expect(throws: MoveFailure.self) { try await nodes[0].system.move(kind: Tally.kind, key: "k", to: other) }
            #expect(try await tally(nodes[1]).add("2") == Tally.Reading(node: owner, epoch: Epoch(1), value: 2))
            #expect(book.kept == 1 && book.left == 0 && book.lateExecutions == 0)
        }
    }
    /// The compare-and-set is carried out but not answered, or neither: the source asks until it knows.
    @Test(arguments: [(2, 0), (0, 3), (1, 1)]) func anUnansweredCompareAndSetIsAskedAgain(lost: (answers: Int, questions: Int)) async throws {
        let book = TallyBook(), shared = MemoryLeaseStore()
        let stores = ["a": FaultyStore(shared), "b": FaultyStore(shared)] as [NodeName: FaultyStore]
        try await withCluster(["a", "b"], storeOf: { stores[$0]! }, prepare: { book.host(on: $0) }) { nodes async throws in
            try await nodes[0].system.pin(kind: Tally.kind, key: "k", to: "a")
            #expect(try await tally(nodes[1]).add("1").node == "a")
            stores["a"]!.lose(answers: lost.answers, questions: lost.questions)
            async let claim = nodes[1].system.move(kind: Tally.kind, key: "k", to: "b")
            async let waited = patiently { try await tally(nodes[0]).add("2") }
            let taken = try await claim
            #expect(taken.node == "b")
            let reading = try await waited
            #expect(reading.value == 2 && (reading.node == "b" || reading.epoch == Epoch(1)))
            #expect(try await tally(nodes[0]).add("3") == Tally.Reading(node: "b", epoch: Epoch(2), value: 3))
            #expect(book.activations(of: "k").map(\.value) == [0, reading.node == "a" ? 2 : 1])
        }
    }
    /// The source dies right after the compare-and-set: the target finds the snapshot it holds when it is called.
    @Test func theTargetGoesOnFromWhatItHolds() async throws {
        let book = TallyBook(), store = MemoryLeaseStore()
        try await withCluster(["a", "b"], leases: store, prepare: { book.host(on: $0) }) { nodes async throws in
            try await nodes[0].system.pin(kind: Tally.kind, key: "k", to: "a")
            for call in 1...3 { _ = try await tally(nodes[1]).add("\(call)") }
            let old = try #require(try await store.claim(kind: Tally.kind, key: "k"))
            let (b, moves) = (nodes[1].system, nodes[1].system.moves!)
            try await b.onLoop {
                try moves.prepare(old)
                try moves.hold(old, part: 0, of: 1, withUnsafeBytes(of: Int64(3).bigEndian) { Array($0) })
            }
            guard case .taken(let claim) = try await store.takeClaim(kind: Tally.kind, key: "k", by: "b", incarnation: b.incarnation, expecting: old.epoch) else { Issue.record("not taken"); return }
            nodes[0].kill()
            // What is called now may still be on its way to the node that died. Reading asks again without harm; then it is known who has it.
            for _ in 0..<3 {
                do { _ = try await ClusterSystem.$deadline.withValue(.seconds(20)) { try await tally(nodes[1]).read() }; break } catch ClusterError.unknownOutcome {}
            }
            let reading = try await ClusterSystem.$deadline.withValue(.seconds(20)) { try await tally(nodes[1]).add("4") }
            #expect(reading == Tally.Reading(node: "b", epoch: claim.epoch, value: 4))
        }
    }
    @Test func withoutAWayToTakeItsStateAnActorBeginsAnew() async throws {
        let log = Log<Epoch>(), lost = Log<Epoch>()
        try await withCluster(["a", "b"], prepare: { node in
            node.system.virtual(Counter.kind, activate: { _, claim, system in
                log.append(claim.epoch)
                return Counter(system, claim)
            }, lost: { _, _ in lost.append(Epoch(1)) })
        }) { nodes async throws in
            let counter = nodes[0].system.reference(Counter.self, kind: Counter.kind, key: "k")
            let before = try await counter.increment()
            let to: NodeName = before.node == "a" ? "b" : "a"
            try await nodes[0].system.move(kind: Counter.kind, key: "k", to: to)
            #expect(try await counter.increment() == Counter.Reading(node: to, epoch: Epoch(2), value: 1))
            #expect(log.all == [Epoch(1), Epoch(2)])
            try await until("the old one was ended") { lost.count == 1 }
        }
    }
}
