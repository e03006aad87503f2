// How long to wait before trying again.
import Primitives
import Testing

@testable import Cluster

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
