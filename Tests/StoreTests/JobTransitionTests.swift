// What may become of a job, without a store.
import Contracts
import Primitives
import Testing

extension Sample {
    static func newJob(_ id: JobID = "job-1", kind: JobKind = .preview, recording: RecordingID = "rec-1", priority: Int = 0, key: String? = nil, delay: Duration = .zero) -> NewJob {
        NewJob(id: id, kind: kind, recording: recording, room: "room-a", priority: priority, dedupeKey: key, parameters: #"{"preset":"360p"}"#, delay: delay)
    }
    static let owner = JobOwner(node: "node-1", incarnation: Incarnation(7))
    static func job(attempt: Int = 1) -> JobRecord {
        var job = JobRecord(newJob(), now: start)
        for round in 1...attempt {
            job.claim(by: owner, now: start + .seconds(1))
            if round < attempt { _ = job.fail(job.epoch, JobFailure(code: "x", message: "y"), retryAfter: .zero, now: start + .seconds(1)) }
        }
        return job
    }
}

@Suite struct JobTransitions {
    let failure = JobFailure(code: "no_space", message: "the disk is full")
    func later(_ seconds: Int64) -> WallTime { Sample.start + .seconds(seconds) }

    private func expectStands(_ ending: JobEnding, _ job: JobRecord, _ location: SourceLocation = #_sourceLocation) {
        #expect(ending == .stands(job), sourceLocation: location)
    }

    @Test func anAttemptRunsToItsEnd() {
        var job = Sample.job()
        #expect(job.state == .processing && job.attempt == 1 && job.epoch == Epoch(1) && job.owner == Sample.owner)
        #expect(job.heartbeat(Epoch(1), progress: 0.5, secondsLeft: 20, now: later(2)) == .held)
        #expect(job.progress == 0.5 && job.secondsLeft == 20 && job.heartbeatAt == later(2))
        expectStands(job.finish(Epoch(1), result: "{}", now: later(3)), job)
        #expect(job.state == .ready && job.progress == 1 && job.secondsLeft == nil && job.finishedAt == later(3) && job.result == "{}")
        let ended = job
        expectStands(job.finish(Epoch(1), result: "{}", now: later(4)), ended)
        #expect(job.finish(Epoch(1), result: "{\"b\":1}", now: later(4)) == .refused(.superseded))
        #expect(job.fail(Epoch(1), failure, retryAfter: nil, now: later(4)) == .refused(.superseded))
        #expect(job.heartbeat(Epoch(1), progress: 0, secondsLeft: nil, now: later(4)) == .superseded)
        job.cancel(now: later(5))
        #expect(job == ended, "what has ended stays as it is")
    }

    @Test(arguments: [Double.nan, .infinity, -3, 7]) func progressIsBounded(progress: Double) {
        var job = Sample.job()
        #expect(job.heartbeat(Epoch(1), progress: progress, secondsLeft: progress, now: later(2)) == .held)
        #expect((0...1).contains(job.progress) && (job.secondsLeft == nil || job.secondsLeft == 7))
    }

    @Test func failuresAreTriedAgainUntilTheAttemptsAreUsedUp() {
        var job = Sample.job()
        for attempt in 1..<JobLimits.attempts {
            expectStands(job.fail(job.epoch, failure, retryAfter: .seconds(9), now: later(10)), job)
            #expect(job.state == .queued && job.notBefore == later(19) && job.owner == nil && job.failure == failure && job.attempt == attempt)
            expectStands(job.fail(job.epoch, failure, retryAfter: .seconds(9), now: later(11)), job)
            job.claim(by: Sample.owner, now: later(19))
        }
        expectStands(job.fail(job.epoch, failure, retryAfter: .seconds(9), now: later(20)), job)
        #expect(job.state == .failed && job.attempt == JobLimits.attempts && job.finishedAt == later(20))
        var hopeless = Sample.job()
        expectStands(hopeless.fail(Epoch(1), failure, retryAfter: nil, now: later(2)), hopeless)
        #expect(hopeless.state == .failed)
    }

