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
        case .virtual(let kind, let key):
            // A client hosts nothing.
            guard system.configuration.kind == .node else { return send(call, to: "", nil) }
            system.virtuals.route(call, VirtualIdentity(kind: kind, key: key))
        case .instance(let node, let incarnation, let number, _):
            if node == system.node {
                guard system.isMine(incarnation) else { return refuse(call, .unknownActor) }
                execute(incoming(call), number: number)
            } else {
                send(call, to: node, incarnation)
            }
        case .service(let node, let name):
            if node == system.node, system.configuration.kind == .node { execute(incoming(call), service: name) } else { send(call, to: node, nil) }
        }
    }
    /// Hands a call to the link of `node`. - Parameter incarnation: nil where any life of the node will do.
    func send(_ call: OutgoingCall, to node: NodeName, _ incarnation: Incarnation?) {
        guard let link = system.links.link(to: node), let peer = link.peer, incarnation.map(peer.answers) ?? true else { return finished(call, .notExecuted(.unreachable)) }
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
            if case .virtual(let kind, let key) = call.recipient, system.configuration.kind == .node, system.virtuals.tryAgain(call, VirtualIdentity(kind: kind, key: key), reason) { return }
            refuse(call, reason)
        }
    }

    // MARK: Calls of others

    /// A call that came over a link.
    func received(_ call: IncomingCall, for recipient: ActorAddress) {
        guard system.isRunning else { return call.finish(.notExecuted(.stopped)) }
        switch recipient {
        case .virtual(let kind, let key):
            // An operator would activate an actor before anyone asks what it may call.
            guard !call.isOperators else { return refuse(call) }
            system.virtuals.arrive(call, VirtualIdentity(kind: kind, key: key))
        case .instance(let node, let incarnation, let number, _):
            guard node == system.node, system.isMine(incarnation) else { return call.finish(.notExecuted(.unknownActor)) }
            execute(call, number: number)
        case .service(let node, let name):
            guard node == system.node || (call.isOperators && node.rawValue.isEmpty) else { return call.finish(.notExecuted(.unknownActor)) }
            execute(call, service: name)
        }
    }

    // MARK: Execution

    private func execute(_ call: IncomingCall, number: UInt64) {
        guard let actor = system.registry.actor(number: number) else { return call.finish(.notExecuted(.unknownActor)) }
        execute(call, on: actor)
    }
    private func execute(_ call: IncomingCall, service name: String) {
        guard let actor = system.registry.service(name) else { return call.finish(.notExecuted(.unknownActor)) }
        execute(call, on: actor)
    }
    func execute(_ call: IncomingCall, on actor: any DistributedActor) {
        let table = system.registry.table(of: type(of: actor))
        if call.isOperators {
            guard let name = table.methods[call.method], system.registry.operatorsMayCall(name, of: type(of: actor)) else { return refuse(call) }
        }
        system.count { $0.callsExecuted += 1 }
        dispatcher.run(call, on: actor, allowed: table, system: system)
    }
    private func refuse(_ call: IncomingCall) {
        system.count { $0.operatorCallsRefused += 1 }
        call.finish(.notExecuted(.unknownTarget))
    }
}
