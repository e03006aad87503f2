// Virtual actors: claimed once, found everywhere, moved, lost, taken over.
import Distributed
import EventLoop
import Primitives
import Testing

@testable import Cluster

@Suite(.serialized) struct VirtualTests {
    /// What happened to virtual actors, over all nodes.
    struct Life: Equatable, Sendable {
        enum Change: Equatable, Sendable { case activated(Epoch), lost }
        var node: NodeName
        var key: String
        var change: Change
    }
    private func hosting(_ log: Log<Life>, roles: Set<String> = []) -> (TestNode) -> Void {
        { node in
            let name = node.name
            node.system.virtual(
                Counter.kind, roles: roles,
                activate: { key, claim, system in
                    if key == "forbidden" { throw Refusal(code: 403) }
                    log.append(Life(node: name, key: key, change: .activated(claim.epoch)))
                    return Counter(system, claim)
                },
                lost: { key, _ in log.append(Life(node: name, key: key, change: .lost)) })
        }
    }
    private func counter(_ node: TestNode, _ key: String) -> Counter { node.system.reference(Counter.self, kind: Counter.kind, key: key) }
    private func first(among names: [NodeName], _ key: String) -> NodeName? {
        Placement.order(PlacementRequest(kind: Counter.kind, key: key), among: names.map { PlacementHost(name: $0) }).first
    }
    private func key(placedOn node: NodeName, among names: [NodeName]) -> String {
        (0...).lazy.map { "k\($0)" }.first { first(among: names, $0) == node }!
    }

