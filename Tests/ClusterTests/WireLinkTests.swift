// What links do beside calls: versions, capabilities, large beside small, certificates that change or are bad, reports.
import Distributed
import EventLoop
import Primitives
import Testing

@testable import Cluster

@Suite(.serialized) struct WireLinkTests {
    @Test func anIncompatibleReleaseIsRefusedOnceAndForAReason() async throws {
        try await withCluster(["a", "b"], join: false, change: { if $0.name == "b" { $0.versions = 7...9 } }) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let reason = "speaks protocol versions"
            try await until("both say why") { a.notices.all.contains { $0.contains(reason) } && b.notices.all.contains { $0.contains(reason) } }
            try await until("it was tried again") { b.system.counters().connectionsRefused >= 3 && a.system.counters().refusedByPeers >= 3 }
            for node in nodes {
                // Whoever dials says as well that there is no link yet.
                let told = node.notices.all.filter { $0.contains(reason) && !$0.contains("no link to") }
                #expect(told.count == 1 && node.notices.all.count <= 3, "\(node.notices.all)")
                #expect(node.sees([node.name]))
            }
        }
    }
    @Test func capabilitiesAreWhatBothHave() async throws {
        try await withCluster(["a", "b"], change: { if $0.name == "b" { $0.capabilities = ["membership", "later"] } }) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            #expect(await a.system.capabilities(of: "b") == ["membership"])
            #expect(await b.system.capabilities(of: "a") == ["membership"])
            #expect(await a.system.capabilities(of: "z") == [])
            // Without chunks large messages go whole.
            let there = Echo(b.system, on: b.loop)
            #expect(try await Echo.resolve(id: there.id, using: a.system).size([UInt8](repeating: 1, count: 900_000)) == 900_000)
        }
    }
    @Test func framesOfALaterReleaseArePassedOver() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            try await a.system.onLoop {
                let link = a.system.links.link(to: "b")!
                link.send { writer in
                    // A type nobody knows, and a ping with more behind it.
                    for payload in [[200, 1, 2, 3], [2, 7, 0x63, 0x61, 0x62, 0x63]] as [[UInt8]] {
                        writer.buffer.u32(UInt32(payload.count))
                        for byte in payload { writer.buffer.byte(byte) }
                    }
                }
            }
            try await until("counted") { b.system.counters().unknownFrames == 1 }
            let there = Echo(b.system, on: b.loop)
            #expect(try await Echo.resolve(id: there.id, using: a.system).add(1, 2) == 3)
            #expect(b.system.counters().badFrames == 0)
        }
    }
    @Test func smallCallsGoPastLargeOnes() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let echo = Echo(b.system, on: b.loop), bulk = Echo(b.system, on: b.loop)
            let small = try Echo.resolve(id: echo.id, using: a.system), heavy = try Echo.resolve(id: bulk.id, using: a.system)
            let megabyte = [UInt8](repeating: 1, count: 1_000_000), answered = Log<Int>()
            for _ in 0..<10 {
                let before = answered.all.count
                let passed = try await a.run {
                    try await withThrowingTaskGroup(of: Int?.self) { group in
                        for _ in 0..<7 {
                            group.addTask {
                                answered.append(try await heavy.size(megabyte))
                                return nil
                            }
                        }
                        // Seven megabytes wait when it leaves; behind them it would come back after the last one.
                        group.addTask {
                            _ = try await small.add(1, 1)
                            return answered.all.count - before
                        }
                        return try await group.reduce(0) { $0 + ($1 ?? 0) }
                    }
                }
                #expect(passed == 0, "\(passed) large calls were answered first")
            }
        }
    }
    @Test func callsToOneActorKeepTheirOrderWhateverTheirSize() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let there = Scribe(b.system), scribe = try Scribe.resolve(id: there.id, using: a.system)
            try await a.run {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for i in 0..<200 { group.addTask { try await scribe.write(i, [UInt8](repeating: 0, count: i % 7 == 0 ? 60_000 : 10)) } }
                    try await group.waitForAll()
                }
            }
            #expect(try await scribe.read() == Array(0..<200))
        }
    }
    @Test func certificatesChangeWithoutARestart() async throws {
        let old = TestAuthority.shared, new = TestAuthority()
        try await withCluster(["a", "b", "c"]) { nodes async throws in
            let echoes = nodes.map { Echo($0.system, on: $0.loop) }
            let stop = Gate(), calls = Log<Int>(), failures = Log<String>()
            let caller = Task {
                let remote = try Echo.resolve(id: echoes[1].id, using: nodes[0].system)
                while !stop.isOpen { do { calls.append(try await remote.add(1, 1)) } catch { failures.append("\(error)") } }
            }
            func linked(_ times: UInt64) -> Bool { nodes.allSatisfy { $0.system.counters().linksUp >= times } }
            // Both CAs are believed; then certificates of the new one; then it alone.
            for (step, bundle, authority) in [(1, old.authority + new.authority, old), (2, old.authority + new.authority, new), (3, new.authority, new)] {
                for node in nodes {
                    let before = node.system.counters().linksUp
                    var identity = authority.identity(node.name)
                    identity.authority = bundle
                    try await node.system.reload(tls: identity)
                    try await until("step \(step): \(node.name)'s links are new") { node.system.counters().linksUp >= before + 2 }
                }
            }
            stop.open()
            try await caller.value
            #expect(failures.all == [])
            #expect(calls.count > 10)
            for node in nodes {
                #expect(node.downs == [] && node.sees(["a", "b", "c"]))
                #expect(await node.system.linkReports().allSatisfy { $0.reconnects >= 3 })
            }
            await #expect(throws: TLSError.self) { try await nodes[0].system.reload(tls: TLSIdentity(certificate: "", key: "", authority: "")) }
            #expect(try await Echo.resolve(id: echoes[2].id, using: nodes[0].system).add(1, 1) == 2)
            withExtendedLifetime(echoes) {}
        }
    }
    @Test func expiredAndForeignCertificatesAreNamed() async throws {
        let expired = TestAuthority.shared.identity("b", days: -1), foreign = TestAuthority().identity("b")
        for (identity, word) in [(expired, "expired"), (foreign, "foreign")] {
            try await withCluster(["a", "b"], identities: ["b": identity], join: false) { nodes async throws in
                try await until("a says \(word)") { nodes[0].notices.all.contains { $0.contains("not accepted (\(word))") } }
                #expect(nodes[0].sees(["a"]) && nodes[1].sees(["b"]))
            }
            // The other way round the server finds out, and its client is told by an alert.
            let other = word == "expired" ? TestAuthority.shared.identity("a", days: -1) : TestAuthority().identity("a")
            try await withCluster(["a", "b"], identities: ["a": other], join: false) { nodes async throws in
                if word == "expired" {
                    try await until("b says it") { nodes[1].notices.all.contains { $0.contains("not accepted (expired)") } }
                    try await until("a is told") { nodes[0].notices.all.contains { $0.contains("does not accept this node's certificate (expired)") } }
                } else {
                    try await until("both refuse") { nodes[0].notices.all.contains { $0.contains("foreign") } }
                }
                try await until("it is counted") { nodes[1].system.counters().connectionsRefused > 0 }
            }
        }
    }
    @Test func linksReportThemselves() async throws {
        try await withCluster(["a", "b"]) { nodes async throws in
            let (a, b) = (nodes[0], nodes[1])
            let there = Echo(b.system, on: b.loop)
            _ = try await Echo.resolve(id: there.id, using: a.system).size([UInt8](repeating: 1, count: 100_000))
            try await until("clocks are compared") { await a.system.linkReports().first?.clockOffset != nil }
            let report = try #require(await a.system.linkReports().first)
            #expect(report.peer == "b" && report.incarnation == b.system.incarnation && report.version == 1 && !report.isOperator)
            #expect(report.bytesSent > 100_000 && report.framesSent > 7 && report.framesReceived > 0 && report.bytesReceived > 0)
            let offset = try #require(report.clockOffset), uncertainty = try #require(report.clockUncertainty), roundTrip = try #require(report.roundTrip)
            #expect(offset < .milliseconds(100) && .milliseconds(-100) < offset)
            #expect(uncertainty <= roundTrip && report.medianRoundTrip != nil)
            #expect(report.queueBytes == 0 || report.queueBytes < 10_000)
        }
    }
}

distributed actor Scribe {
    typealias ActorSystem = ClusterSystem
    nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    private var seen: [Int] = []
    init(_ system: ClusterSystem) { actorSystem = system }
    distributed func write(_ number: Int, _ padding: [UInt8]) { seen.append(number) }
    distributed func read() -> [Int] { seen }
}
