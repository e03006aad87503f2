// What a run of many seeds says in the end.
import Simulation
import Testing

@testable import Simulate

@Suite struct ReportTests {
    /// One line for each seed, as children print it.
    private func totals(_ scenario: String, _ seeds: Int, _ fired: String, into totals: inout Totals) throws {
        for seed in 0..<seeds { totals.add(try #require(SeedLine("\(seed) \(scenario) 3 77 1000 9 0 250000 ok \(fired)|"))) }
    }

    @Test func aKindThatNeverHappensFailsARunOfTwoHundredSeeds() throws {
        var few = Totals(), many = Totals()
        try totals("tally", 199, "kill=1", into: &few)
        #expect(few.neverFired(of: [.kill, .drain]).isEmpty, "too few to tell")
        try totals("tally", 200, "kill=1", into: &many)
        #expect(many.neverFired(of: [.kill]).isEmpty)
        #expect(many.neverFired(of: [.kill, .drain]) == ["drain never happened in 200 seeds of tally"])
        #expect(many.neverFired(of: [.kill, .reorder, .duplicate]).isEmpty, "it sends no datagrams")
    }
    @Test func eachScenarioHasToMeetThemAll() throws {
        var both = Totals()
        try totals("tally", 200, "kill=1", into: &both)
        try totals("conference", 200, "kill=1,drain=2", into: &both)
        #expect(both.neverFired(of: [.kill, .drain]) == ["drain never happened in 200 seeds of tally"])
        #expect(both.neverFired(of: [.kill, .reorder]) == ["reorder never happened in 200 seeds of conference", "reorder never happened in 400 seeds of tally and conference"])
    }
    @Test func ofFewSeedsEachAllTogetherCount() throws {
        var both = Totals()
        try totals("tally", 100, "kill=1", into: &both)
        try totals("conference", 100, "kill=1,drain=2", into: &both)
        #expect(both.neverFired(of: [.kill, .drain]).isEmpty)
        #expect(both.neverFired(of: [.pause]) == ["pause never happened in 200 seeds of tally and conference"])
    }
    @Test func aSeedsLineComesBackAsItWas() throws {
        let text = "7 conference 5 99 1000 9 3 250000 roster_equal kill=1,slow_disk=4|  12.000000 c1 misses c2"
        let line = try #require(SeedLine(Substring(text)))
        #expect(line.line == text && !line.isGood && line.fired == [.kill: 1, .storeSlow: 4])
        #expect(SeedLine("7 conference 5") == nil)
    }
}
