// Who may take a claim, who may decide, when a life is over: tables and transcripts of the pure parts.
import Primitives
import Testing

@testable import Cluster

private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }
private func claim(_ node: NodeName, _ incarnation: UInt64, _ epoch: UInt64, released: Bool = false) -> Claim {
    Claim(kind: "room", key: "r", node: node, incarnation: Incarnation(incarnation), epoch: Epoch(epoch), isReleased: released)
}

@Suite struct ClaimTests {
    private func decide(_ stored: Claim?, _ standing: ClaimDecision.Standing, isOver: Bool = false) -> ClaimDecision {
        ClaimDecision.decide(stored, me: "a", standing: { _, _ in standing }, isOver: { _, _ in isOver })
    }
    @Test(arguments: ClaimDecision.Standing.allCases) func rules(standing: ClaimDecision.Standing) {
        #expect(decide(nil, standing) == .take(expecting: .none))
        #expect(decide(claim("b", 1, 4, released: true), standing) == .take(expecting: Epoch(4)))
        #expect(decide(claim("a", 10, 4), standing) == .take(expecting: Epoch(4)))
        #expect(decide(claim("a", 9, 4), standing) == .take(expecting: Epoch(4)))
        #expect(decide(claim("b", 1, 4), standing, isOver: true) == .take(expecting: Epoch(4)))
        #expect(decide(claim("b", 1, 4), standing) == (standing == .up ? .elsewhere("b", Epoch(4)) : .judge("b", Incarnation(1))))
    }
    @Test func aRowMustStandStillOnOurClock() {
        var watch = LeaseWatch(leaseTime: .milliseconds(1250))
        let b = NodeName("b"), one = Incarnation(1), two = Incarnation(2)
        #expect(watch.reading(b, one, isFresh: false, now: at(100_000)) == .unread)
        watch.observe([NodeLease(node: b, incarnation: one, counter: 7)], now: at(0))
        #expect(watch.reading(b, one, isFresh: true, now: at(1249)) == .renewed)
        watch.observe([NodeLease(node: b, incarnation: one, counter: 7)], now: at(1000))
        #expect(watch.reading(b, one, isFresh: true, now: at(1250)) == .still(counter: 7))
        watch.observe([NodeLease(node: b, incarnation: one, counter: 8)], now: at(1300))
        #expect(watch.reading(b, one, isFresh: true, now: at(2500)) == .renewed)
        // A later life than the row's: the row is old, unless it was read after that life was heard of.
        #expect(watch.reading(b, two, isFresh: false, now: at(9999)) == .unread)
        #expect(watch.reading(b, two, isFresh: true, now: at(9999)) == .over)
        watch.observe([NodeLease(node: b, incarnation: two, counter: 0)], now: at(2600))
        #expect(watch.reading(b, one, isFresh: false, now: at(2600)) == .over)
        #expect(watch.reading(b, two, isFresh: false, now: at(2600)) == .renewed)
        watch.observe([], now: at(2700))
        #expect(watch.reading(b, two, isFresh: true, now: at(2700)) == .over)
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
        try await store.releaseClaims([claim("a", 6, 9)])
        #expect(try await store.claim(kind: "room", key: "r") == taken)
        try await store.releaseClaims([taken])
        #expect(try await store.claim(kind: "room", key: "r")?.isReleased == true)
        #expect(try await store.takeClaim(kind: "room", key: "r", by: "b", incarnation: Incarnation(1), expecting: Epoch(1)) == .taken(claim("b", 1, 2)))
        store.isAway = true
        await #expect(throws: MemoryLeaseStore.Away.self) { try await store.nodes() }
    }
}

@Suite struct TakeoverTests {
    private let readings: [LeaseWatch.Reading] = [.unread, .over, .renewed, .still(counter: 7)]
    private let all: [NodeName] = ["a", "b", "c", "d", "e"]

