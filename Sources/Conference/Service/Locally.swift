// Calling a distributed actor that lives in this process by its ordinary methods.
import Distributed
import EventLoop

extension DistributedActor {
    /// Runs `body` on the actor. For actors this node made itself: a remote one is a broken invariant.
    nonisolated func local<Value: Sendable>(_ body: @Sendable (isolated Self) async throws -> Value) async rethrows -> Value {
        guard let value = try await whenLocal(body) else { preconditionFailure("\(Self.self) is not of this node") }
        return value
    }
    /// Begins `body` on the actor as a task of `loop`.
    nonisolated func begin(on loop: any Loop, _ body: @escaping @Sendable (isolated Self) async -> Void) {
        loop.spawn { [weak self] in _ = await self?.whenLocal(body) }
    }
}
