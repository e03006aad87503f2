// Virtual actors of this node: how they begin and end.
import Distributed
import EventLoop
import Primitives

extension VirtualDirectory {
    // MARK: Beginning

    func activate(_ identity: VirtualIdentity, _ kind: VirtualKind) async {
        let obtained: ClaimSeeker.Result
        do { obtained = try await loop.withDeadline(Limits.storeCall) { [self] in try await system.seeker.seek(identity, kind) } } catch {
            system.count { $0.storeFailures += 1 }
            return leave(identity, .notExecuted(.storeAway("\(error)")))
        }
        switch obtained {
        case .elsewhere(let node, let epoch): leave(identity, .notExecuted(.moved(to: node, epoch: epoch)))
        case .unsettled: leave(identity, .notExecuted(.unsettled))
        case .full(let text): leave(identity, .notExecuted(.full(text)))
        case .mine(let claim, let snapshot): await begin(claim, kind, snapshot)
        }
    }
    /// Makes the actor under a claim of this node. The slot is `activating`.
    func begin(_ claim: Claim, _ kind: VirtualKind, _ snapshot: [UInt8]? = nil) async {
        system.count { $0.claimsTaken += 1 }
        do { enter(try await make(claim, kind, snapshot), claim, kind) } catch {
            system.notice(.activationFailed(kind: claim.kind, key: claim.key, "\(error)"))
            await release([claim])
            leave(claim.identity, .thrown(error))
        }
    }
    private func make(_ claim: Claim, _ kind: VirtualKind, _ snapshot: [UInt8]?) async throws -> any DistributedActor {
        if let snapshot, let move = kind.move {
            do {
                return try await loop.withDeadline(Limits.activation) { [system] in try await move.activate(claim.key, claim, system, snapshot) }
            } catch { system.notice(.activationFailed(kind: claim.kind, key: claim.key, "from its snapshot: \(error)")) }
        }
        return try await loop.withDeadline(Limits.activation) { [system] in try await kind.activate(claim.key, claim, system) }
    }
    private func enter(_ actor: any DistributedActor, _ claim: Claim, _ kind: VirtualKind) {
        guard case .activating = slots[claim.identity], claim.incarnation == system.incarnation, !system.keeper.isSuperseded, !system.isCondemned else {
            // Shut down, or told that this life is over, meanwhile.
            if case .activating = slots[claim.identity] { leave(claim.identity, .notExecuted(.unsettled)) }
            loop.spawn { [self] in
                await release([claim])
                await kind.lost?(claim.key, actor)
            }
            return
        }
        forget(claim.identity)
        ledger.use(claim.identity, cost: kind.cost)
        slots[claim.identity] = .active(Resident(actor, claim))
        arriveAgain(claim.identity)
    }
    func leave(_ identity: VirtualIdentity, _ outcome: CallOutcome) {
        slots[identity] = nil
        ledger.release(identity)
        turnAway(identity, outcome)
    }
    func release(_ claims: [Claim]) async {
        do { try await loop.withDeadline(Limits.storeCall) { [system] in try await system.leases.releaseClaims(claims) } } catch {
            // The rows go on naming this node; whoever asks it for the actors gets them under the next epoch.
            system.count { $0.storeFailures += 1 }
        }
    }

    // MARK: Letting go

    /// Waits, bounded, until the calls in it are over (all but the one it is called from), then gives the claim back.
    func deactivate(_ identity: VirtualIdentity) async {
        let inside = ClusterSystem.runningIn == identity ? 1 : 0
        let resident = try? await system.onLoop { [self] () -> Resident? in
            guard case .active(let resident) = slots[identity] else { return nil }
            slots[identity] = .releasing
            return resident
        }
        guard let resident = resident ?? nil else { return }
        if await !quiet(resident, least: inside, within: Limits.quiet) { system.count { $0.endedBusy += 1 } }
        await release([resident.claim])
        _ = try? await system.onLoop { [self] in
            slots[identity] = nil
            ledger.release(identity)
            arriveAgain(identity)
        }
    }
    /// - Returns: whether no more than `least` calls run in it, within the limit.
    private func quiet(_ resident: Resident, least: Int, within limit: Duration) async -> Bool {
        let answer = OneAnswer<Bool>()
        loop.run { [loop] in
            let timer = loop.schedule(after: limit) { answer.answer(.success(false)) }
            answer.atEnd { loop.run { timer.cancel() } }
            resident.quiet(least: least) { answer.answer(.success(true)) }
        }
        return (try? await withCheckedThrowingContinuation { answer.open($0) }) ?? false
    }
    /// At shutdown: everything at once, in one transaction each `claimBatch`.
    func releaseAll() async {
        let held: [Claim]? = try? await system.onLoop { [self] in
            let all = claims
            for claim in all { slots[claim.identity] = .releasing }
            return all
        }
        var rest = (held ?? [])[...]
        while !rest.isEmpty {
            await release(Array(rest.prefix(Limits.claimBatch)))
            rest = rest.dropFirst(Limits.claimBatch)
        }
        _ = try? await system.onLoop { [self] in
            for identity in slots.keys.sorted() { leave(identity, .notExecuted(.stopped)) }
        }
    }
    /// Another node holds a newer claim.
    func claimLost(_ identity: VirtualIdentity, to stored: Claim?) {
        if case .shut = slots[identity] { return system.moves.claimLost(identity) }
        guard case .active(let resident) = slots[identity] else { return }
        slots[identity] = nil
        ledger.release(identity)
        if let stored { remember(identity, stored.node, stored.epoch) }
        system.count { $0.claimsLost += 1 }
        system.notice(.claimLost(kind: identity.kind, key: identity.key))
        if let lost = kind(identity.kind)?.lost { loop.spawn { await lost(identity.key, resident.actor) } }
    }
    /// This life of the node is over.
    func loseAll() {
        for claim in claims { claimLost(claim.identity, to: nil) }
        system.moves.loseAll()
    }
}
