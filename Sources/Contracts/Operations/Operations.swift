// What an operator asks of a cluster: one actor on every node. Decision: docs/decisions/0026-operator-rpc.md
import Cluster
import Distributed
import Primitives

/// Whom a question is for.
package enum Reach: String, Codable, Sendable {
    /// The node that is asked answers for itself.
    case node
    /// It asks all the others as well and answers for the cluster.
    case cluster
}

/// The well-known service `Operations.service` of every node.
///
/// `troupectl` calls it at the node it is connected to, with `Reach.cluster`; that node calls the others' with `Reach.node`.
/// A shell: `OperationsService`, which Conference implements and the HTTP gateway uses as well, does the work.
/// Every method may be repeated: what is done already stays done. Throws `ServiceError`.
package distributed actor Operations {
    package typealias ActorSystem = ClusterSystem
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }

    /// What `ClusterSystem.provide` and `service` call it.
    package static let service = "operations"
    /// All an operator's certificate lets one call.
    package static let methods: Set<String> = [
        "nodes", "rooms", "room", "recordings", "jobs", "top", "events", "move", "pin", "drain", "undrain", "rebalance", "fault",
    ]
    private let work: any OperationsService

    package init(system: ClusterSystem, work: any OperationsService) {
        actorSystem = system
        self.work = work
    }
    /// Makes this node's and lets nodes and operators call it. Once, when the node has started.
    package static func provide(_ work: any OperationsService, in system: ClusterSystem) {
        system.allowOperators(Operations.self, methods: methods)
        system.provide(Operations(system: system, work: work), as: service)
    }

    // MARK: Looking

    package distributed func nodes(_ reach: Reach) async throws -> [NodeReport] { try await work.nodes(reach) }
    package distributed func rooms(_ query: RoomQuery, _ reach: Reach) async throws -> RoomPage { try await work.rooms(query, reach) }
    /// Nil: no node hosts it; with `Reach.cluster`, no store knows it.
    package distributed func room(_ idOrCode: String, _ reach: Reach) async throws -> RoomReport? { try await work.room(idOrCode, reach) }
    package distributed func recordings(_ query: RecordingQuery) async throws -> [RecordingReport] { try await work.recordings(query) }
    package distributed func jobs(_ limit: Int) async throws -> [JobReport] { try await work.jobs(limit) }
    package distributed func top(_ reach: Reach) async throws -> [NodeSample] { try await work.top(reach) }
    package distributed func events(_ query: EventQuery) async throws -> EventFeed { try await work.events(query) }

    // MARK: Acting

    package distributed func move(_ room: RoomID, to node: NodeName) async throws -> MoveReport { try await work.move(room, to: node) }
    /// - Parameter node: nil takes the pin out.
    package distributed func pin(_ room: RoomID, to node: NodeName?) async throws -> PinReport { try await work.pin(room, to: node) }
    /// Begins, also after one that left something behind; changes nothing while one goes on. Answers at once. How far it is stands in `nodes`.
    package distributed func drain(_ node: NodeName, seconds: Double) async throws -> DrainReport { try await work.drain(node, seconds: seconds) }
    package distributed func undrain(_ node: NodeName) async throws -> DrainReport { try await work.undrain(node) }
    package distributed func rebalance(_ order: RebalanceOrder, _ reach: Reach) async throws -> RebalanceReport { try await work.rebalance(order, reach) }
    /// Where the topology allows it. The node answers first and suffers then.
    package distributed func fault(_ fault: Fault, on node: NodeName, seconds: Double) async throws -> FaultReport { try await work.fault(fault, on: node, seconds: seconds) }
}

/// What a node can do for operators, whatever wire they come by. Called on the control loop; every answer is bounded in time.
package protocol OperationsService: Sendable {
    func nodes(_ reach: Reach) async throws -> [NodeReport]
    func rooms(_ query: RoomQuery, _ reach: Reach) async throws -> RoomPage
    func room(_ idOrCode: String, _ reach: Reach) async throws -> RoomReport?
    func recordings(_ query: RecordingQuery) async throws -> [RecordingReport]
    func jobs(_ limit: Int) async throws -> [JobReport]
    func top(_ reach: Reach) async throws -> [NodeSample]
    func events(_ query: EventQuery) async throws -> EventFeed
    func move(_ room: RoomID, to node: NodeName) async throws -> MoveReport
    func pin(_ room: RoomID, to node: NodeName?) async throws -> PinReport
    func drain(_ node: NodeName, seconds: Double) async throws -> DrainReport
    func undrain(_ node: NodeName) async throws -> DrainReport
    func rebalance(_ order: RebalanceOrder, _ reach: Reach) async throws -> RebalanceReport
    func fault(_ fault: Fault, on node: NodeName, seconds: Double) async throws -> FaultReport
}
