// Virtual actors: which of them live here, where the others are, and how a call reaches them meanwhile.
import Distributed
import EventLoop
import Primitives
import Synchronization

struct VirtualIdentity: Hashable, Sendable {
    let kind: String
    let key: String
}

struct VirtualKind: Sendable {
    let name: String
    let roles: Set<String>
    let activate: @Sendable (String, Claim, ClusterSystem) async throws -> any DistributedActor
    let lost: (@Sendable (String, any DistributedActor) async -> Void)?
    func mayLive(on member: Member) -> Bool { roles.isEmpty || !roles.isDisjoint(with: member.roles) }
}

/// Confined to the control loop, but for `register`, `deactivate` and `releaseAll`.
///
///     absent ──first call──▶ activating ──claim taken, actor made──▶ active ──deactivate──▶ releasing ──▶ absent
///                               │ claimed elsewhere, failed             │ claim lost
///                               ▼                                       ▼
///                             absent                                  absent
///
/// Calls that come while activating or releasing wait, bounded, in their order.
final class VirtualDirectory: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private enum Slot {
        case activating
        case active(any DistributedActor, Claim)
        case releasing
    }
    private let system: ClusterSystem
    private let kinds = Mutex<[String: VirtualKind]>([:])
    private var slots: [VirtualIdentity: Slot] = [:]
    private var waiting: [VirtualIdentity: [IncomingCall]] = [:]
    /// Calls to actors of this node that wait until the node's claims are known to be its own.
    private var doubted: [(IncomingCall, VirtualIdentity)] = []
    private var locations: [VirtualIdentity: (node: NodeName, epoch: Epoch)] = [:]
    /// Calls of this node that wait for an owner to be judged, in their order.
    private var parked: [VirtualIdentity: [OutgoingCall]] = [:]
    private var loop: any Loop { system.loop }
    init(_ system: ClusterSystem) { self.system = system }

    func register(_ kind: VirtualKind) { kinds.withLock { $0[kind.name] = kind } }
    private func kind(_ name: String) -> VirtualKind? { kinds.withLock { $0[name] } }

    var claims: [Claim] {
        slots.values.compactMap { if case .active(_, let claim) = $0 { claim } else { nil } }.sorted { ($0.kind, $0.key) < ($1.kind, $1.key) }
    }

    // MARK: Calls of this node

    func route(_ call: OutgoingCall, _ identity: VirtualIdentity) {
        if parked[identity] != nil { return park(call, identity) }
        guard let kind = kind(identity.kind) else { return system.router.finished(call, .notExecuted(.noHost)) }
        if slots[identity] != nil { return arrive(system.router.incoming(call), identity) }
        if let known = locations[identity], known.node != system.node, system.links.link(to: known.node) != nil {
            return system.router.send(call, to: known.node, nil)
        }
        let hosts = system.members().filter(kind.mayLive).map(\.name)
        guard let host = Rendezvous.place(kind: identity.kind, key: identity.key, among: hosts) else { return system.router.finished(call, .notExecuted(.noHost)) }
        if host == system.node { arrive(system.router.incoming(call), identity) } else { system.router.send(call, to: host, nil) }
    }
    /// A call came back not executed. - Returns: whether it is on its way again.
    func tryAgain(_ call: OutgoingCall, _ identity: VirtualIdentity, _ reason: NotExecutedReason) -> Bool {
        switch reason {
        case .moved(let node, let epoch):
            remember(identity, node, epoch)
            // A claim of this node's own, not active here: it is taken anew.
            guard node == system.node || system.links.link(to: node) != nil else { park(call, identity); return true }
            guard call.redirects < Limits.redirects else { return false }
            call.redirects += 1
            system.count { $0.redirects += 1 }
            if node == system.node, slots[identity] == nil { arrive(system.router.incoming(call), identity) } else { system.router.route(call) }
            return true
        case .unreachable, .unsettled, .stopped:
            guard system.isRunning else { return false }
            locations[identity] = nil
            park(call, identity)
            return true
        default: return false
        }
    }
    private func remember(_ identity: VirtualIdentity, _ node: NodeName, _ epoch: Epoch) {
        if let known = locations[identity], known.epoch > epoch { return }
        if locations.count >= Limits.knownLocations { locations.removeAll() }
        locations[identity] = (node, epoch)
    }
    private func park(_ call: OutgoingCall, _ identity: VirtualIdentity) {
        if parked[identity] == nil {
            loop.schedule(after: Limits.settleInterval) { [self] in
                for call in parked.removeValue(forKey: identity) ?? [] { system.router.route(call) }
            }
        }
        guard parked[identity, default: []].count < Limits.waitingCalls else { return call.fail(ClusterError.notExecuted(.overloaded)) }
        parked[identity, default: []].append(call)
    }
    func nodeDown(_ node: NodeName) { locations = locations.filter { $0.value.node != node } }

    // MARK: Calls to this node

    /// A call that this node is thought to be the place for.
    func arrive(_ call: IncomingCall, _ identity: VirtualIdentity) {
        if system.keeper.isInDoubt() {
            guard doubted.count < Limits.waitingCalls else { return call.finish(.notExecuted(.overloaded)) }
            return doubted.append((call, identity))
        }
        switch slots[identity] {
        case .active(let actor, _): system.router.execute(call, on: actor)
        case .activating, .releasing: wait(call, identity)
        case nil:
            guard system.isRunning else { return call.finish(.notExecuted(.stopped)) }
            guard let kind = kind(identity.kind), kind.mayLive(on: system.me) else { return call.finish(.notExecuted(.noHost)) }
            slots[identity] = .activating
            wait(call, identity)
            loop.spawn { [self] in await activate(identity, kind) }
        }
    }
    private func wait(_ call: IncomingCall, _ identity: VirtualIdentity) {
        guard waiting[identity, default: []].count < Limits.waitingCalls else { return call.finish(.notExecuted(.overloaded)) }
        waiting[identity, default: []].append(call)
    }
    /// The node's claims have been looked at after a stall.
    func doubtIsOver() {
        let calls = doubted
        doubted = []
        for (call, identity) in calls { arrive(call, identity) }
    }

    // MARK: Activation

    private func activate(_ identity: VirtualIdentity, _ kind: VirtualKind) async {
        let obtained: ClaimSeeker.Result
        do { obtained = try await loop.withDeadline(Limits.storeCall) { [self] in try await system.keeper.seek(identity) } } catch {
            system.count { $0.storeFailures += 1 }
            return leave(identity, .notExecuted(.storeAway("\(error)")))
        }
        switch obtained {
        case .elsewhere(let node, let epoch): leave(identity, .notExecuted(.moved(to: node, epoch: epoch)))
        case .unsettled: leave(identity, .notExecuted(.unsettled))
        case .mine(let claim):
            system.count { $0.claimsTaken += 1 }
            do {
                let actor = try await loop.withDeadline(Limits.activation) { [system] in try await kind.activate(identity.key, claim, system) }
                enter(identity, actor, claim)
            } catch {
                system.notice(.activationFailed(kind: identity.kind, key: identity.key, "\(error)"))
                await release(claim)
                leave(identity, .thrown(error))
            }
        }
    }
    private func enter(_ identity: VirtualIdentity, _ actor: any DistributedActor, _ claim: Claim) {
        locations[identity] = nil
        slots[identity] = .active(actor, claim)
        for call in waiting.removeValue(forKey: identity) ?? [] { arrive(call, identity) }
    }
    private func leave(_ identity: VirtualIdentity, _ outcome: CallOutcome) {
        slots[identity] = nil
        for call in waiting.removeValue(forKey: identity) ?? [] { call.finish(outcome) }
    }
    private func release(_ claim: Claim) async {
        do { try await loop.withDeadline(Limits.storeCall) { [system] in try await system.leases.releaseClaim(claim) } } catch {
            // The row goes on naming this node; whoever asks it for the actor gets it under the next epoch.
            system.count { $0.storeFailures += 1 }
        }
    }

    // MARK: Letting go

    func deactivate(_ identity: VirtualIdentity) async {
        let claim = try? await system.onLoop { [self] () -> Claim? in
            guard case .active(_, let claim) = slots[identity] else { return nil }
            slots[identity] = .releasing
            return claim
        }
        guard let claim = claim ?? nil else { return }
        await release(claim)
        _ = try? await system.onLoop { [self] in
            slots[identity] = nil
            for call in waiting.removeValue(forKey: identity) ?? [] { arrive(call, identity) }
        }
    }
    /// At shutdown: everything at once.
    func releaseAll() async {
        let held: [Claim]? = try? await system.onLoop { [self] in
            let all = claims
            for claim in all { slots[VirtualIdentity(kind: claim.kind, key: claim.key)] = .releasing }
            return all
        }
        await withTaskGroup(of: Void.self) { group in
            for claim in held ?? [] { group.addTask { await self.release(claim) } }
        }
        _ = try? await system.onLoop { [self] in
            for identity in Array(slots.keys) { leave(identity, .notExecuted(.stopped)) }
        }
    }
    /// Another node holds a newer claim.
    func claimLost(_ identity: VirtualIdentity, to stored: Claim?) {
        guard case .active(let actor, _) = slots[identity] else { return }
        slots[identity] = nil
        if let stored { remember(identity, stored.node, stored.epoch) }
        system.count { $0.claimsLost += 1 }
        system.notice(.claimLost(kind: identity.kind, key: identity.key))
        if let lost = kind(identity.kind)?.lost { loop.spawn { await lost(identity.key, actor) } }
    }
    func loseAll() {
        for claim in claims { claimLost(VirtualIdentity(kind: claim.kind, key: claim.key), to: nil) }
    }
}
