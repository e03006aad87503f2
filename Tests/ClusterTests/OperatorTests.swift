// Clients that are no members: whom they reach, what they may call, how many there may be. And services by name.
import Distributed
import EventLoop
import Primitives
import Testing

@testable import Cluster

@Suite(.serialized) struct OperatorTests {
    private func client(_ address: SocketAddress, name: NodeName = "ada", identity: TLSIdentity? = nil) throws -> TestNode {
        var configuration = ClusterConfiguration(name: name, tls: identity ?? TestAuthority.shared.identity(NodeName("operator:\(name)")))
        configuration.kind = ClusterConfiguration.Kind.operator
        configuration.seeds = [address]
        return try TestNode(configuration, MemoryLeaseStore())
    }
    @Test func anOperatorCallsWhatItMayAndIsNoMember() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            for node in nodes {
                node.system.provide(Safe(node.system), as: "operations")
                node.system.allowOperators(Safe.self, methods: ["open"])
            }
            let echo = Echo(a.system, on: a.loop)
            let client = try client(a.system.configuration.bind!)
            try await client.system.start()
            #expect(try await client.system.connected(within: .seconds(10)).name == "a")
            let here = client.system.service(Safe.self, on: "", "operations"), named = client.system.service(Safe.self, on: "a", "operations")
            #expect(try await here.open(5) == 5)
            #expect(try await named.open(6) == 6)
            await #expect(throws: ClusterError.notExecuted(.unknownTarget)) { try await here.secret() }
            await #expect(throws: ClusterError.notExecuted(.unknownTarget)) { try await Echo.resolve(id: echo.id, using: client.system).add(1, 1) }
            await #expect(throws: ClusterError.notExecuted(.unknownTarget)) {
                try await Counter.resolve(id: .virtual(kind: Counter.kind, key: "k"), using: client.system).increment()
            }
            await #expect(throws: ClusterError.notExecuted(.unknownActor)) { try await client.system.service(Safe.self, on: "", "nothing").open(1) }
            await #expect(throws: ClusterError.notExecuted(.unreachable)) { try await client.system.service(Safe.self, on: "b", "operations").open(1) }
            #expect(a.system.counters().operatorCallsRefused == 3)
            for node in nodes { #expect(node.sees(["a", "b"])) }
            #expect(await a.system.linkReports().filter(\.isOperator).map(\.peer) == ["operator:ada"])
            await client.system.shutdown()
            client.kill()
            try await until("it is gone") { await a.system.linkReports().filter(\.isOperator).isEmpty }
            #expect(a.downs == [] && b.downs == [])
        }
    }
    @Test func aServiceIsFoundInWhicheverLifeItsNodeIs() async throws {
        let store = MemoryLeaseStore()
        try await withCluster(["a", "b"], leases: store) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let reference = a.system.service(Safe.self, on: "b", "operations"), own = a.system.service(Safe.self, on: "a", "operations")
            b.system.provide(Safe(b.system), as: "operations")
            a.system.provide(Safe(a.system), as: "operations")
            #expect(try await reference.secret() == 7)
            #expect(try await own.secret() == 7)
            b.kill()
            try await until("b is down") { a.sees(["a"]) }
            await #expect(throws: ClusterError.notExecuted(.unreachable)) { try await reference.secret() }
            let reborn = try TestNode(b.system.configuration, store)
            try await reborn.system.start()
            reborn.system.provide(Safe(reborn.system), as: "operations")
            try await until("b is back") { a.sees(["a", "b"]) }
            #expect(try await reference.secret() == 7)
            await reborn.system.shutdown()
            reborn.kill()
        }
    }
    @Test func impostorsAreRefused() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let address = nodes[0].system.configuration.bind!
            // A node's certificate makes no operator, and a foreign one nobody.
            for (identity, why) in [(TestAuthority.shared.identity("b"), "not of operator:ada"), (TestAuthority().identity("operator:ada"), "certificate")] as [(TLSIdentity, String)] {
                let client = try client(address, identity: identity)
                try await client.system.start()
                do {
                    _ = try await client.system.connected(within: .milliseconds(1500))
                    Issue.record("connected")
                } catch let error as ConnectError { #expect(error.description.contains(why), "\(error)") }
                await client.system.shutdown()
                client.kill()
            }
            // An operator's certificate makes no node.
            try await withCluster(["a", "b"], identities: ["b": TestAuthority.shared.identity("operator:b")], join: false) { others async throws in
                try await until("refused") { others[0].notices.all.contains { $0.contains("no link to b yet") } }
                #expect(others[0].sees(["a"]))
            }
        }
    }
    @Test func onlySoManyAtOnce() async throws {
        try await withCluster(["a"], change: { $0.peers = ["z": SocketAddress(ipv4: 0x7F00_0001, port: 1)] }) { nodes async throws in
            let address = nodes[0].system.configuration.bind!
            var clients: [TestNode] = []
            for _ in 0..<ClusterConfiguration.Limits.operators {
                let client = try client(address)
                try await client.system.start()
                _ = try await client.system.connected(within: .seconds(10))
                clients.append(client)
            }
            let last = try client(address)
            try await last.system.start()
            do {
                _ = try await last.system.connected(within: .milliseconds(500))
                Issue.record("connected")
            } catch let error as ConnectError { #expect(error.description.contains("too many operators"), "\(error)") }
            for client in clients + [last] {
                await client.system.shutdown()
                client.kill()
            }
        }
    }
}
