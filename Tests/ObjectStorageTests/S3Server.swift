// Real S3 servers in temporary folders, started by the tests and gone with their process.
import Glibc
@testable import ObjectStorage
import Primitives
import Synchronization
import Testing

/// The servers every promise of `S3Bucket` is tested with.
enum S3Kind: String, Sendable, CaseIterable {
    /// Quick; forgives much.
    case rclone
    /// Strict: checks signatures, hashes and times as S3 does.
    case swift = "openstack-swift"

    /// Those installed by `ops/install --test` into `.troupe/venv`; the strict one, which starts slowly, where `ops/test --long` asks for it.
    static let here: [S3Kind] = allCases.filter { kind in
        guard kind == .rclone || getenv("TROUPE_STRICT_S3") != nil else { return false }
        let program = "\(S3Server.venv)/bin/\(kind == .rclone ? "rclone" : "swift-proxy-server")"
        let isHere = access(program, X_OK) == 0 && (kind == .rclone || access("/usr/bin/memcached", X_OK) == 0)
        if !isHere { print("S3 is not tested with \(kind.rawValue): no \(program), or no memcached (ops/install --test brings both)") }
        return isHere
    }
}

private final class Work: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// Runs what blocks on a thread of its own: those that run tests' tasks are few, and a pool's are too.
func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work { continuation.resume(with: Result { try body() }) })
        let code = pthread_create(&thread, nil, { argument in
            if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run() }
            return nil
        }, work.toOpaque())
        precondition(code == 0, "the system gives no more threads")
        pthread_detach(thread)
    }
}

final class S3Server: Sendable {
    static let accessKey = "test:rec", secret = "SKTESTSECRET"
    let port: UInt16
    let folder: String
    private let shell: Int32

    struct Failure: Error, CustomStringConvertible { let description: String }

    private static let here = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    static let venv = here.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/") + "/.troupe/venv"

    /// One that nobody else uses.
    static func start(_ kind: S3Kind) async throws -> S3Server { try await blocking { try S3Server(kind) } }
    /// The one most tests share, each with buckets of its own.
    static func shared(_ kind: S3Kind) async throws -> S3Server {
        switch kind {
        case .rclone: try await sharedRclone.value
        case .swift: try await sharedSwift.value
        }
    }
    private static let sharedRclone = Task.detached { try await start(.rclone) }
    private static let sharedSwift = Task.detached { try await start(.swift) }

    private init(_ kind: S3Kind) throws {
        signal(SIGPIPE, SIG_IGN)
        var template = Array("/tmp/troupe-s3-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        port = try Self.freePorts(5)
        // Closed in every other child, so that this process alone keeps the shell waiting.
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0, &ends) == 0 else { throw Failure(description: "no socket") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var pid = pid_t()
        let words = (["bash", "\(Self.here)/Servers/words.sh", kind.rawValue, folder, String(port), Self.venv, Self.accessKey, Self.secret] as [String]).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        guard posix_spawn(&pid, "/bin/bash", &actions, nil, words, environ) == 0 else { throw Failure(description: "cannot start a shell") }
        close(ends[1])
        shell = ends[0]
        guard readLine() == "ready" else { throw Failure(description: "\(kind.rawValue) did not start; see \(folder)") }
    }
    deinit { close(shell) }

    /// `kill` (-9), `start`, `small` (again, on a file system of 24 MiB), `tls` (again, over HTTPS), `freeze`, `thaw`.
    /// - Returns: whether it could be done.
    @discardableResult
    func tell(_ word: String) async throws -> Bool {
        try await blocking { [self] in
            let line = Array("\(word)\n".utf8)
            precondition(write(shell, line, line.count) == line.count)
            return readLine() == word
        }
    }
    private func readLine() -> String {
        var line: [UInt8] = [], byte: UInt8 = 0
        while read(shell, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// A bucket, made where it is not there.
    func bucket(_ name: String, secret: String = S3Server.secret, prefix: String? = nil, creating: Bool = true, certificates: String? = nil, isTLS: Bool = false, stall: Duration = S3Limits.stall, wall: @escaping @Sendable () -> WallTime = S3Server.wall) async throws -> S3Bucket {
        let address = try S3Address(endpoint: "\(isTLS ? "https" : "http")://127.0.0.1:\(port)", bucket: name, region: "us-east-1", prefix: prefix, isPathStyle: true)
        let bucket = S3Bucket(
            address, credentials: { () throws(ObjectStorageError) in S3Credentials(accessKey: S3Server.accessKey, secret: secret) }, certificates: certificates, stall: stall, random: SystemRandom(), wall: wall)
        if creating { try await blocking { _ = try bucket.client.send(.init(method: "PUT", understood: [409]), body: []) } }
        return bucket
    }
    static let wall: @Sendable () -> WallTime = {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return WallTime(microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000)
    }

    /// The first of `count` ports in a row nobody listens on.
    private static func freePorts(_ count: UInt16) throws -> UInt16 {
        for _ in 0..<50 {
            let first = UInt16.random(in: 20_000...31_000)
            if (first..<(first + count)).allSatisfy(isFree) { return first }
        }
        throw Failure(description: "no free ports")
    }
    private static func isFree(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
    }
}
