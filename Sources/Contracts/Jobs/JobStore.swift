// What is asked of the store about jobs.
import Primitives

package enum JobInsertion: Sendable, Equatable {
    case inserted(JobRecord)
    /// The same id was inserted before, or the same key for this recording and kind.
    case existing(JobRecord)
    /// The recording has `JobLimits.perRecording` jobs that wait, run or are ready.
    case full
    /// There is no such recording.
    case noRecording
}

/// A place in the list of all jobs: the newest stand first.
package struct JobCursor: Codable, Sendable, Hashable {
    package var createdAt: WallTime
    package var id: JobID
    package init(_ job: JobRecord) { createdAt = job.createdAt; id = job.id }

    /// As operators pass it on: microseconds, a colon, the job's id.
    package var text: String { "\(createdAt.microseconds):\(id)" }
    /// - Returns: nil for what `text` never gave.
    package init?(text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let microseconds = Int64(parts[0]) else { return nil }
        createdAt = WallTime(microseconds: microseconds)
        id = JobID(String(parts[1]))
        guard id.isSafe else { return nil }
    }
}
package struct JobPage: Sendable, Equatable {
    package var jobs: [JobRecord]
    /// What to ask with for the next page; nil at the end.
    package var next: JobCursor?
    package init(jobs: [JobRecord], next: JobCursor?) { self.jobs = jobs; self.next = next }
}

/// Keeps jobs, and gives each to one node at a time. Every call is bounded in time and throws `StoreError.away` where the store is;
/// then it may or may not have been carried out, and the same call again is safe.
///
/// Whoever claimed a job works under the claim's epoch: heartbeats every `JobLimits.heartbeat`, then `finish` or `fail`. Calls under
/// an epoch that no longer counts are refused, so exactly one result stands whatever dies. Files are written under a key that holds
/// the epoch, and become visible by the row alone.
package protocol JobStore: Sendable {
    func insert(_ job: NewJob) async throws -> JobInsertion
    func job(_ id: JobID) async throws -> JobRecord?
    /// Newest first, at most `JobLimits.listed`.
    func jobs(recording: RecordingID) async throws -> [JobRecord]
    /// All jobs, or those in `state`, newest first, beginning behind `after`; at most `limit` and `JobLimits.listed`.
    func jobs(state: JobState?, after: JobCursor?, limit: Int) async throws -> JobPage
    /// Gives the caller the waiting job of these kinds with the highest priority whose time has come, of those the oldest.
    /// - Returns: nil where nothing waits, and for a life that is over.
    func claimNextJob(kinds: [JobKind], by owner: JobOwner) async throws -> JobRecord?
    /// Tells that the attempt goes on. Other than `held`: stop.
    /// - Parameters:
    ///   - progress: 0...1.
    ///   - secondsLeft: an estimate, if there is one.
    func heartbeat(_ id: JobID, epoch: Epoch, progress: Double, secondsLeft: Double?) async throws -> JobStanding
    /// - Parameter result: JSON of at most `JobLimits.resultBytes`.
    func finish(_ id: JobID, epoch: Epoch, result: String) async throws -> JobEnding
    /// - Parameter retryAfter: nil where another attempt would fail as well; else mostly `JobLimits.pause(afterAttempt:)`.
    func fail(_ id: JobID, epoch: Epoch, _ failure: JobFailure, retryAfter: Duration?) async throws -> JobEnding
    /// Gives a job back without counting the attempt: the node drains.
    func release(_ id: JobID, epoch: Epoch) async throws -> JobEnding
    /// - Returns: the job as it is now: cancelled, or as it had ended before; nil for an unknown one.
    func cancelJob(_ id: JobID) async throws -> JobRecord?
    /// Forgets a job, in whatever state: another one's result has taken the place of its own. Whoever is at it learns that it is gone.
    func removeJob(_ id: JobID) async throws
    /// Takes jobs from owners whose life is over or who have been silent for long, and removes jobs that ended long ago. Any node may
    /// ask, every few seconds.
    /// - Returns: the jobs taken: waiting again, or failed.
    func reclaimJobs() async throws -> [JobRecord]
}
