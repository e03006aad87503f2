// The rows of `jobs`.
internal import Contracts
internal import Primitives

enum JobTable {
    private static let columns = """
        id, kind, recording_id, room_id, state, priority, dedupe_key, parameters, progress, seconds_left, attempt, not_before, result,
        failure_code, failure_message, owner_node, owner_incarnation, epoch, heartbeat_at, doubted_at, created_at, updated_at, finished_at
        """

    /// Inside a transaction. The recording's row is locked, so that insertions for one recording come one after the other.
    static func insert(_ new: NewJob, _ connection: any SQLConnection) throws(StoreError) -> JobInsertion {
        let recording = SQLValue.text(new.recording.rawValue), kind = SQLValue.text(new.kind.rawValue)
        let now = try connection.first("SELECT \(connection.clock) FROM recordings WHERE id = $1 \(connection.locking)", [recording]) { (row) throws(StoreError) in
            WallTime(microseconds: row.integer(0))
        }
        guard let now else { return .noRecording }
        if let known = try select("WHERE id = $1", [.text(new.id.rawValue)], connection).first {
            guard known.recording == new.recording, known.kind == new.kind else { throw .conflict }
            return .existing(known)
        }
        let isLive = "recording_id = $1 AND state IN ('queued', 'processing', 'ready')"
        if let key = new.dedupeKey, let known = try select("WHERE \(isLive) AND kind = $2 AND dedupe_key = $3", [recording, kind, .text(key)], connection).first {
            return .existing(known)
        }
        let live = try connection.first("SELECT count(*) FROM jobs WHERE \(isLive)", [recording]) { (row) throws(StoreError) in row.integer(0) } ?? 0
        guard live < JobLimits.perRecording else { return .full }
        let job = JobRecord(new, now: now)
        try connection.insert("INSERT INTO jobs (\(columns))", [values(job)])
        return .inserted(job)
    }

    /// - Parameter condition: what follows `FROM jobs`.
    static func select(_ condition: String, _ values: [SQLValue], _ connection: any SQLConnection) throws(StoreError) -> [JobRecord] {
        try connection.rows("SELECT \(columns) FROM jobs \(condition)", values, job)
    }
    /// - Parameter condition: what follows `FROM jobs`, a lock at its end.
    /// - Returns: jobs with the database's time.
    static func locked(_ condition: String, _ values: [SQLValue], _ connection: any SQLConnection) throws(StoreError) -> [(JobRecord, WallTime)] {
        try connection.rows("SELECT \(columns), \(connection.clock) FROM jobs \(condition)", values) { (row) throws(StoreError) in
            (try job(row), WallTime(microseconds: row.integer(23)))
        }
    }

    /// Running jobs whose owner's life is over or who are silent, locked, the longest silent first.
    static func abandoned(_ connection: any SQLConnection) throws(StoreError) -> [(JobRecord, isOver: Bool, now: WallTime)] {
        let isOver = "NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.name = jobs.owner_node AND nodes.incarnation = jobs.owner_incarnation)"
        return try connection.rows("""
            SELECT \(columns), \(connection.clock), \(isOver) FROM jobs
            WHERE state = 'processing' AND (heartbeat_at < \(connection.clock) - $1 OR \(isOver))
            ORDER BY heartbeat_at, id LIMIT $2 \(connection.lockingUnlocked)
            """, [.integer(JobLimits.silence.inMicroseconds), .integer(Int64(JobLimits.reclaimedAtOnce))]) { (row) throws(StoreError) in
            (try job(row), row.integer(24) != 0, WallTime(microseconds: row.integer(23)))
        }
    }

    /// Removes some of those that ended in vain long ago.
    static func removeOld(_ connection: any SQLConnection) throws(StoreError) {
        try connection.run("""
            DELETE FROM jobs WHERE id IN (
                SELECT id FROM jobs WHERE state IN ('failed', 'cancelled') AND finished_at < \(connection.clock) - $1 ORDER BY finished_at LIMIT $2)
            """, [.integer(JobLimits.endedKept.inMicroseconds), .integer(Int64(JobLimits.reclaimedAtOnce))])
    }

    /// Puts back what may have changed of a locked row.
    static func write(_ job: JobRecord, _ connection: any SQLConnection) throws(StoreError) {
        let changed = try connection.run("""
            UPDATE jobs SET state = $2, progress = $3, seconds_left = $4, attempt = $5, not_before = $6, result = $7, failure_code = $8, failure_message = $9,
                owner_node = $10, owner_incarnation = $11, epoch = $12, heartbeat_at = $13, doubted_at = $14, updated_at = $15, finished_at = $16
            WHERE id = $1
            """, [
                .text(job.id.rawValue), .text(job.state.rawValue), .real(job.progress), .init(job.secondsLeft), .integer(Int64(job.attempt)),
                .integer(job.notBefore.microseconds), .init(job.result), .init(job.failure?.code), .init(job.failure?.message), .init(job.owner?.node.rawValue),
                try incarnation(job), .counter(job.epoch.rawValue), .init(job.heartbeatAt?.microseconds), .init(job.doubtedAt?.microseconds),
                .integer(job.updatedAt.microseconds), .init(job.finishedAt?.microseconds),
            ])
        precondition(changed == 1, "a locked row of `jobs` is gone")
    }

    private static func values(_ job: JobRecord) throws(StoreError) -> [SQLValue] {
        [
            .text(job.id.rawValue), .text(job.kind.rawValue), .text(job.recording.rawValue), .text(job.room.rawValue), .text(job.state.rawValue),
            .integer(Int64(job.priority)), .init(job.dedupeKey), .text(job.parameters), .real(job.progress), .init(job.secondsLeft), .integer(Int64(job.attempt)),
            .integer(job.notBefore.microseconds), .init(job.result), .init(job.failure?.code), .init(job.failure?.message), .init(job.owner?.node.rawValue),
            try incarnation(job), try .counter(job.epoch.rawValue), .init(job.heartbeatAt?.microseconds), .init(job.doubtedAt?.microseconds),
            .integer(job.createdAt.microseconds), .integer(job.updatedAt.microseconds), .init(job.finishedAt?.microseconds),
        ]
    }
    private static func incarnation(_ job: JobRecord) throws(StoreError) -> SQLValue {
        guard let owner = job.owner else { return .null }
        return try .counter(owner.incarnation.rawValue)
    }

    private static func job(_ row: SQLRow) throws(StoreError) -> JobRecord {
        func time(_ column: Int) -> WallTime? { row.optionalInteger(column).map { WallTime(microseconds: $0) } }
        var owner: JobOwner?
        if let node = row.optionalText(15) { owner = JobOwner(node: NodeName(node), incarnation: Incarnation(try row.counter(16))) }
        return JobRecord(
            id: JobID(row.text(0)), kind: try row.word(1, JobKind.self), recording: RecordingID(row.text(2)), room: RoomID(row.text(3)),
            state: try row.word(4, JobState.self), priority: Int(row.integer(5)), dedupeKey: row.optionalText(6), parameters: row.text(7),
            progress: row.optionalReal(8) ?? 0, secondsLeft: row.optionalReal(9), attempt: Int(row.integer(10)), notBefore: WallTime(microseconds: row.integer(11)),
            result: row.optionalText(12), failure: row.optionalText(13).map { JobFailure(code: $0, message: row.text(14)) }, owner: owner,
            epoch: Epoch(try row.counter(17)), heartbeatAt: time(18), doubtedAt: time(19), createdAt: WallTime(microseconds: row.integer(20)),
            updatedAt: WallTime(microseconds: row.integer(21)), finishedAt: time(22))
    }
}
