// The job store of tests and the simulator: the durable ones' rules, on a clock of its own.
import Cluster
import Contracts
import Primitives
import Synchronization
import Testing

private final class HandTime: TimeSource {
    private let elapsed = Mutex(Duration.zero)
    func pass(_ duration: Duration) { elapsed.withLock { $0 += duration } }
    var now: Instant { Instant.origin + elapsed.withLock { $0 } }
    var wall: WallTime { Sample.start + elapsed.withLock { $0 } }
}

@Suite struct JobsInMemory {
    @Test func jobsAreWorkedOnTakenAndForgotten() async throws {
        let time = HandTime(), leases = MemoryLeaseStore(), store = MemoryJobStore(time: time, leases: leases)
        let owner = JobOwner(node: "node-1", incarnation: try await leases.registerNode("node-1", proposed: Incarnation(7)))
        for id in ["a", "b", "c"] as [JobID] { _ = try await store.insert(Sample.newJob(id, recording: id == "c" ? "rec-2" : "rec-1")) }
        #expect(try await store.claimNextJob(kinds: [.preview], by: JobOwner(node: "node-1", incarnation: Incarnation(6))) == nil, "a life that is over")
        #expect(try await store.claimNextJob(kinds: [.preview], by: owner)?.id == "a")
        #expect(try await store.claimNextJob(kinds: [.preview], by: owner)?.id == "b")
        guard case .stands(let finished) = try await store.finish("a", epoch: Epoch(1), result: "{}") else { Issue.record("not finished"); return }
        #expect(try await store.job("a") == finished)
        time.pass(JobLimits.silence + .seconds(1))
        #expect(try await store.reclaimJobs() == [])
        time.pass(JobLimits.doubt + .seconds(1))
        #expect(try await store.reclaimJobs().map(\.id) == ["b"])
        #expect(try await store.heartbeat("b", epoch: Epoch(1), progress: 0.5, secondsLeft: nil) == .superseded)
        time.pass(JobLimits.longestPause)
        let again = try #require(try await store.claimNextJob(kinds: [.preview], by: owner))
        #expect(again.id == "b" && again.epoch == Epoch(2))
        guard case .stands(let released) = try await store.release("b", epoch: Epoch(2)) else { Issue.record("not released"); return }
        #expect(released.state == .queued && released.attempt == again.attempt - 1)
        _ = try await store.claimNextJob(kinds: [.preview], by: owner)
        _ = try await leases.retireNode("node-1", incarnation: owner.incarnation, counter: nil)
        #expect(try await store.reclaimJobs().map(\.id) == ["b"])
        #expect(try await store.cancelJob("c")?.state == .cancelled)
        #expect(try await store.jobs(recording: "rec-1").map(\.id) == ["b", "a"])
        try await store.removeJob("a")
        #expect(try await store.jobs(recording: "rec-1").map(\.id) == ["b"])
        store.deleteJobs(of: "rec-1")
        #expect(try await store.fail("b", epoch: Epoch(3), JobFailure(code: "x", message: "y"), retryAfter: nil) == .refused(.gone))
        time.pass(JobLimits.endedKept + .seconds(1))
        _ = try await store.reclaimJobs()
        #expect(try await store.jobs(state: nil, after: nil, limit: 9).jobs.isEmpty)
    }
}
