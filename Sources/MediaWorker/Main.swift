// `troupe-media`: FFmpeg on captured input, in a process of its own with limits, so that a crash stays here.
import Capture
import Glibc
import Primitives
import Rendering

@main struct MediaWorkerMain {
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        // A file that may not grow is an error of its write, reported like a full disk, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        quietLibav()
        let arguments: Arguments
        do throws(ArgumentError) { arguments = try Arguments(CommandLine.arguments.dropFirst().map { $0 }) } catch {
            switch error {
            case .helpWanted: print(Arguments.usage)
            case .wrong(let text): end(WorkerVerdict(ok: false, code: WorkerFailure.usage.rawValue, message: text), WorkerFailure.usage.exitCode)
            }
            exit(0)
        }
        arguments.common.limits.apply()
        endWithReader()
        do throws(WorkerError) {
            end(try arguments.command.run(arguments.common, Progress { emit($0.line) }), 0)
        } catch {
            end(WorkerVerdict(ok: false, code: error.failure.rawValue, message: error.message), error.failure.exitCode)
        }
    }

    /// Ends the process with whoever reads its lines: where a node was killed somebody else does the job anew, and nothing may appear
    /// under this attempt's name any more. A terminal or a file never goes away.
    private static func endWithReader() {
        var thread = pthread_t()
        pthread_create(&thread, nil, { _ in
            var output = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
            while poll(&output, 1, -1) < 0, errno == EINTR {}
            if Int32(output.revents) & (POLLERR | POLLHUP) != 0 { _exit(WorkerFailure.inputOutput.exitCode) }
            return nil
        }, nil)
    }
    private static func end(_ verdict: WorkerVerdict, _ code: Int32) -> Never {
        emit(WorkerMessage.verdict(verdict).line)
        exit(code)
    }
    /// Straight to the descriptor: each line at once, whatever standard output is.
    private static func emit(_ line: [UInt8]) {
        var written = 0
        while written < line.count {
            let n = line.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress! + written, line.count - written) }
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { return }
            written += n
        }
    }
}
