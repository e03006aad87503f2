// A real PostgreSQL server in a temporary folder, started by the tests and gone with their process.
import Contracts
import Dispatch
import Glibc
import Primitives
@testable import Store
import Synchronization

/// Runs what waits on a thread of its own: the few that run tests' tasks are for these.
func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
}

/// Runs `initdb` and `postgres` under a shell that obeys words on its input and cleans up when that ends, however it ends.
final class PostgresServer: Sendable {
    let folder: String
    let port: UInt16
    static let password = "p@ss/wörd"
    private let shell: Int32
    private let databases = Mutex(0)

    /// The server most tests share, each with a database of its own.
    static var shared: PostgresServer { get async throws { try await starting.value } }
    private static let starting = Task.detached { try await blocking { try PostgresServer() } }

    /// Where Debian's postgresql-15 (or another version) keeps its programs; nil where it is not installed.
    static let programs: String? = {
        for version in (13...20).reversed() where access("/usr/lib/postgresql/\(version)/bin/initdb", X_OK) == 0 { return "/usr/lib/postgresql/\(version)/bin" }
        return nil
    }()

    struct Failure: Error, CustomStringConvertible { let description: String }

    init() throws {
        guard let programs = Self.programs else { throw Failure(description: "PostgreSQL is not installed") }
        signal(SIGPIPE, SIG_IGN)
        var template = Array("/tmp/troupe-postgres-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        port = try Self.freePort()
        // Closed in every other child, so that this process alone keeps the shell waiting.
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0, &ends) == 0 else { throw Failure(description: "no socket") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let arguments = ["sh", "-c", Self.script, "sh", folder, programs, String(port), Self.password]
        var pid = pid_t()
        let words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        guard posix_spawn(&pid, "/bin/sh", &actions, nil, words, environ) == 0 else { throw Failure(description: "cannot start /bin/sh") }
        close(ends[1])
        shell = ends[0]
        guard readLine() == "ready" else { throw Failure(description: "PostgreSQL did not start; see \(folder)") }
        let maintenance = try PostgresConnection(PostgresURL(url("postgres", overTCP: false)), answer: Self.patience)
        try maintenance.script("CREATE DATABASE prepared")
        let prepared = try PostgresConnection(PostgresURL(url("prepared", overTCP: false)), answer: Self.patience)
        try PostgresMigrations.bring(prepared, to: PostgresMigrations.all)
    }
    /// For what is not about time: test machines are busy.
    static let patience: Duration = .seconds(60)
    deinit { close(shell) }

    /// `stop`, `start`, `kill` (-9 of every process), `freeze`, `thaw`; returns when it is done.
    func tell(_ word: String) async throws { try await blocking { self.tellAndWait(word) } }
    private func tellAndWait(_ word: String) {
        let line = Array("\(word)\n".utf8)
        precondition(write(shell, line, line.count) == line.count)
        precondition(readLine() == word, "the server's shell did not \(word)")
    }

    private func readLine() -> String {
        var line: [UInt8] = [], byte: UInt8 = 0
        while read(shell, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// Text of a URL file. Over TCP with a password, or over the socket without one.
    func url(_ database: String, overTCP: Bool = true, password: String = "p%40ss%2Fw%C3%B6rd", options: String = "") -> String {
        overTCP ? "postgresql://troupe:\(password)@127.0.0.1:\(port)/\(database)?\(options)" : "postgresql://troupe@/\(database)?host=\(folder)&port=\(port)&\(options)"
    }

    /// - Parameter prepared: with the tables in place.
    /// - Returns: the name of a new database.
    func makeDatabase(prepared: Bool = true) async throws -> String {
        let name = "test\(databases.withLock { $0 += 1; return $0 })"
        try await blocking {
            let connection = try PostgresConnection(PostgresURL(self.url("postgres", overTCP: false)), answer: Self.patience)
            try connection.script("CREATE DATABASE \(name)\(prepared ? " TEMPLATE prepared" : "")")
        }
        return name
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0 }
        }
        guard bound else { throw Failure(description: "no free port") }
        return UInt16(bigEndian: address.sin_port)
    }

    /// Words come on the input; its end, which the end of the tests' process brings, is the last one.
    private static let script = """
        dir=$1 bin=$2 port=$3
        if [ "$(id -u)" = 0 ]; then
            chown postgres "$dir"
            as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
        else
            as() { "$@"; }
        fi
        cd "$dir"
        pids() { pid=$(head -1 data/postmaster.pid) && echo "$pid" $(pgrep -P "$pid"); }
        start() { as "$bin/pg_ctl" -D data -l log -w -t 30 start -o "-F -p $port -k $dir -h 127.0.0.1 -c max_connections=300 -c shared_buffers=16MB" >/dev/null </dev/null; }
        printf '%s' "$4" >password; chmod 644 password
        as "$bin/initdb" -D data -U troupe --auth-local=trust --auth-host=scram-sha-256 --pwfile=password --no-sync --locale=C.UTF-8 -E UTF8 >initdb.log 2>&1 </dev/null && start && echo ready || echo failed
        while read -r word; do
            case $word in
                stop) as "$bin/pg_ctl" -D data -m fast -w stop >/dev/null ;;
                start) start ;;
                kill) kill -9 $(pids); while pgrep -F data/postmaster.pid >/dev/null; do sleep 0.01; done ;;
                freeze) kill -STOP $(pids) ;;
                thaw) kill -CONT $(pids) ;;
            esac
            echo "$word"
        done
        kill -CONT $(pids)
        as "$bin/pg_ctl" -D data -m immediate -w stop >/dev/null
        rm -rf "$dir"
        """
}
