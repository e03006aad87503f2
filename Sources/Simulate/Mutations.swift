// The simulator's own test: with a protection gone, it must notice.
import Cluster
import Glibc
import Simulation

/// Switches each protection off in turn and looks for the first seed that breaks an invariant. Each has plans of its own: the
/// faults it protects from, often, on a cluster as large as it takes.
struct Mutations {
    enum Limits {
        static let seeds: UInt64 = 200
        /// Seconds of real time for one protection, after which no seed is begun; `--seconds` sets another.
        static let seconds: Int64 = 300
    }
    let options: Options

    func run() -> Bool {
        var isGood = true
        print("protection          first seed   seconds   broken invariant")
        let names = options.withoutNames.isEmpty ? Protections.names.map(\.0) : options.withoutNames
        for name in names {
            guard let protection = Protections.named(name) else { continue }
            let begin = Children.seconds(), found = firstToNotice(name, protection)
            let seed = found.map { String($0.seed) } ?? "none", took = String(Children.seconds() - begin)
            print(pad(name, 20) + pad(seed, 13) + pad(took, 10) + (found.map { "\($0.verdict): \($0.text.prefix(140))" } ?? "NOT NOTICED in \(Limits.seeds) seeds or that time"))
            fflush(nil)
            if found == nil { isGood = false }
        }
        return isGood
    }
    /// The first seed that fails without the protection and passes with it.
    private func firstToNotice(_ name: String, _ protection: Protections) -> SeedLine? {
        var child = options
        child.isOnce = true
        child.parameters = Self.plan(for: protection)
        let end = options.seed + Limits.seeds, last = Children.seconds() + (options.seconds ?? Limits.seconds)
        while child.seed < end {
            (child.without, child.withoutNames, child.runs, child.seconds) = (protection, [name], end - child.seed, last - Children.seconds())
            guard let broken = firstFailure(child) else { return nil }
            (child.without, child.withoutNames, child.runs, child.seed, child.seconds) = ([], [], 1, broken.seed, nil)
            if firstFailure(child) == nil { return broken }
            child.seed += 1
        }
        return nil
    }
    private func firstFailure(_ options: Options) -> SeedLine? {
        var found: SeedLine?
        Children(options: options) { line in
            guard !line.isGood else { return true }
            if found.map({ line.seed < $0.seed }) ?? true { found = line }
            return false
        }.run()
        return found
    }
    private func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }

    static func plan(for protection: Protections) -> PlanParameters {
        var plan = PlanParameters()
        plan.scenario = .tally
        plan.nodes = 3
        plan.faults = 24
        switch protection {
        case .claimCAS: plan.kinds = [.kill, .restart, .isolate, .storeSlow]
        // Where fewer than three vote, the row alone decides.
        case .leaseCheck: (plan.nodes, plan.kinds) = (2, [.isolate, .flap])
        case .stallCheck: plan.kinds = [.pause]
        case .expiryCheck: plan.kinds = [.pause, .storeSlow]
        case .incarnationCheck: plan.kinds = [.restart]
        // A minority that suspects an owner which has a majority, but not the store.
        case .vote: plan.kinds = [.isolate, .asymmetric, .storeUnreachable]
        case .freeze: plan.kinds = [.severed]
        default:
            plan.scenario = .conference
            plan.clients = 40
            switch protection {
            // What an owner that was cut off had under way reaches the log after its successor has opened it.
            case .epochCheck: (plan.clients, plan.kinds) = (10, [.severed, .storeSlow])
            case .keptWords: plan.kinds = [.doomed]
            case .eventDedup: plan.kinds = [.reset, .asymmetric, .flap, .loss]
            // A try that its client has given up is still on its way when the next one is granted.
            case .resumeDedup: plan.kinds = [.delay]
            // A client that has moved says goodbye at its old edge before that edge has heard of the move.
            case .attachmentCheck: plan.kinds = [.drain, .delay]
            default: plan.kinds = []
            }
        }
        return plan
    }
}
