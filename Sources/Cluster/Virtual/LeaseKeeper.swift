// Keeping this node's row in the store alive, watching others', and knowing whether this node may decide.
import EventLoop
import Primitives

/// Confined to the control loop. The decisions are `Ownership`'s.
final class LeaseKeeper: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private let system: ClusterSystem
    private var watch: LeaseWatch
    private var ownership: Ownership
    private var timer: RepeatingTimer?
    private var renewing = false
    private var storeIsAway = false
    /// The life whose row is another's now; nil while ours stands.
    private var superseded: Incarnation?
    private(set) var voters = VoterSet()
    private var loop: any Loop { system.loop }

    init(_ system: ClusterSystem) {
        self.system = system
        watch = LeaseWatch(leaseTime: system.configuration.leaseTime)
        ownership = Ownership(leaseTime: system.configuration.leaseTime, now: system.loop.now)
    }
    func start(voters: VoterSet) {
        self.voters = voters
        ownership = Ownership(leaseTime: system.configuration.leaseTime, now: loop.now)
        timer = loop.every(system.configuration.leaseRenewal) { [self] in tick() }
    }
    func stop() {
        timer?.cancel()
        timer = nil
    }
    var isSuperseded: Bool { superseded == system.incarnation }
    var isFrozen: Bool { ownership.isFrozen }

    // MARK: Renewing

    private func tick() {
        look()
        guard !renewing else { return }
        renewing = true
        loop.spawn { [self] in
            await renew()
            renewing = false
        }
    }
    private func renew() async {
        let began = loop.now, life = system.incarnation
        do {
            let mine = try await bounded { [system] in try await system.leases.renewNode(system.node, incarnation: life) }
            try await readRows()
            if mine { ownership.renewed(began: began) } else { overtaken(life) }
            comeBack()
            if storeIsAway { storeIsAway = false; system.notice(.storeBack) }
        } catch { storeFailed(error) }
    }
    /// The row is of another life: of a newer process of this name, or of nobody, because this one was declared over.
    private func overtaken(_ life: Incarnation) {
        // While this node registers a new life of its own, the row is of that one.
        guard life == system.incarnation, superseded != life, !system.isCondemned else { return }
        superseded = life
        system.notice(.superseded)
        system.virtuals.loseAll()
    }
    /// A row nobody renews is not of another process: this life was retired by nodes that did not tell. The next one begins.
    private func comeBack() {
        guard isSuperseded, !system.isCondemned, watch.standsStill(system.node, now: loop.now) else { return }
        system.membership.apply { $0.condemned([]) }
    }
    private func storeFailed(_ error: any Error) {
        system.count { $0.storeFailures += 1 }
        if !storeIsAway { storeIsAway = true; system.notice(.storeAway("\(error)")) }
    }
    /// Reads everybody's row and the voters as they are now.
    func readRows() async throws {
        let (rows, voters) = try await bounded { [system] in (try await system.leases.nodes(), try await system.leases.voters()) }
        watch.observe(rows, now: loop.now)
        if voters.version > self.voters.version { self.voters = voters }
    }
    func reading(_ node: NodeName, _ incarnation: Incarnation, isFresh: Bool = false) -> LeaseWatch.Reading {
        watch.reading(node, incarnation, isFresh: isFresh, now: loop.now)
    }
    func bounded<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) async throws -> R {
        try await loop.withDeadline(Limits.storeCall, body)
    }

    // MARK: Deciding

    enum Admission { case open, wait, frozen }
    /// Whether calls may reach the virtual actors of this node now.
    func admission() -> Admission {
        if ownership.isStale(now: loop.now) { look() }
        return switch ownership.state {
        case .firm: .open
        case .frozen: .frozen
        case .checking(let wasFrozen): wasFrozen ? .frozen : .wait
        }
    }
    private var seesMajority: Bool { system.seesMajority(of: voters.names) }
    private func look() {
        guard timer != nil else { return }
        act(ownership.handleTimeout(now: loop.now, seesMajority: seesMajority))
    }
    private func act(_ action: Ownership.Action?) {
        switch action {
        case nil: break
        case .freeze: system.froze(true)
        case .thaw: system.froze(false)
        case .check:
            loop.spawn { [self] in
                let answered = await verify()
                act(ownership.checked(storeAnswered: answered, seesMajority: seesMajority, now: loop.now))
                system.virtuals.doubtIsOver()
            }
        }
    }
    /// Compares what this node thinks it holds with what the store says. - Returns: whether the store answered.
    private func verify() async -> Bool {
        let held = system.virtuals.held, life = system.incarnation
        do {
            guard try await bounded({ [system] in try await system.leases.renewNode(system.node, incarnation: life) }) else {
                overtaken(life)
                return true
            }
            guard !held.isEmpty else { return true }
            let stored = Set(try await bounded { [system] in try await system.leases.claims(of: system.node, incarnation: life) })
            for claim in held where !stored.contains(claim) {
                let now = try await bounded { [system] in try await system.leases.claim(kind: claim.kind, key: claim.key) }
                // Moved or released in order meanwhile: then it is not held any more.
                if system.virtuals.held.contains(claim) { system.virtuals.claimLost(claim.identity, to: now) }
            }
            return true
        } catch {
            storeFailed(error)
            return false
        }
    }
}
