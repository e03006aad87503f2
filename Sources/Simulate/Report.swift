// A seed's result as one line between processes, and sums over many.
import Simulation

/// `seed scenario nodes hash items calls overlap microseconds verdict kind=count,…|text`
struct SeedLine {
    var seed: UInt64
    var scenario: String
    var nodes: Int
    var hash: UInt64
    var items: UInt64
    var calls: Int
    /// Milliseconds; see `SeedResult.overlap`.
    var overlap: Int64
    var microseconds: Int64
    /// "ok", or the broken invariant.
    var verdict: String
    var fired: [FaultKind: Int]
    var text: String

    init(_ result: SeedResult, microseconds: Int64) {
        seed = result.seed; scenario = result.scenario.rawValue; nodes = result.nodes; hash = result.hash; items = result.items; calls = result.calls
        overlap = result.overlap / 1_000_000
        self.microseconds = microseconds
        verdict = result.violation?.invariant.rawValue ?? "ok"
        fired = result.fired
        text = result.violation.map { "\(Trace.seconds($0.at)) \($0.text)" } ?? ""
    }
    var line: String {
        let counts = FaultKind.allCases.compactMap { kind in fired[kind].map { "\(kind.rawValue)=\($0)" } }.joined(separator: ",")
        return "\(seed) \(scenario) \(nodes) \(hash) \(items) \(calls) \(overlap) \(microseconds) \(verdict) \(counts)|\(text.replacing("\n", with: " "))"
    }
    init?(_ line: Substring) {
        let halves = line.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false)
        let words = halves[0].split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 10, halves.count == 2, let seed = UInt64(words[0]), let nodes = Int(words[2]), let hash = UInt64(words[3]), let items = UInt64(words[4]),
              let calls = Int(words[5]), let overlap = Int64(words[6]), let microseconds = Int64(words[7]) else { return nil }
        self.seed = seed; scenario = String(words[1]); self.nodes = nodes; self.hash = hash; self.items = items; self.calls = calls; self.overlap = overlap; self.microseconds = microseconds
        verdict = String(words[8])
        fired = [:]
        for pair in words[9].split(separator: ",") {
            let parts = pair.split(separator: "=")
            if parts.count == 2, let kind = FaultKind(rawValue: String(parts[0])), let count = Int(parts[1]) { fired[kind] = count }
        }
        text = String(halves[1])
    }
    var isGood: Bool { verdict == "ok" }
}

/// Over all seeds of a run.
struct Totals {
    enum Limits {
        /// From so many seeds on, and of each scenario that has so many, every kind of fault has to have happened.
        static let seedsForAllKinds = 200
    }
    var lines: [SeedLine] = []
    mutating func add(_ line: SeedLine) { lines.append(line) }

    private static func fired(_ lines: [SeedLine]) -> [FaultKind: Int] {
        var sum: [FaultKind: Int] = [:]
        for line in lines { for (kind, count) in line.fired { sum[kind, default: 0] += count } }
        return sum
    }
    /// What has to have happened and did not, in words: of each scenario that ran often enough, and of all together.
    func neverFired(of kinds: [FaultKind]) -> [String] {
        let present = ScenarioKind.allCases.filter { kind in lines.contains { $0.scenario == kind.rawValue } }
        let groups = present.map { [$0] } + (present.count > 1 ? [present] : [])
        return groups.flatMap { group -> [String] in
            let some = lines.filter { line in group.contains { $0.rawValue == line.scenario } }, fired = Self.fired(some)
            guard some.count >= Limits.seedsForAllKinds else { return [] }
            let missing = kinds.filter { kind in fired[kind, default: 0] == 0 && group.contains { $0.meets(kind) } }
            return missing.map { "\($0.rawValue) never happened in \(some.count) seeds of \(group.map(\.rawValue).joined(separator: " and "))" }
        }
    }
    var failures: [SeedLine] { lines.filter { !$0.isGood } }

    /// The faults by kind, four a line.
    func faultTable(of kinds: [FaultKind]) -> String {
        let fired = Self.fired(lines)
        let cells = kinds.map { kind in
            let name = kind.rawValue, count = String(fired[kind, default: 0])
            return name + String(repeating: " ", count: max(1, 26 - name.count - count.count)) + count
        }
        return stride(from: 0, to: cells.count, by: 4).map { start in "  " + cells[start..<min(start + 4, cells.count)].joined(separator: "   ") }.joined(separator: "\n")
    }
    var summary: String {
        let micro = lines.map(\.microseconds).sorted(), calls = lines.reduce(0) { $0 + $1.calls }
        let total = Double(micro.reduce(0, +)) / 1e6, median = micro.isEmpty ? 0 : Double(micro[micro.count / 2]) / 1e6
        func rounded(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
        let kinds = ScenarioKind.allCases.map { kind in (kind.rawValue, lines.count { $0.scenario == kind.rawValue }) }.filter { $0.1 > 0 }
        return "\(lines.count) seeds (\(kinds.map { "\($0.1) \($0.0)" }.joined(separator: ", "))), \(failures.count) failed; \(calls) calls, \(lines.reduce(0) { $0 + $1.items }) steps; two owners for \(lines.map(\.overlap).max() ?? 0) ms at most; CPU \(rounded(total)) s, \(rounded(median)) s a seed (both runs)"
    }
}
