// What Swift's distributed actors ask of their system.
import Distributed
import EventLoop
import Primitives

extension ClusterSystem {
    /// - Returns: the actor if it is an instance of this life of this node that still lives; nil (a remote reference) otherwise.
    package func resolve<A: DistributedActor>(id: ActorAddress, as type: A.Type) throws -> A? where A.ID == ActorAddress {
        guard case .instance(let node, let incarnation, let number, _) = id, node == self.node, isMine(incarnation) else { return nil }
        return registry.actor(number: number) as? A
    }
    package func assignID<A: DistributedActor>(_ type: A.Type) -> ActorAddress where A.ID == ActorAddress {
        .instance(node: node, incarnation: incarnation, number: registry.nextNumber(), shard: Self.shard)
    }
    package func actorReady<A: DistributedActor>(_ actor: A) where A.ID == ActorAddress {
        if case .instance(_, _, let number, _) = actor.id { registry.add(actor, number: number) }
    }
    package func resignID(_ id: ActorAddress) {
        if case .instance(_, _, let number, _) = id { registry.remove(number: number) }
    }
    package func makeInvocationEncoder() -> CallEncoder { CallEncoder() }

    package func remoteCall<A: DistributedActor, E: Error, R: Codable>(
        on actor: A, target: RemoteCallTarget, invocation: inout CallEncoder, throwing: E.Type, returning: R.Type
    ) async throws -> R where A.ID == ActorAddress {
        let answer = try await call(actor.id, target.identifier, invocation)
        switch answer {
        case .value(let value):
            guard let result = value as? R else { throw ClusterError.unknownOutcome(.badAnswer("not \(R.self)")) }
            return result
        case .encoded(let bytes):
            do { return try CBORDecoder.decode(R.self, from: bytes, userInfo: [.actorSystemKey: self]) } catch {
                throw ClusterError.unknownOutcome(.badAnswer("\(error)"))
            }
        }
    }
    package func remoteCallVoid<A: DistributedActor, E: Error>(
        on actor: A, target: RemoteCallTarget, invocation: inout CallEncoder, throwing: E.Type
    ) async throws where A.ID == ActorAddress {
        _ = try await call(actor.id, target.identifier, invocation)
    }

    private func call(_ recipient: ActorAddress, _ method: String, _ invocation: CallEncoder) async throws -> CallAnswer {
        guard !invocation.isGeneric else {
            throw ClusterError.notExecuted(.refused("generic methods and distributed protocols are not part of this protocol version"))
        }
        let call = OutgoingCall(recipient: recipient, method: method, arguments: invocation.arguments, expires: loop.now + Self.deadline)
        let loop = loop, router = router!
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                call.answer.open(continuation)
                loop.run { router.begin(call) }
            }
        } onCancel: {
            loop.run { call.giveUp(.cancelled, .refused("the calling task was cancelled")) }
        }
    }
}
