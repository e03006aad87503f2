// The command line of `troupe`, read into a value.
package import Configuration

package enum Command: Equatable, Sendable {
    case node(topology: String, name: String, log: LogLevel)
    case keys(topology: String)
    case checkTopology(file: String)
    case listNodes(file: String)
    case help
    case version

    package static let usage = """
        troupe: live rooms on a cluster of nodes, recorded

          troupe node --topology FILE --name NAME [--log-level LEVEL]   runs one node until SIGINT or SIGTERM
          troupe keys --topology FILE                                   makes what is missing of the cluster's CA,
                                                                        certificates and API keys
          troupe topology check FILE                                    says what is wrong with a topology, where,
                                                                        and what to write instead
          troupe topology nodes FILE                                    lists its nodes: name, address, roles
          troupe --help | --version

        LEVEL is debug, info (as it is), warning or error. Logs are JSON lines on standard error.
        A topology names the nodes of a cluster; Topology/three-node.yaml is one, docs/topology.md explains it.

        """

    /// - Parameter arguments: without the program's own name.
    package static func parse(_ arguments: [String]) throws(UsageError) -> Command {
        guard let word = arguments.first else { throw UsageError("a command is missing; `troupe --help` lists them") }
        let rest = Array(arguments.dropFirst())
        if rest.contains("--help") || rest.contains("-h") { return .help }
        switch word {
        case "--help", "-h", "help": return .help
        case "--version", "version": return .version
        case "node":
            var options = try Options(rest, of: word, known: ["--topology", "--name", "--log-level"])
            let level = try options.level("--log-level")
            return .node(topology: try options.take("--topology", "FILE"), name: try options.take("--name", "NAME"), log: level)
        case "keys":
            var options = try Options(rest, of: word, known: ["--topology"])
            return .keys(topology: try options.take("--topology", "FILE"))
        case "topology":
            return try topology(rest)
        default:
            let words = ["node", "keys", "topology", "--help", "--version"]
            let advice = Suggestion.nearest(to: word, among: words).map { "did you mean `\($0)`?" } ?? "`troupe --help` lists them"
            throw UsageError("`\(word)` is not a command; \(advice)")
        }
    }

    private static func topology(_ rest: [String]) throws(UsageError) -> Command {
        guard rest.count == 2 else { throw UsageError("write `troupe topology check FILE` or `troupe topology nodes FILE`") }
        switch rest[0] {
        case "check": return .checkTopology(file: rest[1])
        case "nodes": return .listNodes(file: rest[1])
        default: throw UsageError("`topology \(rest[0])` is not a command; write `troupe topology check FILE` or `troupe topology nodes FILE`")
        }
    }
}

/// `--key value` and `--key=value` pairs.
private struct Options {
    private let command: String
    private var values: [String: String] = [:]

    init(_ arguments: [String], of command: String, known: [String]) throws(UsageError) {
        self.command = command
        var left = arguments[...]
        while let word = left.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard known.contains(parts[0]) else {
                let advice = Suggestion.nearest(to: parts[0], among: known).map { "did you mean `\($0)`?" } ?? "its options are \(known.joined(separator: ", "))"
                throw UsageError("`\(word)` is not an option of `troupe \(command)`; \(advice)")
            }
            let value = parts.count == 2 ? parts[1] : left.popFirst()
            guard let value, !value.isEmpty else { throw UsageError("`\(parts[0])` needs a value") }
            guard values.updateValue(value, forKey: parts[0]) == nil else { throw UsageError("`\(parts[0])` is given twice") }
        }
    }
    mutating func take(_ key: String, _ placeholder: String) throws(UsageError) -> String {
        guard let value = values.removeValue(forKey: key) else { throw UsageError("`troupe \(command)` needs `\(key) \(placeholder)`") }
        return value
    }
    mutating func level(_ key: String) throws(UsageError) -> LogLevel {
        guard let word = values.removeValue(forKey: key) else { return .info }
        guard let level = LogLevel(rawValue: word) else { throw UsageError("`\(word)` is not a level; write debug, info, warning or error") }
        return level
    }
}
