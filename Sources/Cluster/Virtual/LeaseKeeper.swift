// Keeping this node's row in the store alive, watching others', and taking claims by both.
import EventLoop
import Primitives

enum ClaimSeeker {
    enum Result: Sendable, Equatable {
        case mine(Claim)
        case elsewhere(NodeName, Epoch)
        case unsettled
    }
    /// Compare-and-set attempts before the claim counts as contended.
    static let attempts = 4
}

/// Confined to the control loop.
///
/// A renewal that fails is no reason to stop: nobody else can claim either while the store is away. What is dangerous is a
/// stall of this process alone, during which others may have taken its claims: after one, calls to virtual actors wait
/// until the claims have been read again.
final class LeaseKeeper: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private let system: ClusterSystem
    private var watch: LeaseWatch
    private var timer: RepeatingTimer?
    private var lastTick: Instant?
    private var renewing = false
    private var verifying = false
    private var storeIsAway = false
    private(set) var isSuperseded = false
    private var loop: any Loop { system.loop }

    init(_ system: ClusterSystem) {
        self.system = system
        watch = LeaseWatch(leaseTime: system.configuration.leaseTime)
    }
    func start() {
        lastTick = loop.now
        timer = loop.every(system.configuration.leaseRenewal) { [self] in tick() }
    }
    func stop() {
        timer?.cancel()
        timer = nil
    }

    private func tick() {
        _ = isInDoubt()
        lastTick = loop.now
        guard !renewing else { return }
        renewing = true
        loop.spawn { [self] in
            await renew()
            renewing = false
        }
    }
    private func renew() async {
        do {
            let asked = system.incarnation
            let mine = try await bounded { [system] in try await system.leases.renewNode(system.node, incarnation: asked) }
            // While this node registers a new life of its own, the row is of that one.
            if !mine, !isSuperseded, asked == system.incarnation, !system.membership.core.isCondemned {
                isSuperseded = true
                system.notice(.superseded)
                system.virtuals.loseAll()
            }
            if system.membership.core.hasDoubt { try await watchOthers() }
            if storeIsAway { storeIsAway = false; system.notice(.storeBack) }
        } catch {
            system.count { $0.storeFailures += 1 }
            if !storeIsAway { storeIsAway = true; system.notice(.storeAway("\(error)")) }
        }
    }
    private func watchOthers() async throws {
        let rows = try await bounded { [system] in try await system.leases.nodes() }
        watch.observe(rows, now: loop.now)
    }
    private func bounded<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) async throws -> R {
        try await loop.withDeadline(Limits.storeCall, body)
    }

    // MARK: Claims

    func seek(_ identity: VirtualIdentity) async throws -> ClaimSeeker.Result {
        guard !isSuperseded else { return .unsettled }
        let store = system.leases, me = system.node, incarnation = system.incarnation
        for _ in 0..<ClaimSeeker.attempts {
            let stored = try await store.claim(kind: identity.kind, key: identity.key)
            var decision = decide(stored)
            if decision == .wait {
                // Rows as they are now: the owner may have registered after the last look.
                try await watchOthers()
                decision = decide(stored)
            }
            switch decision {
            case .elsewhere(let node, let epoch): return .elsewhere(node, epoch)
            case .wait: return .unsettled
            case .take(let expected):
                let outcome = try await store.takeClaim(kind: identity.kind, key: identity.key, by: me, incarnation: incarnation, expecting: expected)
                if case .taken(let claim) = outcome { return .mine(claim) }
            }
        }
        return .unsettled
    }
    private func decide(_ stored: Claim?) -> ClaimDecision {
        ClaimDecision.decide(
            stored, me: system.node, incarnation: system.incarnation, standing: { system.links.standing($0, $1) },
            leaseExpired: { watch.isExpired($0, $1, now: loop.now) })
    }

    // MARK: After a stall

    /// Whether this node must look at its claims before it lets a virtual actor decide anything.
    func isInDoubt() -> Bool {
        if verifying { return true }
        guard let lastTick, timer != nil, loop.now - lastTick >= system.configuration.leaseTime else { return false }
        verifying = true
        loop.spawn { [self] in
            await verify()
            verifying = false
            lastTickIsNow()
            system.virtuals.doubtIsOver()
        }
        return true
    }
    private func lastTickIsNow() { lastTick = loop.now }
    private func verify() async {
        for claim in system.virtuals.claims {
            // The store is away: nobody else can have claimed anything meanwhile that it would tell; go on.
            guard let stored = try? await bounded({ [system] in try await system.leases.claim(kind: claim.kind, key: claim.key) }) else { return }
            if stored != claim { system.virtuals.claimLost(VirtualIdentity(kind: claim.kind, key: claim.key), to: stored) }
        }
    }
}
