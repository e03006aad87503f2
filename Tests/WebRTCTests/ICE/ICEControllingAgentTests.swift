// The client's agent against the server's, in virtual time and over a path that loses what the test says.
import Primitives
import Testing
@testable import WebRTC

@Suite struct ICEControllingAgentTests {
    static let client = ICECredentials(fragment: "clnt", password: "client-password-of-enough-length")
    static let server = ICECredentials(fragment: "srvr", password: "server-password-of-enough-length")
    static let here = SocketAddress(ipv4: 0x7F00_0001, port: 5000), there = SocketAddress(ipv4: 0x7F00_0001, port: 3478), nowhere = SocketAddress(ipv4: 0x0A00_0001, port: 1)

    /// Both agents; the server lives at `there` only.
    struct World {
        var now = Instant.origin
        var client = ICEControllingAgent(local: ICEControllingAgentTests.client, now: .origin, random: SeededRandom(seed: 7))
        var server = ICELiteAgent(local: ICEControllingAgentTests.server)
        var sent = 0
        var drops: [ICEDrop] = []
        /// Says whether the n-th request (from 1) arrives.
        var arrives: (Int) -> Bool = { _ in true }

        /// Runs until nothing is due before `limit`.
        mutating func run(until limit: Instant) throws {
            while let next = client.deadline, next <= limit {
                now = max(now, next)
                var out: [(bytes: [UInt8], to: SocketAddress)] = []
                client.poll(now: now, into: &out)
                try deliver(out)
                guard client.hasConsent(now: now) else { return }
            }
            now = limit
        }
        mutating func deliver(_ requests: [(bytes: [UInt8], to: SocketAddress)]) throws {
            for request in requests {
                sent += 1
                guard arrives(sent), request.to == there else { continue }
                let answer = try request.bytes.withBytes { server.receive(try STUN.Message.parse($0), from: here, now: now) }
                guard let response = answer.response else { continue }
                var more: [(bytes: [UInt8], to: SocketAddress)] = []
                let outcome = try response.withBytes { client.receive(try STUN.Message.parse($0), from: there, now: now, into: &more) }
                if let drop = outcome.drop { drops.append(drop) }
                try deliver(more)
            }
        }
    }

    @Test func connectsInOneRoundTripEach() throws {
        var world = World()
        world.client.setRemote(Self.server)
        let added = world.client.add(candidate: Self.there, now: .origin)
        #expect(added)
        try world.run(until: .origin)
        #expect(world.client.selected == Self.there && world.server.selected == Self.here)
        #expect(world.sent == 2 && world.drops.isEmpty, "one check, one nomination")
    }
    @Test func waitsForTheOtherSide() throws {
        var world = World()
        _ = world.client.add(candidate: Self.there, now: .origin)
        #expect(world.client.deadline == nil)
        try world.run(until: .origin + .seconds(5))
        #expect(world.sent == 0)
    }
    @Test func repeatsWhatIsLost() throws {
        var world = World()
        world.arrives = { $0 > 2 && $0 != 4 }
        world.client.setRemote(Self.server)
        _ = world.client.add(candidate: Self.there, now: .origin)
        try world.run(until: .origin + .milliseconds(599))
        #expect(world.server.selected == nil, "sent at 0 and 200 ms, lost")
        try world.run(until: .origin + .milliseconds(600))
        #expect(world.server.selected == Self.here && world.client.selected == nil, "answered at 600 ms, its nomination lost")
        try world.run(until: .origin + .milliseconds(800))
        #expect(world.client.selected == Self.there && world.server.selected == Self.here)
    }
    @Test func triesTheNextCandidateAtItsPace() throws {
        var world = World()
        world.client.setRemote(Self.server)
        for candidate in [Self.nowhere, Self.there] { _ = world.client.add(candidate: candidate, now: .origin) }
        try world.run(until: .origin + .milliseconds(49))
        #expect(world.sent == 1)
        try world.run(until: .origin + .milliseconds(50))
        #expect(world.client.selected == Self.there)
    }
    @Test func consentIsKeptAndLost() throws {
        var world = World()
        world.client.setRemote(Self.server)
        _ = world.client.add(candidate: Self.there, now: .origin)
        try world.run(until: .origin + .seconds(300))
        #expect(world.client.hasConsent(now: world.now) && world.server.hasConsent(now: world.now))
        #expect((50...75).contains(world.sent), "a check every 4 to 6 s: \(world.sent)")
        world.arrives = { _ in false }
        try world.run(until: .origin + .seconds(331))
        #expect(!world.client.hasConsent(now: world.now) && !world.server.hasConsent(now: .origin + .seconds(331)))
    }
    @Test func believesOnlyAuthenticAnswersFromWhereItAsked() throws {
        var world = World()
        world.client.setRemote(Self.server)
        _ = world.client.add(candidate: Self.there, now: .origin)
        var out: [(bytes: [UInt8], to: SocketAddress)] = []
        world.client.poll(now: .origin, into: &out)
        let check = try #require(out.first).bytes
        let transaction = try check.withBytes { try STUN.Message.parse($0).transaction }
        func answer(_ kind: STUN.Class, password: String?, from: SocketAddress, transaction: STUN.TransactionID) throws -> ICEOutcome {
            var writer = STUN.Writer(kind, transaction: transaction)
            if kind == .failure { writer.errorCode(401, "Unauthenticated") } else { writer.xorMappedAddress(Self.here) }
            let bytes = writer.finish(key: password.map { HMACSHA1(key: Array($0.utf8)) })
            var more: [(bytes: [UInt8], to: SocketAddress)] = []
            return try bytes.withBytes { world.client.receive(try STUN.Message.parse($0), from: from, now: .origin, into: &more) }
        }
        #expect(try answer(.success, password: Self.server.password, from: Self.nowhere, transaction: transaction).drop == .unexpectedResponse)
        #expect(try answer(.success, password: Self.client.password, from: Self.there, transaction: transaction).drop == .notAuthentic)
        #expect(try answer(.success, password: nil, from: Self.there, transaction: transaction).drop == .notAuthentic)
        #expect(try answer(.success, password: Self.server.password, from: Self.there, transaction: STUN.TransactionID(high: 1, low: 1)).drop == .unexpectedResponse)
        #expect(try answer(.failure, password: nil, from: Self.there, transaction: transaction).drop == .refused(401))
        #expect(try answer(.success, password: Self.server.password, from: Self.there, transaction: transaction).validated == Self.there)
    }
    @Test func candidatesAreBounded() {
        var world = World()
        for port in 1...UInt16(ICEControllingAgent.Limits.candidates) {
            let added = world.client.add(candidate: Self.nowhere.with(port: port), now: .origin)
            #expect(added)
        }
        let beyond = world.client.add(candidate: Self.there, now: .origin), known = world.client.add(candidate: Self.nowhere.with(port: 3), now: .origin)
        #expect(!beyond && known)
    }
    @Test func givesUpAfterTheLastAttempt() throws {
        var world = World()
        world.arrives = { _ in false }
        world.client.setRemote(Self.server)
        _ = world.client.add(candidate: Self.there, now: .origin)
        try world.run(until: .origin + .seconds(60))
        #expect(world.sent == ICEControllingAgent.Limits.attempts && world.client.deadline == nil)
    }
}
