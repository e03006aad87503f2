// Where a call goes: to an actor of this node, over a link, or to wherever a virtual actor is claimed.
import Distributed
import EventLoop
import Primitives

/// Confined to the control loop.
final class CallRouter: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private let system: ClusterSystem
    private let dispatcher: Dispatcher
    private var loop: any Loop { system.loop }
    init(_ system: ClusterSystem) {
        self.system = system
        dispatcher = Dispatcher(loop: system.loop)
    }

    // MARK: Calls of this node

    func begin(_ call: OutgoingCall) {
        guard !call.isOver else { return }
        let loop = loop
        let timer = loop.schedule(after: call.expires - loop.now) { call.giveUp(.deadline, .deadline) }
        call.answer.atEnd { loop.run { timer.cancel() } }
        route(call)
    }
    /// Sends a call on its way; again after a redirect or a wait.
    func route(_ call: OutgoingCall) {
        guard !call.isOver else { return }
        guard system.isRunning else { return refuse(call, .stopped) }
        switch call.recipient {
        case .virtual(let kind, let key): system.virtuals.route(call, VirtualIdentity(kind: kind, key: key))
        case .instance(let node, let incarnation, let number, _):
            if node == system.node {
                guard incarnation == system.incarnation else { return refuse(call, .unknownActor) }
                execute(incoming(call), number: number)
            } else {
                send(call, to: node, incarnation)
            }
        }
    }
    /// Hands a call to the link of `node`. - Parameter incarnation: nil where any life of the node will do.
    func send(_ call: OutgoingCall, to node: NodeName, _ incarnation: Incarnation?) {
        guard let link = system.links.link(to: node), incarnation == nil || link.peer?.incarnation == incarnation else { return finished(call, .notExecuted(.unreachable)) }
        link.send(call)
    }
    /// A call of this node to be executed on this node.
    func incoming(_ call: OutgoingCall) -> IncomingCall {
        IncomingCall(method: call.method, arguments: .values(call.arguments), expires: call.expires, origin: call) { [self] in finished(call, $0) }
    }
    private func refuse(_ call: OutgoingCall, _ reason: NotExecutedReason) {
        system.count { $0.callsRefused += 1 }
        call.fail(ClusterError.notExecuted(reason))
    }

    /// What a node, this one or another, says about a call.
    func finished(_ call: OutgoingCall, _ outcome: CallOutcome) {
        switch outcome {
        case .value(let value): call.answer.answer(.success(.value(value)))
        case .thrown(let error):
            // A cluster error of a call the actor made says nothing about this one.
            if let inner = error as? ClusterError { return call.fail(ClusterError.remote(type: "ClusterError", text: "\(inner)")) }
            call.fail(error)
        case .notExecuted(let reason):
            call.mayHaveRun = false
            guard !call.isOver else { return }
            if case .virtual(let kind, let key) = call.recipient, system.virtuals.tryAgain(call, VirtualIdentity(kind: kind, key: key), reason) { return }
            refuse(call, reason)
        }
    }

    // MARK: Calls of others

    /// A call that came over a link.
    func received(_ call: IncomingCall, for recipient: ActorAddress) {
        guard system.isRunning else { return call.finish(.notExecuted(.stopped)) }
        switch recipient {
        case .virtual(let kind, let key): system.virtuals.arrive(call, VirtualIdentity(kind: kind, key: key))
        case .instance(let node, let incarnation, let number, _):
            guard node == system.node, incarnation == system.incarnation else { return call.finish(.notExecuted(.unknownActor)) }
            execute(call, number: number)
        }
    }

    // MARK: Execution

    private func execute(_ call: IncomingCall, number: UInt64) {
        guard let actor = system.registry.actor(number: number) else { return call.finish(.notExecuted(.unknownActor)) }
        execute(call, on: actor)
    }
    func execute(_ call: IncomingCall, on actor: any DistributedActor) {
        system.count { $0.callsExecuted += 1 }
        dispatcher.run(call, on: actor, allowed: system.registry.table(of: type(of: actor)), system: system)
    }
}
