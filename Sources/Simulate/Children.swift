// Seeds are run in child processes, some at a time: what a world leaves behind goes with its process, and a crash is a result.
import Glibc
import Simulation

/// Runs seeds from `first` on in batches, several processes at once, and hands over each line as it comes.
struct Children {
    enum Limits {
        /// Seeds of one process.
        static let batch: UInt64 = 8
        /// The same where time is limited: none is begun late because of those before it.
        static let timedBatch: UInt64 = 2
    }
    let options: Options
    /// Returns false to stop.
    let each: (SeedLine) -> Bool

    private struct Child {
        var pid: pid_t
        var descriptor: Int32
        var first: UInt64
        var count: UInt64
        var seen: UInt64 = 0
        var text: [UInt8] = []
    }

    func run() {
        var running: [Child] = [], next = options.seed, isStopping = false
        let end = options.seed &+ options.runs
        let stopAt = options.seconds.map { Self.seconds() + $0 }, batch = stopAt == nil ? Limits.batch : Limits.timedBatch
        while true {
            while !isStopping, running.count < options.jobs, next < end, stopAt.map({ Self.seconds() < $0 }) ?? true {
                let count = min(batch, end - next)
                if let child = start(next, count) { running.append(child) } else { isStopping = true }
                next += count
            }
            guard !running.isEmpty else { return }
            var polls = running.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            guard poll(&polls, nfds_t(polls.count), -1) >= 0 || errno == EINTR else { return }
            for i in running.indices.reversed() where polls[i].revents != 0 {
                if !read(&running[i], &isStopping) { running.remove(at: i) }
            }
            if isStopping { for child in running { kill(child.pid, SIGKILL) } }
        }
    }
    static func seconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec)
    }

    /// What a child needs of this process's environment.
    private static let surroundings: [String] = {
        let kept: [String] = ["PATH", "LD_LIBRARY_PATH", "SWIFT_BACKTRACE"]
        return ["SWIFT_DETERMINISTIC_HASHING=1"] + kept.compactMap { name in getenv(name).map { "\(name)=\(String(cString: $0))" } }
    }()

    private func start(_ first: UInt64, _ count: UInt64) -> Child? {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        defer { posix_spawn_file_actions_destroy(&actions); close(ends[1]) }
        var words: [UnsafeMutablePointer<CChar>?] = (["troupe-simulate"] + options.words(first: first, count: count)).map { strdup($0) } + [nil]
        var surroundings: [UnsafeMutablePointer<CChar>?] = Self.surroundings.map { strdup($0) } + [nil]
        defer { for word in words + surroundings { free(word) } }
        var pid: pid_t = 0
        guard posix_spawn(&pid, "/proc/self/exe", &actions, nil, &words, &surroundings) == 0 else { close(ends[0]); return nil }
        return Child(pid: pid, descriptor: ends[0], first: first, count: count)
    }
    /// - Returns: false at its end.
    private func read(_ child: inout Child, _ isStopping: inout Bool) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(child.descriptor, &chunk, chunk.count)
        if count > 0 {
            child.text += chunk[..<count]
            while let end = child.text.firstIndex(of: 0x0A) {
                let line = String(decoding: child.text[..<end], as: UTF8.self)
                child.text.removeSubrange(...end)
                guard !isStopping, let result = SeedLine(Substring(line)) else { continue }
                child.seen += 1
                if !each(result) { isStopping = true }
            }
            return true
        }
        close(child.descriptor)
        var status: Int32 = 0
        waitpid(child.pid, &status, 0)
        if child.seen < child.count, !isStopping, !each(crashed(child, status)) { isStopping = true }
        return false
    }
    /// The seed at which the process ended by itself.
    private func crashed(_ child: Child, _ status: Int32) -> SeedLine {
        var result = SeedResult(seed: child.first + child.seen, scenario: options.parameters.scenario ?? ScenarioKind.of(child.first + child.seen))
        let how = status & 0x7F == 0 ? "exit status \(status >> 8 & 0xFF)" : "signal \(status & 0x7F)"
        result.violation = Violation(invariant: .nodeFailed, text: "the process ended: \(how)", at: 0)
        return SeedLine(result, microseconds: 0)
    }
}
