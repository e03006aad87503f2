// After a death: the dead's virtual actors come back without waiting for a call.
import EventLoop
import Primitives

/// The first node by name that takes work looks for claims whose owners' lives are over and deals them out by placement; the
/// node that is dealt a claim takes it itself, so that a message lost, or sent by two, takes nothing twice: epochs decide.
/// What is left is found again by the next look. Confined to the control loop.
final class Revival: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private let system: ClusterSystem
    private var timer: RepeatingTimer?
    private var isSweeping = false
    private var isDue = false
    /// While an owner can be declared neither dead nor alive.
    private var patience = Backoff(shortest: Limits.settleInterval, longest: Limits.sweep)
    private var loop: any Loop { system.loop }
    init(_ system: ClusterSystem) { self.system = system }

    func start() {
        timer = loop.every(Limits.sweep) { [self] in sweepSoon() }
    }
    func stop() {
        timer?.cancel()
        timer = nil
    }
    /// A death, or time.
    func sweepSoon() {
        guard timer != nil else { return }
        isDue = true
        guard !isSweeping else { return }
        isSweeping = true
        loop.spawn { [self] in
            while isDue {
                isDue = false
                await sweep()
            }
            isSweeping = false
        }
    }
    private var isInCharge: Bool {
        system.hosts().first { $0.takesWork }?.name == system.node && system.isRunning && !system.keeper.isFrozen && !system.keeper.isSuperseded && !system.isCondemned
    }
    private func sweep() async {
        let kinds = system.virtuals.allKinds.filter(\.revives)
        guard isInCharge, !kinds.isEmpty else { return }
        do {
            try await endLives()
            try await deal(kinds)
        } catch {
            system.count { $0.storeFailures += 1 }
        }
    }

    // MARK: At the node in charge

    /// Judges every life that holds claims and is not up.
    private func endLives() async throws {
        let rows = try await system.keeper.bounded { [system] in try await system.leases.nodes() }
        var isSettled = true
        for row in rows where system.standing(row.node, row.incarnation) != .up {
            let held = try await system.keeper.bounded { [system] in try await system.leases.claims(of: row.node, incarnation: row.incarnation) }
            guard !held.isEmpty else { continue }
            // Whoever is suspected now is up or down a moment later.
            if case .wait = try await system.seeker.judge(row.node, row.incarnation) { isSettled = false }
        }
        if isSettled { return patience.reset() }
        loop.schedule(after: patience.next(random: system.random.next())) { [self] in sweepSoon() }
    }
    /// Batch after batch, until nothing is left or a batch gets nowhere.
    private func deal(_ kinds: [VirtualKind]) async throws {
        let byName = Dictionary(uniqueKeysWithValues: kinds.map { ($0.name, $0) })
        while isInCharge {
            let orphans = try await system.keeper.bounded { [system] in try await system.leases.orphans(kinds: kinds.map(\.name), limit: Limits.orphansAtOnce) }
            guard !orphans.isEmpty else { return }
            let pins = try await system.keeper.bounded { [system] in try await system.leases.pins() }
            let pinned = Dictionary(uniqueKeysWithValues: pins.map { (VirtualIdentity(kind: $0.kind, key: $0.key), $0.node) })
            var taken = 0, left = orphans
            // Who is refused by a full node asks the next of its order.
            for attempt in 0..<Limits.revivalAttempts where !left.isEmpty {
                let hosts = system.hosts()
                var dealt: [NodeName: [Claim]] = [:]
                for claim in left {
                    let order = Placement.order(byName[claim.kind]!.request(claim.key, pinned: pinned[claim.identity]), among: hosts)
                    if attempt < order.count { dealt[order[attempt], default: []].append(claim) }
                }
                guard !dealt.isEmpty else { break }
                taken += await hand(dealt)
                guard taken < orphans.count else { break }
                let still = Set(try await system.keeper.bounded { [system] in try await system.leases.orphans(kinds: kinds.map(\.name), limit: Limits.orphansAtOnce) })
                left = left.filter(still.contains)
            }
            guard taken > 0 else { return }
        }
    }
    private func hand(_ dealt: [NodeName: [Claim]]) async -> Int {
        await withTaskGroup(of: Int.self) { group in
            for (node, claims) in dealt.sorted(by: { $0.key < $1.key }) {
                let agent = system.agent(of: node)
                group.addTask {
                    var taken = 0, rest = claims[...]
                    while !rest.isEmpty {
                        let batch = Array(rest.prefix(Limits.claimBatch))
                        rest = rest.dropFirst(Limits.claimBatch)
                        let count = try? await ClusterSystem.$deadline.withValue(Limits.revivalCall) { try await agent.revive(batch) }
                        guard let count else { break }
                        taken += count
                    }
                    return taken
                }
            }
            return await group.reduce(0, +)
        }
    }

    // MARK: At the node that is dealt claims

    func take(_ claims: [Claim]) async throws -> Int {
        guard system.isRunning, system.takesWork, !system.keeper.isFrozen, !system.keeper.isSuperseded, !system.isCondemned else { return 0 }
        let virtuals = system.virtuals!
        // Shut for calls in the same turn that reserves: they wait for what comes of it.
        let wanted = claims.prefix(Limits.claimBatch).filter { claim in
            guard let kind = virtuals.kind(claim.kind), kind.mayLive(on: system.me), virtuals.slots[claim.identity] == nil else { return false }
            guard virtuals.reserve(claim.identity, kind) == nil else { return false }
            virtuals.slots[claim.identity] = .activating
            return true
        }
        guard !wanted.isEmpty else { return 0 }
        let taken: [Claim]
        do {
            taken = try await system.keeper.bounded { [system] in try await system.leases.takeClaims(wanted, by: system.node, incarnation: system.incarnation) }
        } catch {
            for claim in wanted { virtuals.leave(claim.identity, .notExecuted(.unsettled)) }
            throw error
        }
        let mine = Set(taken.map(\.identity))
        for claim in wanted where !mine.contains(claim.identity) { virtuals.leave(claim.identity, .notExecuted(.unsettled)) }
        await activate(taken)
        system.count { $0.revived += UInt64(taken.count) }
        return taken.count
    }
    private func activate(_ taken: [Claim]) async {
        await withTaskGroup(of: Void.self) { group in
            for (index, claim) in taken.enumerated() {
                if index >= Limits.activationsAtOnce { await group.next() }
                group.addTask { [system] in await system.virtuals.begin(claim, system.virtuals.kind(claim.kind)!) }
            }
        }
    }
}
