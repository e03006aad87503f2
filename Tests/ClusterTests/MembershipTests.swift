// Where things are placed, who may claim: transcripts of the pure parts.
import Primitives
import Testing

@testable import Cluster

private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

@Suite struct RendezvousTests {
    private let hosts: [NodeName] = ["n1", "n2", "n3"]
    @Test func everyoneAgreesWhateverTheOrder() {
        for i in 0..<100 {
            let place = Rendezvous.place(kind: "room", key: "r\(i)", among: hosts)
            #expect(place == Rendezvous.place(kind: "room", key: "r\(i)", among: hosts.reversed()))
        }
        #expect(Rendezvous.place(kind: "room", key: "r", among: []) == nil)
    }
    @Test func keysSpreadEvenly() {
        var counts: [NodeName: Int] = [:]
        for i in 0..<3000 { counts[Rendezvous.place(kind: "room", key: "R_\(i)", among: hosts)!, default: 0] += 1 }
        for host in hosts { #expect((850...1150).contains(counts[host, default: 0]), "\(counts)") }
    }
    @Test func aHostThatGoesMovesOnlyItsOwn() {
        for i in 0..<500 {
            let before = Rendezvous.place(kind: "room", key: "R_\(i)", among: hosts)!
            let after = Rendezvous.place(kind: "room", key: "R_\(i)", among: ["n1", "n3"])!
            if before != "n2" { #expect(before == after) }
        }
    }
    @Test func kindAndKeyDoNotRunTogether() {
        let differs = (0..<50).contains { i in
            Rendezvous.place(kind: "ab", key: "c\(i)", among: hosts) != Rendezvous.place(kind: "a", key: "bc\(i)", among: hosts)
        }
        #expect(differs)
    }
    /// Fixed for ever: two releases in one cluster must place alike.
    @Test func placesAreWhatTheyWere() {
        #expect((0..<8).map { Rendezvous.place(kind: "room", key: "R_\($0)", among: hosts)!.rawValue } == RendezvousTests.recorded)
    }
    static let recorded = ["n1", "n1", "n3", "n3", "n3", "n2", "n2", "n3"]
}

@Suite struct ClaimTests {
    private func claim(_ node: NodeName, _ incarnation: UInt64, _ epoch: UInt64, released: Bool = false) -> Claim {
        Claim(kind: "room", key: "r", node: node, incarnation: Incarnation(incarnation), epoch: Epoch(epoch), isReleased: released)
    }
    private func decide(_ stored: Claim?, _ standing: ClaimDecision.Standing = .down, expired: Bool = false) -> ClaimDecision {
        ClaimDecision.decide(stored, me: "a", incarnation: Incarnation(10), standing: { _, _ in standing }, leaseExpired: { _, _ in expired })
    }
    @Test func rules() {
        #expect(decide(nil) == .take(expecting: .none))
        #expect(decide(claim("b", 1, 4, released: true), .up) == .take(expecting: Epoch(4)))
        #expect(decide(claim("a", 10, 4)) == .take(expecting: Epoch(4)))
        #expect(decide(claim("a", 9, 4)) == .take(expecting: Epoch(4)))
        #expect(decide(claim("b", 1, 4), .up, expired: true) == .elsewhere("b", Epoch(4)))
        #expect(decide(claim("b", 1, 4), .suspect) == .wait)
        #expect(decide(claim("b", 1, 4), .down) == .wait)
        #expect(decide(claim("b", 1, 4), .down, expired: true) == .take(expecting: Epoch(4)))
    }
    @Test func aRowMustStandStillOnOurClock() {
        var watch = LeaseWatch(leaseTime: .milliseconds(1250))
        let b = NodeName("b"), one = Incarnation(1)
        #expect(!watch.isExpired(b, one, now: at(100_000)))   // the store has not been read
        watch.observe([NodeLease(node: b, incarnation: one, counter: 7)], now: at(0))
        #expect(!watch.isExpired(b, one, now: at(1249)))
        watch.observe([NodeLease(node: b, incarnation: one, counter: 7)], now: at(1000))
        #expect(watch.isExpired(b, one, now: at(1250)))
        watch.observe([NodeLease(node: b, incarnation: one, counter: 8)], now: at(1300))
        #expect(!watch.isExpired(b, one, now: at(2500)))
        // Another life: what the old one claimed is free at once.
        watch.observe([NodeLease(node: b, incarnation: Incarnation(2), counter: 0)], now: at(2600))
        #expect(watch.isExpired(b, one, now: at(2600)) && !watch.isExpired(b, Incarnation(2), now: at(2600)))
    }
    @Test func theMemoryStoreKeepsItsPromises() async throws {
        let store = MemoryLeaseStore()
        #expect(try await store.registerNode("a", proposed: Incarnation(5)) == Incarnation(5))
        #expect(try await store.registerNode("a", proposed: Incarnation(5)) == Incarnation(6))
        #expect(try await store.renewNode("a", incarnation: Incarnation(5)) == false)
        #expect(try await store.renewNode("a", incarnation: Incarnation(6)))
        #expect(try await store.nodes() == [NodeLease(node: "a", incarnation: Incarnation(6), counter: 1)])
        let first = try await store.takeClaim(kind: "room", key: "r", by: "a", incarnation: Incarnation(6), expecting: .none)
        let taken = claim("a", 6, 1)
        #expect(first == .taken(taken))
        #expect(try await store.takeClaim(kind: "room", key: "r", by: "b", incarnation: Incarnation(1), expecting: .none) == .conflict(taken))
        try await store.releaseClaim(claim("a", 6, 9))
        #expect(try await store.claim(kind: "room", key: "r") == taken)
        try await store.releaseClaim(taken)
        #expect(try await store.claim(kind: "room", key: "r")?.isReleased == true)
        #expect(try await store.takeClaim(kind: "room", key: "r", by: "b", incarnation: Incarnation(1), expecting: Epoch(1)) == .taken(claim("b", 1, 2)))
        store.isAway = true
        await #expect(throws: MemoryLeaseStore.Away.self) { try await store.nodes() }
    }
}

@Suite struct BackoffTests {
    @Test func waitsDoubleUpToTheLongestWithJitter() {
        var backoff = Backoff(shortest: .milliseconds(100), longest: .seconds(2))
        var last = Duration.zero
        for expected in [100, 200, 400, 800, 1600, 2000, 2000] {
            let wait = backoff.next(random: UInt64(expected))
            #expect(wait >= .milliseconds(expected / 2) && wait <= .milliseconds(expected))
            last = wait
        }
        #expect(last >= .seconds(1))
        backoff.reset()
        #expect(backoff.next(random: .max) <= .milliseconds(100))
    }
}
