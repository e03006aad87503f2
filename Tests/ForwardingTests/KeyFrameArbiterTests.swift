import Primitives
import Testing
@testable import Forwarding

@Suite struct KeyFrameArbiterTests {
    static func at(_ milliseconds: Int) -> Instant { Instant(nanoseconds: 1_000_000_000) + .milliseconds(milliseconds) }

    @Test func manyWishesMakeOneRequest() {
        var arbiter = KeyFrameArbiter()
        #expect(arbiter.deadline == nil)
        for _ in 0..<50 { arbiter.request() }
        #expect(arbiter.takeDue(now: Self.at(0)) == true)
        for _ in 0..<50 { arbiter.request() }
        #expect(arbiter.takeDue(now: Self.at(100)) == false)
        arbiter.satisfy()
        #expect(arbiter.deadline == nil)
    }

    @Test func aWishSoonAfterAnAnswerWaitsOutTheInterval() {
        var arbiter = KeyFrameArbiter()
        arbiter.request()
        #expect(arbiter.takeDue(now: Self.at(0)) == true)
        arbiter.satisfy()
        arbiter.request()
        #expect(arbiter.deadline == Self.at(250))
        #expect(arbiter.takeDue(now: Self.at(249)) == false)
        #expect(arbiter.takeDue(now: Self.at(250)) == true)
    }

    @Test func withoutAnAnswerItAsksAgainEverMoreRarelyAndGivesUp() {
        var arbiter = KeyFrameArbiter()
        arbiter.request()
        var requests: [Int] = []
        for millisecond in 0..<60_000 where arbiter.takeDue(now: Self.at(millisecond)) { requests.append(millisecond) }
        #expect(requests.prefix(5) == [0, 400, 1_200, 2_800, 4_800])
        #expect(requests.count == KeyFrameArbiter.Limits.attemptsMax)
        #expect(arbiter.deadline == nil)
        arbiter.request()
        #expect(arbiter.deadline != nil)
    }
}
