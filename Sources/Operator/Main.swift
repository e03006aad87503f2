// The executable `troupectl`.
internal import Configuration
internal import EventLoop
internal import Glibc
internal import Primitives
internal import Synchronization

@main struct OperatorMain {
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        exit(run(Array(CommandLine.arguments.dropFirst())).rawValue)
    }

    static func run(_ arguments: [String]) -> ExitCode {
        let invocation: Invocation
        do throws(UsageError) { invocation = try Invocation.parse(arguments) } catch {
            Console.error("troupectl: \(error)\n")
            return .usage
        }
        switch invocation.order {
        case .help(let name): Console.out(name.flatMap(CommandTable.command).map(Help.of) ?? Help.overview())
        case .version: Console.out("troupectl \(Release.version)\n")
        case .completion(let shell): Console.out(Completion.script(shell))
        case .names(ofRooms: false): return namesOfNodes(invocation)
        default: return ask(invocation)
        }
        return .done
    }
    /// Read from the file alone: no node need be there.
    private static func namesOfNodes(_ invocation: Invocation) -> ExitCode {
        do {
            Console.out(try TopologyFile.load(invocation.topology).nodes.map { "\($0.name)\n" }.joined())
            return .done
        } catch { return failed(error) }
    }
    /// The loop runs on this thread until the command is done or interrupted.
    private static func ask(_ invocation: Invocation) -> ExitCode {
        do {
            let loop = try UVLoop(name: "control")
            let command = try CommandRun(invocation, loop: loop)
            let status = Mutex(ExitCode.interrupted)
            let task = Mutex<Task<Void, Never>?>(nil)
            for number in [SIGINT, SIGTERM] { try loop.onSignal(number) { task.withLock { $0 }?.cancel() } }
            loop.post {
                let begun = loop.spawn {
                    let ended = await command.run()
                    status.withLock { $0 = ended }
                    loop.stop()
                }
                task.withLock { $0 = begun }
            }
            loop.run()
            let ended = status.withLock { $0 }
            return ended == .interrupted && invocation.isEndless ? .done : ended
        } catch { return failed(error) }
    }
    private static func failed(_ error: any Error) -> ExitCode {
        let failure = CommandFailure(error)
        Console.error("troupectl: \(failure.message)\n")
        return failure.status
    }
}

extension Invocation {
    /// Interrupting it is how it ends.
    var isEndless: Bool {
        switch order {
        case .top(_, once: false), .events(_, follows: true): true
        default: false
        }
    }
}
