// The clients of a chaos run: a `troupe-load` beside this program, in a room of its own.
internal import Configuration
internal import EventLoop
internal import Glibc
internal import Primitives

/// Confined to the loop.
final class LoadProcess: @unchecked Sendable {
    enum Limits {
        static let publishers = 2
        /// Bytes of its report.
        static let reportBytes = 1 << 20
    }
    let title: String
    private var child: ChildProcess?
    private var lines: [String] = []
    private var bytes = 0
    private(set) var exit: ChildProcess.Exit?

    /// - Parameter seconds: from when everybody receives.
    init(_ topology: Topology, loop: UVLoop, clients: Int, seconds: Int) throws {
        title = "troupectl chaos \(getpid())"
        let urls = topology.nodes.filter { $0.roles.contains(.edge) }.flatMap { ["--url", topology.url(of: $0)] }
        let authority = CertificatePaths(folder: topology.caFolder).authority
        let words = urls + ["--ca", authority, "--create", title, "--publish", "\(Limits.publishers)", "--subscribe", "\(clients)", "--duration", "\(seconds)", "--audio", "50/160", "--video", "25x2x1000", "--json", "--quiet"]
        child = try ChildProcess(loop, path: Self.program, arguments: words, onLine: { [weak self] in self?.take($0) }, onExit: { [weak self] in self?.exit = $0 })
    }
    /// Beside this program.
    private static var program: String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let file = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (file.lastIndex(of: "/").map { String(file[...$0]) } ?? "./") + "troupe-load"
    }
    private func take(_ line: String) {
        bytes += line.utf8.count
        if bytes <= Limits.reportBytes { lines.append(line) }
    }
    var report: String { lines.joined(separator: "\n") }
    func stop() { if exit == nil { child?.signal(SIGINT) } }
}
