// Virtual actors: which of them live here, where the others are, and how a call reaches them meanwhile.
import Distributed
import EventLoop
import Primitives
import Synchronization

/// A virtual actor of this node. Confined to the control loop.
final class Resident: @unchecked Sendable {
    let actor: any DistributedActor
    let claim: Claim
    /// Calls that run in it.
    private(set) var running = 0
    private var whenQuiet: [(least: Int, then: () -> Void)] = []
    init(_ actor: any DistributedActor, _ claim: Claim) { self.actor = actor; self.claim = claim }

    func began() { running += 1 }
    func ended() {
        running -= 1
        let due = whenQuiet.filter { running <= $0.least }
        whenQuiet.removeAll { running <= $0.least }
        for waiter in due { waiter.then() }
    }
    /// Calls `then` as soon as no more than `least` calls run.
    func quiet(least: Int = 0, _ then: @escaping () -> Void) {
        if running <= least { then() } else { whenQuiet.append((least, then)) }
    }
}

/// Confined to the control loop, but for `register`, `deactivate` and `releaseAll`.
///
///     absent ──first call──▶ activating ──claim taken, actor made──▶ active ──deactivate──▶ releasing ──▶ absent
///                               │ claimed elsewhere, full, failed       │ ▲
///                               ▼                                  move │ │ kept
///                             absent ◀──moved, claim lost───────────── shut
///
/// Calls that come while it is activating, releasing or shut wait, bounded, in their order.
final class VirtualDirectory: @unchecked Sendable {
    typealias Limits = ClusterConfiguration.Limits
    enum Slot {
        case activating
        case active(Resident)
        /// It is being moved.
        case shut(Resident)
        case releasing
    }
    let system: ClusterSystem
    private let kinds = Mutex<[String: VirtualKind]>([:])
    var slots: [VirtualIdentity: Slot] = [:]
    var ledger: CapacityLedger
    private var waiting: [VirtualIdentity: [IncomingCall]] = [:]
    /// Calls to actors of this node that wait until the node's claims are known to be its own.
    private var doubted: [(IncomingCall, VirtualIdentity)] = []
    private var locations: [VirtualIdentity: (node: NodeName, epoch: Epoch)] = [:]
    /// Whom placement would have asked first, as of the members' view of this number.
    private var firstHosts: [VirtualIdentity: NodeName] = [:]
    private var firstHostsView: UInt64 = 0
    /// Calls of this node that wait for an owner to be judged, in their order.
    private var parked: [VirtualIdentity: [OutgoingCall]] = [:]
    var loop: any Loop { system.loop }
    init(_ system: ClusterSystem) {
        self.system = system
        ledger = CapacityLedger(capacity: system.configuration.units)
    }

    func register(_ kind: VirtualKind) { kinds.withLock { $0[kind.name] = kind } }
    func kind(_ name: String) -> VirtualKind? { kinds.withLock { $0[name] } }
    var allKinds: [VirtualKind] { kinds.withLock { $0.values.sorted { $0.name < $1.name } } }

    /// Held and not on their way elsewhere.
    var claims: [Claim] { slots.values.compactMap { if case .active(let resident) = $0 { resident.claim } else { nil } }.sorted { $0.identity < $1.identity } }

    /// Held, those on their way elsewhere included.
    var held: [Claim] {
        slots.values.compactMap { slot in
            switch slot {
            case .active(let resident), .shut(let resident): resident.claim
            case .activating, .releasing: nil
            }
        }.sorted { $0.identity < $1.identity }
    }

    // MARK: Calls of this node

