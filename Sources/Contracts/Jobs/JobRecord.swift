// Durable jobs: what is made of a recording after it was captured. Decision: docs/decisions/0032-jobs-and-tokens.md
import Primitives

package enum JobKind: String, Codable, Sendable, Hashable, CaseIterable { case finalise, preview, export, thumbnail }

package enum JobState: String, Codable, Sendable, Hashable, CaseIterable {
    case queued, processing, ready, failed, cancelled
    /// Nothing changes such a job any more.
    package var isEnded: Bool { self == .ready || self == .failed || self == .cancelled }
}

package enum JobLimits {
    /// Bytes of `parameters`, UTF-8.
    package static let parametersBytes = 256 * 1024
    /// Bytes of `result`, UTF-8.
    package static let resultBytes = 64 * 1024
    package static let dedupeKeyBytes = 200
    /// Bytes of a failure's code and message; longer ones are cut.
    package static let failureCodeBytes = 64
    package static let failureMessageBytes = 2_048
    package static let priorities = -100...100
    /// Waiting, running and ready jobs of one recording; one more is refused.
    package static let perRecording = 256
    /// Times a job is begun; then it fails for good.
    package static let attempts = 5
    /// Between heartbeats of whoever works on a job.
    package static let heartbeat: Duration = .seconds(5)
    /// Without a heartbeat for so long, a job is doubted.
    package static let silence: Duration = .seconds(30)
    /// Without one for so long after it was doubted, it is taken from its owner. The store itself may have been away until just
    /// before the doubt, and then no owner could tell it anything.
    package static let doubt: Duration = .seconds(15)
    /// Before the second attempt; doubled before each further one, up to the longest.
    package static let firstPause: Duration = .seconds(5)
    package static let longestPause: Duration = .seconds(300)
    /// Failed and cancelled jobs are kept for so long after their end; ready ones as long as their recording.
    package static let endedKept: Duration = .seconds(7 * 24 * 3600)
    /// Jobs of one answer, whatever was asked for.
    package static let listed = 100
    /// Jobs one `reclaimJobs` looks at, and removes.
    package static let reclaimedAtOnce = 64

    /// How long to wait after attempt number `attempt` (1...) failed.
    package static func pause(afterAttempt attempt: Int) -> Duration {
        min(firstPause * (1 << (max(1, min(attempt, 17)) - 1)), longestPause)
    }
}

/// The life of a node that works on a job.
package struct JobOwner: Codable, Sendable, Hashable {
    package var node: NodeName
    package var incarnation: Incarnation
    package init(node: NodeName, incarnation: Incarnation) { self.node = node; self.incarnation = incarnation }
}

package struct JobFailure: Error, Codable, Sendable, Hashable {
    /// Stable, in snake_case.
    package let code: String
    package let message: String
    /// - Parameter message: what a program said, perhaps: cut at a bound, without zero bytes.
    package init(code: String, message: String) {
        self.code = Self.cut(code, JobLimits.failureCodeBytes)
        self.message = Self.cut(message, JobLimits.failureMessageBytes)
    }
    private static func cut(_ text: String, _ bytes: Int) -> String {
        var scalars = String.UnicodeScalarView(), count = 0
        for scalar in text.unicodeScalars where scalar != "\0" {
            count += UTF8.width(scalar)
            if count > bytes { break }
            scalars.append(scalar)
        }
        return String(scalars)
    }

    package static func attemptsExhausted(_ attempts: Int) -> JobFailure {
        JobFailure(code: "attempts_exhausted", message: "the job was begun \(attempts) times, and each time its node went away; look for what it does to them before you ask for it again")
    }
}