    /// Every case there is: four standings, four readings, every set of votes, every number of voters up to five.
    @Test func everyCase() {
        var cases = 0, retirements = 0
        for count in 0...5 { for bits in 0..<32 { for standing in ClaimDecision.Standing.allCases { for reading in readings {
            let voters = Array(all.prefix(count)), votes = Set(all.indices.filter { bits >> $0 & 1 == 1 }.map { all[$0] })
            let decision = Takeover.decide(standing: standing, reading: reading, votes: votes, voters: voters)
            let counted = votes.intersection(voters).count
            switch decision {
            case .over: #expect(reading == .over)
            case .alive: #expect(standing == .up && reading != .over)
            case .retire(nil):
                #expect(count >= 3 && counted * 2 > count && standing != .up)
                retirements += 1
            case .retire(let counter?):
                #expect(count < 3 && reading == .still(counter: counter) && standing != .up)
                retirements += 1
            case .wait:
                #expect(standing != .up && reading != .over)
                #expect(count < 3 ? reading != .still(counter: 7) : counted * 2 <= count)
            }
            cases += 1
        } } } }
        #expect(cases == 6 * 32 * 4 * 4)
        // Three voters: 4 of 8 sets are majorities, four times for the names that do not vote; four: 5 of 16, twice; five: 16 of 32.
        // Each for three standings and three readings. Below: three standings, one reading, all sets.
        #expect(retirements == (4 * 4 + 5 * 2 + 16) * 9 + 3 * 32 * 3)
    }
    @Test func whoHasNeverMetItVotesOnlyBesideAStillRow() {
        for standing in ClaimDecision.Standing.allCases { for reading in readings {
            let votes = Takeover.votes(standing: standing, reading: reading)
            #expect(votes == (reading == .over || standing == .down || standing == .unmet && reading == .still(counter: 7)))
        } }
    }
    @Test func aMajorityIsMoreThanHalfOfTheVoters() {
        #expect(!Takeover.isMajority(["a"], of: ["a", "b"]) && Takeover.isMajority(["a", "b"], of: ["a", "b"]))
        #expect(Takeover.isMajority(["a", "b", "x"], of: ["a", "b", "c"]) && !Takeover.isMajority(["a", "x", "y"], of: ["a", "b", "c"]))
        #expect(!Takeover.isMajority(["a", "b"], of: ["a", "b", "c", "d"]))
        #expect(!Takeover.isMajority([], of: []))
    }
}

@Suite struct FreezeTests {
    /// A reference, so that an expectation may change it.
    private final class Subject {
        var ownership = Ownership(leaseTime: .milliseconds(1000), now: at(0))
        var state: Ownership.State { ownership.state }
        var isFrozen: Bool { ownership.isFrozen }
        func tick(_ time: Int64, majority: Bool) -> Ownership.Action? { ownership.handleTimeout(now: at(time), seesMajority: majority) }
        func renewed(_ time: Int64) { ownership.renewed(began: at(time)) }
        func checked(_ answered: Bool, majority: Bool, _ time: Int64) -> Ownership.Action? { ownership.checked(storeAnswered: answered, seesMajority: majority, now: at(time)) }
    }

    @Test func oneOfStoreAndMajorityIsEnough() {
        var subject = Subject()
        for time in stride(from: 250, through: 10_000, by: 250) as StrideThrough<Int64> { #expect(subject.tick(time, majority: true) == nil) }
        subject = Subject()
        for time in stride(from: 250, through: 10_000, by: 250) as StrideThrough<Int64> {
            subject.renewed(time - 10)
            #expect(subject.tick(time, majority: false) == nil)
        }
        #expect(subject.state == .firm)
    }
    @Test func withNeitherItFreezesBeforeItsLeaseIsOver() {
        let subject = Subject()
        subject.renewed(200)
        #expect(subject.tick(250, majority: false) == nil)
        #expect(subject.tick(500, majority: false) == nil)
        #expect(subject.tick(750, majority: false) == nil)
        #expect(subject.tick(800, majority: false) == .freeze)
        #expect(subject.isFrozen && subject.tick(1050, majority: false) == nil)
    }
    @Test func itThawsWhenItsClaimsAreLookedAt() {
        var subject = Subject()
        #expect(subject.tick(700, majority: false) == .freeze)
        // The store is back.
        subject.renewed(900)
        #expect(subject.tick(950, majority: false) == .check)
        #expect(subject.isFrozen && subject.tick(1200, majority: false) == nil)
        #expect(subject.checked(true, majority: false, 1250) == .thaw)
        #expect(subject.state == .firm)
        // The majority is back, the store is not.
        #expect(subject.tick(1500, majority: false) == nil)
        #expect(subject.tick(1900, majority: false) == .freeze)
        #expect(subject.tick(2100, majority: true) == .check)
        #expect(subject.checked(false, majority: true, 2200) == .thaw)
        // Neither, after all.
        #expect(subject.tick(2300, majority: false) == .freeze)
        #expect(subject.tick(2400, majority: true) == .check)
        #expect(subject.checked(false, majority: false, 2500) == nil)
        #expect(subject.state == .frozen)
    }
    @Test func whoWasStalledLooksFirst() {
        var subject = Subject()
        #expect(subject.tick(250, majority: true) == nil)
        #expect(!subject.ownership.isStale(now: at(1249)) && subject.ownership.isStale(now: at(1250)))
        #expect(subject.tick(5000, majority: true) == .check)
        #expect(subject.state == .checking(wasFrozen: false) && !subject.isFrozen)
        #expect(subject.checked(true, majority: true, 5100) == nil)
        #expect(subject.state == .firm)
        #expect(subject.tick(9000, majority: false) == .check)
        #expect(subject.checked(false, majority: false, 9100) == .freeze)
        #expect(subject.checked(true, majority: true, 9200) == nil, "an answer nobody waits for")
    }
}
