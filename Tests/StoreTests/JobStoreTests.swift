// Jobs in real databases: inserted once, given to one owner at a time, taken from the dead, gone with their recording.
import Contracts
import Primitives
@testable import Store
import Testing

extension TestDatabase {
    /// A store with the recordings `rec-1` and `rec-2`, and `node-1` living as `Sample.owner`.
    func storeWithRecordings() async throws -> SQLStore {
        let store = store()
        for id in ["rec-1", "rec-2"] as [RecordingID] { try await store.insert(Sample.recording(id)) }
        _ = try await store.registerNode(Sample.owner.node, proposed: Sample.owner.incarnation)
        return store
    }
}
extension SQLStore {
    /// Moves every time of all jobs into the past.
    func age(by duration: Duration) async throws {
        try await perform { (connection) throws(StoreError) in
            for column in ["not_before", "heartbeat_at", "doubted_at", "created_at", "updated_at", "finished_at"] {
                try connection.run("UPDATE jobs SET \(column) = \(column) - $1", [.integer(duration.inMicroseconds)])
            }
        }
    }
    func claim(_ kinds: [JobKind] = JobKind.allCases, by owner: JobOwner = Sample.owner) async throws -> JobRecord? { try await claimNextJob(kinds: kinds, by: owner) }
}