/// What is asked of the store.
package struct NewJob: Sendable, Equatable {
    /// Chosen by the caller: the same id again answers the same job.
    package var id: JobID
    package var kind: JobKind
    package var recording: RecordingID
    package var room: RoomID
    /// Within `JobLimits.priorities`; higher ones are begun first.
    package var priority: Int
    /// While a job of this recording and kind with the same key waits, runs or is ready, it is the answer. nil: always a new job.
    package var dedupeKey: String?
    /// JSON.
    package var parameters: String
    /// Not begun earlier than so long from now.
    package var delay: Duration
    package init(id: JobID, kind: JobKind, recording: RecordingID, room: RoomID, priority: Int = 0, dedupeKey: String? = nil, parameters: String = "{}", delay: Duration = .zero) {
        self.id = id; self.kind = kind; self.recording = recording; self.room = room; self.priority = priority
        self.dedupeKey = dedupeKey; self.parameters = parameters; self.delay = delay
    }

    /// Why no store takes this.
    package var mistake: String? {
        if !id.isSafe { return "`\(id)` is no id of a job" }
        if !JobLimits.priorities.contains(priority) { return "the priority \(priority) of job \(id) is outside \(JobLimits.priorities)" }
        if parameters.utf8.count > JobLimits.parametersBytes { return "the parameters of job \(id) are larger than \(JobLimits.parametersBytes) bytes" }
        if let dedupeKey, dedupeKey.utf8.count > JobLimits.dedupeKeyBytes { return "the key of job \(id) is longer than \(JobLimits.dedupeKeyBytes) bytes" }
        return nil
    }
}

/// A job as it is kept. All times are the store's: one clock for all nodes.
package struct JobRecord: Codable, Sendable, Hashable {
    package var id: JobID
    package var kind: JobKind
    package var recording: RecordingID
    package var room: RoomID
    package var state: JobState
    package var priority: Int
    package var dedupeKey: String?
    /// JSON, as given.
    package var parameters: String
    /// 0...1, of the running attempt.
    package var progress: Double
    /// Estimated seconds until the running attempt ends.
    package var secondsLeft: Double?
    /// How often it was begun; 0 for a job that never was.
    package var attempt: Int
    package var notBefore: WallTime
    /// JSON, of a ready job.
    package var result: String?
    /// Why it failed; of a waiting job, why its last attempt did.
    package var failure: JobFailure?
    /// Who works on it, or did when it ended.
    package var owner: JobOwner?
    /// Grows with every claim; a call under another one is refused.
    package var epoch: Epoch
    /// The last sign of the owner.
    package var heartbeatAt: WallTime?
    /// When the owner's silence was first noticed.
    package var doubtedAt: WallTime?
    package var createdAt: WallTime
    package var updatedAt: WallTime
    package var finishedAt: WallTime?
    package init(
        id: JobID, kind: JobKind, recording: RecordingID, room: RoomID, state: JobState, priority: Int, dedupeKey: String?, parameters: String, progress: Double,
        secondsLeft: Double?, attempt: Int, notBefore: WallTime, result: String?, failure: JobFailure?, owner: JobOwner?, epoch: Epoch, heartbeatAt: WallTime?,
        doubtedAt: WallTime?, createdAt: WallTime, updatedAt: WallTime, finishedAt: WallTime?
    ) {
        self.id = id; self.kind = kind; self.recording = recording; self.room = room; self.state = state; self.priority = priority
        self.dedupeKey = dedupeKey; self.parameters = parameters; self.progress = progress; self.secondsLeft = secondsLeft; self.attempt = attempt
        self.notBefore = notBefore; self.result = result; self.failure = failure; self.owner = owner; self.epoch = epoch; self.heartbeatAt = heartbeatAt
        self.doubtedAt = doubtedAt; self.createdAt = createdAt; self.updatedAt = updatedAt; self.finishedAt = finishedAt
    }
    package init(_ job: NewJob, now: WallTime) {
        self.init(
            id: job.id, kind: job.kind, recording: job.recording, room: job.room, state: .queued, priority: job.priority, dedupeKey: job.dedupeKey,
            parameters: job.parameters, progress: 0, secondsLeft: nil, attempt: 0, notBefore: now + job.delay, result: nil, failure: nil, owner: nil,
            epoch: .none, heartbeatAt: nil, doubtedAt: nil, createdAt: now, updatedAt: now, finishedAt: nil)
    }
}
