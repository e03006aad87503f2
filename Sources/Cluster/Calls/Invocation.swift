// A call's arguments on their way out and in, as Swift's distributed thunks hand them over.
import Distributed

/// Collects a call's arguments. They are encoded only if the call leaves the node.
package struct CallEncoder: DistributedTargetInvocationEncoder {
    package typealias SerializationRequirement = any Codable
    var arguments: [any Codable] = []
    /// A distributed protocol's stub or a generic method: not part of this protocol version.
    var isGeneric = false

    package mutating func recordGenericSubstitution<T>(_ type: T.Type) throws { isGeneric = true }
    package mutating func recordArgument<Value: Codable>(_ argument: RemoteCallArgument<Value>) throws { arguments.append(argument.value) }
    package mutating func recordErrorType<E: Error>(_ type: E.Type) throws {}
    package mutating func recordReturnType<R: Codable>(_ type: R.Type) throws {}
    package mutating func doneRecording() throws {}
}

/// An argument that does not decode. The runtime reports it like an error of the method's own, which never throws this type.
struct ArgumentMismatch: Error {
    let text: String
}

/// Hands a call's arguments to the method, one after another.
/// The values are used once, by the one task that runs the call.
package struct CallDecoder: DistributedTargetInvocationDecoder, @unchecked Sendable {
    package typealias SerializationRequirement = any Codable
    enum Source: @unchecked Sendable {
        /// Of this node: the values themselves.
        case values([any Codable])
        /// From a link: the items, how many, and the system that actors among them are resolved with.
        case items([UInt8], count: Int, ClusterSystem)
    }
    private let source: Source
    private var next = 0
    private var offset = 0
    init(_ source: Source) { self.source = source }

    package mutating func decodeGenericSubstitutions() throws -> [any Any.Type] { [] }
    package mutating func decodeNextArgument<Argument: Codable>() throws -> Argument {
        defer { next += 1 }
        switch source {
        case .values(let values):
            guard next < values.count, let value = values[next] as? Argument else { throw ArgumentMismatch(text: "argument \(next + 1) is not \(Argument.self)") }
            return value
        case .items(let bytes, let count, let system):
            guard next < count else { throw ArgumentMismatch(text: "argument \(next + 1) is missing") }
            do {
                return try bytes.withUnsafeBytes { raw in
                    try CBORDecoder.decode(Argument.self, from: raw, at: &offset, userInfo: [.actorSystemKey: system])
                }
            } catch { throw ArgumentMismatch(text: "argument \(next + 1) is not \(Argument.self): \(error)") }
        }
    }
    package mutating func decodeErrorType() throws -> (any Any.Type)? { nil }
    package mutating func decodeReturnType() throws -> (any Any.Type)? { nil }
}

/// What became of a call at the actor.
enum CallOutcome: @unchecked Sendable {
    /// nil: the method returns nothing.
    case value((any Codable)?)
    case thrown(any Error)
    case notExecuted(NotExecutedReason)
}

/// Takes a method's result. The closure runs on the control loop.
package struct CallResultHandler: DistributedTargetInvocationResultHandler {
    package typealias SerializationRequirement = any Codable
    let take: @Sendable (CallOutcome) -> Void
    package func onReturn<Success: Codable>(value: Success) async throws { take(.value(value)) }
    package func onReturnVoid() async throws { take(.value(nil)) }
    package func onThrow<E: Error>(error: E) async throws {
        if let mismatch = error as? ArgumentMismatch { take(.notExecuted(.badArguments(mismatch.text))) } else { take(.thrown(error)) }
    }
}
