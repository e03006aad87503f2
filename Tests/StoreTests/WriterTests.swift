// A process that writes is killed in the middle of it: what it was told is written is there, in order, and its successor goes on.
import Contracts
import Glibc
import Primitives
import Store
import Testing

/// `StoreWriter` as a child, killed with this object at the latest.
private final class Writer {
    private var pid = pid_t()
    private let output: Int32

    /// - Parameter work: `events` and a room, or `jobs` and a node.
    init(_ engine: Engine, _ database: TestDatabase, _ work: String...) throws {
        let place = switch database.place {
        case .sqlite(let folder): folder.database
        case .postgres(let url): url
        }
        var pipes: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0, &pipes) == 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let words = ([Self.program, engine.rawValue, place] + work).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        output = pipes[0]
        let status = posix_spawn(&pid, Self.program, &actions, nil, words, environ)
        close(pipes[1])
        try #require(status == 0, "cannot start \(Self.program)")
    }
    deinit { kill(); close(output) }

    func kill() {
        guard pid > 0 else { return }
        Glibc.kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
        pid = 0
    }
    /// The next number the child was told is written; nil at the end of its output.
    func next() -> UInt64? {
        var line: [UInt8] = [], byte: UInt8 = 0
        while read(output, &byte, 1) == 1 {
            if byte == UInt8(ascii: "\n") { return UInt64(String(decoding: line, as: UTF8.self)) }
            line.append(byte)
        }
        return nil
    }
    private static let program: String = {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/StoreWriter"
    }()
}

@Suite(.timeLimit(.minutes(1))) struct KilledWriters {
    @Test(arguments: Engine.here) func whatWasAcknowledgedSurvivesItsWriter(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.check()
        for life in 1...4 {
            let writer = try Writer(engine, database, "events", "room-a")
            var told: UInt64 = 0
            for _ in 0..<(5 * life) { told = try #require(writer.next(), "the writer stopped by itself") }
            writer.kill()
            while let more = writer.next() { told = more }
            let head = try #require(try await store.roomLog("room-a"))
            #expect(head.sequence >= told && head.epoch == Epoch(UInt64(life)))
            #expect(head.state == Array("state \(head.sequence)".utf8) && head.stateSequence == head.sequence, "events and state are one")
            let page = try await store.events(room: "room-a", since: 0, limit: 1_000)
            #expect(page.events.map(\.sequence) == Array(1...head.sequence))
            #expect(page.events.allSatisfy { $0.payload == #"{"n":\#($0.sequence)}"# })
        }
        let feed = try await store.globalEvents(since: 0, limit: 1_000)
        #expect(feed.entries.map(\.position) == feed.entries.indices.map { UInt64($0 + 1) })
        await database.close()
    }

    @Test(arguments: Engine.here) func everyJobHasOneResultWhoeverDied(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = try await database.storeWithRecordings()
        let total: UInt64 = 30
        for index in 0..<total { _ = try await store.insert(Sample.newJob(JobID("job-\(index)"))) }
        var told: [UInt64: JobRecord] = [:]
        // The last lives are left alone. What a killed one had sent to a server may be carried out after its end, hence more than one.
        for life in 1...6 {
            let writer = try Writer(engine, database, "jobs", "node-2")
            var numbers: [UInt64] = []
            while life > 3 || numbers.count < 2 * life, let number = writer.next() { numbers.append(number) }
            writer.kill()
            while let number = writer.next() { numbers.append(number) }
            for number in numbers {
                #expect(told[number] == nil, "job \(number) was worked on after it was finished")
                let job = try #require(try await store.job(JobID("job-\(number)")))
                told[number] = job
            }
            // The next life of the node ends this one; what it held waits again, for which time is moved on.
            _ = try await store.registerNode("node-2", proposed: Incarnation(1))
            let taken = try await store.reclaimJobs()
            #expect(taken.count <= 1 && taken.allSatisfy { $0.state == .queued && $0.attempt == 1 })
            try await store.age(by: JobLimits.longestPause)
        }
        for index in 0..<total {
            let job = try #require(try await store.job(JobID("job-\(index)")))
            #expect(job.state == .ready)
            if let before = told[index] { #expect(job.result == before.result && job.epoch == before.epoch) }
        }
        await database.close()
    }
}
