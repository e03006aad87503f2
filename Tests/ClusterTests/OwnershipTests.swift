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
}

@Suite struct LeaseWatchTests {
    private let b = NodeName("b"), one = Incarnation(1), two = Incarnation(2)

    /// Looks at b's row every 250 ms, each look answered 10 ms after it was begun.
    private struct Looks {
        var watch: LeaseWatch
        var speaks = false
        init(_ protections: Protections = .all) { watch = LeaseWatch(leaseTime: .milliseconds(1250), protections: protections) }
        mutating func look(_ time: Int64, _ incarnation: UInt64 = 1, _ counter: UInt64) {
            watch.observe([NodeLease(node: "b", incarnation: Incarnation(incarnation), counter: counter)], began: at(time), now: at(time + 10)) { [speaks] _, _ in speaks }
        }
        mutating func look(from: Int64, to: Int64, _ counter: UInt64) { for time in stride(from: from, through: to, by: 250) { look(time, 1, counter) } }
        func reading(_ time: Int64, _ incarnation: UInt64 = 1, isFresh: Bool = true) -> LeaseWatch.Reading { watch.reading("b", Incarnation(incarnation), isFresh: isFresh, now: at(time)) }
    }

    @Test func aRowMustStandStillOnOurClock() {
        var looks = Looks()
        #expect(looks.reading(100_000, isFresh: false) == .unread)
        looks.look(from: 0, to: 1250, 7)
        #expect(looks.reading(1270) == .renewed, "first seen at 10, last looked for at 1250")
        looks.look(1500, 1, 7)
        #expect(looks.reading(1510) == .still(counter: 7) && looks.watch.standsStill(b, now: at(1510)))
        looks.look(1750, 1, 8)
        #expect(looks.reading(1760) == .renewed)
        looks.look(from: 2000, to: 3250, 8)
        #expect(looks.reading(3260) == .still(counter: 8))
    }
    @Test func aLaterLifeEndsAnEarlierOne() {
        var looks = Looks()
        looks.look(0, 1, 7)
        // A later life than the row's: the row is old, unless it was read after that life was heard of.
        #expect(looks.reading(20, 2, isFresh: false) == .unread && looks.reading(20, 2) == .over)
        looks.look(250, 2, 0)
        #expect(looks.reading(260, 1, isFresh: false) == .over && looks.reading(260, 2, isFresh: false) == .renewed)
        looks.watch.observe([], began: at(500), now: at(510))
        #expect(looks.reading(510, 2) == .over && looks.reading(510, 2, isFresh: false) == .unread)
    }
    /// A node that was stalled has seen nothing: not that its neighbour's row stood still either.
    @Test func whoDidNotLookHasSeenNothing() {
        var looks = Looks()
        looks.look(from: 0, to: 1000, 7)
        #expect(looks.reading(9000) == .renewed, "no look, no evidence, however old")
        looks.look(9000, 1, 7)
        #expect(looks.reading(9010) == .renewed, "one look after a gap is the first")
        looks.look(from: 9250, to: 10_500, 7)
        #expect(looks.reading(10_510) == .still(counter: 7))
        #expect(looks.reading(11_200) == .renewed, "and evidence grows old")
    }
    /// Rows nobody could renew, because the store was away for all, count from its return on.
    @Test func rowsAreNotStillWhileNobodyCouldWrite() {
        var looks = Looks()
        looks.look(from: 0, to: 750, 7)
        looks.look(6000, 1, 7)
        #expect(looks.reading(6010) == .renewed)
        looks.look(6250, 1, 8)
        #expect(looks.reading(6260) == .renewed)
    }
    @Test func whoSpeaksWithUsIsAliveWhateverItsRowSays() {
        var looks = Looks()
        looks.speaks = true
        looks.look(from: 0, to: 5000, 7)
        #expect(looks.reading(5010) == .renewed)
        looks.speaks = false
        looks.look(from: 5250, to: 6250, 7)
        #expect(looks.reading(6260) == .renewed)
        looks.look(6500, 1, 7)
        #expect(looks.reading(6510) == .still(counter: 7))
    }
    @Test func theCheckCanBeSwitchedOffForTheSimulator() {
        var looks = Looks(Protections.all.subtracting(.leaseCheck))
        looks.look(0, 1, 7)
        #expect(looks.reading(10) == .renewed)
        looks.look(100, 1, 7)
        #expect(looks.reading(110) == .still(counter: 7))
    }
}

