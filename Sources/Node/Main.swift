// The executable `troupe`.
internal import Configuration
internal import EventLoop
internal import Glibc
internal import Primitives

@main struct NodeMain {
    /// Synchronous on purpose: `troupe node` runs its control loop on this thread, and nothing here is @MainActor.
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }

    /// - Returns: the exit status: 0 done, 1 it did not work, 2 the command line was wrong.
    static func run(_ arguments: [String]) -> Int32 {
        do throws(UsageError) {
            return run(try Command.parse(arguments))
        } catch {
            complain("troupe: \(error)")
            return 2
        }
    }

    private static func run(_ command: Command) -> Int32 {
        switch command {
        case .help: say(Command.usage)
        case .version: say("troupe \(Release.version)\n")
        case .checkTopology(let file): return attempt { say("\(file): \(Commands.summary(of: try Topology.load(path: file)))\n") }
        case .listNodes(let file): return attempt { say(Commands.nodes(of: try Topology.load(path: file))) }
        case .keys(let file): return attempt { say(try Commands.makeKeys(topology: file)) }
        case .node(let file, let name, let level): return NodeProcess.run(topology: file, name: NodeName(name), log: level)
        }
        return 0
    }

    private static func attempt(_ body: () throws -> Void) -> Int32 {
        do {
            try body()
            return 0
        } catch {
            complain("\(error)")
            return 1
        }
    }
    private static func say(_ text: String) { write(STDOUT_FILENO, text, text.utf8.count) }
    private static func complain(_ text: String) { write(STDERR_FILENO, text + "\n", text.utf8.count + 1) }
}
