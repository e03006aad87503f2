import Primitives
import Testing
@testable import Forwarding

@Suite struct NumberLineTests {
    @Test func lateNumbersFindTheirPlacesAmongDropsAndGaps() {
        var line = NumberLine()
        line.begin(at: 1_000, as: 50)
        #expect(line.map(1_000) == 50)
        #expect(line.map(1_001) == 51)
        #expect(line.drop(1_002) == nil)
        #expect(line.map(1_003) == 52)
        #expect(line.map(1_006) == 55, "1,004 and 1,005 are lost: their places stay")
        #expect(line.drop(1_007) == nil)
        #expect(line.map(1_008) == 56)
        #expect(line.map(1_005) == 54)
        #expect(line.map(1_004) == 53)
        #expect(line.map(1_002) == nil, "left out")
        #expect(line.map(999) == nil, "before the line")
        #expect(line.drop(1_005) == 54, "too late to close up")
    }

    @Test func beyondTheWindowNothingIsMapped() {
        var line = NumberLine()
        line.begin(at: 1, as: 1)
        #expect(line.map(2_000) == 2_000)
        #expect(line.map(2_000 - 511) == 2_000 - 511)
        #expect(line.map(2_000 - 512) == nil)
    }

    /// Against a plain model: a list of every number ever given out.
    @Test(arguments: 0..<40)
    func agreesWithAModelUnderLossReorderingAndDrops(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var line = NumberLine()
        let first: UInt64 = 65_536 + UInt64([0, 1, 32_767, 32_768, 65_534, 65_535][seed % 6])
        line.begin(at: first, as: 7)
        var highest = first, arrivals: [UInt64] = [], lost: [UInt64] = []
        for _ in 0..<2_000 {
            let gap = Int.random(in: 0..<10, using: &random) == 0 ? UInt64.random(in: 1...40, using: &random) : 0
            for number in 0..<gap { lost.append(highest + 1 + number) }
            highest += gap + 1
            arrivals.append(highest)
            // Some of the lost ones arrive late.
            if !lost.isEmpty, Bool.random(using: &random) { arrivals.append(lost.remove(at: Int.random(in: 0..<lost.count, using: &random))) }
        }
        // kept[i]: how many of first+1 ... first+i have a place.
        var kept: [UInt64] = [0], isDropped: Set<UInt64> = []
        for number in arrivals {
            let seen = first + UInt64(kept.count - 1), drop = Int.random(in: 0..<3, using: &random) == 0
            if number > seen {
                for _ in 0..<(number - seen - 1) { kept.append(kept.last! + 1) }
                kept.append(kept.last! + (drop ? 0 : 1))
                if drop { isDropped.insert(number) }
                let out = drop ? line.drop(number) : line.map(number)
                #expect(out == (drop ? nil : 7 + kept.last!))
            } else {
                let expected = seen - number < NumberLine.Limits.window ? 7 + kept[Int(number - first)] : nil
                let out = line.map(number)
                #expect(out == expected)
            }
        }
        #expect(!isDropped.isEmpty)
    }
}
