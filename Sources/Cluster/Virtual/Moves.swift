// Moves of virtual actors from and to this node.
import Distributed
import EventLoop
import Primitives

/// Confined to the control loop. Sources are driven by `MoveSource`, targets by `MoveHold`; the store decides.
final class Moves: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private let system: ClusterSystem
    private var runs: [VirtualIdentity: MoveRun] = [:]
    private var holds: [VirtualIdentity: MoveHold] = [:]
    private var loop: any Loop { system.loop }
    private var virtuals: VirtualDirectory { system.virtuals }
    init(_ system: ClusterSystem) { self.system = system }

    // MARK: From here

    func move(_ identity: VirtualIdentity, to target: NodeName, within limit: Duration) async throws -> Claim {
        guard runs[identity] == nil else { throw MoveFailure.movesAlready }
        guard case .active(let resident) = virtuals.slots[identity], let kind = virtuals.kind(identity.kind) else { throw MoveFailure.notActive }
        if target == system.node { return resident.claim }
        guard runs.count < Limits.movesAtOnce else { throw MoveFailure.overloaded }
        guard let member = system.member(target), member.state.takesWork else { throw MoveFailure.unreachable("\(target) takes no work") }
        let machine = MoveSource(claim: resident.claim, target: target, targetIncarnation: member.incarnation)
        let run = MoveRun(system, machine, resident, kind)
        runs[identity] = run
        let end = await run.run(within: limit)
        runs[identity] = nil
        switch end {
        case .moved(let claim):
            system.count { $0.moves += 1 }
            return claim
        case .kept(let failure): throw failure
        case .lost: throw MoveFailure.lost
        }
    }
    func nodeDown(_ node: NodeName) {
        for run in runs.values where run.target == node { run.feed(.targetGone) }
    }
    /// Those that can be taken back are.
    func giveUp() { for identity in runs.keys.sorted() { runs[identity]?.feed(.deadline) } }
    /// The store says that an actor shut for a move is another node's. One whose own compare-and-set is under way learns by that.
    func claimLost(_ identity: VirtualIdentity) {
        if let run = runs[identity], !run.isDeciding { run.feed(.claimLost) }
    }
    /// This life of the node is over.
    func loseAll() {
        for identity in runs.keys.sorted() { runs[identity]?.feed(.claimLost) }
        for identity in holds.keys.sorted() { drop(identity) }
    }

    // MARK: To here

    func prepare(_ claim: Claim) throws(MoveFailure) {
        let identity = claim.identity
        guard system.isRunning, system.takesWork, !system.keeper.isFrozen, !system.keeper.isSuperseded, !system.isCondemned else { throw .refused("\(system.node) takes no new work") }
        guard let kind = virtuals.kind(identity.kind), kind.mayLive(on: system.me) else { throw .refused("\(system.node) may not host \(identity.kind)") }
        switch virtuals.slots[identity] {
        case .active, .shut: throw .refused("it is active on \(system.node)")
        case nil, .activating, .releasing: break
        }
        guard holds[identity] != nil || holds.count < MoveHold.Limits.holds else { throw .overloaded }
        if let why = virtuals.reserve(identity, kind, for: MoveHold.Limits.span * (MoveHold.Limits.renewals + 1)) { throw .refused(why) }
        holds[identity] = MoveHold(claim: claim)
        review(claim, after: MoveHold.Limits.span)
    }
    func hold(_ claim: Claim, part: Int, of count: Int, _ bytes: [UInt8]) throws(MoveFailure) {
        guard holds[claim.identity]?.claim == claim else { throw .refused("\(system.node) was not prepared, or gave it up") }
        guard holds[claim.identity]!.take(part: part, of: count, bytes) else {
            drop(claim.identity)
            throw .refused("part \(part) of \(count) is out of turn or too large")
        }
    }
    func withdraw(_ claim: Claim) {
        if holds[claim.identity]?.claim == claim { drop(claim.identity) }
    }
    private func drop(_ identity: VirtualIdentity) {
        holds[identity] = nil
        if virtuals.slots[identity] == nil { virtuals.ledger.release(identity) }
    }
    /// The source says the claim is this node's now.
    func adopt(_ claim: Claim) {
        let identity = claim.identity
        guard let hold = holds[identity], hold.judge(claim, me: system.node, incarnation: system.incarnation) == .activate(claim) else { return }
        guard virtuals.slots[identity] == nil else {
            // A call came first and asks the store, which may have been asked too early.
            loop.schedule(after: Limits.settleInterval) { [self] in adopt(claim) }
            return
        }
        guard let kind = virtuals.kind(identity.kind) else { return }
        holds[identity] = nil
        virtuals.slots[identity] = .activating
        loop.spawn { [self] in await virtuals.begin(claim, kind, hold.snapshot) }
    }
    /// What a hold means beside the claim as the store has it. - Returns: claim and snapshot, if it is this node's.
    func settle(_ identity: VirtualIdentity, _ stored: Claim?) -> (claim: Claim, snapshot: [UInt8])? {
        guard let hold = holds[identity] else { return nil }
        switch hold.judge(stored, me: system.node, incarnation: system.incarnation) {
        case .keep: return nil
        case .drop:
            holds[identity] = nil
            return nil
        case .activate(let claim):
            holds[identity] = nil
            return (claim, hold.snapshot)
        }
    }
    /// Nobody said anything about a hold: the store may know.
    private func review(_ claim: Claim, after delay: Duration) {
        loop.schedule(after: delay) { [self] in
            guard holds[claim.identity]?.claim == claim else { return }
            loop.spawn { [self] in await review(claim) }
        }
    }
    private func review(_ claim: Claim) async {
        let read = try? await system.keeper.bounded { [system] in try await system.leases.claim(kind: claim.kind, key: claim.key) }
        guard let hold = holds[claim.identity], hold.claim == claim else { return }
        let verdict = read.map { hold.judge($0, me: system.node, incarnation: system.incarnation) } ?? .keep
        switch verdict {
        case .activate(let claim): adopt(claim)
        case .drop: drop(claim.identity)
        case .keep:
            guard holds[claim.identity]!.renew(sourceIsUp: system.standing(claim.node, claim.incarnation) == .up) else { return drop(claim.identity) }
        }
        if holds[claim.identity] != nil { review(claim, after: MoveHold.Limits.span) }
    }
}
