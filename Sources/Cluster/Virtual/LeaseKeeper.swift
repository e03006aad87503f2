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
    private var votersRead = Instant.origin
    /// The life whose row is another's now; nil while ours stands.
    private var superseded: Incarnation?
    private var electorate: Electorate
    private var loop: any Loop { system.loop }

    init(_ system: ClusterSystem) {
        self.system = system
        let configuration = system.configuration
        watch = LeaseWatch(leaseTime: configuration.leaseTime, protections: configuration.protections)
        ownership = Self.ownership(system)
        electorate = Electorate(configured: Set(configuration.peers.keys))
    }
    private static func ownership(_ system: ClusterSystem) -> Ownership {
        Ownership(leaseTime: system.configuration.leaseTime, now: system.loop.now, protections: system.configuration.protections)
    }
    /// - Parameter voters: as they were once this node was one of them, before any link.
    func start(voters: VoterSet) {
        electorate.read(voters, began: .origin)
        ownership = Self.ownership(system)
        timer = loop.every(system.configuration.leaseRenewal) { [self] in tick() }
    }
    func stop() {
        timer?.cancel()
        timer = nil
    }
    var isSuperseded: Bool { superseded == system.incarnation }
    var isFrozen: Bool { ownership.isFrozen }
    var voters: [NodeName] { electorate.voters.names }
    func met(_ node: NodeName) { electorate.met(node, now: loop.now) }

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
            try await renewRow(life, began)
            try await readRows(withVoters: began - votersRead >= Limits.votersLook)
            comeBack()
            if storeIsAway { storeIsAway = false; system.notice(.storeBack) }
        } catch { storeFailed(error) }
    }
    /// An answer that comes later than `freezeAfter` proves nothing any more: better to ask anew.
    private func renewRow(_ life: Incarnation, _ began: Instant) async throws {
        let isMine = try await loop.withDeadline(ownership.freezeAfter) { [system] in try await system.leases.renewNode(system.node, incarnation: life) }
        if isMine { ownership.renewed(began: began) } else { overtaken(life) }
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
    /// Reads everybody's row, and the voters as they are now: whoever judges needs both.
    func readRows(withVoters: Bool = true) async throws {
        let began = loop.now
        let rows = try await bounded { [system] in try await system.leases.nodes() }
        watch.observe(rows, began: began, now: loop.now) { [system] in $0 != system.node && system.standing($0, $1) == .up }
        for member in system.membership.core.members where reading(member.name, member.incarnation) == .over {
            system.membership.apply { $0.retired(member.life, now: loop.now) }
        }
        guard withVoters else { return }
        let asked = loop.now
        electorate.read(try await bounded { [system] in try await system.leases.voters() }, began: asked)
        votersRead = asked
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
    private var seesMajority: Bool { system.membership.core.seesMajority(of: electorate.names) }
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
                let began = await verify()
                act(ownership.checked(began: began, seesMajority: seesMajority, now: loop.now))
                system.virtuals.doubtIsOver()
            }
        }
    }
    /// Compares what this node thinks it holds with what the store says. - Returns: when it began, if the store answered.
    private func verify() async -> Instant? {
        let held = system.virtuals.held, life = system.incarnation, began = loop.now
        do {
            try await renewRow(life, began)
            guard !held.isEmpty, !isSuperseded else { return began }
            let stored = Set(try await bounded { [system] in try await system.leases.claims(of: system.node, incarnation: life) })
            for claim in held where !stored.contains(claim) {
                let now = try await bounded { [system] in try await system.leases.claim(kind: claim.kind, key: claim.key) }
                // Moved or released in order meanwhile: then it is not held any more.
                if system.virtuals.held.contains(claim) { system.virtuals.claimLost(claim.identity, to: now) }
            }
            return began
        } catch {
            storeFailed(error)
            return nil
        }
    }
}
