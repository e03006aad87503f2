import Synchronization
import Testing

@testable import EventLoop

@Suite struct ChildProcessTests {
    /// Runs a command on a loop of its own and gives what it printed and how it ended.
    private func run(_ path: String, _ arguments: [String]) throws -> (lines: [String], exit: ChildProcess.Exit?) {
        let loop = try UVLoop(name: "child-test")
        let seen = Mutex<(lines: [String], exit: ChildProcess.Exit?)>(([], nil))
        let result = SharedBox(seen)
        _ = try ChildProcess(loop, path: path, arguments: arguments, onLine: { line in result.value.withLock { $0.lines.append(line) } }, onExit: { exit in
            result.value.withLock { $0.exit = exit }
            loop.stop()
        })
        loop.run()
        return result.value.withLock { $0 }
    }

    @Test func linesComeBeforeTheExit() throws {
        let result = try run("/bin/sh", ["-c", "printf 'one\\ntwo'; exit 3"])
        #expect(result.lines == ["one", "two"])
        #expect(result.exit == ChildProcess.Exit(status: 3, signal: 0))
    }
    @Test func aSignalIsNamed() throws {
        let result = try run("/bin/sh", ["-c", "kill -9 $$"])
        #expect(result.exit?.signal == 9)
        #expect(result.exit?.isSuccess == false)
    }
    @Test func aMissingProgramIsATypedError() throws {
        let loop = try UVLoop(name: "child-test")
        #expect(throws: NetworkError.self) {
            _ = try ChildProcess(loop, path: "/nonexistent/program", arguments: [], onLine: { _ in }, onExit: { _ in })
        }
        loop.stop()
        loop.run()
    }
    @Test func anEndlessLineIsCut() throws {
        let result = try run("/bin/sh", ["-c", "head -c 200000 /dev/zero | tr '\\0' x; echo; echo after"])
        #expect(result.lines.map(\.utf8.count) == [ChildProcess.Limits.lineBytes, 5])
    }
}

private final class SharedBox<Value: ~Copyable & Sendable>: Sendable {
    let value: Value
    init(_ value: consuming Value) { self.value = value }
}