    func route(_ call: OutgoingCall, _ identity: VirtualIdentity) {
        if parked[identity] != nil { return park(call, identity) }
        guard let kind = kind(identity.kind) else { return system.router.finished(call, .notExecuted(.noHost)) }
        if slots[identity] != nil { return send(call, identity, to: system.node) }
        if let known = locations[identity], known.node != system.node, system.links.link(to: known.node) != nil {
            return send(call, identity, to: known.node)
        }
        guard let host = call.refusals.isEmpty ? firstHost(of: identity, kind) : nextHost(of: identity, kind, refusals: call.refusals.map(\.node)) else {
            if call.refusals.isEmpty { return system.router.refuse(call, .noHost) }
            return system.router.refuse(call, .full(call.refusals.map { "\($0.node): \($0.text)" }.joined(separator: "; ")))
        }
        send(call, identity, to: host)
    }
    /// The same for every call until a member changes: ranking all members for each would be most of what a call costs.
    private func firstHost(of identity: VirtualIdentity, _ kind: VirtualKind) -> NodeName? {
        let number = system.viewNumber
        if number != firstHostsView || firstHosts.count >= Limits.knownLocations {
            firstHosts.removeAll(keepingCapacity: true)
            firstHostsView = number
        }
        if let known = firstHosts[identity] { return known }
        let host = nextHost(of: identity, kind, refusals: [])
        firstHosts[identity] = host
        return host
    }
    /// Who has not refused it yet: hosts that take work, then the others, which may know where it is or have it.
    private func nextHost(of identity: VirtualIdentity, _ kind: VirtualKind, refusals: [NodeName]) -> NodeName? {
        let request = kind.request(identity.key, region: kind.prefersCallersRegion ? system.configuration.region : nil)
        func next(_ hosts: [PlacementHost]) -> NodeName? { Placement.order(request, among: hosts).first { !refusals.contains($0) } }
        let hosts = system.hosts()
        return next(hosts) ?? next(hosts.map { host in
            var host = host
            (host.takesWork, host.weight) = (true, max(host.weight, 1))
            return host
        })
    }
    private func send(_ call: OutgoingCall, _ identity: VirtualIdentity, to node: NodeName) {
        call.sentTo = node
        if node == system.node { arrive(system.router.incoming(call), identity) } else { system.router.send(call, to: node, nil) }
    }
    /// A call came back not executed. - Returns: whether it is on its way again.
    func tryAgain(_ call: OutgoingCall, _ identity: VirtualIdentity, _ reason: NotExecutedReason) -> Bool {
        switch reason {
        case .moved(let node, let epoch):
            remember(identity, node, epoch)
            follow(call, identity, to: node, epoch)
            return true
        case .full(let text):
            guard let node = call.sentTo, !call.refusals.contains(where: { $0.node == node }) else { return false }
            call.refusals.append((node, text))
            locations[identity] = nil
            route(call, identity)
            return true
        case .unreachable, .unsettled, .stopped, .frozen:
            guard system.isRunning else { return false }
            locations[identity] = nil
            if reason == .frozen { call.waitsBecause = .frozen }
            park(call, identity)
            return true
        default: return false
        }
    }
    /// Sends a call after its actor. A higher epoch is progress; only news that is none counts, and then it waits.
    private func follow(_ call: OutgoingCall, _ identity: VirtualIdentity, to node: NodeName, _ epoch: Epoch) {
        system.count { $0.redirects += 1 }
        if epoch > call.followed { (call.followed, call.redirects) = (epoch, 0) } else { call.redirects += 1 }
        let isReachable = node == system.node || system.links.link(to: node) != nil
        guard isReachable, call.redirects < Limits.redirects else { return park(call, identity) }
        // A claim of this node's own, not active here, is taken anew.
        send(call, identity, to: node)
    }
    func forget(_ identity: VirtualIdentity) { locations[identity] = nil }
    func remember(_ identity: VirtualIdentity, _ node: NodeName, _ epoch: Epoch) {
        if let known = locations[identity], known.epoch > epoch { return }
        if locations.count >= Limits.knownLocations { locations.removeAll() }
        locations[identity] = (node, epoch)
    }
    private func park(_ call: OutgoingCall, _ identity: VirtualIdentity) {
        if parked[identity] == nil {
            loop.schedule(after: Limits.settleInterval) { [self] in
                for call in parked.removeValue(forKey: identity) ?? [] {
                    call.redirects = 0
                    call.waitsBecause = nil
                    system.router.route(call)
                }
            }
        }
        guard parked[identity, default: []].count < Limits.waitingCalls else { return call.fail(ClusterError.notExecuted(.overloaded)) }
        parked[identity, default: []].append(call)
    }
    func nodeDown(_ node: NodeName) { locations = locations.filter { $0.value.node != node } }

    // MARK: Calls to this node

    /// A call that this node is thought to be the place for.
    func arrive(_ call: IncomingCall, _ identity: VirtualIdentity) {
        switch system.keeper.admission() {
        case .open: break
        case .frozen: return call.finish(.notExecuted(.frozen))
        case .wait:
            guard doubted.count < Limits.waitingCalls else { return call.finish(.notExecuted(.overloaded)) }
            return doubted.append((call, identity))
        }
        switch slots[identity] {
        case .active(let resident): run(call, in: resident)
        case .activating, .shut, .releasing: wait(call, identity)
        case nil:
            guard system.isRunning else { return call.finish(.notExecuted(.stopped)) }
            guard let kind = kind(identity.kind), kind.mayLive(on: system.me) else { return call.finish(.notExecuted(.noHost)) }
            slots[identity] = .activating
            wait(call, identity)
            loop.spawn { [self] in await activate(identity, kind) }
        }
    }
    private func run(_ call: IncomingCall, in resident: Resident) {
        call.identity = resident.claim.identity
        resident.began()
        call.atEnd = { resident.ended() }
        system.router.execute(call, on: resident.actor)
    }
    private func wait(_ call: IncomingCall, _ identity: VirtualIdentity) {
        guard waiting[identity, default: []].count < Limits.waitingCalls else { return call.finish(.notExecuted(.overloaded)) }
        waiting[identity, default: []].append(call)
    }
    /// Those that waited come in again, in their order.
    func arriveAgain(_ identity: VirtualIdentity) {
        for call in waiting.removeValue(forKey: identity) ?? [] { arrive(call, identity) }
    }
    /// Those that waited go back to where they came from.
    func turnAway(_ identity: VirtualIdentity, _ outcome: CallOutcome) {
        for call in waiting.removeValue(forKey: identity) ?? [] { call.finish(outcome) }
    }
    /// The node's claims have been looked at, or it is frozen.
    func doubtIsOver() {
        let calls = doubted
        doubted = []
        for (call, identity) in calls { arrive(call, identity) }
    }
}
