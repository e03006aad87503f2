import Primitives
import Testing
@testable import Forwarding

@Suite struct NackSchedulerTests {
    static let start = Instant(nanoseconds: 1_000_000_000)
    static func at(_ milliseconds: Int) -> Instant { start + .milliseconds(milliseconds) }

    /// Numbers due, and the scheduler's next deadline in milliseconds.
    static func due(_ nack: inout NackScheduler, _ milliseconds: Int, room: Int = 64) -> [UInt16] {
        var numbers = [UInt16](repeating: 0, count: room)
        let count = numbers.withUnsafeMutableBufferPointer { nack.takeDue(now: at(milliseconds), into: $0) }
        return Array(numbers[..<count])
    }

    @Test(arguments: [0, 1, 32_767, 32_768, 65_534, 65_535] as [UInt64])
    func aGapIsAskedForAfterAMomentAndAgain(first: UInt64) {
        var nack = NackScheduler()
        let n = 65_536 + first
        #expect(nack.received(n, now: Self.at(0)) == .inOrder)
        #expect(nack.received(n + 3, now: Self.at(0)) == .gap(2))
        #expect(Self.due(&nack, 4) == [])
        #expect(Self.due(&nack, 5) == [UInt16(truncatingIfNeeded: n + 1), UInt16(truncatingIfNeeded: n + 2)])
        #expect(nack.received(n + 1, now: Self.at(25)) == .filled(requests: 1))
        #expect(nack.roundTrip == .milliseconds(20))
        #expect(Self.due(&nack, 94) == [], "asked for at 5 ms, before a round trip was known")
        #expect(Self.due(&nack, 95) == [UInt16(truncatingIfNeeded: n + 2)])
        #expect(Self.due(&nack, 154) == [])
        #expect(Self.due(&nack, 155) == [UInt16(truncatingIfNeeded: n + 2)], "30 ms of one and a half round trips, twice")
        #expect(nack.received(n + 2, now: Self.at(160)) == .filled(requests: 3))
        #expect(nack.roundTrip == .milliseconds(20), "nobody knows which request that answered")
        #expect(nack.deadline == nil)
        #expect(nack.received(n + 2, now: Self.at(161)) == .notMissing)
    }

    @Test func givesUpAfterTenRequests() {
        var nack = NackScheduler()
        _ = nack.received(100, now: Self.at(0))
        _ = nack.received(102, now: Self.at(0))
        var requests = 0
        for millisecond in 0..<10_000 { requests += Self.due(&nack, millisecond).count }
        #expect(requests == NackScheduler.Limits.attemptsMax)
        #expect(nack.givenUp == 1)
        #expect(nack.deadline == nil)
    }

    @Test func anOutageIsNotAskedFor() {
        var nack = NackScheduler()
        _ = nack.received(1_000, now: Self.at(0))
        #expect(nack.received(1_010, now: Self.at(0)) == .gap(9))
        #expect(nack.received(1_010 + 300, now: Self.at(0)) == .outage)
        #expect(nack.isEmpty && nack.givenUp == 9)
        #expect(nack.received(1_312, now: Self.at(1)) == .gap(1))
    }

    @Test func moreThanOneNackHoldsGoesIntoTheNext() {
        var nack = NackScheduler()
        _ = nack.received(1_000, now: Self.at(0))
        _ = nack.received(1_101, now: Self.at(0))
        #expect(Self.due(&nack, 5).count == 64)
        #expect(nack.deadline == Self.at(5))
        #expect(Self.due(&nack, 5).count == 36)
        #expect(nack.deadline! > Self.at(5))
    }

    @Test func whatLeavesTheWindowIsGivenUp() {
        var nack = NackScheduler()
        _ = nack.received(1_000, now: Self.at(0))
        _ = nack.received(1_002, now: Self.at(0))
        for n in 1_003...1_600 { _ = nack.received(UInt64(n), now: Self.at(1)) }
        _ = nack.received(1_602, now: Self.at(1))
        #expect(nack.givenUp == 1)
        #expect(Self.due(&nack, 6) == [1_601])
    }

    /// Whatever is lost and reordered: every number is asked for until it came, and none that came is asked for.
    @Test(arguments: 0..<20)
    func asksForExactlyWhatIsMissing(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed)), nack = NackScheduler()
        var missing: Set<UInt64> = [], highest: UInt64 = 65_536 + 65_500
        _ = nack.received(highest, now: Self.at(0))
        for millisecond in 1..<3_000 {
            let step: UInt64 = Int.random(in: 0..<20, using: &random) == 0 ? UInt64.random(in: 2...5, using: &random) : 1
            for lost in 1..<step { missing.insert(highest + lost) }
            highest += step
            _ = nack.received(highest, now: Self.at(millisecond))
            for number in Self.due(&nack, millisecond) {
                let full = missing.first { UInt16(truncatingIfNeeded: $0) == number }
                #expect(full != nil, "asked for \(number), which is not missing")
                if let full, Bool.random(using: &random) {
                    missing.remove(full)
                    #expect(nack.received(full, now: Self.at(millisecond)) != .notMissing)
                }
            }
        }
        for millisecond in 3_000..<3_400 {
            for number in Self.due(&nack, millisecond) {
                guard let full = missing.first(where: { UInt16(truncatingIfNeeded: $0) == number }) else { Issue.record("\(number) is not missing"); return }
                missing.remove(full)
                _ = nack.received(full, now: Self.at(millisecond))
            }
        }
        #expect(nack.isEmpty)
        #expect(UInt64(missing.count) == nack.givenUp)
    }
}
