import Primitives
import Testing
@testable import Composition

@Suite struct ActiveSpeakerTests {
    private typealias Switch = ActiveSpeaker.Switch
    private func spans(_ seconds: [(Double, Double)]) -> Spans { Spans(seconds.map { Int64($0.0 * 1e6)..<Int64($0.1 * 1e6) }) }
    private func switches(_ people: [[(Double, Double)]]) -> [Switch] { ActiveSpeaker.switches(people.map(spans)) }

    @Test func whoSpeaksIsShownFromTheirFirstWord() {
        #expect(switches([[(1, 5)], [(6, 9)]]) == [Switch(time: 1_000_000, person: 0), Switch(time: 6_000_000, person: 1)])
    }
    @Test func aCoughMovesNothing() { #expect(switches([[(1, 9)], [(9.5, 10.1)], []]) == [Switch(time: 1_000_000, person: 0)]) }
    @Test func aSwitchHoldsForTwoSeconds() {
        #expect(switches([[(0, 1)], [(1, 5)]]) == [Switch(time: 0, person: 0), Switch(time: 2_000_000, person: 1)])
        #expect(switches([[(0, 1)], [(1, 1.9)]]) == [Switch(time: 0, person: 0)], "over before the hold was")
    }
    @Test func interruptingTakesAMomentAndDoesNotSwingBack() {
        #expect(switches([[(0, 20)], [(5, 15)]]) == [Switch(time: 0, person: 0), Switch(time: 6_500_000, person: 1), Switch(time: 15_000_000, person: 0)])
        #expect(switches([[(0, 20)], [(5, 6)]]) == [Switch(time: 0, person: 0)])
    }
    @Test func silenceLeavesThePictureAlone() { #expect(switches([[(0, 3), (60, 63)], []]) == [Switch(time: 0, person: 0)]) }
    @Test func nobodySpeaks() { #expect(switches([[], []]).isEmpty && switches([]).isEmpty) }

    @Test(arguments: 1...40) func rules(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let people = (0..<5).map { _ in Spans((0..<40).map { _ -> Range<Int64> in
            let from = Int64(random.next() % 300_000_000)
            return from..<(from + Int64(random.next() % 6_000_000))
        }) }
        let out = ActiveSpeaker.switches(people)
        #expect(!out.isEmpty)
        for (before, after) in zip(out, out.dropFirst()) {
            #expect(after.time - before.time >= ActiveSpeaker.Limits.hold && after.person != before.person)
        }
        for change in out { #expect(people[change.person].ranges.contains { $0.contains(change.time) && $0.upperBound - $0.lowerBound >= ActiveSpeaker.Limits.shortest }) }
    }
}
