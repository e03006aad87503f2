// Failures of files and codecs, typed, with what to do.
import Capture
import Glibc

/// What stopped a job, with the words for whoever reads the verdict.
package struct WorkerError: Error, Equatable, Sendable {
    package let failure: WorkerFailure
    package let message: String
    package init(_ failure: WorkerFailure, _ message: String) { self.failure = failure; self.message = message }

    /// From an `errno`.
    init(code: Int32, _ doing: String) {
        let text = String(cString: strerror(code))
        switch code {
        case ENOSPC, EDQUOT, EFBIG: self.init(.diskFull, "cannot \(doing): \(text); free space and try again")
        case EROFS, EACCES, EPERM: self.init(.notWritable, "cannot \(doing): \(text); make the storage directory writable")
        case ENOENT, ENOTDIR: self.init(.missing, "cannot \(doing): \(text)")
        default: self.init(.inputOutput, "cannot \(doing): \(text)")
        }
    }
}
