// Carrying out what `MoveSource` decides.
import Distributed
import EventLoop
import Primitives

/// One move away from this node. Confined to the control loop.
final class MoveRun: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private let system: ClusterSystem
    private var machine: MoveSource
    private let resident: Resident
    private let kind: VirtualKind
    private var timer: TimerToken?
    private var snapshotWasTaken = false
    private let answer = OneAnswer<MoveEnd>()
    private var loop: any Loop { system.loop }
    private var virtuals: VirtualDirectory { system.virtuals }
    private var identity: VirtualIdentity { machine.claim.identity }
    var target: NodeName { machine.target }
    var isDeciding: Bool { machine.isDeciding }

    init(_ system: ClusterSystem, _ machine: MoveSource, _ resident: Resident, _ kind: VirtualKind) {
        self.system = system; self.machine = machine; self.resident = resident; self.kind = kind
    }
    func run(within limit: Duration) async -> MoveEnd {
        timer = loop.schedule(after: limit) { [self] in feed(.deadline) }
        let end = try? await withCheckedThrowingContinuation { (continuation: CheckedContinuation<MoveEnd, any Error>) in
            answer.open(continuation)
            for action in machine.begin() { perform(action) }
        }
        timer?.cancel()
        return end ?? .lost
    }
    func feed(_ input: MoveSource.Input) {
        for action in machine.handle(input) { perform(action) }
        if case .ended(let end) = machine.state { answer.answer(.success(end)) }
    }

    private func perform(_ action: MoveSource.Action) {
        switch action {
        case .reserve: ask { [claim = machine.claim] agent in try await agent.prepare(claim) } then: { .reserved } otherwise: { .refused($0) }
        case .shut: shut()
        case .takeSnapshot: takeSnapshot()
        case .hand(let bytes):
            let parts = MoveHold.parts(of: bytes)
            ask { [claim = machine.claim] agent in
                for (index, part) in parts.enumerated() { try await agent.hold(claim, part: index, of: parts.count, part) }
            } then: { .held } otherwise: { .handingFailed($0) }
        case .claim(let toTarget): compareAndSet(toTarget)
        case .claimLater(let toTarget): loop.schedule(after: Limits.settleInterval) { [self] in compareAndSet(toTarget) }
        case .withdraw: loop.spawn { [agent = system.agent(of: target), claim = machine.claim] in try? await agent.withdraw(claim) }
        case .reopen: reopen()
        case .release(let claim): release(claim)
        case .restore(let claim, let snapshot): restore(claim, snapshot)
        case .surrender(let stored): surrender(stored)
        }
    }
    private func ask(
        _ question: @escaping @Sendable (NodeAgent) async throws -> Void, then: @escaping @Sendable () -> MoveSource.Input, otherwise: @escaping @Sendable (String) -> MoveSource.Input
    ) {
        let agent = system.agent(of: target)
        loop.spawn { [self] in
            do {
                try await question(agent)
                feed(then())
            } catch MoveFailure.refused(let why) { feed(otherwise(why)) } catch { feed(otherwise("\(error)")) }
        }
    }
    private var isShut: Bool { if case .shut(let held) = virtuals.slots[identity] { held === resident } else { false } }

    private func shut() {
        guard case .active(let held) = virtuals.slots[identity], held === resident else { return feed(.claimLost) }
        virtuals.slots[identity] = .shut(resident)
        resident.quiet { [self] in feed(.quiet) }
    }
    private func takeSnapshot() {
        guard let move = kind.move else { return feed(.snapshot([])) }
        snapshotWasTaken = true
        loop.spawn { [self] in
            do {
                let bytes = try await move.snapshot(identity.key, resident.actor)
                feed(bytes.count <= MoveHold.Limits.snapshotBytes ? .snapshot(bytes) : .snapshotFailed("\(bytes.count) bytes; \(MoveHold.Limits.snapshotBytes) are allowed"))
            } catch { feed(.snapshotFailed("\(error)")) }
        }
    }
    private func compareAndSet(_ toTarget: Bool) {
        let claim = machine.claim, node = toTarget ? target : claim.node, incarnation = toTarget ? machine.targetIncarnation : claim.incarnation
        loop.spawn { [self] in
            do {
                let outcome = try await system.keeper.bounded { [system] in
                    try await system.leases.takeClaim(kind: claim.kind, key: claim.key, by: node, incarnation: incarnation, expecting: claim.epoch)
                }
                switch outcome {
                case .taken(let taken): feed(.taken(taken))
                case .conflict(let stored): feed(.conflict(stored))
                }
            } catch {
                system.count { $0.storeFailures += 1 }
                feed(.noAnswer)
            }
        }
    }

    // MARK: Ends

    private func reopen() {
        guard isShut else { return }
        guard snapshotWasTaken, let move = kind.move else { return open() }
        // It goes on deciding before it is asked anything again.
        loop.spawn { [self] in
            await move.kept(identity.key, resident.actor)
            if isShut { open() }
        }
    }
    private func open() {
        // Its node's life ended while the actor was told that it is kept.
        guard resident.claim.incarnation == system.incarnation, !system.keeper.isSuperseded, !system.isCondemned else { return surrender(nil) }
        virtuals.slots[identity] = .active(resident)
        virtuals.arriveAgain(identity)
    }
    /// The waiting calls go after it, each once: they have not begun here.
    private func release(_ claim: Claim) {
        let agent = system.agent(of: target)
        loop.spawn { try? await agent.adopt(claim) }
        leave(to: claim)
        loop.spawn { [self] in await end(claim) }
    }
    private func leave(to stored: Claim?) {
        guard isShut else { return }
        if let stored { virtuals.remember(identity, stored.node, stored.epoch) }
        virtuals.leave(identity, stored.map { .notExecuted(.moved(to: $0.node, epoch: $0.epoch)) } ?? .notExecuted(.unsettled))
    }
    private func end(_ claim: Claim) async {
        if let move = kind.move { await move.left(identity.key, resident.actor, claim) } else { await kind.lost?(identity.key, resident.actor) }
    }
    private func restore(_ claim: Claim, _ snapshot: [UInt8]) {
        guard isShut else { return }
        virtuals.slots[identity] = .activating
        loop.spawn { [self] in
            await end(claim)
            await virtuals.begin(claim, kind, snapshot)
        }
    }
    private func surrender(_ stored: Claim?) {
        leave(to: stored)
        system.count { $0.claimsLost += 1 }
        system.notice(.claimLost(kind: identity.kind, key: identity.key))
        loop.spawn { [self] in await kind.lost?(identity.key, resident.actor) }
    }
}
