// A cluster of machines under one scenario.
import Cluster
import EventLoop
import Primitives

/// What runs on the machines, and what must hold of it.
package protocol Scenario: AnyObject, Sendable {
    var ledger: Ledger { get }
    /// The cluster is made; nothing runs yet.
    func begin(_ cluster: SimulatedCluster)
    /// A process is about to join: register actors. Called on its loop.
    func prepare(_ life: Life)
    /// It has joined. Called on its loop.
    func joined(_ life: Life)
    /// It is told to stop in order.
    func stop(_ life: Life) async
    /// It is to be emptied: no new work, and what it has goes elsewhere. Called on its loop.
    func drain(_ life: Life, within deadline: Duration) async
    /// It takes work again. Called on its loop.
    func undrain(_ life: Life)
    /// It was killed, or it stopped.
    func ended(_ life: Life, silently: Bool)
    /// The faults are over: no new work from now on.
    func quiet()
    /// Some time into the quiet: questions that must be answered well by now.
    func probe()
    /// All is quiet: what must hold now? Broken invariants go to the world.
    func check()
}

/// One process: from its start to its end.
package final class Life: @unchecked Sendable {
    package let machine: Machine
    package let loop: SimulatedLoop
    /// Where its packets are.
    package let media: SimulatedLoop
    package let system: ClusterSystem
    package let store: StoreAccess
    package let number: Int
    package internal(set) var hasJoined = false
    /// Whatever the scenario keeps for it.
    package var belongings: AnyObject?
    package var isAlive: Bool { loop.state != .dead }
    package var host: Host { machine.host }
    package var name: NodeName { machine.name }

    init(_ machine: Machine, number: Int, loop: SimulatedLoop, media: SimulatedLoop, system: ClusterSystem, store: StoreAccess) {
        self.machine = machine; self.number = number; self.loop = loop; self.media = media; self.system = system; self.store = store
    }
}

package final class SimulatedCluster: @unchecked Sendable {
    package let world: World
    package let wires: Wires
    package let database: SimulatedDatabase
    package let protections: Protections
    package private(set) var machines: [Machine] = []
    package let scenario: any Scenario

    package init(_ world: World, plan: FaultPlan, protections: Protections, scenario: (World, SimulatedDatabase) -> any Scenario) {
        self.world = world
        self.protections = protections
        // One machine more: the clients'.
        wires = Wires(world, hosts: plan.nodes + 1)
        database = SimulatedDatabase(world)
        database.comparesClaims = protections.contains(.claimCAS)
        database.comparesEpochs = protections.contains(.epochCheck)
        self.scenario = scenario(world, database)
        for a in 0...plan.nodes {
            for b in 0...plan.nodes {
                wires.paths[a][b].latency = plan.baseLatency
                wires.paths[a][b].jitter = plan.baseLatency
            }
        }
        machines = (0..<plan.nodes).map { Machine(self, host: $0) }
    }
    package func boot() {
        scenario.begin(self)
        var random = world.random("boot")
        for machine in machines { world.after(Int64(random.next() % 400_000_000)) { machine.boot() } }
    }
}

