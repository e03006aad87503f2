// The command line of `troupe-media`.
import Capture
import Primitives

enum ArgumentError: Error, Equatable {
    case helpWanted
    /// What is wrong and what to write instead.
    case wrong(String)
}

struct Arguments {
    static var usage: String {
        """
        \(subcommands.map { $0.usage }.joined(separator: "\n\n"))

        All take --dir FOLDER, which is {storage}/rooms/{room}/{recording}, and [--memory-mib N] [--cpu-seconds N].
        Prints JSON lines: progress with `done` from 0 to 1 and `eta` in seconds, the last line a verdict.
        Exit codes: 0 ready, 64 usage, 65 nothing captured or unusable input, 66 no such folder, 70 internal, 73 not writable,
        74 disk full or failing, 75 busy: another process is at the same files.
        """
    }
    var common = CommonArguments()
    let command: any Subcommand

    init(_ words: [String]) throws(ArgumentError) {
        guard let name = words.first, name != "--help", name != "-h", name != "help" else { throw .helpWanted }
        guard let type = subcommands.first(where: { $0.name == name }) else {
            throw .wrong("`\(name)` is no command; write one of \(subcommands.map { $0.name }.joined(separator: ", "))")
        }
        var command = type.init()
        var rest = words.dropFirst()
        while let option = rest.popFirst() {
            if option == "--help" { throw .helpWanted }
            var value = ""
            if !type.flags.contains(option) {
                guard let next = rest.popFirst() else { throw .wrong("`\(option)` wants a value") }
                value = next
            }
            switch option {
            case "--dir": common.folder = value
            case "--memory-mib": common.limits.memoryMiB = UInt64(try Self.number(option, value, 1...Int(UInt32.max)))
            case "--cpu-seconds": common.limits.cpuSeconds = UInt64(try Self.number(option, value, 1...Int(UInt32.max)))
            default: guard try command.take(option, value) else { throw .wrong("`\(option)` is no option of \(name); see `troupe-media --help`") }
            }
        }
        while common.folder.count > 1, common.folder.hasSuffix("/") { common.folder.removeLast() }
        guard !common.folder.isEmpty else { throw .wrong("`--dir` is missing: the recording's folder") }
        try command.check(common)
        self.command = command
    }
    /// A path below FOLDER/processed.
    static func processed(_ option: String, _ path: String, example: String) throws(ArgumentError) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count > 1, parts[0] == RecordingLayout.Names.processed, parts.allSatisfy({ TrackID(String($0)).isSafe }) else {
            throw .wrong("`\(option) \(path)`: write a path such as \(example)")
        }
        return path
    }
    static func number(_ option: String, _ text: String, _ range: ClosedRange<Int>) throws(ArgumentError) -> Int {
        guard let value = Int(text), range.contains(value) else { throw .wrong("`\(option) \(text)`: write a whole number from \(range.lowerBound) to \(range.upperBound)") }
        return value
    }
}
