// The actor system: where distributed actors get their identity, their executor, and each other.
import Distributed
import EventLoop
import Primitives
import Synchronization

/// The cluster as one node sees it.
///
/// How to write a distributed actor for it:
///
///     package distributed actor Room {                       // `package` or internal, never `public`
///         package typealias ActorSystem = ClusterSystem
///         package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
///         package init(system: ClusterSystem) { actorSystem = system }
///         package distributed func join(_ name: String) throws -> Int { … }
///     }
///
/// - **Methods.** Parameters and results are `Codable & Sendable`. Every `distributed func` of the type that is linked into
///   the program may be called by other nodes, and nothing else: the list is read from the program itself, nobody keeps
///   it. `allow(_:methods:)` narrows it. Generic methods and calls through `@Resolvable` protocols are refused.
/// - **Where it runs.** On the control loop; made inside `withShard(n) { … }` on that media loop. Root tasks are begun with
///   `loop.spawn`, so that calls between actors do not leave the loop.
/// - **Life.** The system holds instances weakly: keep what must live. A call to one that has ended says `unknownActor`.
/// - **Virtual actors.** `virtual(kind, …, activate:)` on every node, before `start`; then `reference(Room.self, kind: "room",
///   key: id)` anywhere, as often as wanted: it is a small value that survives moves and deaths. The system keeps the
///   activated actor until `deactivate`, `shutdown` or the loss of its claim. A reference always goes through the
///   system, also on the actor's own node: `whenLocal` finds nothing behind it.
/// - **Errors.** An error type given to `register(error:)` on both nodes arrives as itself; others as `ClusterError.remote`.
///   `ClusterError.notExecuted` is safe to repeat; `unknownOutcome` only where the method is idempotent.
/// - **Time.** Each call takes at most `ClusterSystem.deadline`, 5 s unless set:
///   `try await ClusterSystem.$deadline.withValue(.seconds(1)) { try await room.join("Ada") }`.
///   It does not travel: calls the callee makes have the default again.
/// - **Order.** Calls of one sender to one receiver begin in the order they were made.
///
/// A system lives until its loop ends. Everything but `start`, `shutdown` and actors' methods may be called from any thread.
package final class ClusterSystem: DistributedActorSystem, @unchecked Sendable {
    package typealias ActorID = ActorAddress
    package typealias SerializationRequirement = any Codable
    package typealias InvocationEncoder = CallEncoder
    package typealias InvocationDecoder = CallDecoder
    package typealias ResultHandler = CallResultHandler
    package typealias Limits = ClusterConfiguration.Limits

    /// How long the calls made inside may take.
    @TaskLocal package static var deadline: Duration = Limits.defaultDeadline
    @TaskLocal static var shard: Int = -1
    /// The virtual actor whose call this task runs.
    @TaskLocal static var runningIn: VirtualIdentity?

    enum Phase { case fresh, starting, running, stopped }
    struct Shared {
        var incarnation: Incarnation
        /// Earlier incarnations of this process, before it was declared down and came back.
        var formerly: Set<Incarnation> = []
        var phase = Phase.fresh
        /// Set as soon as the system is made.
        var view: Membership?
        /// Grows with each view: what was derived from an older one is out of date.
        var viewNumber: UInt64 = 0
        var counters = ClusterCounters()
        var memberObservers: [@Sendable (MemberEvent) -> Void] = []
        var noticeObservers: [@Sendable (ClusterNotice) -> Void] = []
        var told = OncePerCause(interval: Limits.noticeInterval, most: Limits.noticeCauses)
        var freezeObservers: [@Sendable (Bool) -> Void] = []
    }

    package let configuration: ClusterConfiguration
    let loop: any Loop
    let shards: [any Loop]
    let network: any Network
    let leases: any LeaseStore
    let random: any RandomSource
    let registry = ActorRegistry()
    let errors = ErrorRegistry()
    let shared: Mutex<Shared>
    // Confined to the control loop.
    private(set) var router: CallRouter!
    private(set) var membership: MembershipKeeper!
    private(set) var links: Links!
    private(set) var virtuals: VirtualDirectory!
    private(set) var keeper: LeaseKeeper!
    private(set) var seeker: ClaimSeeker!
    private(set) var moves: Moves!
    private(set) var revival: Revival!

    /// - Parameters:
    ///   - loop: the control loop: links, and every actor not made inside `withShard`.
    ///   - shards: the media loops, in order.
    package init(configuration: ClusterConfiguration, loop: any Loop, shards: [any Loop] = [], network: any Network, leases: any LeaseStore, random: any RandomSource) {
        self.configuration = configuration
        self.loop = loop
        self.shards = shards
        self.network = network
        self.leases = leases
        self.random = random
        shared = Mutex(Shared(incarnation: Incarnation(UInt64(max(1, loop.wall.microseconds / 1000)))))
        router = CallRouter(self)
        membership = MembershipKeeper(self)
        publish(membership.core, always: true)
        links = Links(self)
        virtuals = VirtualDirectory(self)
        keeper = LeaseKeeper(self)
        seeker = ClaimSeeker(self)
        moves = Moves(self)
        revival = Revival(self)
        register(error: MoveFailure.self)
    }

    package var node: NodeName { configuration.name }
    package var incarnation: Incarnation { shared.withLock { $0.incarnation } }
    /// Whether actors of this incarnation are of this process.
    func isMine(_ incarnation: Incarnation) -> Bool { shared.withLock { $0.incarnation == incarnation || $0.formerly.contains(incarnation) } }
    /// A new life of the same process: its actors keep answering to the earlier one's addresses.
    func begins(_ incarnation: Incarnation) {
        shared.withLock {
            $0.formerly.insert($0.incarnation)
            $0.incarnation = incarnation
        }
    }
    var isRunning: Bool { shared.withLock { $0.phase == .running } }

    // MARK: Life

    /// Registers this life of the node in the store, listens, and begins to dial. Peers come up later: `observeMembers`.
    package func start() async throws {
        try shared.withLock { state throws(ClusterStartError) in
            guard state.phase == .fresh else { throw .startedBefore }
            state.phase = .starting
        }
        do { try await begin() } catch {
            shared.withLock { $0.phase = .stopped }
            throw error
        }
    }
    private func begin() async throws {
        let joins = !configuration.peers.isEmpty || !configuration.seeds.isEmpty || configuration.kind == .operator
        guard !joins || configuration.tls != nil else { throw ClusterStartError.noIdentity }
        if let objection = me.objection { throw ClusterStartError.unfit(objection) }
        guard configuration.kind == .node else {
            return try await onLoop { [self] in
                try links.start(incarnation)
                shared.withLock { $0.phase = .running }
            }
        }
        try await watchForRival()
        let proposed = incarnation
        let given = try await fromStore { [self] in try await loop.withDeadline(Limits.storeCall) { [self] in try await leases.registerNode(node, proposed: proposed) } }
        guard given == proposed || !registry.hasGivenNumbers else { throw ClusterStartError.actorsBeforeStart }
        shared.withLock { $0.incarnation = given }
        let voters = try await fromStore { [self] in try await joinVoters() }
        try await onLoop { [self] in
            provide(NodeAgent(self), as: NodeAgent.service)
            try links.start(given)
            keeper.start(voters: voters)
            revival.start()
            shared.withLock { $0.phase = .running }
        }
    }
    /// Asks the store until it answers, as long as `ClusterConfiguration.storePatience` allows; says so once.
    private func fromStore<Value: Sendable>(_ ask: @Sendable () async throws -> Value) async throws -> Value {
        let end = loop.now + configuration.storePatience
        var isTold = false
        while true {
            do {
                let value = try await ask()
                if isTold { notice(.storeBack) }
                return value
            } catch {
                guard loop.now < end else { throw ClusterStartError.store("\(error)") }
                if !isTold { notice(.storeAway("\(error)")) }
                isTold = true
                try await loop.sleep(for: Limits.storePause)
            }
        }
    }
    /// Where another process keeps this node's row alive, this one must not take it over.
    private func watchForRival() async throws {
        func row() async throws -> NodeLease? {
            try await fromStore { [self] in try await loop.withDeadline(Limits.storeCall) { [self] in try await leases.nodes() }.first { $0.node == node } }
        }
        guard let first = try await row() else { return }
        let end = loop.now + configuration.leaseRenewal * 2 + Limits.rivalMargin
        while loop.now < end {
            try await loop.sleep(for: configuration.leaseRenewal / 5)
            guard let later = try await row(), later.incarnation == first.incarnation else { return }
            if later.counter != first.counter { throw ClusterStartError.nameTaken(node) }
        }
    }
    /// Gives every claim back, says goodbye on every link, and stops. Calls under way are given up.
    package func shutdown() async {
        let wasRunning = shared.withLock { state in
            defer { state.phase = .stopped }
            return state.phase == .running
        }
        guard wasRunning else { return }
        _ = try? await onLoop { [self] in
            revival.stop()
            moves.giveUp()
        }
        // Settled by `releaseAll` before the links say goodbye, so that whoever hears it may claim at once.
        await virtuals.releaseAll()
        try? await onLoop { [self] in
            keeper.stop()
            membership.stop()
            links.stop()
        }
    }
    /// Runs `body` on the control loop and waits for it.
    func onLoop<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            loop.run { continuation.resume(with: Result { try body() }) }
        }
    }

    // MARK: Deciding

    func addFreezeObserver(_ body: @escaping @Sendable (Bool) -> Void) { shared.withLock { $0.freezeObservers.append(body) } }
    func froze(_ isFrozen: Bool) {
        if isFrozen { count { $0.freezes += 1 } }
        notice(isFrozen ? .frozen : .thawed)
        for observer in shared.withLock({ $0.freezeObservers }) { observer(isFrozen) }
    }

    // MARK: Places

    /// Actors made inside live on that media loop. Tasks begun inside inherit it: begin none.
    package func withShard<T>(_ shard: Int, _ make: () throws -> T) rethrows -> T {
        precondition(shards.indices.contains(shard), "shard \(shard) of \(shards.count)")
        return try Self.$shard.withValue(shard, operation: make)
    }
    /// What an actor names in its `unownedExecutor`.
    package func executor(of id: ActorAddress) -> UnownedSerialExecutor {
        let shard = id.shard
        return shards.indices.contains(shard) ? shards[shard].asUnownedSerialExecutor() : loop.asUnownedSerialExecutor()
    }

    // MARK: Virtual actors

    /// Registers a kind of virtual actor. Call it on every node before `start`, alike but for what its closures capture.
    package func virtual(_ kind: VirtualKind) { virtuals.register(kind) }
    /// - Parameters:
    ///   - roles: a node may host it that has one of them; empty: every node.
    ///   - cost: capacity units of one actor (`ClusterConfiguration.units`).
    ///   - revives: survivors activate a dead node's at once, without waiting for a call.
    ///   - move: how it takes its state along when it moves.
    ///   - activate: makes the actor on this node under a fresh claim. What it throws reaches the callers.
    ///   - lost: the claim was taken by another node while this one was stalled or cut off: stop deciding, end.
    package func virtual(
        _ kind: String, roles: Set<String> = [], cost: Int = 1, revives: Bool = false, move: VirtualMove? = nil,
        activate: @escaping VirtualKind.Activate, lost: VirtualKind.Lost? = nil
    ) {
        virtual(VirtualKind(name: kind, roles: roles, cost: cost, revives: revives, activate: activate, lost: lost, move: move))
    }
    /// A reference that finds the actor wherever it is; claims and activates it at the first call if it is nowhere.
    package func reference<A: DistributedActor>(_ type: A.Type, kind: String, key: String) -> A where A.ActorSystem == ClusterSystem {
        do { return try A.resolve(id: .virtual(kind: kind, key: key), using: self) } catch { preconditionFailure("a virtual address always resolves: \(error)") }
    }
    /// Lets go of a virtual actor of this node and gives its claim back. The next call anywhere activates it anew.
    package func deactivate(kind: String, key: String) async { await virtuals.deactivate(VirtualIdentity(kind: kind, key: key)) }
    /// Likewise, at once: on the control loop, or where nothing else runs.
    package var heldClaims: [Claim] { virtuals.claims }
    package var linksNow: [LinkReport] { links.reports }
    /// The claims this node holds now.
    package func claims() async -> [Claim] { (try? await onLoop { [self] in virtuals.claims }) ?? [] }

    // MARK: What may be called

    /// Lets other nodes call only these methods (by their base names) of actors of this type.
    package func allow<A: DistributedActor>(_ type: A.Type, methods: Set<String>) { registry.restrict(type, to: methods) }
    /// The distributed methods of a type that other nodes may call.
    package func allowedMethods<A: DistributedActor>(_ type: A.Type) -> Set<String> { Set(registry.table(of: type).methods.values) }
    /// Lets errors of this type cross nodes as themselves.
    package func register<E: Error & Codable>(error type: E.Type) { errors.register(type) }
}
