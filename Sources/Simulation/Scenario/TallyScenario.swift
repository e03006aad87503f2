// A cluster that only counts: virtual actors, instances, calls of all kinds, and a ledger beside them.
import Cluster
import Distributed
import EventLoop
import Primitives

package final class TallyScenario: Scenario, @unchecked Sendable {
    package enum Limits {
        package static let keys = 24
        package static let callersPerLife = 3
        /// Milliseconds between two calls of one caller.
        package static let pause: ClosedRange<UInt64> = 40...700
        /// Addresses of instances, old ones among them.
        package static let addresses = 64
        package static let movesPerSecond = 20
    }
    package let world: World
    package let ledger: Ledger
    private var isQuiet = false
    private var living: [Life] = []
    /// Where instances are, or were: callers keep what they know.
    private var bells: [(ActorAddress, Incarnation)] = []
    private var probes: [String: String] = [:]

    package init(_ world: World, _ database: SimulatedDatabase) {
        self.world = world
        let ledger = Ledger(world)
        self.ledger = ledger
        database.onClaim = { ledger.claimed($0) }
        database.onRetirement = { ledger.retired($0, $1, byVote: $2) }
    }

    package func prepare(_ life: Life) {
        let ledger = ledger
        life.system.virtual(Tally.kind) { _, claim, system in
            ledger.activated(claim)
            return Tally(system, claim, ledger)
        }
    }
    package func joined(_ life: Life) {
        living.append(life)
        let bell = Bell(life.system, ledger, world)
        life.belongings = bell
        if bells.count >= Limits.addresses { bells.removeFirst() }
        bells.append((bell.id, bell.id.incarnation))
        for caller in 0..<Limits.callersPerLife {
            let random = SeededRandom(seed: world.random("caller \(life.loop.name) \(caller)").state)
            life.loop.spawn { await self.callForever(life, random) }
        }
    }
    package func begin(_ cluster: SimulatedCluster) {}
    package func stop(_ life: Life) async { await life.system.shutdown() }
    package func drain(_ life: Life, within deadline: Duration) async {
        guard let plan = try? await life.system.drainPlan(life.name) else { return }
        world.say("\(life.loop.name) is to give away \(plan.count)")
        life.system.carryOut(plan, perSecond: Limits.movesPerSecond).resume()
    }
    package func undrain(_ life: Life) {}
    package func ended(_ life: Life, silently: Bool) { living.removeAll { $0 === life } }
    package func quiet() { isQuiet = true }

    // MARK: Callers

    private func callForever(_ life: Life, _ random: SeededRandom) async {
        while !isQuiet, life.isAlive {
            let span = Limits.pause.upperBound - Limits.pause.lowerBound
            try? await life.loop.sleep(for: .milliseconds(Int64(Limits.pause.lowerBound + random.next() % span)))
            guard !isQuiet else { return }
            await callOnce(life, random)
        }
    }
    private func callOnce(_ life: Life, _ random: SeededRandom) async {
        let deadline = Duration.milliseconds([300, 1000, 2000, 5000][Int(random.next() % 4)])
        let key = "k\(random.next() % UInt64(Limits.keys))"
        switch random.next() % 16 {
        case 0: try? await life.system.reference(Tally.self, kind: Tally.kind, key: key).leave()
        case 1, 2, 3: await ring(life, random, deadline)
        case 4: await pass(life, key, to: "k\(random.next() % UInt64(Limits.keys))", deadline)
        default: await add(life, key, deadline)
        }
    }
    private func add(_ life: Life, _ key: String, _ deadline: Duration) async {
        let reference = life.system.reference(Tally.self, kind: Tally.kind, key: key)
        let call = ledger.begin(by: life.loop.name, key: key, deadline: deadline.inNanoseconds, on: life.loop)
        do {
            _ = try await ClusterSystem.$deadline.withValue(deadline) { try await reference.add(call) }
            ledger.told(call, .value)
        } catch { ledger.told(call, Ledger.Told(error)) }
    }
    private func pass(_ life: Life, _ key: String, to other: String, _ deadline: Duration) async {
        guard key != other else { return }
        let reference = life.system.reference(Tally.self, kind: Tally.kind, key: key)
        let call = ledger.begin(by: life.loop.name, key: key, deadline: deadline.inNanoseconds, on: life.loop)
        // The inner call is the actor's: it has a deadline of its own, and no caller here.
        let inner = ledger.begin(by: key, key: other, deadline: .max / 2, on: life.loop)
        do {
            _ = try await ClusterSystem.$deadline.withValue(deadline) { try await reference.pass(call, to: other, inner: inner) }
            ledger.told(call, .value)
        } catch { ledger.told(call, Ledger.Told(error)) }
        ledger.abandon(inner)
    }
    private func ring(_ life: Life, _ random: SeededRandom, _ deadline: Duration) async {
        guard !bells.isEmpty else { return }
        let (address, incarnation) = bells[Int(random.next() % UInt64(bells.count))]
        guard let bell = try? Bell.resolve(id: address, using: life.system) else { return }
        let call = ledger.begin(by: life.loop.name, key: "\(address)", deadline: deadline.inNanoseconds, on: life.loop)
        do {
            try await ClusterSystem.$deadline.withValue(deadline) { try await bell.ring(call, meant: incarnation) }
            ledger.told(call, .value)
        } catch { ledger.told(call, Ledger.Told(error)) }
    }

    // MARK: The end

    package func check() {
        ledger.settle()
        let names = Set(living.map(\.name))
        for life in living {
            let seen = Set(life.system.members().map(\.name))
            if seen != names { return world.fail(.healed, "\(life.loop.name) sees \(seen.sorted()); up are \(names.sorted())") }
        }
        // Questions that were begun too late to be answered by now say nothing.
        for (probe, answer) in probes.sorted(by: { $0.key < $1.key }) where answer != "value" && answer != "nothing" {
            return world.fail(.healed, "when all was quiet, \(probe) was answered: \(answer)")
        }
        if probes.isEmpty { world.fail(.healed, "nobody was left to ask") }
    }
    /// Some time into the quiet: every actor answers every node.
    package func probe() {
        for life in living {
            life.loop.spawn {
                for key in 0..<Limits.keys { await self.probe(life, "k\(key)") }
            }
        }
    }
    private func probe(_ life: Life, _ key: String) async {
        let name = "\(life.loop.name) asking \(key)"
        probes[name] = "nothing"
        let call = ledger.begin(by: life.loop.name, key: key, deadline: 5_000_000_000, on: life.loop)
        do {
            _ = try await life.system.reference(Tally.self, kind: Tally.kind, key: key).add(call)
            ledger.told(call, .value)
            probes[name] = "value"
        } catch {
            ledger.told(call, Ledger.Told(error))
            probes[name] = "\(error)"
        }
    }
}