@Suite struct ElectorateTests {
    @Test func whoWasMetSinceTheVotersWereReadIsOne() {
        var electorate = Electorate()
        electorate.read(VoterSet(version: 1, names: ["a"]), began: at(0))
        electorate.met("b", now: at(100))
        electorate.met("c", now: at(300))
        #expect(electorate.names == ["a", "b", "c"], "a alone is no majority of them")
        // A reading that began before c was met may not show it.
        electorate.read(VoterSet(version: 2, names: ["a", "b"]), began: at(200))
        #expect(electorate.names == ["a", "b", "c"])
        electorate.read(VoterSet(version: 3, names: ["a", "b", "c"]), began: at(400))
        #expect(electorate.names == ["a", "b", "c"])
        // Taken out by an operator, though it was met once.
        electorate.read(VoterSet(version: 4, names: ["a", "c"]), began: at(500))
        #expect(electorate.names == ["a", "c"])
        electorate.read(VoterSet(version: 3, names: ["a", "b", "c"]), began: at(600))
        #expect(electorate.voters.version == 4, "an answer that overtook a later one")
    }
    @Test func fewVotersMayHaveMissedOthersOfTheTopology() {
        var electorate = Electorate(configured: ["b", "c", "d", "e"])
        electorate.read(VoterSet(version: 1, names: ["a"]), began: at(0))
        #expect(electorate.names == ["a", "b", "c", "d", "e"])
        electorate.read(VoterSet(version: 3, names: ["a", "b", "c"]), began: at(0))
        #expect(electorate.names == ["a", "b", "c"])
        var alone = Electorate()
        alone.read(VoterSet(version: 1, names: ["a"]), began: at(0))
        #expect(alone.names == ["a"], "a node without a topology is its own majority")
    }
    @Test func strangersDoNotFillItWithoutEnd() {
        var electorate = Electorate()
        for number in 0..<1000 { electorate.met(NodeName("x\(number)"), now: at(Int64(number))) }
        #expect(electorate.names.count == Membership.Limits.members)
    }
}

@Suite struct MemoryStoreTests {
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
    /// Switched off, whoever suspects an owner ends it; with it, no suspicion alone does.
    @Test func theVoteCanBeSwitchedOffForTheSimulator() {
        func decide(_ protections: Protections) -> Takeover {
            Takeover.decide(standing: .suspect, reading: .renewed, votes: [], voters: ["a", "b", "c"], protections: protections)
        }
        #expect(decide(.all) == .wait && decide(Protections.all.subtracting(.vote)) == .retire(counter: nil))
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
        var ownership: Ownership
        init(_ protections: Protections = .all) { ownership = Ownership(leaseTime: .milliseconds(1000), now: at(0), protections: protections) }
        var state: Ownership.State { ownership.state }
        var isFrozen: Bool { ownership.isFrozen }
        func tick(_ time: Int64, majority: Bool) -> Ownership.Action? { ownership.handleTimeout(now: at(time), seesMajority: majority) }
        func renewed(_ time: Int64) { ownership.renewed(began: at(time)) }
        /// - Parameter answered: whether the store answered, to a renewal begun 10 ms before.
        func checked(_ answered: Bool, majority: Bool, _ time: Int64) -> Ownership.Action? { checked(answered ? at(time - 10) : nil, majority, time) }
        func checked(_ began: Instant?, _ majority: Bool, _ time: Int64) -> Ownership.Action? { ownership.checked(began: began, seesMajority: majority, now: at(time)) }
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
        let subject = Subject()
        #expect(subject.tick(350, majority: false) == nil)
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
        let subject = Subject()
        #expect(subject.tick(250, majority: true) == nil)
        // Long before anyone may take its claims by its row.
        #expect(!subject.ownership.isStale(now: at(849)) && subject.ownership.isStale(now: at(850)))
        #expect(subject.tick(5000, majority: true) == .check)
        #expect(subject.state == .checking(wasFrozen: false) && !subject.isFrozen)
        #expect(subject.checked(true, majority: true, 5100) == nil)
        #expect(subject.state == .firm)
        #expect(subject.tick(9000, majority: false) == .check)
        #expect(subject.checked(false, majority: false, 9100) == .freeze)
        #expect(subject.checked(true, majority: true, 9200) == nil, "an answer nobody waits for")
    }
    /// The renewal is as old as its beginning, however long the comparison took.
    @Test func aSlowCheckIsNoFreshRenewal() {
        let subject = Subject()
        #expect(subject.tick(2000, majority: false) == .check)
        #expect(subject.checked(at(2010), false, 2500) == nil)
        #expect(subject.tick(2600, majority: false) == nil && subject.tick(2650, majority: false) == .freeze)
    }
    @Test func bothCanBeSwitchedOffForTheSimulator() {
        let awake = Subject(Protections.all.subtracting(.stallCheck)), thawed = Subject(Protections.all.subtracting(.freeze))
        #expect(awake.tick(5000, majority: true) == nil && !awake.ownership.isStale(now: at(99_000)))
        #expect(thawed.tick(500, majority: false) == nil && thawed.tick(1000, majority: false) == nil && !thawed.isFrozen)
        #expect(thawed.tick(2000, majority: false) == .check && thawed.checked(false, majority: false, 2100) == nil && thawed.state == .firm)
    }
}
