// The command line of `troupe-media`.
import Primitives

enum ArgumentError: Error, Equatable {
    case helpWanted
    /// What is wrong and what to write instead.
    case wrong(String)
}

struct Arguments {
    static let usage = """
        troupe-media finalise --dir FOLDER --recording ID [--memory-mib N] [--cpu-seconds N]

        Makes tracks/{peer}/{track}.webm (.mkv for H.264), metadata.json and timeline.json from the journals in FOLDER,
        which is {storage}/rooms/{room}/{recording}. Prints progress as JSON lines, the last line a verdict.
        Exit codes: 0 ready, 64 usage, 65 nothing captured, 66 no such folder, 70 internal, 73 not writable,
        74 disk full or failing, 75 busy: another process is finishing the same recording.
        """
    var folder = ""
    var recording: RecordingID = ""
    var limits = ResourceLimits()

    init(_ words: [String]) throws(ArgumentError) {
        guard let command = words.first, command != "--help", command != "-h", command != "help" else { throw .helpWanted }
        guard command == "finalise" else { throw .wrong("`\(command)` is no command; write `troupe-media finalise --dir FOLDER --recording ID`") }
        var rest = words.dropFirst()
        while let option = rest.popFirst() {
            if option == "--help" { throw .helpWanted }
            guard let value = rest.popFirst() else { throw .wrong("`\(option)` wants a value") }
            switch option {
            case "--dir": folder = value
            case "--recording": recording = RecordingID(value)
            case "--memory-mib": limits.memoryMiB = try Self.number(value, option)
            case "--cpu-seconds": limits.cpuSeconds = try Self.number(value, option)
            default: throw .wrong("`\(option)` is no option of finalise; see `troupe-media --help`")
            }
        }
        while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
        guard !folder.isEmpty else { throw .wrong("`--dir` is missing: the recording's folder") }
        guard recording.isSafe else { throw .wrong("`--recording` is missing or no recording id") }
    }
    private static func number(_ text: String, _ option: String) throws(ArgumentError) -> UInt64 {
        guard let value = UInt64(text), value > 0, value < 1 << 32 else { throw .wrong("`\(option) \(text)`: write a whole number from 1") }
        return value
    }
}
