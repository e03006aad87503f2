// A job store in memory: for tests and the simulator.
import Cluster
import Primitives
import Synchronization

/// The rows of a job store, changed by whole transactions; they mean what the durable stores' mean.
package struct JobRows: Sendable {
    private var jobs: [JobID: JobRecord] = [:]
    package init() {}

    package mutating func insert(_ new: NewJob, now: WallTime) throws(StoreError) -> JobInsertion {
        if let mistake = new.mistake { throw .corrupt(mistake) }
        if let known = jobs[new.id] {
            guard known.recording == new.recording, known.kind == new.kind else { throw .conflict }
            return .existing(known)
        }
        let live = jobs.values.filter { $0.recording == new.recording && $0.state != .failed && $0.state != .cancelled }
        if let key = new.dedupeKey, let known = live.first(where: { $0.kind == new.kind && $0.dedupeKey == key }) { return .existing(known) }
        guard live.count < JobLimits.perRecording else { return .full }
        let job = JobRecord(new, now: now)
        jobs[job.id] = job
        return .inserted(job)
    }

    package subscript(_ id: JobID) -> JobRecord? { jobs[id] }
    package func list(_ isWanted: (JobRecord) -> Bool) -> [JobRecord] {
        jobs.values.filter(isWanted).sorted { ($0.createdAt, $0.id) > ($1.createdAt, $1.id) }
    }
    package func page(state: JobState?, after: JobCursor?, limit: Int) -> JobPage {
        let rest = list { job in
            (state == nil || job.state == state) && (after.map { (job.createdAt, job.id) < ($0.createdAt, $0.id) } ?? true)
        }
        let jobs = Array(rest.prefix(max(0, min(limit, JobLimits.listed))))
        return JobPage(jobs: jobs, next: jobs.count < rest.count ? jobs.last.map(JobCursor.init) : nil)
    }

    package mutating func claimNext(kinds: [JobKind], by owner: JobOwner, now: WallTime) -> JobRecord? {
        let waiting = jobs.values.filter { $0.state == .queued && $0.notBefore <= now && kinds.contains($0.kind) }
        guard var next = waiting.min(by: { (-$0.priority, $0.createdAt, $0.id) < (-$1.priority, $1.createdAt, $1.id) }) else { return nil }
        next.claim(by: owner, now: now)
        jobs[next.id] = next
        return next
    }
    /// One of the changes of JobTransitions.swift; nil for an unknown job.
    package mutating func change<T: Sendable>(_ id: JobID, _ body: (inout JobRecord) -> T) -> T? {
        guard var job = jobs[id] else { return nil }
        defer { jobs[id] = job }
        return body(&job)
    }
    package mutating func reclaim(now: WallTime, isOver: (JobOwner) -> Bool) -> [JobRecord] {
        var taken: [JobRecord] = []
        for id in jobs.keys.sorted() {
            guard var job = jobs[id], let owner = job.owner else { continue }
            if job.reclaim(ownerIsOver: isOver(owner), now: now) { taken.append(job) }
            jobs[id] = job
        }
        jobs = jobs.filter { _, job in
            guard job.state == .failed || job.state == .cancelled, let finished = job.finishedAt else { return true }
            return now - finished <= JobLimits.endedKept
        }
        return taken
    }
    package mutating func remove(_ id: JobID) { jobs[id] = nil }
    /// With their recording.
    package mutating func deleteJobs(of recording: RecordingID) { jobs = jobs.filter { $0.value.recording != recording } }
}

/// Knows every recording until `deleteJobs` is told of its end, and a node's life by the lease store.
package final class MemoryJobStore: JobStore {
    private let rows = Mutex(JobRows())
    private let time: any TimeSource
    private let leases: any LeaseStore
    package init(time: any TimeSource, leases: any LeaseStore) { self.time = time; self.leases = leases }

    private func lives() async throws -> Set<JobOwner> {
        Set(try await leases.nodes().map { JobOwner(node: $0.node, incarnation: $0.incarnation) })
    }
    private func change<T: Sendable>(_ id: JobID, _ body: (inout JobRecord, WallTime) -> T) -> T? {
        let now = time.wall
        return rows.withLock { rows in rows.change(id) { body(&$0, now) } }
    }

    package func insert(_ job: NewJob) async throws -> JobInsertion {
        try rows.withLock { (rows) throws(StoreError) in try rows.insert(job, now: time.wall) }
    }
    package func job(_ id: JobID) async throws -> JobRecord? { rows.withLock { $0[id] } }
    package func jobs(recording: RecordingID) async throws -> [JobRecord] {
        rows.withLock { Array($0.list { $0.recording == recording }.prefix(JobLimits.listed)) }
    }
    package func jobs(state: JobState?, after: JobCursor?, limit: Int) async throws -> JobPage {
        rows.withLock { $0.page(state: state, after: after, limit: limit) }
    }
    package func claimNextJob(kinds: [JobKind], by owner: JobOwner) async throws -> JobRecord? {
        guard try await lives().contains(owner) else { return nil }
        return rows.withLock { $0.claimNext(kinds: kinds, by: owner, now: time.wall) }
    }
    package func heartbeat(_ id: JobID, epoch: Epoch, progress: Double, secondsLeft: Double?) async throws -> JobStanding {
        change(id) { $0.heartbeat(epoch, progress: progress, secondsLeft: secondsLeft, now: $1) } ?? .gone
    }
    package func finish(_ id: JobID, epoch: Epoch, result: String) async throws -> JobEnding {
        try JobRecord.check(result: result, of: id)
        return change(id) { $0.finish(epoch, result: result, now: $1) } ?? .refused(.gone)
    }
    package func fail(_ id: JobID, epoch: Epoch, _ failure: JobFailure, retryAfter: Duration?) async throws -> JobEnding {
        change(id) { $0.fail(epoch, failure, retryAfter: retryAfter, now: $1) } ?? .refused(.gone)
    }
    package func release(_ id: JobID, epoch: Epoch) async throws -> JobEnding { change(id) { $0.release(epoch, now: $1) } ?? .refused(.gone) }
    package func cancelJob(_ id: JobID) async throws -> JobRecord? {
        change(id) { job, now in
            job.cancel(now: now)
            return job
        }
    }
    package func removeJob(_ id: JobID) async throws { rows.withLock { $0.remove(id) } }
    package func reclaimJobs() async throws -> [JobRecord] {
        let lives = try await lives()
        return rows.withLock { $0.reclaim(now: time.wall) { !lives.contains($0) } }
    }
    package func deleteJobs(of recording: RecordingID) { rows.withLock { $0.deleteJobs(of: recording) } }
}
