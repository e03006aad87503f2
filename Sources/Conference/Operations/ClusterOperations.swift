// What a node does for operators: it answers for itself, and gathers from the others. Decision: docs/decisions/0026-operator-rpc.md
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

/// Behind the `Operations` actor and the `/admin/v1` endpoints of one node. Called on the control loop.
///
/// A node that does not answer in time is told as away; it never makes a question fail that others can answer.
package final class ClusterOperations: OperationsService {
    package enum Limits {
        /// For another node's answer about itself.
        package static let answer = Duration.milliseconds(1500)
        /// For another node to begin or end a drain, or to work out a plan.
        package static let order = Duration.seconds(4)
        /// For a move.
        package static let move = Duration.seconds(10)
        /// For an answer to leave before a fault.
        package static let lastWord = Duration.milliseconds(50)
        /// Jobs and rooms' pins that are looked at.
        package static let jobs = 500
    }
    /// What the node's process says of itself.
    package struct Process: Sendable {
        package var version: String
        package var startedAt: WallTime
        /// The last second's load; rooms and participants are added here.
        package var sample: @Sendable () -> NodeSample
        /// Does a fault to the process; nil where the topology does not allow it.
        package var suffer: (@Sendable (Fault, Duration) -> Void)?
        package init(version: String, startedAt: WallTime, sample: @escaping @Sendable () -> NodeSample, suffer: (@Sendable (Fault, Duration) -> Void)? = nil) {
            self.version = version; self.startedAt = startedAt; self.sample = sample; self.suffer = suffer
        }
    }

    let context: ConferenceContext
    let process: Process
    let plans = PlanDesk()
    package let draining: NodeDrain
    var system: ClusterSystem { context.system }
    var here: NodeName { context.system.node }

    package init(context: ConferenceContext, process: Process) {
        self.context = context
        self.process = process
        draining = NodeDrain(context: context)
    }

    // MARK: Asking the others

    /// Every other node that is a member or ought to be.
    var others: [NodeName] {
        let members = system.members().map(\.name)
        return Set(members).union(system.configuration.peers.keys).subtracting([here]).sorted()
    }
    enum Reply<Answer: Sendable>: Sendable {
        case answer(Answer)
        case away(String)
        var value: Answer? { if case .answer(let value) = self { value } else { nil } }
    }
    /// Asks each of `others`, all at once.
    func gather<Answer: Sendable>(_ ask: @escaping @Sendable (Operations) async throws -> Answer) async -> [NodeName: Reply<Answer>] {
        await withTaskGroup(of: (NodeName, Reply<Answer>).self) { group in
            for name in others {
                let node = system.service(Operations.self, on: name, Operations.service)
                group.addTask { (name, await Self.reply(of: node, ask)) }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }
    private static func reply<Answer: Sendable>(of node: Operations, _ ask: @Sendable (Operations) async throws -> Answer) async -> Reply<Answer> {
        do { return .answer(try await ClusterSystem.$deadline.withValue(Limits.answer) { try await ask(node) }) } catch { return .away(Self.absence(error)) }
    }
    /// Has one node do something it alone can do.
    func order<Answer: Sendable>(_ node: NodeName, within limit: Duration = Limits.order, _ ask: @Sendable (Operations) async throws -> Answer) async throws -> Answer {
        let service = system.service(Operations.self, on: node, Operations.service)
        do { return try await ClusterSystem.$deadline.withValue(limit) { try await ask(service) } } catch let error as ClusterError {
            throw ServiceError(.unavailable, code: "node_away", message: "\(node) does not answer (\(Self.absence(error))); `troupectl nodes` shows who does")
        }
    }
    private static func absence(_ error: any Error) -> String {
        switch error as? ClusterError {
        case .notExecuted(.unreachable): "no link to it"
        case .notExecuted(.unknownActor): "it is starting, or of an older release"
        case .notExecuted(.unknownTarget): "it is of an older release"
        case .notExecuted(.deadline), .unknownOutcome(.deadline): "no answer within \(Limits.answer.inMilliseconds) ms"
        case .unknownOutcome(.linkLost): "its link broke"
        case nil, .notExecuted, .unknownOutcome, .remote: "\(error)"
        }
    }
    func requireKnown(_ node: NodeName) throws {
        guard node == here || others.contains(node) else {
            let names = (others + [here]).sorted().map(\.rawValue).joined(separator: ", ")
            throw ServiceError(.notFound, code: "unknown_node", message: "no node is named `\(node)`; there are \(names)")
        }
    }

    // MARK: Nodes

    package func nodes(_ reach: Reach) async throws -> [NodeReport] {
        let own = await ownReport()
        guard reach == .cluster else { return [own] }
        let replies = await gather { try await $0.nodes(.node) }
        let rest = replies.map { name, reply in reply.value?.first { $0.name == name } ?? absent(name, reply) }
        return ([own] + rest).sorted { $0.name < $1.name }
    }
    private func absent(_ name: NodeName, _ reply: Reply<[NodeReport]>) -> NodeReport {
        var report = NodeReport(name: name, state: NodeReport.away)
        if case .away(let why) = reply { report.reason = why }
        if let member = system.member(name) { report.take(member) }
        report.state = NodeReport.away
        return report
    }
    private func ownReport() async -> NodeReport {
        var report = NodeReport(name: here, state: "up")
        if let me = system.member(here) { report.take(me) }
        report.version = process.version
        report.uptimeSeconds = max(0, (context.loop.wall - process.startedAt).inSeconds)
        let load = await system.load()
        report.capacity = .init(units: load.capacity, used: load.used, reserved: load.reserved)
        report.links = await system.linkReports().filter { !$0.isOperator }.map(NodeReport.Link.init)
        report.rooms = context.edge.hostedCount
        report.participants = context.edge.participantCount
        report.recordings = context.edge.writerCount
        let drain = draining.report
        if drain.state != .none { report.drain = drain }
        return report
    }

    package func top(_ reach: Reach) async throws -> [NodeSample] {
        var own = process.sample()
        own.state = system.member(here).map { $0.state.word } ?? "up"
        own.rooms = context.edge.hostedCount
        own.participants = context.edge.participantCount
        own.recordings = context.edge.writerCount
        guard reach == .cluster else { return [own] }
        let replies = await gather { try await $0.top(.node) }
        let rest = replies.map { name, reply in reply.value?.first { $0.name == name } ?? NodeSample(name: name, state: NodeReport.away) }
        return ([own] + rest).sorted { $0.name < $1.name }
    }
}

extension MemberState {
    var word: String { "\(self)" }
}
extension NodeReport {
    mutating func take(_ member: Member) {
        state = member.state.word
        incarnation = member.incarnation
        region = member.region
        roles = member.roles.sorted()
        address = member.address.map { "\($0)" }
        url = member.tags["http"]
    }
}
extension NodeReport.Link {
    init(_ report: LinkReport) {
        self.init(
            peer: report.peer, roundTripMilliseconds: (report.medianRoundTrip ?? report.roundTrip)?.milliseconds, queueBytes: report.queueBytes, callsInFlight: report.callsInFlight,
            clockOffsetMilliseconds: report.clockOffset?.milliseconds, clockUncertaintyMilliseconds: report.clockUncertainty?.milliseconds, reconnects: report.reconnects)
    }
}
extension Duration {
    /// With three digits behind the point.
    var milliseconds: Double { Double(inMicroseconds) / 1000 }
}
