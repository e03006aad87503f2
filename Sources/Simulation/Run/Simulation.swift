// One seed from its first to its last moment, and twice the same.
import Cluster
import Primitives

/// What one seed came to.
package struct SeedResult: Sendable {
    package var seed: UInt64
    package var scenario: ScenarioKind
    package var nodes = 0
    package var hash: UInt64 = 0
    package var items: UInt64 = 0
    package var calls = 0
    /// How long a voted-down owner was seen to decide beside its successor, at most. Nanoseconds.
    package var overlap: Int64 = 0
    package var fired: [FaultKind: Int] = [:]
    package var violation: Violation?
    package var lines: [String] = []
    package var summary = ""
    package init(seed: UInt64, scenario: ScenarioKind) { self.seed = seed; self.scenario = scenario }
}

/// What runs on the cluster.
package enum ScenarioKind: String, CaseIterable, Sendable {
    case tally, conference
    package static func of(_ seed: UInt64) -> ScenarioKind { allCases[Int(seed % UInt64(allCases.count))] }

    /// Whether it has what the fault disturbs: without a conference nobody sends datagrams.
    package func meets(_ fault: FaultKind) -> Bool { self == .conference || fault != .reorder && fault != .duplicate }

    func make(_ world: World, _ database: SimulatedDatabase, _ parameters: PlanParameters) -> any Scenario {
        switch self {
        case .tally: TallyScenario(world, database)
        case .conference: ConferenceScenario(world, database, clients: parameters.clients > 0 ? parameters.clients : ConferenceScenario.Limits.clients)
        }
    }
}

package enum Simulation {
    package enum Limits {
        /// Seconds into the quiet at which questions are asked.
        package static let probeAfter: Int64 = 15
    }
    /// Runs a seed once.
    package static func run(_ seed: UInt64, parameters: PlanParameters = PlanParameters(), protections: Protections = .all, traceLines: Int = 0) -> SeedResult {
        let kind = parameters.scenario ?? ScenarioKind.of(seed)
        let plan = FaultPlan(seed: seed, parameters: parameters)
        let world = World(seed: seed, traceLines: traceLines)
        let cluster = SimulatedCluster(world, plan: plan, protections: protections) { kind.make($0, $1, parameters) }
        let injector = FaultInjector(cluster, plan)
        // A world is never taken apart: dead processes' tasks hang in it.
        _ = Unmanaged.passRetained(world)
        _ = Unmanaged.passRetained(cluster)
        cluster.boot()
        injector.begin()
        let second: Int64 = 1_000_000_000
        world.run(until: parameters.quiet * second)
        cluster.scenario.quiet()
        world.run(until: (parameters.quiet + Limits.probeAfter) * second)
        world.after(0) { cluster.scenario.probe() }
        world.run(until: parameters.end * second)
        if world.violation == nil { cluster.scenario.check() }
        var result = SeedResult(seed: seed, scenario: kind)
        result.nodes = plan.nodes
        result.hash = world.trace.hash
        result.items = world.itemsRun
        result.fired = injector.counts
        result.violation = world.violation
        result.lines = world.trace.lastLines
        result.calls = cluster.scenario.ledger.callCount
        result.overlap = cluster.scenario.ledger.longestOverlap
        result.summary = cluster.scenario.ledger.answered.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        return result
    }
    /// Runs a seed twice: the same trace, or the seed fails.
    package static func runTwice(_ seed: UInt64, parameters: PlanParameters = PlanParameters(), protections: Protections = .all) -> SeedResult {
        var first = run(seed, parameters: parameters, protections: protections)
        let second = run(seed, parameters: parameters, protections: protections)
        if first.hash != second.hash, first.violation == nil || second.violation == nil || first.violation != second.violation {
            first.violation = Violation(invariant: .replay, text: "two runs leave the traces \(first.hash) and \(second.hash)", at: 0)
        }
        return first
    }
}
