// What a test cluster lets be done to a node's process. Decision: docs/decisions/0043-faults-on-request.md
internal import Cluster
internal import Contracts
internal import EventLoop
internal import Glibc
internal import Primitives

/// Called on the control loop.
struct NodeFaults: Sendable {
    let loop: UVLoop
    let system: ClusterSystem
    let log: Log

    func suffer(_ fault: Fault, for span: Duration) {
        switch fault {
        case .kill: kill(getpid(), SIGKILL)
        case .stall:
            // Nothing in a process that stands still can wake it: a child does.
            let words = ["-c", "sleep \(span.inSeconds); kill -CONT \(getpid())"]
            do throws(NetworkError) {
                _ = try ChildProcess(loop, path: "/bin/sh", arguments: words, onLine: { _ in }, onExit: { _ in })
                kill(getpid(), SIGSTOP)
            } catch { log.error("no fault: \(error)") }
        case .sever: system.sever(for: span)
        }
    }
}
