// What a caller learns when a remote call did not return: above all whether it was executed.
import Primitives

package enum ClusterError: Error, Equatable, Sendable {
    /// The call was certainly not executed: trying again is safe.
    case notExecuted(NotExecutedReason)
    /// The call may or may not have been executed: repeat it only where it is idempotent.
    case unknownOutcome(UnknownOutcomeReason)
    /// The actor threw an error whose type was not registered (`ClusterSystem.register(error:)`).
    case remote(type: String, text: String)
}

/// Codable as an array: a number for the reason, then its details; a number this release does not know reads as `.refused`.
package enum NotExecutedReason: Equatable, Sendable {
    /// No link to the node (or to the node's incarnation) the actor is on.
    case unreachable
    /// The actor now lives on another node, under this epoch. Callers through `reference` are sent on once by themselves.
    case moved(to: NodeName, epoch: Epoch)
    /// The node knows no such actor: it ended, or belonged to an earlier life of the node.
    case unknownActor
    /// The actor's type has no such distributed method on that node, or does not let it be called from outside.
    case unknownTarget
    /// No node registered this kind of virtual actor, or no node that may host it is up.
    case noHost
    /// The arguments did not decode as the method's parameters; or could not be encoded.
    case badArguments(String)
    /// A bounded queue was full.
    case overloaded
    /// Time was up before the call began.
    case deadline
    /// The owner of the claim is being judged dead or alive; a moment later it is clear.
    case unsettled
    /// A new claim was needed and the store did not answer.
    case storeAway(String)
    /// The owner can reach neither the store nor a majority and decides nothing; try again, or elsewhere.
    case frozen
    /// Every node that may host it has given its capacity away: the text says who holds how much. Try again later.
    case full(String)
    /// The system is not started or is shutting down.
    case stopped
    /// Another reason, of a newer release.
    case refused(String)
}

package enum UnknownOutcomeReason: Equatable, Sendable {
    /// No answer in time.
    case deadline
    /// The link broke after the call was sent.
    case linkLost
    /// The calling task was cancelled.
    case cancelled
    /// The answer did not decode, or was too large to send.
    case badAnswer(String)
}

extension ClusterError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notExecuted(let reason): "not executed: \(reason)"
        case .unknownOutcome(let reason): "unknown whether executed: \(reason)"
        case .remote(let type, let text): "\(type): \(text)"
        }
    }
}

extension NotExecutedReason: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable: "no link to its node"
        case .moved(let node, let epoch): "it moved to \(node) (epoch \(epoch.rawValue))"
        case .unknownActor: "no such actor"
        case .unknownTarget: "no such method"
        case .noHost: "no node that may host it is up"
        case .badArguments(let text): "arguments: \(text)"
        case .overloaded: "a queue is full"
        case .deadline: "time was up before it began"
        case .unsettled: "its owner is being judged"
        case .storeAway(let text): "the store is away: \(text)"
        case .frozen: "its owner is cut off and decides nothing"
        case .full(let text): "no capacity left: \(text)"
        case .stopped: "the cluster system is not running"
        case .refused(let text): text
        }
    }
}

extension NotExecutedReason: Codable {
    private enum Code {
        static let unreachable = 1, moved = 2, unknownActor = 3, unknownTarget = 4, noHost = 5, badArguments = 6
        static let overloaded = 7, deadline = 8, unsettled = 9, storeAway = 10, stopped = 11, refused = 12, frozen = 13, full = 14
    }
    private var code: Int {
        switch self {
        case .unreachable: Code.unreachable
        case .moved: Code.moved
        case .unknownActor: Code.unknownActor
        case .unknownTarget: Code.unknownTarget
        case .noHost: Code.noHost
        case .badArguments: Code.badArguments
        case .overloaded: Code.overloaded
        case .deadline: Code.deadline
        case .unsettled: Code.unsettled
        case .storeAway: Code.storeAway
        case .stopped: Code.stopped
        case .refused: Code.refused
        case .frozen: Code.frozen
        case .full: Code.full
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        try list.encode(code)
        switch self {
        case .moved(let node, let epoch):
            try list.encode(node.rawValue)
            try list.encode(epoch.rawValue)
        case .badArguments(let text), .storeAway(let text), .refused(let text), .full(let text): try list.encode(text)
        default: break
        }
    }
    package init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        switch try list.decode(Int.self) {
        case Code.unreachable: self = .unreachable
        case Code.moved: self = .moved(to: NodeName(try list.decode(String.self)), epoch: Epoch(try list.decode(UInt64.self)))
        case Code.unknownActor: self = .unknownActor
        case Code.unknownTarget: self = .unknownTarget
        case Code.noHost: self = .noHost
        case Code.badArguments: self = .badArguments(try list.decode(String.self))
        case Code.overloaded: self = .overloaded
        case Code.deadline: self = .deadline
        case Code.unsettled: self = .unsettled
        case Code.storeAway: self = .storeAway(try list.decode(String.self))
        case Code.stopped: self = .stopped
        case Code.refused: self = .refused(try list.decode(String.self))
        case Code.frozen: self = .frozen
        case Code.full: self = .full(try list.decode(String.self))
        case let other: self = .refused("reason \(other), which this release does not know")
        }
    }
}
