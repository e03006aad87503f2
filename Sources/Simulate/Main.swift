// `troupe-simulate`: whole clusters from seeds.
import Cluster
import Glibc
import Simulation

@main struct Main {
    static func main() {
        beDeterministic()
        let options: Options
        do throws(Options.Mistake) { options = try Options(Array(CommandLine.arguments.dropFirst())) } catch {
            print("\(error.text)\n\n\(Options.usage)")
            exit(2)
        }
        switch options.mode {
        case .seeds: exit(seeds(options) ? 0 : 1)
        case .batch: batch(options)
        case .trace: exit(trace(options) ? 0 : 1)
        case .mutations: exit(Mutations(options: options).run() ? 0 : 1)
        }
    }

    /// Swift seeds its hasher anew for each process and each collection: unless the environment says otherwise, and that is read at the start.
    private static func beDeterministic() {
        let name = "SWIFT_DETERMINISTIC_HASHING"
        guard getenv(name) == nil else { return }
        setenv(name, "1", 1)
        var words: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", &words)
        print("cannot run itself anew: \(String(cString: strerror(errno)))")
        exit(2)
    }
    private static func cpuMicroseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    private static func batch(_ options: Options) {
        for seed in options.seed..<options.seed &+ options.runs {
            let start = cpuMicroseconds()
            let result = options.isOnce
                ? Simulation.run(seed, parameters: options.parameters, protections: options.protections)
                : Simulation.runTwice(seed, parameters: options.parameters, protections: options.protections)
            print(SeedLine(result, microseconds: cpuMicroseconds() - start).line)
            fflush(nil)
        }
    }
    private static func trace(_ options: Options) -> Bool {
        let result = Simulation.run(options.seed, parameters: options.parameters, protections: options.protections, traceLines: options.lines)
        for line in result.lines { print(line) }
        print("seed \(result.seed) \(result.scenario.rawValue), \(result.nodes) nodes, \(result.items) steps, trace \(result.hash)\n\(result.summary)")
        guard let violation = result.violation else { return true }
        print("BROKEN \(violation.invariant.rawValue): \(violation.text)")
        return false
    }
    private static func seeds(_ options: Options) -> Bool {
        var totals = Totals()
        Children(options: options) { line in
            totals.add(line)
            if options.runs == 1 { print("seed \(line.seed) \(line.scenario), \(line.nodes) nodes: \(line.items) steps, \(line.calls) calls, trace \(line.hash)") }
            if !line.isGood { print("seed \(line.seed) \(line.scenario) BROKEN \(line.verdict): \(line.text)") }
            fflush(nil)
            return true
        }.run()
        for failure in totals.failures.prefix(3) { show(failure, options) }
        print("faults that were carried out:\n\(totals.faultTable(of: options.parameters.kinds))")
        let never = totals.neverFired(of: options.parameters.kinds)
        for kind in never { print("FAILED: \(kind)") }
        print(totals.summary)
        return totals.failures.isEmpty && never.isEmpty && !totals.lines.isEmpty
    }
    /// The seed again, with its lines: the same run.
    private static func show(_ failure: SeedLine, _ options: Options) {
        guard failure.microseconds > 0 else { return }
        let result = Simulation.run(failure.seed, parameters: options.parameters, protections: options.protections, traceLines: World.Limits.traceLines)
        print("last lines of seed \(failure.seed):")
        for line in result.lines.suffix(40) { print("  \(line)") }
        print("again: ops/simulate --seed \(failure.seed)\(options.parameters.scenario.map { " --scenario \($0.rawValue)" } ?? "")\(options.withoutNames.map { " --without \($0)" }.joined()) --trace")
    }
}
