// Links: who is let in, how a death is noticed, how a link comes back.
import Distributed
import EventLoop
import Glibc
import Primitives
import Testing

@testable import Cluster

@Suite(.serialized) struct LinkTests {
    @Test func threeNodesFindEachOther() async throws {
        try await withCluster(["a", "b", "c"], change: { $0.roles = ["room", "on-\($0.name)"]; $0.region = "eu" }) { nodes async throws in
            for node in nodes {
                #expect(node.system.members().map(\.name) == ["a", "b", "c"])
                #expect(node.system.members().map(\.roles) == [["room", "on-a"], ["room", "on-b"], ["room", "on-c"]])
                #expect(node.system.members().map(\.incarnation) == nodes.map { $0.system.incarnation })
                #expect(node.events.all.filter { if case .up = $0 { true } else { false } }.count == 2)
            }
        }
    }
    @Test func aKilledNodeIsNoticedAndMayComeBackAnew() async throws {
        let store = MemoryLeaseStore()
        try await withCluster(["a", "b"], leases: store) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let gate = Gate()
            let there = Echo(b.system, on: b.loop, gate: gate)
            let echo = try Echo.resolve(id: there.id, using: a.system)
            let sent = a.system.counters().callsSent
            let underWay = Task { try await echo.hang() }
            try await until("the call is sent") { a.system.counters().callsSent > sent }
            let killed = a.loop.now
            b.kill()
            await #expect(throws: ClusterError.unknownOutcome(.linkLost)) { try await underWay.value }
            try await until("b is down") { a.sees(["a"]) }
            #expect(a.loop.now - killed <= .seconds(2))
            #expect(a.downs == [b.system.me.life])
            await #expect(throws: ClusterError.notExecuted(.unreachable)) { try await echo.add(1, 1) }
            gate.open()

            let reborn = try TestNode(b.system.configuration, store)
            try await reborn.system.start()
            try await until("b is back") { a.sees(["a", "b"]) && reborn.sees(["a", "b"]) }
            #expect(reborn.system.incarnation > b.system.incarnation)
            #expect(a.ups == [b.system.me.life, reborn.system.me.life])
            await #expect(throws: ClusterError.notExecuted(.unreachable)) { try await echo.add(1, 1) }
            let anew = Echo(reborn.system, on: reborn.loop)
            let other = try Echo.resolve(id: anew.id, using: a.system)
            #expect(try await other.add(1, 1) == 2)
            await reborn.system.shutdown()
            reborn.kill()
        }
    }
    @Test func aSilentNodeIsNoticedAndComesBack() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let there = Echo(b.system, on: b.loop)
            let echo = try Echo.resolve(id: there.id, using: a.system)
            let stalled = a.loop.now
            let former = b.system.incarnation
            b.stall(milliseconds: 3500)
            try await until("b is down") { a.sees(["a"]) }
            #expect(a.loop.now - stalled <= .seconds(3))
            #expect(a.system.votesDown("b", former) == ["a"])
            try await until("b is back, in a new life") { a.sees(["a", "b"]) && b.sees(["a", "b"]) && b.system.incarnation > former }
            #expect(b.system.counters().condemned == 1)
            #expect(b.events.all.contains(.condemned(by: ["a"])))
            // Its actors are where they were, under the address they had.
            try await until("its actor answers") { (try? await echo.add(2, 2)) == 4 }
        }
    }
    /// Its control loop answers pings; what executes calls stands still. Only one node calls it: the others find out for themselves.
    @Test func aNodeThatAnswersNoCallsIsGivenUp() async throws {
        try await withCluster(["a", "b", "c"]) { nodes async throws in
            let (a, b, c) = (nodes[0], nodes[1], nodes[2])
            let former = c.system.me.life
            try await c.system.onLoop { c.system.provide(c.system.withShard(0) { NodeAgent(c.system) }, as: NodeAgent.service) }
            let there = c.system.withShard(0) { Echo(c.system, on: c.shard) }
            let echo = try Echo.resolve(id: there.id, using: a.system)
            try await echo.note(1)
            let isOver = Gate()
            defer { isOver.open() }
            c.shard.post { while !isOver.isOpen { usleep(1000) } }
            // What touches no state of its actor is answered by an optimised build without the actor's executor.
            let waiting = Task { try await echo.note(2) }
            try await until("a and b gave c up") { a.downs == [former] && b.downs == [former] }
            #expect(a.system.counters().complaints > 0 && b.system.counters().complaints > 0)
            #expect(a.notices.all.contains { $0.contains("c answers pings and no calls") })
            await #expect(throws: ClusterError.self) { try await waiting.value }
            isOver.open()
            try await until("c is back, in a new life") { a.seesUp(["a", "b", "c"]) && c.system.incarnation > former.incarnation }
            try await until("its actor answers") { (try? await echo.noted()).map { $0.contains(1) } ?? false }
            #expect(a.downs == [former])
            // The registry holds it weakly, and one that is gone is an answer.
            withExtendedLifetime(there) {}
        }
    }
    @Test func aBrokenLinkComesBackBeforeAnyoneIsDeclaredDead() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let there = Echo(b.system, on: b.loop)
            let echo = try Echo.resolve(id: there.id, using: a.system)
            try await a.system.onLoop { a.system.links.link(to: "b")!.stream.abort() }
            try await until("linked again") { a.system.counters().linksUp == 2 && b.system.counters().linksUp == 2 }
            #expect(try await echo.add(2, 2) == 4)
            #expect(a.downs == [] && b.downs == [])
        }
    }
    @Test func aSeveredNodeIsDeclaredDownAndComesBack() async throws {
        try await withCluster(["a", "b", "c"]) { nodes async throws in
            let life = nodes[0].system.incarnation
            try await nodes[0].system.onLoop { nodes[0].system.sever(for: .seconds(3)) }
            for node in nodes[1...] { try await until("a is down") { node.downs.contains(Life("a", life)) } }
            #expect(nodes[1].system.member("c") != nil && nodes[1].downs.count == 1, "the others keep each other")
            for node in nodes[1...] { try await until("a is back, in a new life") { node.system.member("a").map { $0.incarnation > life } ?? false } }
            let there = Echo(nodes[0].system, on: nodes[0].loop)
            // One may hear of it from the other before it has a link of its own.
            try await until("its actor answers") { (try? await Echo.resolve(id: there.id, using: nodes[1].system).add(1, 2)) == 3 }
        }
    }
    @Test func anOrderlyEndIsKnownAtOnce() async throws {
        try await withCluster(["a", "b"], change: { $0.timing.lossShortest = .seconds(60); $0.timing.silenceShortest = .seconds(60) }) { nodes async throws in
            await nodes[1].system.shutdown()
            try await until("b said goodbye") { nodes[0].sees(["a"]) }
            await #expect(throws: ClusterError.notExecuted(.stopped)) {
                try await Echo.resolve(id: .instance(node: "a", incarnation: Incarnation(1), number: 1, shard: -1), using: nodes[1].system).add(1, 1)
            }
        }
    }
    @Test func aCertificateOfAnotherNameIsRefused() async throws {
        try await withCluster(["a", "b"], identities: ["b": TestAuthority.shared.identity("z")], join: false) { nodes async throws in
            try await until("a refuses b's certificate") { nodes[0].notices.all.contains { $0.contains("no link to b yet") && $0.contains("mismatch") } }
            #expect(nodes[0].sees(["a"]) && nodes[1].sees(["b"]))
        }
        // The other way round: the dialing node is the impostor.
        try await withCluster(["a", "b"], identities: ["a": TestAuthority.shared.identity("z")], join: false) { nodes async throws in
            try await until("b refuses a's certificate") { nodes[1].notices.all.contains { $0.contains("not of a") } }
            #expect(nodes[0].sees(["a"]) && nodes[1].sees(["b"]))
        }
    }
    @Test func aCertificateOfAnotherAuthorityIsRefused() async throws {
        let foreign = TestAuthority()
        try await withCluster(["a", "b"], identities: ["a": foreign.identity("a")], join: false) { nodes async throws in
            try await until("both refuse") {
                nodes[0].notices.all.contains { $0.contains("no link to b yet") } && nodes[1].system.counters().connectionsRefused > 0
            }
            #expect(nodes[0].sees(["a"]) && nodes[1].sees(["b"]))
        }
    }
    @Test func aNodeOutsideTheTopologyIsRefused() async throws {
        try await withCluster(["a", "b"], join: false, change: { if $0.name == "b" { $0.peers = ["q": SocketAddress(ipv4: 0x7F00_0001, port: 9)] } }) { nodes async throws in
            try await until("b refuses") { nodes[1].notices.all.contains { $0.contains("a is not in the topology") } }
            #expect(nodes[1].sees(["b"]))
        }
    }
    @Test func bytesThatAreNotTLSAreRefused() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let ended = Log<StreamEnd>()
            let address = b.system.configuration.bind!
            try await a.system.onLoop {
                a.system.network.connect(address, timeout: .seconds(2)) { result in
                    guard case .success(let stream) = result else { return ended.append(.local) }
                    stream.onClose = { ended.append($0) }
                    stream.onBytes = { _ in }
                    stream.write(Array("GET / HTTP/1.1\r\nHost: b\r\n\r\n".utf8))
                }
            }
            try await until("it is closed") { ended.count == 1 }
            try await until("it is counted") { b.system.counters().connectionsRefused == 1 }
            #expect(b.sees(["a", "b"]))
        }
    }
    @Test func unusablePapersSayWhatToDo() throws {
        let good = TestAuthority.shared.identity("a"), other = TestAuthority.shared.identity("b")
        #expect(throws: TLSError.unusable("the node's certificate is not a PEM certificate; make one with `troupe keys`")) {
            try TLSContext(TLSIdentity(certificate: "x", key: good.key, authority: good.authority), isServer: true)
        }
        #expect(throws: TLSError.unusable("the node's key is not a PEM private key without a pass phrase; make one with `troupe keys`")) {
            try TLSContext(TLSIdentity(certificate: good.certificate, key: "", authority: good.authority), isServer: true)
        }
        #expect(throws: TLSError.unusable("the node's key does not belong to its certificate; make both with `troupe keys`")) {
            try TLSContext(TLSIdentity(certificate: good.certificate, key: other.key, authority: good.authority), isServer: true)
        }
        #expect(throws: TLSError.unusable("the cluster CA is not a PEM certificate; make one with `troupe keys`")) {
            try TLSContext(TLSIdentity(certificate: good.certificate, key: good.key, authority: ""), isServer: false)
        }
    }
    @Test func aBusyPortIsATypedError() async throws {
        try await withCluster(["a"], change: { _ in }) { nodes async throws in
            let busy = nodes[0].system.configuration.bind!
            var configuration = ClusterConfiguration(name: "b", bind: busy, tls: TestAuthority.shared.identity("b"))
            configuration.peers = [:]
            let second = try TestNode(configuration, MemoryLeaseStore())
            do {
                try await second.system.start()
                Issue.record("started")
            } catch ClusterStartError.network(let error) { #expect(error == .addressInUse(busy)) }
            second.kill()
        }
    }
}
