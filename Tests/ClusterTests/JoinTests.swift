// Joining by a seed, names that are taken, states and facts, coming back after a verdict: real nodes, real TLS.
import Distributed
import EventLoop
import Primitives
import Testing

@testable import Cluster

@Suite(.serialized) struct JoinTests {
    /// Everyone knows one address, the first node's.
    private func bySeed(_ configuration: inout ClusterConfiguration, seed: SocketAddress) {
        configuration.peers = [:]
        configuration.allowUnlisted = true
        if configuration.bind != seed { configuration.seeds = [seed] }
    }
    @Test func oneSeedIsEnoughAndIsNotNeededAfterwards() async throws {
        let seed = SocketAddress(ipv4: 0x7F00_0001, port: freePorts(1)[0])
        try await withCluster(["a", "b", "c", "d"], change: { configuration in
            if configuration.name == "b" { configuration.bind = seed }
            bySeed(&configuration, seed: seed)
        }) { nodes async throws in
            for node in nodes { #expect(node.system.members().map(\.name) == ["a", "b", "c", "d"]) }
            try await until("all are linked with all") {
                for node in nodes { guard await node.system.linkReports().count == 3 else { return false } }
                return true
            }
            nodes[1].kill()
            let rest = [nodes[0], nodes[2], nodes[3]]
            for node in rest { try await until("the seed is down") { node.sees(["a", "c", "d"]) } }
            let there = Echo(nodes[3].system, on: nodes[3].loop)
            #expect(try await Echo.resolve(id: there.id, using: nodes[0].system).add(1, 2) == 3)
        }
    }
    @Test func aNameThatIsAliveIsNotTakenOver() async throws {
        let store = MemoryLeaseStore()
        try await withCluster(["a", "b"], leases: store) { nodes async throws in
            var configuration = nodes[1].system.configuration
            configuration.bind = SocketAddress(ipv4: 0x7F00_0001, port: freePorts(1)[0])
            let second = try TestNode(configuration, store)
            do {
                try await second.system.start()
                Issue.record("started")
            } catch ClusterStartError.nameTaken("b") {}
            second.kill()
            #expect(nodes[0].sees(["a", "b"]) && nodes[0].downs == [])
            #expect(!nodes[1].notices.all.contains { $0.contains("another process") })
        }
    }
    @Test func twoLinksOfOneNameAreTold() async throws {
        // With stores of their own, only the links can find out.
        try await withCluster(["a", "b", "c"]) { nodes async throws in
            var configuration = nodes[0].system.configuration
            configuration.bind = SocketAddress(ipv4: 0x7F00_0001, port: freePorts(1)[0])
            let second = try TestNode(configuration, MemoryLeaseStore())
            try await second.system.start()
            try await until("the second is told") { second.notices.all.contains { $0.contains("another process named a is a member") } }
            try await until("the others say so") { nodes[1...].allSatisfy { $0.notices.all.contains { $0.contains("another process named a is a member") } } }
            #expect(nodes[1].downs == [] && nodes[2].downs == [] && nodes[0].system.counters().condemned == 0)
            let there = Echo(nodes[0].system, on: nodes[0].loop)
            #expect(try await Echo.resolve(id: there.id, using: nodes[1].system).add(1, 2) == 3)
            await second.system.shutdown()
            second.kill()
        }
    }
    @Test func statesAndFactsAreKnownToAll() async throws {
        try await withCluster(["a", "b", "c"], change: { $0.capacity = 2; $0.tags = ["http": "https://\($0.name)"] }) { nodes async throws in
            for node in nodes { try await until("all are up") { node.system.members().allSatisfy { $0.state == .up } } }
            #expect(nodes[0].system.member("c")?.tags == ["http": "https://c"] && nodes[0].system.member("c")?.capacity == 2)
            nodes[2].system.setState(.draining)
            #expect(nodes[2].system.setFacts(tags: ["x": String(repeating: "y", count: 2000)]) != nil)
            #expect(nodes[2].system.setFacts(capacity: 0.5, tags: ["http": "https://other"]) == nil)
            for node in nodes {
                try await until("c drains") { node.system.member("c")?.state == .draining && node.system.member("c")?.capacity == 0.5 }
                #expect(node.system.member("c")?.tags == ["http": "https://other"])
            }
            #expect(nodes[0].events.all.contains { if case .changed(let member) = $0 { member.name == "c" && member.state == .draining } else { false } })
            let system = nodes[0].system
            #expect(try await system.onLoop { system.membership.core.seesMajority(of: ["a", "b", "c"]) && !system.membership.core.seesMajority(of: ["a", "y", "z"]) })
        }
    }
    /// Of three: the stopped one is voted down by two, comes back as a new life, and what it held is free.
    @Test func whoWasCondemnedComesBackAnew() async throws {
        try await withCluster(["a", "b", "c"]) { nodes async throws in
            let c = nodes[2], former = c.system.incarnation
            let there = Echo(c.system, on: c.loop)
            let stopped = nodes[0].loop.now
            c.stall(milliseconds: 3000)
            for node in nodes[..<2] { try await until("c is down") { node.sees(["a", "b"]) } }
            #expect(nodes[0].loop.now - stopped <= .milliseconds(2200))
            #expect(nodes[0].system.votesDown("c", former).isSuperset(of: ["a", "b"]))
            for node in nodes { try await until("all see all") { node.sees(["a", "b", "c"]) && node.system.member("c")?.state == .up } }
            #expect(c.system.incarnation > former && nodes[0].system.member("c")?.formerly == [former])
            #expect(c.system.counters().condemned == 1 && nodes[0].system.counters().condemned == 0)
            try await until("its actor answers to its address") { (try? await Echo.resolve(id: there.id, using: nodes[0].system).add(1, 2)) == 3 }
        }
    }
    /// Figures, printed: from the kill to every survivor's event.
    @Test func aKillIsNoticedInWellUnderASecond() async throws {
        var times: [Duration] = []
        for _ in 0..<3 {
            try await withCluster(["a", "b", "c", "d", "e"]) { nodes async throws in
                let killed = nodes[0].loop.now
                nodes[4].kill()
                for node in nodes[..<4] {
                    try await until("e is down") { node.downs == [Life("e", nodes[4].system.incarnation)] }
                    times.append(node.loop.now - killed)
                }
            }
        }
        print("killed and noticed:", times.map(\.inMilliseconds).sorted(), "ms")
        #expect(times.sorted()[times.count / 2] <= .milliseconds(1500))
    }
}

@Suite struct StartTests {
    @Test func aStoreThatComesLateIsWaitedFor() async throws {
        let store = FaultyStore(MemoryLeaseStore())
        store.isCut = true
        var configuration = ClusterConfiguration(name: "a", bind: SocketAddress(ipv4: 0x7F00_0001, port: freePorts(1)[0]), peers: [:], tls: nil)
        configuration.storePatience = .seconds(20)
        let node = try TestNode(configuration, store)
        let starting = Task { try await node.system.start() }
        try await until("it says what it waits for") { node.notices.all.contains { $0.contains("store") } }
        store.isCut = false
        try await starting.value
        #expect(try await store.nodes().map(\.node) == ["a"])
        await node.system.shutdown()
        node.kill()
    }
    @Test func withoutPatienceTheStartFails() async throws {
        let store = FaultyStore(MemoryLeaseStore())
        store.isCut = true
        let node = try TestNode(ClusterConfiguration(name: "a", bind: SocketAddress(ipv4: 0x7F00_0001, port: freePorts(1)[0]), peers: [:], tls: nil), store)
        do {
            try await node.system.start()
            Issue.record("started")
        } catch ClusterStartError.store {}
        node.kill()
    }
}
