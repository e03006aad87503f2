// The command line of `troupe-simulate`.
import Cluster
import Simulation

struct Options {
    static let usage = """
        troupe-simulate: whole clusters in virtual time, each from one seed (docs/decisions/0025-simulation.md)

          --seed N            the first seed (1)
          --runs M            how many seeds (1)
          --jobs J            processes at once (2)
          --seconds S         begin no seed after S seconds of real time
          --scenario NAME     what runs on the cluster: \(ScenarioKind.allCases.map(\.rawValue).joined(separator: ", ")) (by turns, unless named)
          --without NAME      switch one protection off: \(Protections.names.map(\.0).joined(separator: ", "))
          --mutations         switch each protection off in turn and look for the first seed that notices
          --trace             one seed, once, with its last lines; --lines N: how many (\(World.Limits.traceLines))
          --nodes N --faults N --clients N --kinds A,B  another plan than the seed's own
          --once              each seed once: faster, but a run that does not replay stays unnoticed
        Kinds of faults: \(FaultKind.allCases.map(\.rawValue).joined(separator: ", "))
        """
    enum Mode { case seeds, batch, mutations, trace }
    var mode = Mode.seeds
    var seed: UInt64 = 1
    var runs: UInt64 = 1
    var jobs = 2
    var lines = World.Limits.traceLines
    var seconds: Int64?
    var isOnce = false
    var without: Protections = []
    var withoutNames: [String] = []
    var parameters = PlanParameters()
    var arguments: [String] = []

    struct Mistake: Error { let text: String }

    init(_ words: [String]) throws(Mistake) {
        var rest = words[...]
        func value(_ option: String) throws(Mistake) -> String {
            guard let word = rest.popFirst() else { throw Mistake(text: "`\(option)` needs a value") }
            return word
        }
        func number(_ option: String) throws(Mistake) -> UInt64 {
            let word = try value(option)
            guard let number = UInt64(word) else { throw Mistake(text: "`\(option) \(word)`: not a number") }
            return number
        }
        while let word = rest.popFirst() {
            switch word {
            case "--seed": seed = try number(word)
            case "--runs": runs = try number(word)
            case "--jobs": jobs = max(1, min(64, Int(clamping: try number(word))))
            case "--seconds": seconds = Int64(clamping: try number(word))
            case "--lines": lines = max(1, Int(clamping: try number(word)))
            case "--help": throw Mistake(text: "")
            case "--nodes": parameters.nodes = Int(clamping: try number(word))
            case "--once": isOnce = true
            case "--clients": parameters.clients = min(1000, Int(clamping: try number(word)))
            case "--faults": parameters.faults = Int(clamping: try number(word))
            case "--kinds": parameters.kinds = try Self.kinds(try value(word))
            case "--scenario":
                let name = try value(word)
                guard let kind = ScenarioKind(rawValue: name) else { throw Mistake(text: "no scenario `\(name)`") }
                parameters.scenario = kind
            case "--without":
                let name = try value(word)
                guard let protection = Protections.named(name) else { throw Mistake(text: "no protection `\(name)`") }
                without.insert(protection)
                withoutNames.append(name)
            case "--trace": mode = .trace
            case "--batch": mode = .batch
            case "--mutations": mode = .mutations
            default: throw Mistake(text: "unknown option `\(word)`")
            }
        }
        guard parameters.nodes == 0 || (2...7).contains(parameters.nodes) else { throw Mistake(text: "`--nodes` is 2 to 7") }
    }
    private static func kinds(_ list: String) throws(Mistake) -> [FaultKind] {
        var kinds: [FaultKind] = []
        for word in list.split(separator: ",") {
            guard let kind = FaultKind(rawValue: String(word)) else { throw Mistake(text: "no kind of fault `\(word)`") }
            kinds.append(kind)
        }
        return kinds
    }
    var protections: Protections { Protections.all.subtracting(without) }
    /// What a child needs to be told to run some of these seeds.
    func words(first: UInt64, count: UInt64) -> [String] {
        var words = ["--batch", "--seed", "\(first)", "--runs", "\(count)"]
        if let scenario = parameters.scenario { words += ["--scenario", scenario.rawValue] }
        if parameters.nodes > 0 { words += ["--nodes", "\(parameters.nodes)"] }
        if isOnce { words += ["--once"] }
        if parameters.clients > 0 { words += ["--clients", "\(parameters.clients)"] }
        if parameters.faults > 0 { words += ["--faults", "\(parameters.faults)"] }
        if parameters.kinds != FaultKind.allCases { words += ["--kinds", parameters.kinds.map(\.rawValue).joined(separator: ",")] }
        return words + withoutNames.flatMap { ["--without", $0] }
    }
}
