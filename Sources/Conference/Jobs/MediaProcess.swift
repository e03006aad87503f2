// One run of `troupe-media`: FFmpeg on captured input, in a process of its own.
import Capture
import EventLoop
import Primitives

struct MediaFailure: Error, Sendable {
    /// Stable, in snake_case.
    var code: String
    /// For people; says what to do where something can be done.
    var message: String
    /// Another attempt may do: the disk was full or busy, or another process was at it.
    var isTemporary = false
}

/// How a run ended.
struct MediaOutcome: Sendable {
    var exit: ChildProcess.Exit
    /// Its last word; nil where it had none: it crashed, or was ended.
    var verdict: WorkerVerdict?
    fileprivate var lastLine: String

    /// nil for a run that did what it was asked.
    var failure: MediaFailure? {
        guard !exit.isSuccess else { return nil }
        let how = exit.signal == 0 ? "exit status \(exit.status)" : "signal \(exit.signal)"
        let known = WorkerFailure.allCases.first { exit.signal == 0 && $0.exitCode == Int32(truncatingIfNeeded: exit.status) }
        return MediaFailure(
            code: verdict?.code ?? known?.rawValue ?? (exit.signal == 0 ? "media_failed" : "media_crashed"),
            message: verdict?.message ?? "troupe-media ended with \(how): \(lastLine)", isTemporary: known?.isTemporary ?? false)
    }

    /// Runs it to its end. Call it on the loop.
    /// - Parameters:
    ///   - onStart: given the process, to end it early.
    ///   - onProgress: 0…1, and the seconds it will still take where that can be told.
    static func run(
        _ path: String, _ arguments: [String], on loop: UVLoop, onStart: (ChildProcess) -> Void = { _ in }, onProgress: @escaping @Sendable (Double, Double?) -> Void = { _, _ in }
    ) async -> MediaOutcome {
        let said = Said()
        return await withCheckedContinuation { continuation in
            do {
                onStart(try ChildProcess(loop, path: path, arguments: arguments, onLine: { line in
                    said.lastLine = line
                    switch WorkerMessage(line: line) {
                    case .progress(_, let done, let eta): onProgress(done, eta)
                    case .verdict(let verdict): said.verdict = verdict
                    case nil: break
                    }
                }, onExit: { exit in
                    continuation.resume(returning: MediaOutcome(exit: exit, verdict: said.verdict, lastLine: said.lastLine))
                }))
            } catch {
                continuation.resume(returning: MediaOutcome(exit: ChildProcess.Exit(status: 127, signal: 0), verdict: nil, lastLine: "\(error)"))
            }
        }
    }
}

/// Written and read on the loop only: a child's lines and its end arrive there.
private final class Said: @unchecked Sendable {
    var lastLine = ""
    var verdict: WorkerVerdict?
}
