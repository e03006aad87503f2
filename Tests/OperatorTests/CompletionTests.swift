// The completion scripts, given to the shells themselves.
import Glibc
import Testing

@testable import Operator

@Suite struct CompletionScripts {
    /// Runs a program with a script as its standard input. - Returns: nil where it is not installed.
    private func run(_ program: String, _ arguments: [String], input: String) -> (status: Int32, output: String)? {
        guard let path = ["/bin/", "/usr/bin/"].map({ $0 + program }).first(where: { access($0, X_OK) == 0 }) else { return nil }
        var template = Array("/tmp/troupectl-completion-XXXXXX".utf8CString)
        let folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        let script = "\(folder)/script", result = "\(folder)/output"
        defer { unlink(script); unlink(result); rmdir(folder) }
        let file = open(script, O_WRONLY | O_CREAT, 0o600)
        precondition(write(file, input, input.utf8.count) == input.utf8.count)
        close(file)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, result, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        var words = ([path] + arguments + [script]).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process = pid_t(), status: Int32 = 0
        guard posix_spawn(&process, path, &actions, nil, &words, environ) == 0 else { return nil }
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        guard let output = fopen(result, "r") else { return (status, "") }
        defer { fclose(output) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, output)
        return (status, String(decoding: bytes[..<count], as: UTF8.self))
    }

    @Test(arguments: [(Shell.bash, "bash"), (.zsh, "zsh"), (.fish, "fish")])
    func aShellReadsItsScript(shell: Shell, program: String) throws {
        guard let (status, output) = run(program, ["-n"], input: Completion.script(shell)) else {
            // Only bash is always there.
            return #expect(shell != .bash, "bash is not installed")
        }
        #expect(status == 0 && output.isEmpty, "\(output)")
    }
    /// What bash offers for a command line, by asking the function as bash does.
    @Test(arguments: [
        ("dr", ["drain"]), ("un", ["unpin", "undrain"]), ("rebalance --s", ["--status", "--stop"]), ("completion z", ["zsh"]), ("--json na", ["names"]), ("--topology t.yaml help re", ["rebalance", "recordings"]),
        ("names ", ["nodes", "rooms"]), ("move --to n", ["n1", "n2"]), ("drain ", ["n1", "n2"]), ("room R_", ["R_one", "R_two"]), ("drain n1 --deadline ", []),
    ] as [(String, [String])])
    func bashCompletes(line: String, offered: [String]) throws {
        let words = (["troupectl"] + line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)).map { "'\($0)'" }
        let script = """
            troupectl() { case "$2" in nodes) printf 'n1\\nn2\\n' ;; rooms) printf 'R_one\\nR_two\\n' ;; esac; }
            compopt() { :; }
            \(Completion.script(.bash))
            COMP_WORDS=(\(words.joined(separator: " "))); COMP_CWORD=\(words.count - 1); COMPREPLY=()
            _troupectl
            for word in "${COMPREPLY[@]}"; do echo "$word"; done
            """
        let (status, output) = try #require(run("bash", [], input: script))
        #expect(status == 0 && Set(output.split(separator: "\n").map(String.init)) == Set(offered), "\(output)")
    }
}
