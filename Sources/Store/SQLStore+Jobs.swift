// Jobs: rows locked one at a time, changed as Contracts/Jobs/JobTransitions.swift says.
package import Contracts
package import Primitives

extension SQLStore: JobStore {
    package func insert(_ job: NewJob) async throws -> JobInsertion {
        if let mistake = job.mistake { throw StoreError.corrupt(mistake) }
        return try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in try JobTable.insert(job, connection) }
        }
    }
    package func job(_ id: JobID) async throws -> JobRecord? {
        try await perform { (connection) throws(StoreError) in try JobTable.select("WHERE id = $1", [.text(id.rawValue)], connection).first }
    }
    package func jobs(recording: RecordingID) async throws -> [JobRecord] {
        try await perform { (connection) throws(StoreError) in
            try JobTable.select(
                "WHERE recording_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
                [.text(recording.rawValue), .integer(Int64(JobLimits.listed))], connection)
        }
    }

    package func jobs(state: JobState?, after: JobCursor?, limit: Int) async throws -> JobPage {
        let count = max(0, min(limit, JobLimits.listed))
        // One more than asked for tells whether there is a next page.
        var values: [SQLValue] = [.integer(Int64(count + 1))], conditions: [String] = []
        if let state {
            values.append(.text(state.rawValue))
            conditions.append("state = $\(values.count)")
        }
        if let after {
            values += [.integer(after.createdAt.microseconds), .text(after.id.rawValue)]
            conditions.append("(created_at, id) < ($\(values.count - 1), $\(values.count))")
        }
        let condition = (conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND ")) ") + "ORDER BY created_at DESC, id DESC LIMIT $1"
        let found = try await perform { [values] (connection) throws(StoreError) in try JobTable.select(condition, values, connection) }
        let jobs = Array(found.prefix(count))
        return JobPage(jobs: jobs, next: jobs.count < found.count ? jobs.last.map(JobCursor.init) : nil)
    }

    package func claimNextJob(kinds: [JobKind], by owner: JobOwner) async throws -> JobRecord? {
        guard !kinds.isEmpty else { return nil }
        let places = kinds.indices.map { "$\($0 + 3)" }.joined(separator: ", ")
        let values = [.text(owner.node.rawValue), try .counter(owner.incarnation.rawValue)] + kinds.map { SQLValue.text($0.rawValue) }
        return try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                // Rows others are about to claim are passed over, so nobody waits and nobody claims twice.
                guard let (stored, now) = try JobTable.locked("""
                    WHERE state = 'queued' AND not_before <= \(connection.clock) AND kind IN (\(places))
                        AND EXISTS (SELECT 1 FROM nodes WHERE name = $1 AND incarnation = $2)
                    ORDER BY priority DESC, created_at, id LIMIT 1 \(connection.lockingUnlocked)
                    """, values, connection).first else { return nil }
                var job = stored
                job.claim(by: owner, now: now)
                try JobTable.write(job, connection)
                return job
            }
        }
    }

    /// Worth no wait for the disk: after a power cut the owner is gone as well.
    package func heartbeat(_ id: JobID, epoch: Epoch, progress: Double, secondsLeft: Double?) async throws -> JobStanding {
        try await change(id, .process) { $0.heartbeat(epoch, progress: progress, secondsLeft: secondsLeft, now: $1) } ?? .gone
    }
    package func finish(_ id: JobID, epoch: Epoch, result: String) async throws -> JobEnding {
        try JobRecord.check(result: result, of: id)
        return try await change(id) { $0.finish(epoch, result: result, now: $1) } ?? .refused(.gone)
    }
    package func fail(_ id: JobID, epoch: Epoch, _ failure: JobFailure, retryAfter: Duration?) async throws -> JobEnding {
        try await change(id) { $0.fail(epoch, failure, retryAfter: retryAfter, now: $1) } ?? .refused(.gone)
    }
    package func release(_ id: JobID, epoch: Epoch) async throws -> JobEnding {
        try await change(id) { $0.release(epoch, now: $1) } ?? .refused(.gone)
    }
    package func cancelJob(_ id: JobID) async throws -> JobRecord? {
        try await change(id) { job, now in
            job.cancel(now: now)
            return job
        }
    }

    package func removeJob(_ id: JobID) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in try connection.run("DELETE FROM jobs WHERE id = $1", [.text(id.rawValue)]) }
        }
    }

    /// - Returns: nil for an unknown job.
    private func change<T: Sendable>(_ id: JobID, _ durability: Durability = .disk, _ body: @escaping @Sendable (inout JobRecord, WallTime) -> T) async throws(StoreError) -> T? {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction(durability) { () throws(StoreError) in
                guard let (stored, now) = try JobTable.locked("WHERE id = $1 \(connection.locking)", [.text(id.rawValue)], connection).first else { return nil }
                var job = stored
                let value = body(&job, now)
                if job != stored { try JobTable.write(job, connection) }
                return value
            }
        }
    }

    package func reclaimJobs() async throws -> [JobRecord] {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                var taken: [JobRecord] = []
                for (stored, isOver, now) in try JobTable.abandoned(connection) {
                    var job = stored
                    if job.reclaim(ownerIsOver: isOver, now: now) { taken.append(job) }
                    if job != stored { try JobTable.write(job, connection) }
                }
                try JobTable.removeOld(connection)
                return taken
            }
        }
    }
}
