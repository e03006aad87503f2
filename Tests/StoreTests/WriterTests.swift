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

    init(_ engine: String, _ place: String, _ room: RoomID) throws {
        var pipes: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0, &pipes) == 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let words = ([Self.program, engine, place, room.rawValue] as [String]).map { strdup($0) } + [nil]
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
        let place = switch database.place {
        case .sqlite(let folder): folder.database
        case .postgres(let url): url
        }
        for life in 1...4 {
            let writer = try Writer(engine.rawValue, place, "room-a")
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
}
