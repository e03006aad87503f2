// Taking a claim on a virtual actor, and judging the owner that is in the way.
import EventLoop
import Primitives

/// Confined to the control loop. The decisions are `ClaimDecision`'s and `Takeover`'s.
final class ClaimSeeker: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    enum Result: Sendable, Equatable {
        /// With the snapshot, where the claim came by a move.
        case mine(Claim, snapshot: [UInt8]?)
        case elsewhere(NodeName, Epoch)
        case full(String)
        case unsettled
    }
    private let system: ClusterSystem
    /// Judgements under way, each with those that wait for it too.
    private var judging: [Life: [OneAnswer<Takeover>]] = [:]
    private var loop: any Loop { system.loop }
    private var keeper: LeaseKeeper { system.keeper }
    init(_ system: ClusterSystem) { self.system = system }

    // MARK: Seeking

    func seek(_ identity: VirtualIdentity, _ kind: VirtualKind) async throws -> Result {
        let store = system.leases, me = system.node, incarnation = system.incarnation
        for _ in 0..<Limits.claimAttempts {
            let stored = try await store.claim(kind: identity.kind, key: identity.key)
            if let held = system.moves.settle(identity, stored) { return .mine(held.claim, snapshot: held.snapshot) }
            let expected: Epoch
            switch ClaimDecision.decide(stored, me: me, standing: system.standing, isOver: { keeper.reading($0, $1) == .over }) {
            case .elsewhere(let node, let epoch): return .elsewhere(node, epoch)
            case .take(let epoch): expected = epoch
            case .judge(let node, let life):
                switch try await judge(node, life) {
                case .over: expected = stored?.epoch ?? .none
                case .alive: return .elsewhere(node, stored?.epoch ?? .none)
                case .wait, .retire: return .unsettled
                }
            }
            // A life that is over finds what others own, and takes nothing.
            guard !keeper.isSuperseded, !system.isCondemned, incarnation == system.incarnation else { return .unsettled }
            if let refusal = try await admit(identity, kind, stored) { return refusal }
            if case .taken(let claim) = try await store.takeClaim(kind: identity.kind, key: identity.key, by: me, incarnation: incarnation, expecting: expected) {
                return .mine(claim, snapshot: nil)
            }
        }
        return .unsettled
    }
    /// Before a claim: is this node the place for it, and has it room? The token is written in the turn that looks.
    private func admit(_ identity: VirtualIdentity, _ kind: VirtualKind, _ stored: Claim?) async throws -> Result? {
        let pinned = try await system.leases.pin(kind: identity.kind, key: identity.key)
        if let pinned, pinned != system.node {
            let order = Placement.order(kind.request(identity.key, pinned: pinned), among: system.hosts())
            if order.first == pinned { return .elsewhere(pinned, stored?.epoch ?? .none) }
        }
        if system.me.state == .joining { return .unsettled }
        guard system.takesWork || pinned == system.node else { return .full("takes no new work") }
        return system.virtuals.reserve(identity, kind, regardless: pinned == system.node).map { .full($0) }
    }

    // MARK: Judging

    /// Whether the life that owns a claim is over; ends it in the store where the rules allow. One judgement a life at a time.
    func judge(_ node: NodeName, _ incarnation: Incarnation) async throws -> Takeover {
        let life = Life(node, incarnation)
        if judging[life] != nil {
            return try await withCheckedThrowingContinuation { continuation in
                let answer = OneAnswer<Takeover>()
                answer.open(continuation)
                judging[life]!.append(answer)
            }
        }
        judging[life] = []
        let result: Swift.Result<Takeover, any Error>
        do { result = .success(try await decide(life)) } catch { result = .failure(error) }
        for answer in judging.removeValue(forKey: life) ?? [] { answer.answer(result) }
        return try result.get()
    }
    private func decide(_ life: Life) async throws -> Takeover {
        let began = loop.now
        try await keeper.readRows()
        var votes = system.votesDown(life.name, life.incarnation)
        if self.votes(life) { votes.insert(system.node) }
        var decision = takeover(life, votes: votes)
        // The others are asked only by one who would be part of the majority.
        if decision == .wait, votes.contains(system.node) { decision = takeover(life, votes: votes.union(await gather(life))) }
        guard case .retire(let counter) = decision else { return decision }
        // Votes and rows of before a stall of our own, or of a store that took its time, are of the past.
        guard loop.now - began < system.configuration.leaseTime else { return .wait }
        let isOver = try await keeper.bounded { [system] in try await system.leases.retireNode(life.name, incarnation: life.incarnation, counter: counter) }
        if isOver {
            system.notice(.retired(life.name, life.incarnation))
            // One that nobody had met yet would be let in otherwise, and see a majority.
            system.membership.apply { $0.retired(life, now: loop.now) }
            try await keeper.readRows()
        }
        return isOver ? .over : .wait
    }
    private func takeover(_ life: Life, votes: Set<NodeName>) -> Takeover {
        .decide(
            standing: system.standing(life.name, life.incarnation), reading: keeper.reading(life.name, life.incarnation, isFresh: true), votes: votes, voters: keeper.voters,
            protections: system.configuration.protections)
    }
    /// This node's own vote.
    func votes(_ life: Life) -> Bool {
        Takeover.votes(standing: system.standing(life.name, life.incarnation), reading: keeper.reading(life.name, life.incarnation))
    }
    /// Asks the other voters for theirs; who does not answer has none.
    private func gather(_ life: Life) async -> Set<NodeName> {
        var votes: Set<NodeName> = []
        await withTaskGroup(of: NodeName?.self) { group in
            for voter in keeper.voters where voter != system.node && voter != life.name && system.links.link(to: voter) != nil {
                let agent = system.agent(of: voter)
                group.addTask {
                    let vote = try? await ClusterSystem.$deadline.withValue(Limits.voteCall) { try await agent.holdsForDead(life.name, life.incarnation) }
                    return vote == true ? voter : nil
                }
            }
            for await voter in group { if let voter { votes.insert(voter) } }
        }
        return votes
    }
}
