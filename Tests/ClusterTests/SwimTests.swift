// Membership as a whole, in virtual time: detection, refutation, partitions, stalls, loss; and that a seed replays.
import Primitives
import Testing

@testable import Cluster

private func percentile(_ values: [Duration], _ hundredth: Int) -> Duration { values.sorted()[min(values.count - 1, values.count * hundredth / 100)] }

@Suite struct SwimTests {
    private func world(_ count: Int, _ seed: UInt64 = 1, loss: Int = 0) -> MembershipWorld {
        var world = MembershipWorld(count, seed: seed)
        let converged = world.run(until: .seconds(5)) { $0.isConverged }
        #expect(converged, "\(count) nodes, seed \(seed)")
        world.loss = loss
        return world
    }

    @Test(arguments: [1, 2, 3, 5, 8, 20, 50])
    func theyFindEachOther(count: Int) {
        var world = MembershipWorld(count, seed: 3)
        let converged = world.run(until: .seconds(2)) { $0.isConverged }
        #expect(converged)
        #expect(world.deaths == 0)
        // A quiet second costs a bounded number of messages a node: a probe and its answer ten times.
        let before = world.messages, seconds = count > 20 ? 3 : 10
        world.run(.seconds(Int64(seconds)))
        #expect(world.isConverged && world.deaths == 0)
        #expect(world.messages - before <= count * seconds * 30)
        #expect(world.bytesMost <= Membership.Limits.sync)
    }
    /// As `kill -9`: every peer loses its link at once.
    @Test(arguments: [2, 3, 4, 5, 7, 12])
    func aKilledNodeIsDetectedIn700Milliseconds(count: Int) {
        var times: [Duration] = []
        for seed in 0..<(count > 7 ? 8 : 20) as Range<UInt64> {
            var world = world(count, seed)
            world.run(.milliseconds(Int64(seed * 37)))
            let victim = world.names[Int(seed) % count], life = world.nodes[victim]!.core.me.life, killed = world.now
            world.kill(victim)
            let survivors = world.alive
            world.expect(within: .seconds(5)) { $0.detected(life, by: survivors) != nil }
            times += (world.detected(life, by: survivors) ?? []).map { $0 - killed }
            #expect(world.deaths == survivors.count, "nobody else died")
            let votes = world.nodes[survivors[0]]!.core.votesDown(victim, life.incarnation)
            #expect(count < 3 || votes.count * 2 > count)
        }
        #expect(percentile(times, 95) <= .milliseconds(700), "\(percentile(times, 95))")
    }
    /// As power loss: no FIN, no RST, nothing.
    @Test(arguments: [3, 5, 7, 12])
    func aVanishedNodeIsDetectedInAboutASecond(count: Int) {
        var times: [Duration] = []
        for seed in 0..<20 as Range<UInt64> {
            var world = world(count, seed)
            world.run(.milliseconds(Int64(seed * 37)))
            let victim = world.names[Int(seed) % count], life = world.nodes[victim]!.core.me.life, killed = world.now
            world.block([victim], world.names)
            world.run(.milliseconds(50))
            world.kill(victim, quietly: true)
            let survivors = world.alive
            world.expect(within: .seconds(10)) { $0.detected(life, by: survivors) != nil }
            times += (world.detected(life, by: survivors) ?? []).map { $0 - killed }
            #expect(world.deaths == survivors.count)
        }
        #expect(percentile(times, 95) <= .milliseconds(1300) && percentile(times, 50) <= .milliseconds(1100), "\(percentile(times, 50)) \(percentile(times, 95))")
    }
    /// As SIGSTOP: links stay open, nobody answers; at SIGCONT the node learns that it was declared down and comes back anew.
    @Test(arguments: [2, 3, 5, 8])
    func aStoppedNodeIsDetectedInTwoSecondsAndComesBackAnew(count: Int) {
        for seed in 0..<10 as Range<UInt64> {
            var world = world(count, seed)
            let victim = world.names[Int(seed) % count], life = world.nodes[victim]!.core.me.life, stopped = world.now
            world.stall(victim, .seconds(6))
            let others = world.names.filter { $0 != victim }
            world.expect(within: .seconds(2), "seed \(seed)") { $0.detected(life, by: others) != nil }
            #expect(world.now - stopped <= .seconds(2))
            world.expect(within: .seconds(15), "seed \(seed)") { $0.isConverged }
            #expect(world.nodes[victim]!.condemnations == 1)
            #expect(world.nodes[victim]!.core.me.incarnation > life.incarnation)
            #expect(world.nodes[victim]!.core.me.formerly == [life.incarnation])
            #expect(world.deaths == others.count, "it woke and judged nobody")
        }
    }
    /// Of two that were cut off from each other each buries the other: they come back to each other as new lives.
    @Test func twoThatBuriedEachOtherMeetAgain() {
        for seed in 0..<10 as Range<UInt64> {
            var world = world(2, seed)
            world.block(["n0"], ["n1"])
            world.run(.seconds(5))
            #expect(world.nodes["n0"]!.downs.map(\.0.name) == ["n1"] && world.nodes["n1"]!.downs.map(\.0.name) == ["n0"], "seed \(seed)")
            world.heal()
            world.expect(within: .seconds(20), "seed \(seed)") { $0.isConverged }
        }
    }
    /// Whom the store has ended is dead for this node too, met or not.
    @Test func whoseLifeTheStoreEndedIsDead() {
        var world = world(3, 1)
        let life = world.nodes["n2"]!.core.me.life, unmet = Life("n9", Incarnation(7))
        world.apply("n0") { core, now in
            core.retired(life, now: now)
            core.retired(unmet, now: now)
            core.retired(Life("n0", Incarnation(1)), now: now)
        }
        let core = world.nodes["n0"]!.core
        #expect(core.verdict(on: life) != nil && core.verdict(on: unmet) != nil && !core.isCondemned)
        #expect(core.standing("n9", Incarnation(7)) == .down && core.verdict(on: Life("n9", Incarnation(8))) == nil)
        world.expect(within: .seconds(20)) { $0.isConverged && $0.nodes["n2"]!.core.me.incarnation > life.incarnation }
    }
    /// Cut off, a node votes both others down, and neither dies of it. When it is back and hears that one of them has died, its old
    /// vote is the only one of two members: it must not bury the other, who has not had time to refute it.
    @Test func anOldVoteOfAMinorityIsNoMajorityOfTwo() {
        for seed in 0..<30 as Range<UInt64> {
            var world = world(3, seed)
            world.block(["n0"], ["n1", "n2"])
            world.run(.milliseconds(1000 + Int64(seed) * 100))
            world.kill("n2", quietly: seed % 2 == 0)
            world.run(.milliseconds(Int64(seed % 7) * 200))
            world.heal()
            world.expect(within: .seconds(20), "seed \(seed)") { $0.isConverged }
            #expect(!world.nodes["n0"]!.downs.contains { $0.0.name == "n1" }, "seed \(seed): n1 never was away")
            #expect(world.nodes["n1"]!.condemnations == 0, "seed \(seed)")
        }
    }
    /// What lay in its sockets while it was stopped says how things were: it sees a majority again once that has answered.
    @Test func whoWasStoppedSeesNobodyUntilTheyAnswer() {
        for seed in 0..<10 as Range<UInt64> {
            var world = world(5, seed)
            let all = Set(world.names), others = world.names.filter { $0 != "n0" }
            #expect(world.nodes["n0"]!.core.seesMajority(of: all))
            world.stall("n0", .milliseconds(700))
            world.block(["n0"], others)
            world.run(.milliseconds(710))
            #expect(!world.nodes["n0"]!.core.seesMajority(of: all), "seed \(seed)")
            world.run(.milliseconds(800))
            #expect(!world.nodes["n0"]!.core.seesMajority(of: all), "seed \(seed): cut off, nobody answers")
            world.heal()
            world.expect(within: .seconds(20), "seed \(seed)") { $0.isConverged }
            world.expect(within: .seconds(3), "seed \(seed)") { $0.nodes["n0"]!.core.seesMajority(of: all) }
            // A short stall changes nothing.
            world.stall("n0", .milliseconds(300))
            world.run(.milliseconds(310))
            #expect(world.nodes["n0"]!.core.seesMajority(of: all), "seed \(seed)")
        }
    }
    /// Shorter stalls than a death takes, again and again, of everyone in turn.
    @Test func shortStallsAreNoDeaths() {
        for seed in 0..<10 as Range<UInt64> {
            var world = world(5, seed)
            for round in 0..<60 {
                world.stall(world.names[round % 5], .milliseconds(Int64(100 + world.random.below(350))))
                world.run(.milliseconds(300))
            }
            world.run(.seconds(3))
            #expect(world.deaths == 0 && world.condemnations == 0, "seed \(seed)")
            #expect(world.isConverged)
        }
    }
    /// The whole machine is busy: every loop runs late, all the time.
    @Test func aBusyMachineKillsNobody() {
        for seed in 0..<5 as Range<UInt64> {
            var world = world(5, seed)
            for _ in 0..<600 {
                for name in world.names where world.random.below(3) == 0 { world.stall(name, .milliseconds(Int64(world.random.below(180)))) }
                world.run(.milliseconds(200))
            }
            #expect(world.deaths == 0 && world.condemnations == 0, "seed \(seed)")
        }
    }
    @Test(arguments: [3, 5, 10])
    func aFifthOfAllMessagesLostKillsNobody(count: Int) {
        for seed in 0..<3 as Range<UInt64> {
            var world = world(count, seed, loss: 20)
            world.run(.seconds(count == 10 ? 10 : 30))
            #expect(world.deaths == 0, "\(count) nodes, seed \(seed)")
            world.loss = 0
            world.expect(within: .seconds(20)) { $0.isConverged }
        }
    }
    @Test func aBrokenLinkIsNoDeath() {
        for seed in 0..<20 as Range<UInt64> {
            var world = world(4, seed)
            for i in 0..<20 {
                world.cutLink(NodeName("n\(i % 3)"), NodeName("n\(i % 3 + 1)"))
                world.run(.milliseconds(150))
            }
            world.run(.seconds(2))
            #expect(world.deaths == 0 && world.isConverged, "seed \(seed)")
        }
    }
    /// Two nodes that do not reach each other, while a third one reaches both.
    @Test(arguments: [true, false])
    func whoIsReachedByOthersLives(bothWays: Bool) {
        for seed in 0..<10 as Range<UInt64> {
            var world = world(4, seed)
            world.block(["n0"], ["n1"], bothWays: bothWays)
            world.run(.seconds(30))
            #expect(world.deaths == 0, "seed \(seed)")
            world.heal()
            world.expect(within: .seconds(20), "seed \(seed)") { $0.isConverged }
            #expect(world.condemnations == 0)
        }
    }
    /// The majority declares the minority dead; the minority declares nobody, and joins again under new incarnations.
    @Test func aMinorityJudgesNobody() {
        for seed in 0..<10 as Range<UInt64> {
            var world = world(5, seed)
            let majority: [NodeName] = ["n0", "n2", "n4"], minority: [NodeName] = ["n1", "n3"]
            world.block(majority, minority)
            world.run(.seconds(10))
            for name in minority {
                #expect(world.nodes[name]!.downs.isEmpty, "seed \(seed)")
                #expect(world.nodes[name]!.core.members.filter { $0.state == .suspect }.map(\.name) == majority)
                #expect(!world.nodes[name]!.core.seesMajority(of: Set(world.names)))
                // It votes all the same, and says so.
                #expect(world.nodes[name]!.core.votesDown("n0", Incarnation(1)) == Set(minority))
            }
            for name in majority {
                #expect(Set(world.nodes[name]!.downs.map(\.0.name)) == Set(minority))
                #expect(world.nodes[name]!.core.votesDown("n1", Incarnation(1)) == Set(majority))
                #expect(world.nodes[name]!.core.seesMajority(of: Set(world.names)))
            }
            world.heal()
            world.expect(within: .seconds(20), "seed \(seed)") { $0.isConverged }
            for name in majority { #expect(world.nodes[name]!.condemnations == 0 && world.nodes[name]!.core.me.incarnation == Incarnation(1)) }
            for name in minority { #expect(world.nodes[name]!.condemnations == 1 && world.nodes[name]!.core.me.incarnation == Incarnation(2)) }
        }
    }
    @Test func halvesWait() {
        var world = world(4, 5)
        world.block(["n0", "n1"], ["n2", "n3"])
        world.run(.seconds(20))
        #expect(world.deaths == 0)
        world.heal()
        world.expect(within: .seconds(20)) { $0.isConverged }
        #expect(world.condemnations == 0)
        // Of two nodes one suffices, and both find out.
        var two = self.world(2, 5)
        two.block(["n0"], ["n1"])
        two.run(.seconds(5))
        #expect(two.deaths == 2)
        two.heal()
        two.expect(within: .seconds(20)) { $0.isConverged }
        #expect(two.condemnations == 2)
    }
    @Test func flappingLinksConvergeOnceQuiet() {
        for seed in 0..<8 as Range<UInt64> {
            var world = world(5, seed)
            for _ in 0..<40 {
                let a = world.names[world.random.below(5)], b = world.names[world.random.below(5)]
                if a != b { world.block([a], [b], bothWays: world.random.below(2) == 0) }
                world.run(.milliseconds(Int64(50 + world.random.below(1500))))
                if world.random.below(3) != 0 { world.heal() }
            }
            world.heal()
            world.expect(within: .seconds(30), "seed \(seed)") { $0.isConverged }
        }
    }
    /// Kills, restarts, stalls, cuts and partitions at random; the world checks that no dead life returns.
    @Test(arguments: 0..<12 as Range<UInt64>)
    func whateverHappensItConverges(seed: UInt64) {
        var world = world(3 + Int(seed % 5), seed, loss: Int(seed % 3) * 5)
        for _ in 0..<60 {
            let name = world.names[world.random.below(world.names.count)], other = world.names[world.random.below(world.names.count)]
            switch world.random.below(7) {
            case 0: if world.alive.count > 2, world.nodes[name]!.isAlive { world.kill(name, quietly: world.random.below(2) == 0) }
            case 1: if !world.nodes[name]!.isAlive { world.restart(name) }
            case 2: world.restart(name)
            case 3: world.stall(name, .milliseconds(Int64(world.random.below(3000))))
            case 4: world.block([name], [other], bothWays: world.random.below(2) == 0)
            case 5: world.heal()
            default: world.cutLink(name, other)
            }
            world.run(.milliseconds(Int64(world.random.below(1500))))
        }
        world.heal()
        world.loss = 0
        for name in world.names where !world.nodes[name]!.isAlive { world.restart(name) }
        world.expect(within: .seconds(60), "seed \(seed)") { $0.isConverged }
        #expect(world.bytesMost <= Membership.Limits.sync)
    }
    @Test func aSeedReplays() {
        func trace() -> UInt64 {
            var world = world(5, 9, loss: 10)
            world.kill("n2")
            world.run(.seconds(5))
            world.restart("n2")
            world.run(.seconds(5))
            return world.trace
        }
        #expect(trace() == trace())
    }
    @Test func silenceToCallsIsAskedAboutAndThenComplainedOf() {
        var watch = AnswerWatch()
        func steps(_ count: Int) -> [AnswerWatch.Step] { (0..<count).map { _ in watch.tick() } }
        #expect(steps(5) == [.rest, .rest, .rest, .rest, .rest], "who calls nobody waits for nobody")
        watch.sent()
        #expect(steps(6) == [.rest, .rest, .ask, .rest, .complain, .complain])
        watch.answered()
        #expect(steps(2) == [.rest, .rest])
        // Calls that are answered now and then are no silence, however many are not.
        for _ in 0..<20 {
            watch.sent()
            #expect(steps(2) == [.rest, .rest])
            watch.answered()
        }
        // Told of by another: asked at once, and only once while the answer may come.
        watch.doubted()
        #expect(steps(1) == [.ask])
        watch.doubted()
        #expect(steps(2) == [.rest, .complain])
        watch.answered()
        watch.doubted()
        #expect(steps(1) == [.ask])
        watch.answered()
        #expect(steps(3) == [.rest, .rest, .rest])
    }
    /// Alive but stalled: it answers pings, and a majority complains of it.
    @Test func complaintsOfAMajorityAreADeath() {
        var world = world(5, 4)
        for _ in 0..<10 {
            for name in ["n0", "n1"] as [NodeName] { world.apply(name) { $0.complain(about: "n4", now: $1) } }
            world.run(.seconds(1))
        }
        #expect(world.deaths == 0, "two of five are no majority")
        #expect(world.nodes["n3"]!.core.member("n4")?.state == .suspect && world.nodes["n4"]!.core.member("n4") == nil)
        world.run(.seconds(5))
        #expect(world.isConverged, "complaints that are not repeated end")
        for name in ["n0", "n1", "n2"] as [NodeName] { world.apply(name) { $0.complain(about: "n4", now: $1) } }
        world.run(.seconds(1))
        #expect(world.detected(Life("n4", Incarnation(1)), by: ["n0", "n1", "n2", "n3"]) != nil)
        world.expect(within: .seconds(10)) { $0.isConverged }
        #expect(world.nodes["n4"]!.condemnations == 1)
    }
    @Test func statesAndFactsReachEveryone() {
        var world = world(6, 2)
        world.apply("n3") { core, _ in
            core.setState(.draining)
            core.change { $0.tags = ["http": "https://n3:8443"]; $0.capacity = 2.5 }
        }
        world.run(.milliseconds(200))
        for name in world.names where name != "n3" {
            let member = world.nodes[name]!.core.member("n3")
            #expect(member?.state == .draining && member?.tags == ["http": "https://n3:8443"] && member?.capacity == 2.5)
        }
        world.apply("n3") { core, _ in core.setState(.up) }
        world.run(.milliseconds(200))
        #expect(world.isConverged)
    }
    @Test func whoTakesLeaveIsGoneAtOnce() {
        var world = world(5, 2)
        let life = world.nodes["n1"]!.core.me.life, left = world.now
        world.apply("n1") { core, _ in core.leave() }
        world.expect(within: .milliseconds(50)) { $0.detected(life, by: ["n0", "n2", "n3", "n4"]) != nil }
        #expect(world.now - left <= .milliseconds(50))
        #expect(world.nodes["n0"]!.core.votesDown("n1", life.incarnation).contains("n1"))
    }
}
