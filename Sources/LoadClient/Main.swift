// The executable `troupe-load`.
internal import Glibc

@main struct LoadClientMain {
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }
    private static func run(_ arguments: [String]) -> Int32 {
        do throws(UsageError) {
            switch try Options.parse(arguments) {
            case .help:
                Console.out(Options.usage)
                return 0
            case .run(let options): return run(options)
            }
        } catch {
            Console.error("troupe-load: \(error)\n")
            return 2
        }
    }
    private static func run(_ options: Options) -> Int32 {
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            limit.rlim_cur = limit.rlim_max
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        do { return try LoadRun(options).run() } catch {
            Console.error("troupe-load: \(error)\n")
            return 1
        }
    }
}