@Suite struct JobStores {
    @Test(arguments: Engine.here) func aJobComesBackAsItWasPutAndRunsToItsEnd(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        guard case .inserted(let job) = try await store.insert(Sample.newJob(priority: -3, key: "k")) else { Issue.record("not inserted"); return }
        #expect(job == JobRecord(Sample.newJob(priority: -3, key: "k"), now: job.createdAt))
        #expect(try await store.job("job-1") == job)
        var claimed = try #require(try await store.claim())
        #expect(claimed.state == .processing && claimed.epoch == Epoch(1) && claimed.owner == Sample.owner && claimed.updatedAt >= job.createdAt)
        #expect(try await store.job("job-1") == claimed)
        #expect(try await store.claim() == nil)
        #expect(try await store.heartbeat("job-1", epoch: Epoch(1), progress: 0.25, secondsLeft: 12.5) == .held)
        claimed = try #require(try await store.job("job-1"))
        #expect(claimed.progress == 0.25 && claimed.secondsLeft == 12.5)
        #expect(try await store.finish("job-1", epoch: Epoch(2), result: "{}") == .refused(.superseded))
        guard case .stands(let ended) = try await store.finish("job-1", epoch: Epoch(1), result: #"{"key":"ü"}"#) else { Issue.record("not finished"); return }
        #expect(ended.state == .ready && ended.result == #"{"key":"ü"}"#)
        #expect(try await store.job("job-1") == ended)
        #expect(try await store.finish("job-1", epoch: Epoch(1), result: #"{"key":"ü"}"#) == .stands(ended))
        #expect(try await store.cancelJob("job-1") == ended)
        #expect(try await store.job("job-9") == nil)
        #expect(try await store.cancelJob("job-9") == nil)
        #expect(try await store.heartbeat("job-9", epoch: Epoch(1), progress: 0, secondsLeft: nil) == .gone)
        await database.close()
    }

    @Test(arguments: Engine.here) func aRemovedJobIsGoneForWhoeverIsAtIt(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        for id in ["job-1", "job-2"] as [JobID] { _ = try await store.insert(Sample.newJob(id, key: "key of \(id)")) }
        let claimed = try #require(try await store.claim())
        try await store.removeJob(claimed.id)
        #expect(try await store.heartbeat(claimed.id, epoch: claimed.epoch, progress: 0.5, secondsLeft: nil) == .gone)
        #expect(try await store.finish(claimed.id, epoch: claimed.epoch, result: "{}") == .refused(.gone))
        try await store.removeJob(claimed.id)
        #expect(try await store.jobs(recording: "rec-1").map(\.id) == ["job-1", "job-2"].filter { $0 != claimed.id })
        guard case .inserted = try await store.insert(Sample.newJob("job-3", key: "key of \(claimed.id)")) else { Issue.record("its key is free"); return }
        await database.close()
    }

    @Test(arguments: Engine.here) func oneKeyIsOneJobWhileItMeansAnything(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        guard case .inserted(let first) = try await store.insert(Sample.newJob(key: "360p")) else { Issue.record("not inserted"); return }
        #expect(try await store.insert(Sample.newJob("job-2", key: "360p")) == .existing(first))
        #expect(try await store.insert(Sample.newJob(key: "other")) == .existing(first), "the same id again")
        await #expect(throws: StoreError.conflict) { try await store.insert(Sample.newJob(recording: "rec-2")) }
        for (id, job) in [("a", Sample.newJob("a", kind: .export, key: "360p")), ("b", Sample.newJob("b", recording: "rec-2", key: "360p")), ("c", Sample.newJob("c", key: "720p")), ("d", Sample.newJob("d")), ("e", Sample.newJob("e"))] {
            guard case .inserted(let new) = try await store.insert(job) else { Issue.record("\(id) is not another job"); continue }
            #expect(new.id == JobID(id))
        }
        #expect(try await store.insert(Sample.newJob("z", recording: "rec-3")) == .noRecording)
        _ = try await store.cancelJob("job-1")
        guard case .inserted = try await store.insert(Sample.newJob("job-2", key: "360p")) else { Issue.record("a cancelled job answers nobody"); return }
        await database.close()
    }

    @Test(arguments: Engine.here) func manyWhoAskForOneKeyGetOneJob(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        let stores = [store, database.store(), database.store()]
        let answers = try await withThrowingTaskGroup(of: JobInsertion.self) { group in
            for index in 0..<12 {
                group.addTask { try await patiently { try await stores[index % 3].insert(Sample.newJob(JobID("job-\(index)"), key: "k")) }.0 }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let all = try await store.jobs(recording: "rec-1")
        #expect(all.count == 1)
        #expect(answers.filter { $0 == .inserted(all[0]) }.count == 1 && answers.filter { $0 == .existing(all[0]) }.count == 11)
        await database.close()
    }

    @Test(arguments: Engine.here) func theMostUrgentAndThenTheOldestIsNext(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        let jobs = [Sample.newJob("z"), Sample.newJob("y", kind: .export, priority: 5), Sample.newJob("x"), Sample.newJob("w", kind: .finalise, priority: 9), Sample.newJob("v", priority: 99, delay: .seconds(3600))]
        for job in jobs {
            _ = try await store.insert(job)
            try await store.age(by: .seconds(1))
        }
        #expect(try await store.claim([]) == nil)
        #expect(try await store.claim([.export])?.id == "y")
        #expect(try await store.claim(by: JobOwner(node: "node-1", incarnation: Incarnation(6))) == nil, "a life that is over")
        var order: [JobID] = []
        while let job = try await store.claim() { order.append(job.id) }
        #expect(order == ["w", "z", "x"])
        try await store.age(by: .seconds(3600))
        #expect(try await store.claim()?.id == "v")
        await database.close()
    }

    @Test(arguments: Engine.here) func manyClaimantsGetEachJobOnce(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        for index in 0..<60 { _ = try await store.insert(Sample.newJob(JobID("job-\(index)"), priority: index % 3)) }
        let stores = [store, database.store(), database.store()]
        let claimed = try await withThrowingTaskGroup(of: [JobID].self) { group in
            for index in 0..<9 {
                group.addTask {
                    var mine: [JobID] = []
                    while let job = try await patiently({ try await stores[index % 3].claim() }).0 { mine.append(job.id) }
                    return mine
                }
            }
            return try await group.reduce([], +)
        }
        #expect(claimed.count == 60 && Set(claimed).count == 60)
        #expect(try await store.jobs(state: .processing, after: nil, limit: 100).jobs.allSatisfy { $0.epoch == Epoch(1) && $0.attempt == 1 })
        await database.close()
    }

    @Test(arguments: Engine.here) func ofTwoEndsOneStands(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings(), other = database.store()
        for round in 0..<10 {
            let id = JobID("job-\(round)")
            _ = try await store.insert(Sample.newJob(id))
            let job = try #require(try await store.claim())
            async let finished = patiently { try await store.finish(id, epoch: job.epoch, result: "{}") }.0
            async let cancelled = patiently { try await other.cancelJob(id) }.0
            switch (try await finished, try await cancelled?.state) {
            case (.stands, .ready), (.refused(.cancelled), .cancelled): break
            case (let finish, let state): Issue.record("finish \(finish), cancel \(String(describing: state))")
            }
        }
        await database.close()
    }

    @Test(arguments: Engine.here) func jobsAreTakenFromTheDeadAndTheSilent(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        let second = JobOwner(node: "node-2", incarnation: try await store.registerNode("node-2", proposed: Incarnation(1)))
        for id in ["a", "b"] as [JobID] { _ = try await store.insert(Sample.newJob(id)) }
        #expect(try await store.claim()?.id == "a")
        #expect(try await store.claim(by: second)?.id == "b")
        #expect(try await store.reclaimJobs() == [])
        _ = try await store.retireNode("node-1", incarnation: Sample.owner.incarnation, counter: nil)
        let taken = try await store.reclaimJobs()
        #expect(taken.map(\.id) == ["a"] && taken[0].state == .queued && taken[0].notBefore > taken[0].updatedAt)
        #expect(try await store.job("a") == taken[0])
        #expect(try await store.finish("a", epoch: Epoch(1), result: "{}") == .refused(.superseded))
        // The other one is silent: doubted, and taken only if it goes on being silent.
        try await store.age(by: JobLimits.silence + .seconds(1))
        #expect(try await store.reclaimJobs() == [])
        #expect(try await store.job("b")?.doubtedAt != nil)
        #expect(try await store.heartbeat("b", epoch: Epoch(1), progress: 0.5, secondsLeft: nil) == .held)
        for _ in 0..<2 {
            #expect(try await store.reclaimJobs() == [])
            try await store.age(by: JobLimits.silence + .seconds(1))
        }
        #expect(try await store.reclaimJobs().map(\.id) == ["b"])
        #expect(try await store.heartbeat("b", epoch: Epoch(1), progress: 0.6, secondsLeft: nil) == .superseded)
        await database.close()
    }

    @Test(arguments: Engine.here) func jobsGoWithTheirRecordingAndInVainOnesByAge(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        for (id, recording) in [("a", "rec-1"), ("b", "rec-2"), ("c", "rec-2"), ("d", "rec-2")] as [(JobID, RecordingID)] { _ = try await store.insert(Sample.newJob(id, recording: recording)) }
        #expect(try await store.claim()?.id == "a")
        try await store.deleteRecording("rec-1")
        #expect(try await store.heartbeat("a", epoch: Epoch(1), progress: 0, secondsLeft: nil) == .gone)
        #expect(try await store.finish("a", epoch: Epoch(1), result: "{}") == .refused(.gone))
        _ = try await store.cancelJob("b")
        #expect(try await store.claim()?.id == "c")
        _ = try await store.finish("c", epoch: Epoch(1), result: "{}")
        try await store.age(by: JobLimits.endedKept - .seconds(60))
        _ = try await store.reclaimJobs()
        #expect(try await store.jobs(recording: "rec-2").map(\.id) == ["d", "c", "b"])
        try await store.age(by: .seconds(120))
        _ = try await store.reclaimJobs()
        #expect(try await store.jobs(recording: "rec-2").map(\.id) == ["d", "c"], "a result is kept as long as its recording")
        await database.close()
    }

    @Test(arguments: Engine.here) func whatIsTooLargeIsRefused(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        var jobs = Array(repeating: Sample.newJob(), count: 4)
        jobs[0].parameters = String(repeating: " ", count: JobLimits.parametersBytes + 1)
        jobs[1].priority = 101
        jobs[2].dedupeKey = String(repeating: "k", count: JobLimits.dedupeKeyBytes + 1)
        jobs[3].id = "../x"
        for job in jobs { await #expect(throws: StoreError.self) { try await store.insert(job) } }
        for index in 0..<JobLimits.perRecording { _ = try await store.insert(Sample.newJob(JobID("job-\(index)"))) }
        #expect(try await store.insert(Sample.newJob("more")) == .full)
        _ = try await store.cancelJob("job-7")
        guard case .inserted = try await store.insert(Sample.newJob("more")) else { Issue.record("there is room for one"); return }
        _ = try await store.claim()
        await #expect(throws: StoreError.self) { try await store.finish("job-0", epoch: Epoch(1), result: String(repeating: " ", count: JobLimits.resultBytes + 1)) }
        await database.close()
    }

    @Test(arguments: Engine.here) func operatorsTurnThePages(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        for index in 0..<7 { _ = try await store.insert(Sample.newJob(JobID("job-\(index)"))) }
        _ = try await store.cancelJob("job-3")
        var seen: [JobID] = [], cursor: JobCursor?
        repeat {
            let page = try await store.jobs(state: nil, after: cursor, limit: 3)
            seen += page.jobs.map(\.id)
            cursor = page.next
        } while cursor != nil
        #expect(seen == (0..<7).reversed().map { JobID("job-\($0)") })
        #expect(try await store.jobs(state: .queued, after: nil, limit: 1_000).jobs.count == 6)
        #expect(try await store.jobs(state: .cancelled, after: nil, limit: 1).next == nil)
        #expect(try await store.jobs(state: nil, after: nil, limit: -1) == JobPage(jobs: [], next: nil))
        await database.close()
    }

    /// The same calls, the same answers as the rows in memory give. Times differ, so they are left out.
    @Test(arguments: Engine.here, [1, 2, 3] as [UInt64]) func itAnswersAsTheStoreInMemory(engine: Engine, seed: UInt64) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        var random = SplitMix64(seed: seed), memory = JobRows(), inserted = 0
        let failure = JobFailure(code: "x", message: "y")
        for step in 0..<150 {
            let now = Sample.start + .milliseconds(Int64(step))
            let id = JobID("job-\(100 + random.next() % UInt64(inserted + 1))"), epoch = Epoch(random.next() % 4)
            switch random.next() % 9 {
            case 0, 1:
                inserted += 1
                let recording: RecordingID = random.next() % 2 == 0 ? "rec-1" : "rec-2", kind = JobKind.allCases[Int(random.next() % 2)]
                let job = Sample.newJob(JobID("job-\(100 + inserted)"), kind: kind, recording: recording, priority: Int(random.next() % 3), key: random.next() % 2 == 0 ? "k" : nil, delay: random.next() % 4 == 0 ? .seconds(3600) : .zero)
                let expected = try memory.insert(job, now: now).timeless
                #expect(try await store.insert(job).timeless == expected)
            case 2, 3:
                let kinds: [JobKind] = random.next() % 2 == 0 ? [.preview] : JobKind.allCases
                let expected = memory.claimNext(kinds: kinds, by: Sample.owner, now: now)?.timeless
                #expect(try await store.claim(kinds)?.timeless == expected)
            case 4:
                let expected = memory.change(id) { $0.heartbeat(epoch, progress: 0.5, secondsLeft: nil, now: now) } ?? .gone
                #expect(try await store.heartbeat(id, epoch: epoch, progress: 0.5, secondsLeft: nil) == expected)
            case 5:
                let expected = memory.change(id) { $0.finish(epoch, result: "{}", now: now).timeless } ?? .refused(.gone)
                #expect(try await store.finish(id, epoch: epoch, result: "{}").timeless == expected)
            case 6:
                let expected = memory.change(id) { $0.fail(epoch, failure, retryAfter: .zero, now: now).timeless } ?? .refused(.gone)
                #expect(try await store.fail(id, epoch: epoch, failure, retryAfter: .zero).timeless == expected)
            case 7:
                let expected = memory.change(id) { $0.release(epoch, now: now).timeless } ?? .refused(.gone)
                #expect(try await store.release(id, epoch: epoch).timeless == expected)
            default:
                let expected = memory.page(state: .queued, after: nil, limit: 5).jobs.map(\.timeless)
                #expect(try await store.jobs(state: .queued, after: nil, limit: 5).jobs.map(\.timeless) == expected)
            }
        }
        await database.close()
    }
}

private extension JobRecord {
    var timeless: JobRecord {
        var job = self
        (job.notBefore, job.createdAt, job.updatedAt, job.heartbeatAt, job.finishedAt) = (Sample.start, Sample.start, Sample.start, nil, nil)
        return job
    }
}
private extension JobInsertion {
    var timeless: JobInsertion {
        switch self {
        case .inserted(let job): .inserted(job.timeless)
        case .existing(let job): .existing(job.timeless)
        case .full, .noRecording: self
        }
    }
}
private extension JobEnding {
    var timeless: JobEnding { if case .stands(let job) = self { .stands(job.timeless) } else { self } }
}