    @Test func aRaceForAClaimIsWonByOne() async throws {
        let log = Log<Life>()
        try await withCluster(["a", "b", "c"], prepare: hosting(log)) { nodes async throws in
            let keys = (0..<40).map { "race\($0)" }
            let readings = Log<(String, Counter.Reading)>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for key in keys { for node in nodes { for _ in 0..<3 {
                    let reference = counter(node, key)
                    group.addTask { readings.append((key, try await reference.increment())) }
                } } }
                try await group.waitForAll()
            }
            for key in keys {
                let mine = readings.all.filter { $0.0 == key }.map(\.1)
                #expect(Set(mine.map(\.node)).count == 1 && Set(mine.map(\.epoch)) == [Epoch(1)])
                #expect(mine.map(\.value).sorted() == Array(1...9))
                #expect(log.all.filter { $0.key == key }.count == 1)
            }
            // They are spread, and every node's claims are its own.
            var claims: [Claim] = []
            for node in nodes { claims += await node.system.claims() }
            #expect(Set(claims.map(\.key)) == Set(keys) && Set(claims.map(\.node)).count == 3)
        }
    }
    /// Each node believes another one to be the place: the store alone decides.
    @Test func aRaceOfNodesThatDisagreeIsWonByOne() async throws {
        let log = Log<Life>(), store = MemoryLeaseStore()
        try await withCluster(["a", "b", "c"], leases: store, prepare: hosting(log)) { nodes async throws in
            let identity = VirtualIdentity(kind: Counter.kind, key: "contested")
            let increment = TargetTable(of: Counter.self).methods.first { $0.value == "increment" }!.key
            let outcomes = Log<String>()
            for node in nodes {
                node.loop.post {
                    node.system.virtuals.arrive(IncomingCall(method: increment, arguments: .values([]), expires: .distantFuture) { outcome in
                        switch outcome {
                        case .value: outcomes.append("executed")
                        case .notExecuted(.moved): outcomes.append("moved")
                        default: outcomes.append("\(outcome)")
                        }
                    }, identity)
                }
            }
            try await until("all are answered") { outcomes.count == 3 }
            #expect(outcomes.all.sorted() == ["executed", "moved", "moved"])
            #expect(log.count == 1)
        }
    }
    @Test func aCallToTheWrongNodeIsSentOnOnce() async throws {
        let log = Log<Life>(), store = MemoryLeaseStore(), names: [NodeName] = ["a", "b", "c"]
        try await withCluster(names, leases: store, prepare: hosting(log)) { nodes async throws in
            // Placed on b, but claimed by c.
            let key = key(placedOn: "b", among: names)
            _ = try await store.takeClaim(kind: Counter.kind, key: key, by: "c", incarnation: nodes[2].system.incarnation, expecting: .none)
            let first = try await counter(nodes[0], key).increment()
            #expect(first == Counter.Reading(node: "c", epoch: Epoch(2), value: 1))
            #expect(nodes[0].system.counters().redirects == 1)
            // Known from now on.
            #expect(try await counter(nodes[0], key).increment().value == 2)
            #expect(nodes[0].system.counters().redirects == 1)
            // The node it was placed on finds it as well.
            #expect(try await counter(nodes[1], key).increment().value == 3)
        }
    }
    @Test func aReleasedActorIsActivatedAnewUnderTheNextEpoch() async throws {
        let log = Log<Life>()
        try await withCluster(["a", "b"], prepare: hosting(log)) { nodes async throws in
            let here = counter(nodes[0], "k"), there = counter(nodes[1], "k")
            let first = try await here.increment()
            #expect(first.epoch == Epoch(1) && first.value == 1)
            try await there.leave()
            for node in nodes { #expect(await node.system.claims() == []) }
            let second = try await there.increment()
            #expect(second == Counter.Reading(node: first.node, epoch: Epoch(2), value: 1))
            #expect(try await here.increment().value == 2)
        }
    }
    @Test func ofANodesOwnActorsReferencesWorkToo() async throws {
        let log = Log<Life>()
        try await withCluster(["a"], prepare: hosting(log)) { nodes async throws in
            let reference = counter(nodes[0], "k")
            #expect(try await nodes[0].run { try await reference.increment().value } == 1)
            #expect(try await reference.increment().value == 2)
            #expect(await reference.whenLocal { _ in true } == nil)
        }
    }
    @Test func onlyNodesWithTheRoleHost() async throws {
        let log = Log<Life>()
        try await withCluster(["a", "b", "c"], change: { $0.roles = $0.name == "c" ? ["host"] : ["edge"] }, prepare: hosting(log, roles: ["host"])) { nodes async throws in
            for i in 0..<10 { #expect(try await counter(nodes[i % 3], "k\(i)").increment().node == "c") }
            let unknown = nodes[0].system.reference(Counter.self, kind: "nobody", key: "k")
            await #expect(throws: ClusterError.notExecuted(.noHost)) { try await unknown.increment() }
        }
        try await withCluster(["a", "b"], change: { $0.roles = ["edge"] }, prepare: hosting(log, roles: ["host"])) { nodes async throws in
            await #expect(throws: ClusterError.notExecuted(.noHost)) { try await counter(nodes[0], "k").increment() }
        }
    }
    @Test func whatActivationThrowsReachesTheCaller() async throws {
        let log = Log<Life>(), store = MemoryLeaseStore()
        try await withCluster(["a", "b"], leases: store, prepare: hosting(log)) { nodes async throws in
            for node in nodes { await #expect(throws: Refusal(code: 403)) { try await counter(node, "forbidden").increment() } }
            #expect(try await store.claim(kind: Counter.kind, key: "forbidden")?.isReleased == true)
        }
    }
    @Test func theDeadsActorsAreTakenOver() async throws {
        let log = Log<Life>(), names: [NodeName] = ["a", "b", "c"]
        try await withCluster(names, prepare: hosting(log)) { nodes async throws in
            let keys = (0..<200).lazy.map { "k\($0)" }.filter { first(among: names, $0) == "c" }.prefix(20).map { $0 }
            for key in keys { #expect(try await counter(nodes[0], key).increment().node == "c") }
            nodes[2].kill()
            for node in nodes[..<2] { try await until("the link is known to be lost") { node.notices.all.contains { $0.hasPrefix("link to c ended") } } }
            // Called again while its owner is being judged: the calls wait and are executed once.
            try await withThrowingTaskGroup(of: Counter.Reading.self) { group in
                for key in keys { for node in nodes[..<2] {
                    let reference = counter(node, key)
                    group.addTask { try await ClusterSystem.$deadline.withValue(.seconds(20)) { try await reference.increment() } }
                } }
                for try await reading in group { #expect(reading.node != "c" && reading.epoch == Epoch(2)) }
            }
            for key in keys { #expect(log.all.filter { $0.key == key }.map(\.change) == [.activated(Epoch(1)), .activated(Epoch(2))]) }
        }
    }
    @Test func anOrderlyShutdownHandsOverAtOnce() async throws {
        let log = Log<Life>(), names: [NodeName] = ["a", "b"]
        try await withCluster(names, change: { $0.leaseTime = .seconds(3600) }, prepare: hosting(log)) { nodes async throws in
            let key = key(placedOn: "b", among: names)
            #expect(try await counter(nodes[0], key).increment().node == "b")
            await nodes[1].system.shutdown()
            #expect(try await counter(nodes[0], key).increment() == Counter.Reading(node: "a", epoch: Epoch(2), value: 1))
        }
    }
    @Test func whoWasStalledLosesWhatOthersTookMeanwhile() async throws {
        let log = Log<Life>(), names: [NodeName] = ["a", "b"]
        try await withCluster(names, prepare: hosting(log)) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let key = key(placedOn: "b", among: names)
            #expect(try await counter(b, key).increment() == Counter.Reading(node: "b", epoch: Epoch(1), value: 1))
            b.stall(milliseconds: 5000)
            try await until("b is down") { a.sees(["a"]) }
            let taken = try await ClusterSystem.$deadline.withValue(.seconds(30)) { try await counter(a, key).increment() }
            #expect(taken == Counter.Reading(node: "a", epoch: Epoch(2), value: 1))
            // b wakes: no call of its own reaches the actor it thinks it has. (One may go down with the link it thinks it has.)
            let after = try await ClusterSystem.$deadline.withValue(.seconds(30)) {
                try await b.run {
                    while true {
                        do { return try await self.counter(b, key).increment() } catch ClusterError.unknownOutcome(.linkLost) {}
                    }
                }
            }
            #expect(after == Counter.Reading(node: "a", epoch: Epoch(2), value: 2))
            try await until("b was told") { log.all.contains(Life(node: "b", key: key, change: .lost)) }
            #expect(await b.system.claims() == [])
        }
    }
    @Test func withTheStoreAwayWhatRunsGoesOn() async throws {
        let log = Log<Life>(), store = MemoryLeaseStore()
        try await withCluster(["a", "b"], leases: store, change: { $0.leaseTime = .milliseconds(300) }, prepare: hosting(log)) { nodes async throws in
            let running = counter(nodes[0], "running")
            #expect(try await running.increment().value == 1)
            store.isAway = true
            try await until("both have noticed") { nodes.allSatisfy { $0.notices.all.contains { $0.hasPrefix("store away") } } }
            for (round, node) in (nodes + nodes).enumerated() { #expect(try await counter(node, "running").increment().value == round + 2) }
            do {
                _ = try await counter(nodes[0], "new").increment()
                Issue.record("claimed without a store")
            } catch ClusterError.notExecuted(.storeAway) {}
            store.isAway = false
            #expect(try await counter(nodes[0], "new").increment().value == 1)
        }
    }
    @Test func aSecondProcessOfTheSameNameEndsTheFirstsClaims() async throws {
        let log = Log<Life>(), store = MemoryLeaseStore()
        try await withCluster(["a"], leases: store, prepare: hosting(log)) { nodes async throws in
            #expect(try await counter(nodes[0], "k").increment().value == 1)
            _ = try await store.registerNode("a", proposed: Incarnation(.max - 1))
            try await until("superseded") { log.all.last?.change == .lost }
            await #expect(throws: ClusterError.notExecuted(.deadline)) {
                try await ClusterSystem.$deadline.withValue(.milliseconds(300)) { try await counter(nodes[0], "k").increment() }
            }
        }
    }
    @Test func callsBeforeTheActorIsThereKeepTheirOrder() async throws {
        let log = Log<Life>(), names: [NodeName] = ["a", "b"]
        try await withCluster(names, prepare: hosting(log)) { nodes async throws in
            let reference = counter(nodes[0], key(placedOn: "b", among: names))
            let values = try await nodes[0].run {
                try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                    for i in 0..<500 { group.addTask { (i, try await reference.increment().value) } }
                    return try await group.reduce(into: [Int](repeating: 0, count: 500)) { $0[$1.0] = $1.1 }
                }
            }
            #expect(values == Array(1...500))
        }
    }
}
