// `troupe node`: from the command line to a running node, and back down on a signal.
internal import Configuration
internal import EventLoop
internal import Glibc
internal import Primitives

enum NodeProcess {
    enum Limits {
        /// For everything to stop cleanly after a signal; then the process ends anyway.
        static let stop: Duration = .seconds(10)
    }

    /// Runs the node on the calling thread until it is told to stop.
    static func run(topology file: String, name: NodeName, log level: LogLevel) -> Int32 {
        let log = Log(node: name, least: level) { SystemClock.wall }
        let environment: NodeEnvironment
        do {
            let topology = try Topology.load(path: file)
            guard let node = topology.node(name) else {
                let names = topology.nodes.map(\.name.rawValue)
                throw UsageError("\(file) has no node `\(name)`; \(Suggestion.nearest(to: name.rawValue, among: names).map { "did you mean `\($0)`?" } ?? "its nodes are \(names.joined(separator: ", "))")")
            }
            raiseDescriptorLimit()
            environment = try NodeEnvironment.prepare(topology: topology, node: node, log: log, wall: SystemClock.wall)
        } catch {
            for line in "\(error)".split(separator: "\n") { log.error(String(line)) }
            return 1
        }
        let life = NodeLife(environment)
        do throws(NetworkError) { try life.watchSignals() } catch {
            log.error("\(error)")
            return 1
        }
        environment.control.post { life.start() }
        environment.control.run()
        return life.status
    }

    /// Sockets are descriptors: as many as the system lets this process have.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
