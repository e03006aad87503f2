// What a compositor node does: takes jobs from the store and has `troupe-media` do them. Decision: docs/decisions/0035-job-runner.md
import Capture
import Cluster
import Contracts
import EventLoop
import ObjectStorage
import Primitives

/// Confined to the control loop. One on a node of the compositor role.
package final class JobRunner: @unchecked Sendable {
    package enum Limits {
        /// Between two looks for work; a job that is asked for at this node is looked for at once.
        static let look = Duration.seconds(1)
        static let reclaim = Duration.seconds(5)
        /// Between attempts to tell the store how a job ended, and for how long: then it is done again by whoever takes it.
        static let tell = Duration.seconds(2)
        static let tellAttempts = 300
        /// A process that was told to end is killed then.
        static let ending = Duration.seconds(5)
    }
    package struct Counters: Sendable, Equatable {
        package var started: UInt64 = 0
        package var ready: UInt64 = 0
        package var failed: UInt64 = 0
        /// Given back, cancelled, or taken away meanwhile.
        package var stopped: UInt64 = 0
        package var running = 0
    }

    /// One job under work. Confined to the control loop, where its process says what it says.
    private final class Attempt: @unchecked Sendable {
        let job: JobRecord
        var process: ChildProcess?
        var progress = 0.0
        var secondsLeft: Double?
        /// Why its process was ended, where it was.
        var standing = JobStanding.held
        var isGivenBack = false
        init(_ job: JobRecord) { self.job = job }
        var counts: Bool { standing == .held && !isGivenBack }
    }

    private let context: ConferenceContext
    private let jobs: any JobStore
    private let settings: RecorderSettings
    private let objects: LocalFolder
    private let disk: DiskThread
    private let loop: UVLoop
    /// Processors this node gives to jobs at once.
    private let processors: Int
    private var running: [JobID: Attempt] = [:]
    private var isStopped = false
    private var isClaiming = false
    package private(set) var counters = Counters()
    /// Told of each job that became ready here. Set once, before `start`.
    package var onReady: (@Sendable (JobRecord) async -> Void)?

    package init(
        context: ConferenceContext, jobs: any JobStore, settings: RecorderSettings, objects: LocalFolder, disk: DiskThread, loop: UVLoop, processors: Int
    ) {
        precondition(processors > 0)
        self.context = context; self.jobs = jobs; self.settings = settings; self.objects = objects; self.disk = disk; self.loop = loop; self.processors = processors
    }

    /// Once the cluster system runs.
    package func start() {
        loop.spawn { [self] in
            var reclaimAt = loop.now
            while !isStopped {
                if takesWork { await claim() } else { giveBack() }
                if loop.now >= reclaimAt {
                    _ = try? await jobs.reclaimJobs()
                    reclaimAt = loop.now + Limits.reclaim
                }
                try? await loop.sleep(for: Limits.look)
            }
        }
    }
    /// Gives every job back and waits for the processes to end.
    package func stop() async {
        isStopped = true
        giveBack()
        let end = loop.now + Limits.ending * 2
        while !running.isEmpty, loop.now < end { try? await loop.sleep(for: .milliseconds(20)) }
    }
    /// Somebody asked for a job here.
    package func nudge() { if !isStopped, takesWork { loop.spawn { [self] in await claim() } } }

    private var takesWork: Bool { context.edge.draining == nil && !context.edge.isFrozen }
    private var affordable: [JobKind] {
        let taken = running.values.reduce(0) { $0 + JobWork.cost($1.job.kind) }
        // A kind that costs more than the node has runs alone.
        return JobWork.kinds.filter { taken == 0 || taken + JobWork.cost($0) <= processors }
    }

    private func claim() async {
        guard !isClaiming else { return }
        isClaiming = true
        defer { isClaiming = false }
        while !isStopped, takesWork, !affordable.isEmpty {
            let owner = JobOwner(node: context.system.node, incarnation: context.system.incarnation)
            guard let job = try? await jobs.claimNextJob(kinds: affordable, by: owner) else { return }
            let attempt = Attempt(job)
            running[job.id] = attempt
            counters.started += 1
            counters.running = running.count
            loop.spawn { [self] in
                await carryOut(attempt)
                running[job.id] = nil
                counters.running = running.count
            }
        }
    }
    /// The node is being emptied, or does not know whether it still counts: others go on with these.
    private func giveBack() {
        for attempt in running.values where attempt.counts {
            attempt.isGivenBack = true
            end(attempt)
        }
    }
    private func end(_ attempt: Attempt) {
        attempt.process?.signal(15)
        loop.schedule(after: Limits.ending) { attempt.process?.signal(9) }
    }

    // MARK: One attempt

    private func carryOut(_ attempt: Attempt) async {
        let job = attempt.job
        context.log(.info, "job_started", ["job": job.id.rawValue, "kind": job.kind.rawValue, "recording": job.recording.rawValue, "attempt": "\(job.attempt)"])
        let work: JobWork
        do {
            let row = try? await context.recordings.recording(job.recording)
            work = try JobWork(job, root: settings.storageRoot, isRunning: row?.status.state.isActive == true)
            if let input = work.input { try await write(input.key, input.content) }
        } catch let failure as JobFailure { return await fail(attempt, failure, retry: false) } catch {
            return await fail(attempt, JobFailure(code: "not_writable", message: "\(error)"), retry: true)
        }
        guard attempt.counts else { return await abandon(attempt, work) }
        let beats = loop.spawn { [self] in await beat(attempt) }
        let outcome = await MediaOutcome.run(settings.mediaWorker, work.arguments, on: loop, onStart: { attempt.process = $0 }, onProgress: { done, left in
            // The loop's own callback: see ChildProcess.
            attempt.progress = done
            attempt.secondsLeft = left
        })
        attempt.process = nil
        beats.cancel()
        guard attempt.counts else { return await abandon(attempt, work) }
        if let failure = outcome.failure {
            await fail(attempt, JobFailure(code: failure.code, message: failure.message), retry: failure.isTemporary || outcome.exit.signal != 0)
            remove(work)
        } else {
            await succeed(attempt, outcome.verdict, work)
        }
    }

    private func beat(_ attempt: Attempt) async {
        while !Task.isCancelled, attempt.counts {
            do { try await loop.sleep(for: JobLimits.heartbeat) } catch { return }
            // A store that is away is told later: the job's time to be silent is longer than a beat.
            guard !Task.isCancelled, let standing = try? await jobs.heartbeat(attempt.job.id, epoch: attempt.job.epoch, progress: attempt.progress, secondsLeft: attempt.secondsLeft),
                  standing != .held else { continue }
            attempt.standing = standing
            end(attempt)
        }
    }
    private func succeed(_ attempt: Attempt, _ verdict: WorkerVerdict?, _ work: JobWork) async {
        var verdict = verdict
        if let product = work.product {
            let layout = RecordingLayout(room: attempt.job.room, recording: attempt.job.recording)
            do {
                guard try await place(work, product, layout) else { return await giveWay(attempt, work) }
            } catch {
                await fail(attempt, JobFailure(code: "not_placed", message: "the file is made and cannot take its place: \(error)"), retry: true)
                return remove(work)
            }
            verdict?.outputPath = "\(layout.folder)/\(product.name)"
        }
        let result = String(decoding: verdict.flatMap { try? CaptureJSON.encode($0) } ?? Array("{}".utf8), as: UTF8.self)
        let ending = await told { [jobs] in try await jobs.finish(attempt.job.id, epoch: attempt.job.epoch, result: result) }
        guard case .stands(let job)? = ending, job.state == .ready else { return await abandon(attempt, work) }
        counters.ready += 1
        if let revision = DefaultProducts.revision(of: job), revision > 1 { await forget(earlierThan: revision, job) }
        context.log(.info, "job_ready", ["job": job.id.rawValue, "kind": job.kind.rawValue])
        if let onReady { loop.spawn { await onReady(job) } }
    }
    /// A later revision's file stands where this one's would: nobody needs this job any more.
    private func giveWay(_ attempt: Attempt, _ work: JobWork) async {
        try? await jobs.removeJob(attempt.job.id)
        attempt.standing = .gone
        await abandon(attempt, work)
    }
    /// Rows whose results were replaced. One that the store does not remove now is removed with the next revision's.
    private func forget(earlierThan revision: Int, _ job: JobRecord) async {
        let all = (try? await jobs.jobs(recording: job.recording)) ?? []
        for earlier in DefaultProducts.earlier(than: revision, job.kind, among: all) { try? await jobs.removeJob(earlier.id) }
    }
    private func fail(_ attempt: Attempt, _ failure: JobFailure, retry: Bool) async {
        counters.failed += 1
        context.log(.warning, "job_failed", ["job": attempt.job.id.rawValue, "kind": attempt.job.kind.rawValue, "code": failure.code, "error": failure.message])
        _ = await told { [jobs] in
            try await jobs.fail(attempt.job.id, epoch: attempt.job.epoch, failure, retryAfter: retry ? JobLimits.pause(afterAttempt: attempt.job.attempt) : nil)
        }
    }
    /// The attempt does not count: what it wrote goes, and where the node gives it up others may have it at once.
    private func abandon(_ attempt: Attempt, _ work: JobWork) async {
        counters.stopped += 1
        remove(work)
        if attempt.isGivenBack { _ = await told { [jobs] in try await jobs.release(attempt.job.id, epoch: attempt.job.epoch) } }
    }
    private func told(_ tell: @Sendable () async throws -> JobEnding) async -> JobEnding? {
        for _ in 0..<Limits.tellAttempts {
            if let ending = try? await tell() { return ending }
            if isStopped { return nil }
            try? await loop.sleep(for: Limits.tell)
        }
        return nil
    }

    // MARK: Files, off the loop

    private func write(_ key: String, _ content: String) async throws {
        let objects = objects
        try await disk.run { try objects.put(ObjectKey(key), bytes: Array(content.utf8)) }
    }
    private func place(_ work: JobWork, _ product: (name: String, revision: Int), _ layout: RecordingLayout) async throws -> Bool {
        guard let output = work.output else { return true }
        let objects = objects
        return try await disk.run { try DefaultProducts.place(ObjectKey(output), as: product.name, revision: product.revision, in: layout, objects) }
    }
    private func remove(_ work: JobWork) {
        let keys = [work.output, work.input?.key].compactMap { $0 }, objects = objects
        loop.spawn { [disk] in try? await disk.run { for key in keys { try? objects.delete(ObjectKey(key)) } } }
    }
}
