// What all owners of libav objects share: error codes made into typed errors, time bases.
import CFFmpeg
import Capture
import Glibc

enum Libav {
    /// Throws for a negative `code` of libav.
    /// - Parameter doing: completes "cannot …".
    @discardableResult
    static func check(_ code: Int32, _ doing: @autoclosure () -> String) throws(WorkerError) -> Int32 {
        guard code < 0 else { return code }
        let number = shim_av_errno(code)
        // EINVAL is libav's word for what it does not want to write, not the disk's; ENOMEM is this process's limit.
        if number == ENOMEM { throw WorkerError(.internalError, "cannot \(doing()): no memory left under this job's limit; raise --memory-mib") }
        if number != 0, number != EINVAL { throw WorkerError(code: number, doing()) }
        throw WorkerError(.internalError, "cannot \(doing()): \(text(code))")
    }
    static func noMemory(_ what: String) -> WorkerError {
        WorkerError(.internalError, "no memory for \(what) under this job's limit; raise --memory-mib")
    }
    static func text(_ code: Int32) -> String {
        var text = [CChar](repeating: 0, count: 256)
        _ = shim_av_error_text(code, &text, text.count)
        return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
    static let again = Int32(truncatingIfNeeded: shim_av_error_again)
    static let endOfFile = Int32(truncatingIfNeeded: shim_av_error_end_of_file)
    static let outOfMemory = Int32(truncatingIfNeeded: shim_av_error_no_memory)
    /// "No timestamp".
    static let noTime = shim_av_no_timestamp

    static let microseconds = AVRational(num: 1, den: 1_000_000)
    static let milliseconds = AVRational(num: 1, den: 1_000)

    /// Sets an option of a context or of its codec. An unknown name is a mistake of ours, found by the first test that runs it.
    static func set(_ context: UnsafeMutableRawPointer, _ name: String, _ value: String) throws(WorkerError) {
        try check(av_opt_set(context, name, value, Int32(AV_OPT_SEARCH_CHILDREN)), "set \(name) to \(value)")
    }
}

extension AVRational {
    /// `time` in units of `self`, as units of `other`, rounded to the nearest.
    func rescale(_ time: Int64, to other: AVRational) -> Int64 { av_rescale_q(time, self, other) }
}

/// libav's own messages stay off standard error: what a stranger's packets provoke there is not for logs.
package func quietLibav() { av_log_set_level(AV_LOG_FATAL) }
