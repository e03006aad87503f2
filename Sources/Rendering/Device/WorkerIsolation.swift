// A part of a job in a child process, so that what crashes there is that part alone.
import Capture
import Glibc

/// Starts `troupe-media` again with its own limits, and waits for its verdict.
package struct WorkerIsolation: Sendable {
    package enum Limits {
        /// Seconds of CPU time for one upload: twelve hours take a few minutes.
        static let cpuSeconds = 1_800
        /// Private memory.
        static let memoryMiB = 1_024
        /// Bytes of its last line that are looked at.
        static let verdictBytes = 64 << 10
    }
    /// Path of the executable.
    let executable: String
    package init(executable: String) { self.executable = executable }
    /// This process's own executable.
    package static let own = WorkerIsolation(executable: "/proc/self/exe")

    /// Throws what the child's verdict says, `.internalError` for one that gave none.
    func run(_ words: [String]) throws(WorkerError) {
        let words = ["troupe-media"] + words + ["--cpu-seconds", "\(Limits.cpuSeconds)", "--memory-mib", "\(Limits.memoryMiB)"]
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw WorkerError(code: errno, "make a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, executable, &actions, nil, &arguments, environ)
        close(ends[1])
        guard code == 0 else { throw WorkerError(code: code, "start \(executable)") }
        let last = Self.lastLine(ends[0])
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        guard signal == 0, case .verdict(let verdict)? = WorkerMessage(line: last) else {
            throw WorkerError(.internalError, "\(words[1]) ended \(signal == 0 ? "without a word" : "by signal \(signal)")")
        }
        if !verdict.ok { throw WorkerError(WorkerFailure(rawValue: verdict.code) ?? .internalError, verdict.message) }
    }
    /// Reads to the end: the child is done, or dead.
    private static func lastLine(_ file: Int32) -> String {
        var line: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            let n = read(file, &chunk, chunk.count)
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { break }
            for byte in chunk[..<n] {
                if line.last == 0x0A { line.removeAll(keepingCapacity: true) }
                if line.count < Limits.verdictBytes { line.append(byte) }
            }
        }
        if line.last == 0x0A { line.removeLast() }
        return String(decoding: line, as: UTF8.self)
    }
}
