// From whatever went wrong to what a client can do about it.
import Cluster
import Contracts
import WebRTC

extension ServiceError {
    /// What a caller is told; details of the inside stay inside.
    package init(reporting error: any Error) {
        switch error {
        case let error as ServiceError: self = error
        case let error as ClusterError:
            switch error {
            case .notExecuted: self = ServiceError(.unavailable, code: "try_again", message: "the room is moving or its node is away; nothing was done, try again")
            case .unknownOutcome: self = ServiceError(.unavailable, code: "unknown_outcome", message: "no answer in time; it may have been done, look before you repeat it")
            case .remote(_, text: let text): self = ServiceError(.unavailable, code: "internal", message: "the room's node failed: \(text)")
            }
        case let error as StoreError:
            switch error {
            case .away: self = ServiceError(.unavailable, code: "store_away", message: "the store is away; running rooms go on, try again for new ones")
            case .conflict: self = ServiceError(.conflict, code: "conflict", message: "it changed meanwhile; look again")
            case .notFound: self = ServiceError(.notFound, code: "not_found", message: "no such thing")
            case .corrupt(let what): self = ServiceError(.unavailable, code: "store_corrupt", message: what)
            }
        default: self = ServiceError(.unavailable, code: "internal", message: "an unexpected error; the node's log names it")
        }
    }

    /// A description a client sent that cannot be used.
    init(refused error: SDPError) {
        self = ServiceError(.malformed, code: "bad_sdp", message: "\(error)")
    }

    init(recordingFailure error: any Error, recorders: RecorderCensus) {
        if let error = error as? ClusterError, case .notExecuted(let reason) = error {
            self = ServiceError(.unavailable, code: "no_recorder", message: "no recorder is free (\(reason)): \(recorders); nothing is queued, start one or try again")
        } else { self.init(reporting: error) }
    }
}

/// How the nodes of the recorder role are, for whoever finds none free.
struct RecorderCensus: Equatable, CustomStringConvertible {
    var takingWork = 0
    var draining = 0
    /// Suspected or down.
    var away = 0

    init(_ members: [Member]) {
        for member in members where member.roles.contains("recorder") {
            if member.state.takesWork { takingWork += 1 } else if member.state == .draining { draining += 1 } else { away += 1 }
        }
    }
    var description: String {
        takingWork + draining + away == 0 ? "no node of the cluster has the role"
            : "of \(takingWork + draining + away) nodes of the role \(takingWork) take work, \(draining) are being emptied, \(away) are away"
    }
}