    @Test func anOlderAttemptIsRefused() {
        var job = Sample.job(attempt: 2)
        let held = job
        #expect(job.heartbeat(Epoch(1), progress: 1, secondsLeft: nil, now: later(3)) == .superseded)
        #expect(job.finish(Epoch(1), result: "old", now: later(3)) == .refused(.superseded))
        #expect(job.fail(Epoch(1), failure, retryAfter: .zero, now: later(3)) == .refused(.superseded))
        #expect(job.release(Epoch(1), now: later(3)) == .refused(.superseded))
        #expect(job == held)
    }

    @Test func aCancelledJobTellsItsOwner() {
        var job = Sample.job()
        job.cancel(now: later(2))
        #expect(job.state == .cancelled && job.finishedAt == later(2))
        #expect(job.heartbeat(Epoch(1), progress: 1, secondsLeft: nil, now: later(3)) == .cancelled)
        #expect(job.finish(Epoch(1), result: "late", now: later(3)) == .refused(.cancelled))
        #expect(job.result == nil)
    }

    @Test func aReleasedAttemptDoesNotCount() {
        var job = Sample.job()
        expectStands(job.release(Epoch(1), now: later(2)), job)
        #expect(job.state == .queued && job.attempt == 0 && job.notBefore == later(2))
        expectStands(job.release(Epoch(1), now: later(2)), job)
        #expect(job.finish(Epoch(1), result: "late", now: later(3)) == .refused(.superseded))
        job.claim(by: Sample.owner, now: later(3))
        #expect(job.epoch == Epoch(2) && job.attempt == 1)
    }

    @Test func aSilentOwnerIsDoubtedFirst() {
        var job = Sample.job()
        #expect(job.reclaim(ownerIsOver: false, now: later(31)) == false)
        #expect(job.doubtedAt == nil)
        #expect(job.reclaim(ownerIsOver: false, now: later(32)) == false)
        #expect(job.doubtedAt == later(32), "the store may have been away")
        #expect(job.reclaim(ownerIsOver: false, now: later(47)) == false)
        var answered = job
        #expect(answered.heartbeat(Epoch(1), progress: 0.1, secondsLeft: nil, now: later(48)) == .held)
        #expect(answered.doubtedAt == nil)
        #expect(answered.reclaim(ownerIsOver: false, now: later(60)) == false)
        #expect(job.reclaim(ownerIsOver: false, now: later(48)) == true)
        #expect(job.state == .queued && job.notBefore == later(53) && job.doubtedAt == nil)
        #expect(job.reclaim(ownerIsOver: false, now: later(500)) == false, "it has no owner")
    }

    @Test func aDeadOwnerLosesItAtOnceAndTheLastAttemptFailsIt() {
        var job = Sample.job(attempt: JobLimits.attempts)
        #expect(job.reclaim(ownerIsOver: true, now: later(2)) == true)
        #expect(job.state == .failed && job.failure == .attemptsExhausted(JobLimits.attempts) && job.finishedAt == later(2))
    }

    @Test func pausesGrowToABound() {
        #expect((1...8).map { JobLimits.pause(afterAttempt: $0).inMilliseconds / 1_000 } == [5, 10, 20, 40, 80, 160, 300, 300])
        #expect(JobLimits.pause(afterAttempt: .max) == .seconds(300) && JobLimits.pause(afterAttempt: .min) == .seconds(5))
    }

    @Test func whatProgramsSayIsCut() {
        let failure = JobFailure(code: "x", message: "a\0" + String(repeating: "é", count: JobLimits.failureMessageBytes))
        #expect(failure.message.utf8.count == JobLimits.failureMessageBytes - 1 && failure.message.hasPrefix("aé"))
    }

    @Test(arguments: ["", ":", "x:job", "12", "12:", "12:../x", "99999999999999999999:job"]) func cursorsAreChecked(text: String) { #expect(JobCursor(text: text) == nil) }
    @Test func aCursorComesBack() { #expect(JobCursor(text: JobCursor(Sample.job()).text) == JobCursor(Sample.job())) }
}
