// How a job goes from one state to another, decided once for every store.
//
//     queued ──claim──▶ processing ──finish──▶ ready
//       ▲ ▲                │ │ └────fail──────▶ failed
//       │ └─fail, retry────┘ │                    ▲
//       └─release, reclaim───┘────reclaim─────────┘      queued, processing ──cancel──▶ cancelled
import Primitives

/// Whether a call under an epoch is about the attempt that counts.
package enum JobStanding: String, Codable, Sendable, Hashable {
    /// The caller holds the job.
    case held
    /// It was cancelled: stop, and remove what the attempt wrote.
    case cancelled
    /// It was taken away, given to someone else, or has ended: stop, and remove what the attempt wrote.
    case superseded
    /// Its recording was deleted and it with it, or another job took its place: stop, and remove what the attempt wrote.
    case gone
}

/// What came of an attempt's end.
package enum JobEnding: Sendable, Equatable {
    /// It counts, now or since an earlier call; the job as it is.
    case stands(JobRecord)
    case refused(JobStanding)
}

/// Each change happens wholly or not at all, and only by who holds the job; the same call again means the same.
/// A store applies them to a locked row, with its own time as `now`.
extension JobRecord {
    package func standing(_ epoch: Epoch) -> JobStanding {
        switch state {
        case .cancelled: .cancelled
        case .processing where epoch == self.epoch: .held
        default: .superseded
        }
    }

    /// For a waiting job whose time has come.
    package mutating func claim(by owner: JobOwner, now: WallTime) {
        state = .processing
        self.owner = owner
        epoch = epoch.next
        attempt += 1
        progress = 0
        secondsLeft = nil
        heartbeatAt = now
        updatedAt = now
    }

    /// - Parameter secondsLeft: what is not a number of seconds is taken for not known.
    package mutating func heartbeat(_ epoch: Epoch, progress: Double, secondsLeft: Double?, now: WallTime) -> JobStanding {
        let standing = standing(epoch)
        guard standing == .held else { return standing }
        self.progress = progress.isFinite ? max(0, min(1, progress)) : self.progress
        self.secondsLeft = secondsLeft.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
        heartbeatAt = now
        doubtedAt = nil
        updatedAt = now
        return .held
    }

    /// Refuses a result no store takes.
    package static func check(result: String, of id: JobID) throws(StoreError) {
        guard result.utf8.count <= JobLimits.resultBytes else { throw .corrupt("the result of job \(id) is larger than \(JobLimits.resultBytes) bytes") }
    }
    package mutating func finish(_ epoch: Epoch, result: String, now: WallTime) -> JobEnding {
        if state == .ready, epoch == self.epoch, result == self.result { return .stands(self) }
        let standing = standing(epoch)
        guard standing == .held else { return .refused(standing) }
        self.result = result
        progress = 1
        failure = nil
        end(.ready, now)
        return .stands(self)
    }

    /// - Parameter retryAfter: nil for a failure that would come again; otherwise the job waits so long, unless it has had all its attempts.
    package mutating func fail(_ epoch: Epoch, _ failure: JobFailure, retryAfter: Duration?, now: WallTime) -> JobEnding {
        if state == .failed || state == .queued, epoch == self.epoch, failure == self.failure { return .stands(self) }
        let standing = standing(epoch)
        guard standing == .held else { return .refused(standing) }
        self.failure = failure
        if let retryAfter, attempt < JobLimits.attempts { wait(until: now + retryAfter, now) } else { end(.failed, now) }
        return .stands(self)
    }

    /// Gives it back untouched, for a node that drains: the attempt does not count.
    package mutating func release(_ epoch: Epoch, now: WallTime) -> JobEnding {
        if state == .queued, epoch == self.epoch { return .stands(self) }
        let standing = standing(epoch)
        guard standing == .held else { return .refused(standing) }
        attempt -= 1
        wait(until: now, now)
        return .stands(self)
    }

    /// An ended job stays as it is.
    package mutating func cancel(now: WallTime) {
        guard !state.isEnded else { return }
        end(.cancelled, now)
    }

    /// Looks after a running job.
    /// - Parameter ownerIsOver: the life that works on it has ended.
    /// - Returns: whether it was taken from its owner: it waits again, or has failed.
    package mutating func reclaim(ownerIsOver: Bool, now: WallTime) -> Bool {
        guard state == .processing else { return false }
        if !ownerIsOver {
            guard let heartbeatAt, now - heartbeatAt > JobLimits.silence else { return false }
            guard let doubtedAt else {
                self.doubtedAt = now
                return false
            }
            guard now - doubtedAt > JobLimits.doubt else { return false }
        }
        if attempt < JobLimits.attempts {
            wait(until: now + JobLimits.pause(afterAttempt: attempt), now)
        } else {
            failure = .attemptsExhausted(attempt)
            end(.failed, now)
        }
        return true
    }

    private mutating func wait(until: WallTime, _ now: WallTime) {
        state = .queued
        owner = nil
        notBefore = until
        progress = 0
        touch(now)
    }
    private mutating func end(_ state: JobState, _ now: WallTime) {
        self.state = state
        finishedAt = now
        touch(now)
    }
    private mutating func touch(_ now: WallTime) {
        secondsLeft = nil
        doubtedAt = nil
        updatedAt = now
    }
}
