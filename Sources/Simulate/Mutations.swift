// The simulator's own test: with a protection gone, it must notice.
import Cluster
import Glibc
import Simulation

/// Switches each protection off in turn and looks for the first seed that breaks an invariant.
struct Mutations {
    enum Limits {
        static let seeds: UInt64 = 200
    }
    let options: Options

    func run() -> Bool {
        var isGood = true
        print("protection          first seed   broken invariant")
        let names = options.withoutNames.isEmpty ? Protections.names.map(\.0) : options.withoutNames
        for name in names {
            var child = options
            child.without = Protections.named(name) ?? []
            child.withoutNames = [name]
            child.runs = Limits.seeds
            var found: SeedLine?
            Children(options: child) { line in
                guard !line.isGood, line.verdict != Invariant.replay.rawValue else { return true }
                found = line
                return false
            }.run()
            let seed = found.map { String($0.seed) } ?? "none in \(Limits.seeds)"
            print(pad(name, 20) + pad(seed, 13) + (found.map { "\($0.verdict): \($0.text.prefix(140))" } ?? "NOT NOTICED"))
            fflush(nil)
            if found == nil { isGood = false }
        }
        return isGood
    }
    private func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }
}
