// The parts of the membership core, one by one: suspicion, rumors on their way, the dead, probe rounds, local health.
import Primitives
import Testing

@testable import Cluster

private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

@Suite struct MembershipParts {
    private func doubt(_ evidence: Doubt.Evidence, _ suspects: Set<NodeName>) -> Doubt { Doubt(since: at(0), evidence: evidence, suspects: suspects, votes: []) }

    @Test func suspicionShortensWithConfirmations() {
        let timing = Membership.Timing()
        let patience = (1...5).map { count in doubt(.silence, Set((0..<count).map { NodeName("n\($0)") })).patience(timing, members: 8) }
        #expect(patience.first == timing.silenceLongest && patience[3] == timing.silenceShortest && patience[4] == timing.silenceShortest)
        for (longer, shorter) in zip(patience, patience.dropFirst()) { #expect(longer >= shorter) }
        #expect(doubt(.lostLink, ["a"]).patience(timing, members: 8) == timing.lossLongest)
        #expect(doubt(.lostLink, ["a", "b"]).patience(timing, members: 3) == timing.lossShortest)
        // Of two, nobody can confirm: twice the shortest.
        #expect(doubt(.lostLink, ["a"]).patience(timing, members: 2) == timing.lossShortest * 2)
        #expect(doubt(.lostLink, ["a"]).deadline(timing, members: 2) == at(500))
    }
    @Test func aRumorIsToldSoOftenAndTheLeastToldFirst() {
        var queue = GossipQueue()
        let first = Rumor.dead(Life("a", Incarnation(1)), votes: ["x"]), second = Rumor.dead(Life("b", Incarnation(1)), votes: ["x"])
        queue.add(first)
        #expect(queue.take(bytes: 1000, times: 3) == [first])
        queue.add(second)
        #expect(queue.take(bytes: 40, times: 3) == [second], "one fits: the one told less")
        #expect(queue.take(bytes: 1000, times: 3, first: "a").first == first)
        _ = queue.take(bytes: 1000, times: 3)
        #expect(queue.isEmpty)
        // What replaces it begins anew.
        queue.add(first)
        _ = queue.take(bytes: 1000, times: 2)
        queue.add(.dead(Life("a", Incarnation(1)), votes: ["x", "y"]))
        #expect(queue.count == 1 && queue.take(bytes: 1000, times: 2).count == 1 && queue.take(bytes: 1000, times: 2).count == 1)
        #expect(queue.isEmpty)
    }
    @Test func theQueueIsBounded() {
        var queue = GossipQueue()
        for i in 0..<UInt64(Membership.Limits.rumors + 50) { queue.add(.dead(Life("a", Incarnation(i)), votes: [])) }
        #expect(queue.count == Membership.Limits.rumors && queue.dropped == 50)
        #expect(queue.take(bytes: 100, times: 9).count <= 4)
    }
    @Test func theDeadAreRememberedWithinBounds() {
        var graves = Graves()
        let life = Life("a", Incarnation(5))
        #expect(graves.bury(life, votes: ["x"]) && !graves.bury(life, votes: ["x"]) && graves.bury(life, votes: ["y"]))
        #expect(graves.votes(life) == ["x", "y"])
        #expect(graves.holds(life) && graves.holds(Life("a", Incarnation(4))) && !graves.holds(Life("a", Incarnation(6))) && !graves.holds(Life("b", Incarnation(1))))
        for i in 0..<3000 { _ = graves.bury(Life(NodeName("n\(i)"), Incarnation(1)), votes: []) }
        #expect(graves.lives.count == Membership.Limits.graves && graves.names.count == Membership.Limits.deadNames)
        #expect(graves.holds(Life("n2999", Incarnation(1))) && !graves.holds(life), "the oldest is forgotten")
    }
    @Test func aRoundProbesEveryoneOnce() {
        var round = ProbeRound(), random = SplitMix64(seed: 3)
        let members = (0..<7).map { NodeName("n\($0)") }
        var orders: Set<[NodeName]> = []
        for _ in 0..<20 {
            let order = (0..<7).compactMap { _ in round.next(of: members, random: &random) }
            #expect(order.sorted() == members)
            orders.insert(order)
        }
        #expect(orders.count > 15, "each round in another order")
        let nobody = round.next(of: [], random: &random), one = round.next(of: ["z"], random: &random)
        #expect(nobody == nil && one == "z")
    }
    @Test func healthStretchesTimeWithinBounds() {
        var health = LocalHealth()
        #expect(health.scaled(.milliseconds(150)) == .milliseconds(150))
        health.worse(by: 100)
        #expect(health.scaled(.milliseconds(150)) == .milliseconds(Int64(150 * (LocalHealth.Limits.most + 1))))
        for _ in 0..<10 { health.better() }
        #expect(health.score == 0)
    }
}
