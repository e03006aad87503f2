// Seeds, by the program that runs them: it needs a process with a hasher that is not seeded.
import Glibc
import Testing

/// `troupe-simulate` stands beside the test's own executable.
private let program: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let n = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let own = String(decoding: buffer.prefix(max(0, n)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/troupe-simulate"
}()

private func simulate(_ arguments: String) -> (status: Int32, text: String) {
    guard let output = popen("\(program) \(arguments) 2>&1", "r") else { return (-1, "no shell") }
    var text: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 4096)
    while case let n = fread(&chunk, 1, chunk.count, output), n > 0 { text += chunk[..<n] }
    return (pclose(output) >> 8 & 0xFF, String(decoding: text, as: UTF8.self))
}

@Suite(.serialized, .enabled(if: getenv("TROUPE_SEEDS") != nil, "takes minutes: ops/test --long runs it")) struct SeedTests {
    /// Real seconds for seeds in the Swift test run; `ops/test` runs more.
    static let seconds = 15

    @Test func seedsPass() {
        let (status, text) = simulate("--scenario tally --seed 1 --runs 100000 --seconds \(Self.seconds)")
        #expect(status == 0, "\(text)")
    }
    @Test func conferenceSeedsPass() {
        let (status, text) = simulate("--scenario conference --clients 40 --seed 1 --runs 100000 --seconds \(Self.seconds)")
        #expect(status == 0, "\(text)")
    }
    @Test func aSeedThatOnceFailedPasses() throws {
        let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let file = try #require(fopen("\(folder)/Regressions/seeds.txt", "r"))
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), file) != nil {
            let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(whereSeparator: \.isWhitespace)
            guard words.count >= 2, words[0] != "#" else { continue }
            let options = words.dropFirst(2).prefix { $0 != "#" }.joined(separator: " ")
            let (status, text) = simulate("--scenario \(words[0]) --seed \(words[1]) \(options)")
            if words.contains("open:") { withKnownIssue("not repaired yet", isIntermittent: true) { #expect(status == 0, "\(text)") } } else { #expect(status == 0, "\(text)") }
        }
    }
    @Test func aClaimTakenWithoutComparingIsNoticed() {
        let (status, text) = simulate("--mutations --without claim_cas --scenario tally")
        #expect(status == 0 && text.contains("claim_cas"), "\(text)")
    }
    @Test func aWrongCommandLineIsExplained() {
        for arguments in ["--seed x", "--kinds nonsense", "--without nothing", "--what"] {
            let (status, text) = simulate(arguments)
            #expect(status == 2 && text.contains("troupe-simulate: whole clusters"), "\(text)")
        }
    }
}
