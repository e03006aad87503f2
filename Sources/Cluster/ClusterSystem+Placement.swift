// Virtual actors as operators and conferences see them: moved, pinned, planned, frozen.
import Distributed
import EventLoop
import Primitives

extension ClusterSystem {
    // MARK: Moving

    /// Moves an active virtual actor. Callers keep their references; calls made meanwhile are executed once, here or there.
    /// - Returns: its claim on the target.
    /// - Throws: `MoveFailure`: the actor is where it was, unless it says `lost`; `ClusterError` where the owner did not answer:
    ///   then the move may still happen.
    @discardableResult
    package func move(kind: String, key: String, to target: NodeName, deadline: Duration = Limits.move) async throws -> Claim {
        let identity = VirtualIdentity(kind: kind, key: key)
        guard let owner = try await owner(of: identity) else { throw MoveFailure.notActive }
        // The owner's own deadline comes first: it knows how it ended.
        return try await Self.$deadline.withValue(deadline + Limits.storeCall * 2) {
            try await agent(of: owner).move(identity, to: target, within: deadline.inMilliseconds)
        }
    }
    private func owner(of identity: VirtualIdentity) async throws -> NodeName? {
        let isHere = try await onLoop { [self] in virtuals.slots[identity] != nil }
        if isHere { return node }
        let stored = try await loop.withDeadline(Limits.storeCall) { [self] in try await leases.claim(kind: identity.kind, key: identity.key) }
        guard let stored, !stored.isReleased else { return nil }
        return stored.node
    }
    /// From now on it belongs on `node` while that takes work, whatever its capacity; where it is active it stays until it is moved.
    package func pin(kind: String, key: String, to node: NodeName) async throws {
        try await loop.withDeadline(Limits.storeCall) { [leases] in try await leases.setPin(kind: kind, key: key, to: node) }
    }
    package func unpin(kind: String, key: String) async throws {
        try await loop.withDeadline(Limits.storeCall) { [leases] in try await leases.setPin(kind: kind, key: key, to: nil) }
    }

    /// Where an operator says it belongs; nil where nobody does.
    package func pinned(kind: String, key: String) async throws -> NodeName? {
        try await loop.withDeadline(Limits.storeCall) { [leases] in try await leases.pin(kind: kind, key: key) }
    }

    // MARK: Plans

    /// How this node uses its capacity, with the first page of its actors; all of them are in `claims`.
    package func load() async -> NodeLoad {
        (try? await onLoop { [self] in virtuals.load(after: nil) }) ?? NodeLoad(used: 0, reserved: 0, capacity: 0, actors: [], isLast: true)
    }

    /// How every node that answers uses its capacity; nodes that do not are missing.
    package func loads() async -> [NodeName: NodeLoad] {
        await withTaskGroup(of: (NodeName, NodeLoad?).self) { group in
            for member in members() {
                let agent = agent(of: member.name)
                group.addTask { (member.name, try? await Self.load(agent)) }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }
    private static func load(_ agent: NodeAgent) async throws -> NodeLoad {
        var load = try await agent.load(after: nil)
        while !load.isLast, let last = load.actors.last?.identity {
            let page = try await agent.load(after: last)
            load.actors += page.actors
            load.isLast = page.isLast
        }
        return load
    }
    /// Moves that would level the cluster.
    package func rebalancePlan(limit: Int = RebalancePlan.Limits.moves) async throws -> [PlannedMove] {
        let (actors, nodes) = try await placed()
        return RebalancePlan.make(actors: actors, nodes: nodes, roles: roles, limit: limit)
    }
    /// Moves that would empty a node.
    package func drainPlan(_ node: NodeName, limit: Int = RebalancePlan.Limits.moves) async throws -> [PlannedMove] {
        let (actors, nodes) = try await placed()
        return RebalancePlan.drain(node, actors: actors, nodes: nodes, roles: roles, limit: limit)
    }
    /// Carries out a plan; `resume` the answer to begin.
    package func carryOut(_ plan: [PlannedMove], perSecond: Int = PlanRun.Limits.perSecond, atOnce: Int = PlanRun.Limits.atOnce) -> PlanRun {
        PlanRun(self, plan, perSecond: perSecond, atOnce: atOnce)
    }
    private func roles(_ kind: String) -> Set<String> { virtuals.kind(kind)?.roles ?? [] }
    private func placed() async throws -> ([PlacedActor], [PlannedNode]) {
        let pins = try await loop.withDeadline(Limits.storeCall) { [leases] in try await leases.pins() }
        let pinned = Dictionary(uniqueKeysWithValues: pins.map { (VirtualIdentity(kind: $0.kind, key: $0.key), $0.node) })
        let loads = await loads()
        let actors = loads.sorted { $0.key < $1.key }.flatMap(\.value.actors).map { actor in
            var actor = actor
            actor.pinned = pinned[actor.identity]
            return actor
        }
        let nodes = members().compactMap { member in loads[member.name].map { PlannedNode(host: PlacementHost(member), capacity: $0.capacity) } }
        return (actors, nodes)
    }

    // MARK: Voters

    /// The nodes whose majority declares another one dead, as last committed.
    package func voters() async throws -> VoterSet { try await loop.withDeadline(Limits.storeCall) { [leases] in try await leases.voters() } }
    /// Takes a node that will not come back out of the voters. One that starts again votes again.
    package func removeVoter(_ name: NodeName) async throws { try await changeVoters { $0.filter { $0 != name } } }
    func joinVoters() async throws -> VoterSet { try await changeVoters { $0.contains(self.node) ? $0 : $0 + [self.node] } }
    @discardableResult
    private func changeVoters(_ change: ([NodeName]) -> [NodeName]) async throws -> VoterSet {
        for _ in 0..<Limits.voterAttempts {
            let known = try await voters(), wanted = change(known.names)
            if wanted == known.names { return known }
            let result = try await loop.withDeadline(Limits.storeCall) { [leases] in try await leases.setVoters(wanted, expecting: known.version) }
            if result.version == known.version + 1, Set(result.names) == Set(wanted) { return result }
        }
        throw ClusterError.notExecuted(.overloaded)
    }

    // MARK: Freezing

    /// `body` runs on the control loop when this node stops deciding (it can reach neither the store nor a majority) and when
    /// it goes on. Forwarding and capture go on meanwhile; clients are better sent elsewhere.
    package func observeFreeze(_ body: @escaping @Sendable (_ isFrozen: Bool) -> Void) { addFreezeObserver(body) }

    func agent(of node: NodeName) -> NodeAgent { service(NodeAgent.self, on: node, NodeAgent.service) }
}
