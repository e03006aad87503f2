// Calls within a node and between two nodes: results, errors, order, bounds, and what may not be called.
import Distributed
import EventLoop
import Primitives
import Testing

@testable import Cluster

/// Calls `method` of `actor` by a name as a peer would send it, whatever the compiler would say.
func forge(_ actor: Echo, _ system: ClusterSystem, _ method: String, _ arguments: [Int]) async throws -> Int {
    var invocation = system.makeInvocationEncoder()
    for argument in arguments { try invocation.recordArgument(RemoteCallArgument(label: nil, name: "x", value: argument)) }
    return try await system.remoteCall(on: actor, target: RemoteCallTarget(method), invocation: &invocation, throwing: Never.self, returning: Int.self)
}

@Suite struct LocalCalls {
    @Test func actorsLiveOnTheLoopTheyAreMadeFor() async throws {
        let node = try TestNode(ClusterConfiguration(name: "a"), MemoryLeaseStore())
        try await node.system.start()
        let control = Echo(node.system, on: node.loop)
        let media = node.system.withShard(0) { Echo(node.system, on: node.shard) }
        #expect(control.id.shard == -1 && media.id.shard == 0)
        #expect(try await control.isOnItsLoop())
        #expect(try await media.isOnItsLoop())
        #expect(try await node.run { try await control.ask(media, 4) } == 5)
        let entered = try await node.system.onLoop { control.assumeIsolated { $0.local() } }
        #expect(entered)
        let resolved = try Echo.resolve(id: control.id, using: node.system)
        #expect(resolved === control)
        await node.system.shutdown()
        node.kill()
    }
    @Test func theListOfMethodsIsReadFromTheProgram() throws {
        let table = TargetTable(of: Echo.self)
        #expect(Set(table.methods.values) == ["add", "greet", "refuse", "stumble", "nest", "note", "noted", "hang", "size", "fill", "isOnItsLoop", "ask", "me", "total", "double"])
        #expect(Set(TargetTable(of: Safe.self).methods.values) == ["open", "secret"])
        #expect(Set(TargetTable(of: Safe.Drawer.self).methods.values) == ["pull"])
        #expect(Set(table.restricted(to: ["add"]).methods.values) == ["add"])
    }
    @Test(arguments: [
        ("distributed thunk M.Room.join(Swift.String) async throws -> Swift.Int", "join"), ("distributed thunk (extension in N):M.Room.late() async throws -> ()", "late"),
        ("distributed thunk M.Room.count.getter : Swift.Int", "count"), ("distributed thunk M.Room.Inner.join() -> ()", nil), ("distributed thunk M.Rooms.join() -> ()", nil),
        ("M.Room.join() -> ()", nil), ("distributed thunk M.Room.map<A>(A) -> A", "map"),
    ] as [(String, String?)])
    func membersOfExactlyOneType(readable: String, expected: String?) { #expect(TargetTable.memberName(readable, of: "M.Room") == expected) }

    @Test func aSystemStartsOnceAndNeedsItsPapers() async throws {
        let node = try TestNode(ClusterConfiguration(name: "a"), MemoryLeaseStore())
        try await node.system.start()
        await #expect(throws: ClusterStartError.self) { try await node.system.start() }
        await node.system.shutdown()
        node.kill()
        let other = try TestNode(ClusterConfiguration(name: "b", peers: ["c": SocketAddress(ipv4: 0x7F00_0001, port: 1)]), MemoryLeaseStore())
        await #expect(throws: ClusterStartError.self) { try await other.system.start() }
        other.kill()
        let store = MemoryLeaseStore()
        store.isAway = true
        let third = try TestNode(ClusterConfiguration(name: "c"), store)
        await #expect(throws: ClusterStartError.self) { try await third.system.start() }
        third.kill()
    }
    @Test func everyLifeHasALargerIncarnation() async throws {
        let store = MemoryLeaseStore()
        _ = try await store.registerNode("a", proposed: Incarnation(.max / 2))
        let node = try TestNode(ClusterConfiguration(name: "a"), store)
        try await node.system.start()
        #expect(node.system.incarnation == Incarnation(.max / 2 + 1))
        await node.system.shutdown()
        node.kill()
    }
}

@Suite(.serialized) struct RemoteCalls {
    @Test func callsCrossWithArgumentsResultsAndErrors() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let there = Echo(b.system, on: b.loop)
            let echo = try Echo.resolve(id: there.id, using: a.system)
            #expect(echo !== there)
            #expect(try await echo.add(20, 22) == 42)
            #expect(try await echo.greet(Person(name: "Ada", age: nil, rooms: ["r1"])) == Person(name: "Ada of here", rooms: ["r1"]))
            #expect(try await echo.double(4) == 8)
            #expect(try await echo.isOnItsLoop())
            try await echo.note(5)
            #expect(try await echo.noted() == [5])
            #expect(try await echo.total == 5)
            await #expect(throws: Refusal(code: 9)) { try await echo.refuse(9) }
            await #expect(throws: ClusterError.remote(type: "ClusterTests.Unregistered", text: "Unregistered()")) { try await echo.stumble() }
            // The callee's own failure to reach someone does not say that this call was not executed.
            await #expect(throws: ClusterError.remote(type: "Cluster.ClusterError", text: "not executed: a queue is full")) { try await echo.nest() }
            // References travel in both directions, and back to where they came from.
            let here = Echo(a.system, on: a.loop)
            #expect(try await echo.ask(here, 1) == 2)
            let me = try await echo.me()
            #expect(me.id == there.id)
            #expect(try await a.run { try await echo.add(1, 1) } == 2)
        }
    }
    @Test func onMediaLoopsToo() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let there = b.system.withShard(0) { Echo(b.system, on: b.shard) }
            let here = a.system.withShard(0) { Echo(a.system, on: a.shard) }
            let echo = try Echo.resolve(id: there.id, using: a.system)
            #expect(try await here.ask(echo, 1) == 2)
            #expect(try await echo.isOnItsLoop())
        }
    }
    @Test func orderIsKept() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let there = Echo(b.system, on: b.loop)
            let echo = try Echo.resolve(id: there.id, using: a.system)
            try await a.run {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for i in 0..<3000 { group.addTask { try await echo.note(i) } }
                    try await group.waitForAll()
                }
            }
            // Tasks of one loop start in the order they were added.
            #expect(try await echo.noted() == Array(0..<3000))
        }
    }
    @Test func aCallEndsAtItsDeadline() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let gate = Gate()
            let there = Echo(b.system, on: b.loop, gate: gate)
            let echo = try Echo.resolve(id: there.id, using: a.system)
            await #expect(throws: ClusterError.unknownOutcome(.deadline)) {
                try await ClusterSystem.$deadline.withValue(.milliseconds(50)) { try await echo.hang() }
            }
            gate.open()
            try await until("the answer that came too late is counted") { a.system.counters().answersTooLate == 1 }
            #expect(try await echo.hang() == 1)
        }
    }
    @Test func aCancelledCallerStopsWaiting() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let gate = Gate()
            let there = Echo(nodes[1].system, on: nodes[1].loop, gate: gate)
            let echo = try Echo.resolve(id: there.id, using: nodes[0].system)
            let sent = nodes[0].system.counters().callsSent
            let caller = Task { try await echo.hang() }
            try await until("the call is sent") { nodes[0].system.counters().callsSent > sent }
            caller.cancel()
            await #expect(throws: ClusterError.unknownOutcome(.cancelled)) { try await caller.value }
            gate.open()
        }
    }
    @Test func onlyMethodsOfTheActorsOwnTypeMayBeCalled() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let there = Echo(b.system, on: b.loop)
            _ = Safe(b.system)
            let echo = try Echo.resolve(id: there.id, using: a.system)
            let add = TargetTable(of: Echo.self).methods.first { $0.value == "add" }!.key
            let open = TargetTable(of: Safe.self).methods.first { $0.value == "open" }!.key
            #expect(try await forge(echo, a.system, add, [1, 2]) == 3)
            for method in [open, "", "$s", add + "x", String(add.dropLast()), String(repeating: "A", count: 1000), "$s7ClusterAAC"] {
                await #expect(throws: ClusterError.notExecuted(.unknownTarget)) { try await forge(echo, a.system, method, [1, 2]) }
            }
            // Too few arguments, and of another type.
            await #expect(throws: ClusterError.self) { try await forge(echo, a.system, add, [1]) }
            let greet = TargetTable(of: Echo.self).methods.first { $0.value == "greet" }!.key
            do {
                _ = try await forge(echo, a.system, greet, [1, 2])
                Issue.record("accepted")
            } catch let error as ClusterError {
                guard case .notExecuted(.badArguments) = error else { Issue.record("\(error)"); return }
            }
            b.system.allow(Echo.self, methods: ["note", "noted"])
            #expect(b.system.allowedMethods(Echo.self) == ["note", "noted"])
            await #expect(throws: ClusterError.notExecuted(.unknownTarget)) { try await echo.add(1, 2) }
            try await echo.note(3)
            // A name too long for the protocol ends the link; the next one comes by itself.
            await #expect(throws: ClusterError.unknownOutcome(.linkLost)) { try await forge(echo, a.system, String(repeating: "A", count: 2000), []) }
            try await until("linked again") { (try? await echo.noted()) == [3] }
            #expect(b.system.counters().badFrames == 1)
        }
    }
    @Test func genericCallsAreRefusedBeforeTheyLeave() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let there = Echo(nodes[1].system, on: nodes[1].loop)
            let echo = try Echo.resolve(id: there.id, using: nodes[0].system)
            var invocation = nodes[0].system.makeInvocationEncoder()
            try invocation.recordGenericSubstitution(Int.self)
            await #expect(throws: ClusterError.self) {
                try await nodes[0].system.remoteCall(on: echo, target: RemoteCallTarget("x"), invocation: &invocation, throwing: Never.self, returning: Int.self)
            }
        }
    }
    @Test func actorsThatEndedAreUnknown() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            var there: Echo? = Echo(b.system, on: b.loop)
            let id = there!.id
            let echo = try Echo.resolve(id: id, using: a.system)
            #expect(try await echo.add(1, 1) == 2)
            there = nil
            guard case .instance(_, _, let number, _) = id else { return #expect(Bool(false), "an instance") }
            try await until("the actor has ended") { b.system.registry.actor(number: number) == nil }
            await #expect(throws: ClusterError.notExecuted(.unknownActor)) { try await echo.add(1, 1) }
            await #expect(throws: ClusterError.notExecuted(.unknownActor)) { try await Echo.resolve(id: id, using: b.system).add(1, 1) }
            // Of an earlier life, and of a node nobody knows.
            let former = ActorAddress.instance(node: "b", incarnation: Incarnation(1), number: 1, shard: -1)
            await #expect(throws: ClusterError.notExecuted(.unreachable)) { try await Echo.resolve(id: former, using: a.system).add(1, 1) }
            let nowhere = ActorAddress.instance(node: "z", incarnation: Incarnation(1), number: 1, shard: -1)
            await #expect(throws: ClusterError.notExecuted(.unreachable)) { try await Echo.resolve(id: nowhere, using: a.system).add(1, 1) }
        }
    }
    @Test func whatIsTooLargeIsRefusedOnEitherSide() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let there = Echo(nodes[1].system, on: nodes[1].loop)
            let echo = try Echo.resolve(id: there.id, using: nodes[0].system)
            #expect(try await echo.size([UInt8](repeating: 1, count: 1_000_000)) == 1_000_000)
            #expect(try await echo.fill(1_000_000).count == 1_000_000)
            do {
                _ = try await echo.size([UInt8](repeating: 1, count: 1 << 20))
                Issue.record("accepted")
            } catch let error as ClusterError {
                guard case .notExecuted(.badArguments) = error else { Issue.record("\(error)"); return }
            }
            do {
                _ = try await echo.fill(1 << 20)
                Issue.record("accepted")
            } catch let error as ClusterError {
                guard case .unknownOutcome(.badAnswer) = error else { Issue.record("\(error)"); return }
            }
            #expect(try await echo.add(1, 1) == 2)
        }
    }
    @Test func queuesAreBounded() async throws {
        typealias Limits = ClusterConfiguration.Limits
        try await withCluster(["a", "b"]) { nodes async throws in
            let gate = Gate()
            let there = Echo(nodes[1].system, on: nodes[1].loop, gate: gate)
            let echo = try Echo.resolve(id: there.id, using: nodes[0].system)
            let excess = 100
            let outcomes = Log<Bool>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<(Limits.callsExecuting + excess) {
                    group.addTask {
                        do {
                            _ = try await ClusterSystem.$deadline.withValue(.seconds(60)) { try await echo.hang() }
                            outcomes.append(true)
                        } catch ClusterError.notExecuted(.overloaded) { outcomes.append(false) }
                    }
                }
                try await until("the excess is refused", within: .seconds(60)) { outcomes.count == excess }
                gate.open()
                try await group.waitForAll()
            }
            #expect(outcomes.all.filter { $0 }.count == Limits.callsExecuting)
        }
    }
    @Test func bytesThatWaitAreBounded() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let there = Echo(b.system, on: b.loop)
            let echo = try Echo.resolve(id: there.id, using: a.system)
            let gate = Gate()
            // b reads nothing for a while (less than it takes to be declared dead).
            b.stall(milliseconds: 800)
            let megabyte = [UInt8](repeating: 1, count: 1_000_000)
            let results = Log<Bool>()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<60 {
                    group.addTask {
                        do {
                            _ = try await echo.size(megabyte)
                            results.append(true)
                        } catch ClusterError.notExecuted(.overloaded) { results.append(false) } catch { Issue.record("\(error)") }
                    }
                }
            }
            gate.open()
            #expect(results.all.contains(false), "some were refused")
            #expect(results.all.contains(true), "some were executed")
            #expect(try await echo.add(1, 1) == 2)
        }
    }
}
