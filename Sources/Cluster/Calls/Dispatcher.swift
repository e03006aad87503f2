// Running a call on an actor of this node.
import Distributed
import EventLoop
import Primitives

/// Begins calls in the order it is given them: each is a task of the control loop, and reaches its actor's executor in as
/// many hops as every other.
struct Dispatcher: Sendable {
    let loop: any Loop

    /// On the control loop. `finish` of the call is called there.
    func run(_ call: IncomingCall, on actor: any DistributedActor, allowed: TargetTable, system: ClusterSystem) {
        guard allowed.allows(call.method) else { return call.finish(.notExecuted(.unknownTarget)) }
        guard !call.isStale(now: loop.now) || !system.checks(.expiryCheck) else { return call.finish(.notExecuted(.deadline)) }
        call.origin?.mayHaveRun = true
        let loop = loop
        let identity = call.identity
        loop.spawn {
            await ClusterSystem.$runningIn.withValue(identity) {
                await Self.execute(call.method, CallDecoder(call.arguments), on: actor, system) { outcome in
                    loop.run { call.finish(outcome) }
                }
            }
        }
    }
    /// Not on the actor of whoever asks: `executeDistributedTarget` hops to `actor` by itself.
    @concurrent
    private static func execute(
        _ method: String, _ decoder: CallDecoder, on actor: any DistributedActor, _ system: ClusterSystem, take: @escaping @Sendable (CallOutcome) -> Void
    ) async {
        var decoder = decoder
        do {
            try await system.executeDistributedTarget(
                on: actor, target: RemoteCallTarget(method), invocationDecoder: &decoder, handler: CallResultHandler(take: take))
        } catch {
            // The method's own errors go to the handler: this one came before it began.
            take(.notExecuted(.badArguments("\(error)")))
        }
    }
}
