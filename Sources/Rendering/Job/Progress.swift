// How far a job is, told to whoever started it.
import Capture
import Glibc

/// Turns shares of work done into lines: one for each percent or stage, never going back, with the time that is left.
package final class Progress {
    enum Limits {
        static let step = 0.01
        /// Seconds of work before the time left is guessed.
        static let warmUp = 0.5
    }
    private let sink: (WorkerMessage) -> Void
    private let began = monotonicSeconds()
    private var told = (stage: "", done: -1.0)

    package init(_ sink: @escaping (WorkerMessage) -> Void) { self.sink = sink }

    /// - Parameter done: of the whole job, 0…1.
    package func report(_ stage: String, _ done: Double) {
        let done = min(1, max(0, done, told.done))
        guard done - told.done >= Limits.step || stage != told.stage || (done == 1 && told.done < 1) else { return }
        told = (stage, done)
        let spent = monotonicSeconds() - began
        sink(.progress(stage: stage, done: done, eta: done > 0 && spent >= Limits.warmUp ? spent * (1 - done) / done : nil))
    }
}

/// Seconds on a clock that never jumps.
func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}
/// µs of wall time.
func wallMicroseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
}
