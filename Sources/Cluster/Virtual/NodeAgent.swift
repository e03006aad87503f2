// What nodes say to each other about ownership. One on every node, provided as a service.
import Distributed
import EventLoop
import Primitives

/// Runs on the control loop, so that it may touch what is confined to it. Every method is safe to repeat.
package distributed actor NodeAgent {
    package typealias ActorSystem = ClusterSystem
    /// The name it is provided as.
    static let service = "ownership"
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    init(_ system: ClusterSystem) { actorSystem = system }

    private var answers: UInt64 = 0
    /// Needs nothing but the way here and back: whether calls are answered at all. It counts, because an empty method would be answered without this
    /// actor's executor: the optimiser leaves out a hop to where nothing is touched.
    distributed func answer() -> UInt64 {
        answers += 1
        return answers
    }
    /// This node's vote on another one's life.
    distributed func holdsForDead(_ node: NodeName, _ incarnation: Incarnation) -> Bool {
        actorSystem.seeker.votes(Life(node, incarnation))
    }

    // MARK: Moving

    /// At the owner. - Throws: `MoveFailure`.
    distributed func move(_ identity: VirtualIdentity, to target: NodeName, within milliseconds: Int64) async throws -> Claim {
        try await actorSystem.moves.move(identity, to: target, within: .milliseconds(milliseconds))
    }
    /// At the target: reserves capacity. - Throws: `MoveFailure.refused`.
    distributed func prepare(_ claim: Claim) throws { try actorSystem.moves.prepare(claim) }
    /// At the target, part by part.
    distributed func hold(_ claim: Claim, part: Int, of count: Int, _ bytes: [UInt8]) throws { try actorSystem.moves.hold(claim, part: part, of: count, bytes) }
    distributed func withdraw(_ claim: Claim) { actorSystem.moves.withdraw(claim) }
    /// At the target: the compare-and-set has happened.
    distributed func adopt(_ claim: Claim) { actorSystem.moves.adopt(claim) }

    // MARK: After a death, for plans

    /// Takes those of these claims that still stand and that fit, in one transaction, and activates the actors.
    /// - Returns: how many it took.
    distributed func revive(_ claims: [Claim]) async throws -> Int { try await actorSystem.revival.take(claims) }
    /// What is here, in order, after `last`.
    distributed func load(after last: VirtualIdentity?) -> NodeLoad { actorSystem.virtuals.load(after: last) }
}

/// A node's use of its capacity, and a page of its virtual actors.
package struct NodeLoad: Codable, Equatable, Sendable {
    package enum Limits { package static let page = 2048 }
    package var used: Int
    package var reserved: Int
    package var capacity: Int
    package var actors: [PlacedActor]
    package var isLast: Bool
}

extension VirtualDirectory {
    func load(after last: VirtualIdentity?) -> NodeLoad {
        let rest = claims.filter { claim in last.map { claim.identity > $0 } ?? true }
        let page = rest.prefix(NodeLoad.Limits.page).map { PlacedActor(identity: $0.identity, node: system.node, cost: kind($0.kind)?.cost ?? 0) }
        return NodeLoad(used: ledger.used, reserved: ledger.reserved, capacity: ledger.capacity, actors: page, isLast: rest.count <= page.count)
    }
    /// Writes a capacity token. - Returns: why not, if not.
    func reserve(_ identity: VirtualIdentity, _ kind: VirtualKind, regardless: Bool = false, for span: Duration = Limits.token) -> String? {
        let granted = ledger.reserve(identity, cost: kind.cost, until: loop.now + span, now: loop.now, regardless: regardless || !kind.refusesWhenFull)
        if granted { return nil }
        system.count { $0.tokensRefused += 1 }
        return "\(ledger.used + ledger.reserved) of \(ledger.capacity) units taken, \(kind.cost) wanted"
    }
}
