// What every command of `troupe-media` is: a file of its own and a line in `subcommands`.
import Capture
import Rendering

/// One command: takes its options, then works on the calling thread until it has a verdict.
protocol Subcommand {
    static var name: String { get }
    /// How to call it, and what it makes, for `--help`.
    static var usage: String { get }
    /// Options that stand without a value ("--follow").
    static var flags: Set<String> { get }
    init()
    /// - Returns: false for an option it does not know; `value` is "" for a flag.
    mutating func take(_ option: String, _ value: String) throws(ArgumentError) -> Bool
    /// After all options: is anything missing?
    func check(_ common: CommonArguments) throws(ArgumentError)
    func run(_ common: CommonArguments, _ progress: Progress) throws(WorkerError) -> WorkerVerdict
}

extension Subcommand {
    static var flags: Set<String> { [] }
    func check(_ common: CommonArguments) throws(ArgumentError) {}
}

var subcommands: [any Subcommand.Type] { [FinaliseCommand.self, PreviewCommand.self, ThumbnailCommand.self, ExportCommand.self, DeviceCommand.self] }

/// What all commands take.
struct CommonArguments {
    /// The recording's folder, `{storage}/rooms/{room}/{recording}`, without a slash at the end.
    var folder = ""
    var limits = ResourceLimits()
}
