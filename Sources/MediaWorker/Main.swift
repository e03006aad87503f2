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
        do throws(WorkerError) {
            end(try arguments.command.run(arguments.common, Progress { emit($0.line) }), 0)
        } catch {
            end(WorkerVerdict(ok: false, code: error.failure.rawValue, message: error.message), error.failure.exitCode)
        }
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