/// A machine: the process on it comes and goes.
package final class Machine: @unchecked Sendable {
    package enum Limits {
        package static let clusterPort: UInt16 = 7000
        /// After a process that could not join.
        package static let tryAgain: Int64 = 1_000_000_000
        /// How long an orderly stop may take before the process is killed.
        package static let stopPatience: Int64 = 15_000_000_000
    }
    package let host: Host
    package let name: NodeName
    package private(set) var life: Life?
    /// Of the lives to come.
    package var drift: Int64
    private var skew: Int64
    private unowned let cluster: SimulatedCluster
    private var world: World { cluster.world }
    private var lives = 0
    private var random: SplitMix64
    private var stalls = 0

    init(_ cluster: SimulatedCluster, host: Host) {
        self.cluster = cluster
        self.host = host
        name = NodeName("n\(host + 1)")
        var random = cluster.world.random("machine \(host)")
        skew = Int64(random.next() % 200_000) - 100_000
        drift = Int64(random.next() % 100) - 50
        self.random = random
    }

    package func boot() {
        guard life == nil else { return }
        lives += 1
        let clock = SimulatedClock(origin: Int64(random.next() % 1_000_000_000_000), drift: drift, skew: skew)
        let loop = SimulatedLoop(world, name: "\(name).\(lives)", clock: clock)
        let media = SimulatedLoop(world, name: "\(name).\(lives)m", clock: clock)
        loop.ports = cluster.wires.ports
        media.ports = cluster.wires.ports
        let store = StoreAccess(cluster.database, host: host)
        let system = ClusterSystem(
            configuration: configuration(), loop: loop, shards: [media], network: HostNetwork(cluster.wires, host: host, loop: loop), leases: store,
            random: SeededRandom(seed: random.next()))
        let life = Life(self, number: lives, loop: loop, media: media, system: system, store: store)
        self.life = life
        cluster.wires.processStarted(host)
        world.say("\(loop.name) starts")
        system.observeNotices { [world = self.world] notice in world.say("\(loop.name) \(notice)") }
        loop.post { [self] in
            cluster.scenario.prepare(life)
            loop.spawn { await self.join(life) }
        }
    }
    private func join(_ life: Life) async {
        do {
            try await life.system.start()
            life.hasJoined = true
            world.say("\(life.loop.name) joined as \(life.system.incarnation.rawValue)")
            cluster.scenario.joined(life)
        } catch {
            world.say("\(life.loop.name) cannot join: \(error)")
            world.after(0) { [self] in
                guard self.life === life, kill(silently: false) else { return }
                world.after(Limits.tryAgain) { self.boot() }
            }
        }
    }
    private func configuration() -> ClusterConfiguration {
        var peers: [NodeName: SocketAddress] = [:]
        for other in cluster.machines.indices where other != host {
            peers[NodeName("n\(other + 1)")] = Wires.address(of: other, port: Limits.clusterPort)
        }
        var configuration = ClusterConfiguration(
            name: name, roles: ["room", "edge", "recorder"], bind: Wires.address(of: host, port: Limits.clusterPort), peers: peers, tls: SimulatedIdentity.shared)
        configuration.protections = cluster.protections
        return configuration
    }

    // MARK: Faults

    package func kill(silently: Bool) -> Bool {
        guard let life else { return false }
        self.life = nil
        life.loop.kill()
        life.media.kill()
        stalls = 0
        cluster.wires.processDied(host, silently: silently)
        if silently { cluster.database.forget(host) }
        cluster.scenario.ended(life, silently: silently)
        return true
    }
    package func stop() -> Bool {
        guard let life, life.hasJoined, life.loop.state == .running else { return false }
        world.say("\(life.loop.name) stops")
        life.loop.spawn { [self] in
            await cluster.scenario.stop(life)
            // What was written leaves before the process ends.
            world.after(50_000_000) { [self] in if self.life === life { _ = kill(silently: false) } }
        }
        world.after(Limits.stopPatience) { [self] in if self.life === life { _ = kill(silently: false) } }
        return true
    }
    /// - Returns: the life that is emptied now.
    package func drain(within deadline: Duration) -> Life? {
        guard let life, life.hasJoined, life.loop.state == .running, life.system.member(name)?.state == .up else { return nil }
        life.system.setState(.draining)
        life.loop.spawn { [cluster] in await cluster.scenario.drain(life, within: deadline) }
        return life
    }
    package func undrain(_ life: Life) {
        guard life.isAlive else { return }
        life.loop.post { [cluster] in
            guard life.system.member(life.name)?.state == .draining else { return }
            life.system.setState(.up)
            cluster.scenario.undrain(life)
        }
    }
    package func stall() -> Bool {
        guard let life else { return false }
        stalls += 1
        life.loop.stall()
        life.media.stall()
        return true
    }
    package func resume() {
        guard stalls > 0 else { return }
        stalls -= 1
        guard stalls == 0 else { return }
        life?.loop.resume()
        life?.media.resume()
    }
    package func stepWall(milliseconds: Int64) {
        skew += milliseconds * 1000
        life?.loop.stepWall(microseconds: milliseconds * 1000)
        life?.media.stepWall(microseconds: milliseconds * 1000)
    }
}
