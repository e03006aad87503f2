// Running ffmpeg, ffprobe and troupe-media from tests.
import Glibc

struct CommandResult { var status: Int32; var output: String; var errors: String }

/// Runs a shell command; standard error is kept apart.
func run(_ command: String) -> CommandResult {
    let errorPath = "/tmp/troupe-test-\(getpid())-\(UInt64.random(in: 0 ... .max)).err"
    defer { unlink(errorPath) }
    guard let pipe = popen("{ \(command); } 2>\(errorPath)", "r") else { return CommandResult(status: -1, output: "", errors: "popen failed") }
    var output: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 65_536)
    while case let n = fread(&chunk, 1, chunk.count, pipe), n > 0 { output += chunk[..<n] }
    let status = pclose(pipe)
    return CommandResult(status: status & 0x7F != 0 ? -(status & 0x7F) : status >> 8 & 0xFF, output: String(decoding: output, as: UTF8.self), errors: String(decoding: readFile(errorPath), as: UTF8.self))
}

func readFile(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 65_536)
    while case let n = fread(&chunk, 1, chunk.count, file), n > 0 { bytes += chunk[..<n] }
    return bytes
}
func writeFile(_ path: String, _ bytes: [UInt8]) {
    guard let file = fopen(path, "w") else { fatalError("cannot write \(path)") }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
}

/// A folder that goes with its owner.
final class TemporaryFolder: Sendable {
    let path: String
    init() {
        var template = Array("/tmp/troupe-rendering-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    deinit { _ = system("rm -rf '\(path)'") }
}

/// `troupe-media` stands beside the test's own executable.
let mediaWorker: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let n = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let own = String(decoding: buffer.prefix(max(0, n)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/troupe-media"
}()

/// One value ffprobe prints.
func probe(_ path: String, _ entries: String, _ options: String = "") -> String {
    run("ffprobe -v error \(options) -show_entries \(entries) -of default=nw=1:nk=1 '\(path)'").output.trimmed
}
/// Errors of decoding the whole file; empty when it decodes from end to end.
func decodeErrors(_ path: String) -> String { run("ffmpeg -v warning -xerror -i '\(path)' -f null - </dev/null").errors }
/// Checksums of all decoded frames, without their timestamps.
func frameSums(_ path: String) -> [String] {
    run("ffmpeg -v error -i '\(path)' -map 0:v -fps_mode passthrough -f framemd5 - </dev/null").output
        .split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { $0.split(separator: ",").last.map { String($0).trimmed } }
}

extension String {
    var trimmed: String {
        var slice = self[...]
        while let c = slice.first, c.isWhitespace { slice.removeFirst() }
        while let c = slice.last, c.isWhitespace { slice.removeLast() }
        return String(slice)
    }
}
