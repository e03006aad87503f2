// A node whose media stands still while its control loop answers everybody: nobody else would notice.
internal import EventLoop
internal import Primitives

/// Whether a loop still runs, by the watcher's own ticks: one that was stopped together with what it watches sees nothing wrong.
struct StallWatch {
    enum Limits {
        /// Ticks without an answer.
        static let patience = 10
    }
    enum Verdict: Equatable { case ask, wait, stalled }
    private var unanswered: Int?

    mutating func tick() -> Verdict {
        guard let waited = unanswered else {
            unanswered = 0
            return .ask
        }
        unanswered = waited + 1
        return waited + 1 == Limits.patience ? .stalled : .wait
    }
    mutating func answered() { unanswered = nil }
}

/// Asks every media loop twice a second to answer. Confined to the control loop.
final class MediaWatchdog: @unchecked Sendable {
    enum Limits {
        static let interval = Duration.milliseconds(500)
    }
    private let control: any Loop
    private let loops: [any Loop]
    private var watches: [StallWatch]
    private var timer: RepeatingTimer?
    /// Called once for each stall, with the loop's index.
    private let onStall: @Sendable (Int) -> Void

    init(control: any Loop, loops: [any Loop], onStall: @escaping @Sendable (Int) -> Void) {
        self.control = control
        self.loops = loops
        self.onStall = onStall
        watches = loops.map { _ in StallWatch() }
    }
    func start() { timer = control.every(Limits.interval) { [self] in tick() } }
    func stop() {
        timer?.cancel()
        timer = nil
    }
    private func tick() {
        for index in loops.indices {
            switch watches[index].tick() {
            case .wait: break
            case .stalled: onStall(index)
            case .ask: loops[index].post { [self] in control.post { self.watches[index].answered() } }
            }
        }
    }
}
