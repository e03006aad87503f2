// Carrying out what the membership core decides: messages over links, events to observers, the way back after a verdict.
import EventLoop
import Primitives

/// Confined to the control loop.
final class MembershipKeeper: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private let system: ClusterSystem
    private(set) var core: Membership
    private var loop: any Loop { system.loop }
    private var timer: TimerToken?
    private var armed: Instant?
    private var isCarryingOut = false
    private var isRunning = false
    private var rivals: Set<Incarnation> = []

    init(_ system: ClusterSystem) {
        self.system = system
        core = Self.make(system, system.incarnation)
    }
    private static func make(_ system: ClusterSystem, _ incarnation: Incarnation) -> Membership {
        let configuration = system.configuration
        let me = Member(
            name: configuration.name, incarnation: incarnation, roles: configuration.roles, region: configuration.region, capacity: configuration.capacity,
            tags: configuration.tags, address: configuration.advertised)
        let listed: Set<NodeName>? = configuration.allowUnlisted ? nil : Set(configuration.peers.keys)
        return Membership(me, timing: configuration.timing, listed: listed, seed: system.random.next(), now: system.loop.now)
    }
    /// - Parameter address: where the links of this node arrive.
    func start(_ incarnation: Incarnation, at address: SocketAddress?) {
        let prepared = core.me
        core = Self.make(system, incarnation)
        system.publish(core, always: true)
        isRunning = true
        apply { core in
            core.change { me in
                me.tags = prepared.tags
                me.capacity = prepared.capacity
                // An unspecified address says nothing to others.
                if me.address == nil, let address, !address.isUnspecified { me.address = address }
            }
        }
    }
    func stop() {
        apply { $0.leave() }
        isRunning = false
        timer?.cancel()
        timer = nil
    }

    /// Everything that happens to the core happens here; then its wishes are carried out.
    @discardableResult
    func apply<R>(_ body: (inout Membership) -> R) -> R {
        let result = body(&core)
        carryOut()
        return result
    }
    func received(_ message: MembershipMessage, from name: NodeName) { apply { $0.receive(message, from: name, now: loop.now) } }
    /// Any byte of a member is a sign of life.
    func heard(_ name: NodeName) { core.heard(name, now: loop.now) }
    private func carryOut() {
        guard !isCarryingOut else { return }
        isCarryingOut = true
        while case let actions = core.takeActions(), !actions.isEmpty {
            system.publish(core)
            for action in actions { carryOut(action) }
        }
        isCarryingOut = false
        system.publish(core)
        arm()
    }
    private func carryOut(_ action: Membership.Action) {
        switch action {
        case .send(let message, let name): system.links.link(to: name)?.send(message)
        case .event(let event): happened(event)
        case .cut(let life, let votes): cut(life, votes)
        case .rival(let member): if rivals.count < Limits.operators, rivals.insert(member.incarnation).inserted { system.notice(.rival(member)) }
        }
    }
    private func cut(_ life: Life, _ votes: Set<NodeName>) {
        let why = LinkRefusal.dead(life.name, life.incarnation, by: votes)
        // Who takes its leave says on its own link which calls it has not taken in: that is waited for.
        guard votes.contains(life.name) else { return system.links.cut(life, why) }
        loop.schedule(after: Limits.farewell) { [weak self] in self?.system.links.cut(life, why) }
    }
    private func happened(_ event: MemberEvent) {
        switch event {
        case .up(let member), .changed(let member):
            if case .up = event { system.keeper.met(member.name) }
            if member.state == .suspect { system.count { $0.suspicions += 1 } }
            system.links.learned(member)
        case .down(let member):
            system.count { $0.membersDown += 1 }
            system.links.forgot(member.name)
            system.memberDown(member.name)
        case .condemned(let votes): condemned(by: votes)
        }
        system.tell(event)
    }
    private func arm() {
        guard isRunning else { return }
        let deadline = core.deadline
        guard armed != deadline else { return }
        armed = deadline
        timer?.cancel()
        timer = loop.schedule(after: max(.zero, deadline - loop.now)) { [weak self] in self?.timeIsUp() }
    }
    private func timeIsUp() {
        guard isRunning else { return }
        armed = nil
        let now = loop.now
        // Timers of the loop are coarser than the core's.
        if now >= core.deadline { apply { $0.handleTimeout(now: now) } } else { arm() }
    }

    // MARK: After a verdict

    /// This life is over for the others: whatever it held may be taken. A new one begins as soon as the store has it.
    private func condemned(by votes: Set<NodeName>) {
        system.count { $0.condemned += 1 }
        system.notice(.condemned(by: votes.sorted()))
        system.virtuals.loseAll()
        system.links.endAll("declared down")
        loop.spawn { [self] in await rejoin() }
    }
    private func rejoin() async {
        var backoff = Backoff(shortest: Limits.rejoinShortest, longest: Limits.rejoinLongest)
        while isRunning {
            let proposed = Incarnation(max(core.me.incarnation.rawValue + 1, UInt64(max(1, loop.wall.microseconds / 1000))))
            let node = system.node
            if let given = try? await loop.withDeadline(Limits.storeCall, { [system] in try await system.leases.registerNode(node, proposed: proposed) }) {
                guard isRunning else { return }
                system.begins(given)
                // Whatever came to hold something in between, held it under the life that is over.
                system.virtuals.loseAll()
                apply { $0.rejoin(as: given) }
                system.notice(.rejoined(given))
                system.links.dialAgain()
                return
            }
            system.count { $0.storeFailures += 1 }
            try? await loop.sleep(for: backoff.next(random: system.random.next()))
        }
    }
}

extension SocketAddress {
    /// 0.0.0.0 or ::, in either form.
    fileprivate var isUnspecified: Bool { high == 0 && (low == 0 || (isIPv4 && ipv4 == 0)) }
}
