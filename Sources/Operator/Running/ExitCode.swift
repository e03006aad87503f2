// What a program that started troupectl learns (BSD's sysexits where they fit).
internal import Cluster
internal import Configuration
internal import Contracts
internal import Primitives

enum ExitCode: Int32 {
    case done = 0
    /// Refused, or it failed: the same again will fail again.
    case failed = 1
    /// EX_USAGE
    case usage = 64
    /// EX_UNAVAILABLE: no node could be reached, or none lets us in.
    case unreachable = 69
    /// EX_TEMPFAIL: nothing was done, or it may be repeated; try again.
    case tryAgain = 75
    /// 128 + SIGINT
    case interrupted = 130
}

/// Why a command did not do what it was asked to.
struct CommandFailure: Error, Equatable {
    let status: ExitCode
    /// What to do about it; with the code of a node's refusal.
    let message: String
    let code: String
    init(_ status: ExitCode, code: String, _ message: String) { self.status = status; self.code = code; self.message = message }

    init(_ error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as ServiceError: self.init(error.kind == .unavailable || error.kind == .rateLimited ? .tryAgain : .failed, code: error.code, error.message)
        case let error as ConnectError: self.init(.unreachable, code: "no_node", "no node can be reached: \(error)")
        case let error as UsageError: self.init(.usage, code: "usage", "\(error)")
        case let error as TopologyError: self.init(.failed, code: "bad_topology", "\(error)")
        case let error as FileError: self.init(.failed, code: "bad_file", "\(error)")
        case let error as ClusterStartError: self.init(.failed, code: "bad_certificate", "\(error)")
        case let error as ClusterError: self.init(error)
        default: self.init(.failed, code: "internal", "\(error)")
        }
    }
    private init(_ error: ClusterError) {
        switch error {
        case .notExecuted(.unknownTarget), .notExecuted(.unknownActor):
            self.init(.failed, code: "older_node", "the node does not know this command: it is starting, or of an older release; name another with `--node`")
        case .notExecuted(let reason): self.init(.tryAgain, code: "not_executed", "nothing was done (\(reason)); try again")
        case .unknownOutcome(let reason): self.init(.tryAgain, code: "unknown_outcome", "no answer (\(reason)); it may have been done: look, or try again, which is safe")
        case .remote(let type, let text): self.init(.failed, code: "internal", "the node failed: \(type): \(text)")
        }
    }
    /// As `/admin/v1` puts it.
    var json: JSON { ["error": ["code": .string(code), "message": .string(message)]] }
}
