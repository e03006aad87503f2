// Rules over the text of the sources: what pure targets may not name, how shells begin tasks, how long a file gets.
import Testing

/// Targets that take time, randomness and input as arguments. WebRTC owns OpenSSL and libsrtp contexts and no more.
let pureTargets = ["Primitives", "RTP", "WebRTC", "Forwarding", "Capture", "Composition", "Cluster/Core"]

/// Words a pure target may not contain, and what to do instead. `Primitives/Random.swift` holds the one system source that shells hand down.
let bannedInPure: [(word: String, instead: String)] = [
    ("Glibc", "system calls belong to shells"),
    ("ContinuousClock", "take `now: Instant`"), ("SuspendingClock", "take `now: Instant`"), ("clock_gettime", "take `now: Instant`"),
    ("gettimeofday", "take `now: Instant`"), ("Date", "take `WallTime`"), ("DispatchQueue", "a pure target has no threads"),
    ("Task", "a pure target has no tasks"), ("async", "a pure target does not wait"), ("await", "a pure target does not wait"),
    ("SystemRandomNumberGenerator", "take a `RandomSource`"), ("random(in", "take a `RandomSource`"), ("randomElement", "take a `RandomSource`"), ("shuffled", "take a `RandomSource`"),
    ("getrandom", "take a `RandomSource`"), ("print", "return what happened"), ("fputs", "return what happened"),
    ("fopen", "take bytes"), ("socket", "take bytes"), ("usleep", "time is an argument"), ("sleep", "time is an argument"),
    ("Mutex", "a value has one owner"), ("Atomic", "a value has one owner"),
]
/// Files that are the named exception, each with its reason.
let pureExceptions: [String: Set<String>] = [
    "Sources/Primitives/Random.swift": ["SystemRandomNumberGenerator"],     // the system's source, handed down by shells
    "Sources/Primitives/SeededRandom.swift": ["Mutex"],                     // shared by everything a simulation runs
    "Sources/Primitives/PacketRing.swift": ["Atomic"],                      // the one queue between two threads
    "Sources/Cluster/Core/Claims/LeaseStore.swift": ["async"],             // the protocol a store implements
]

@Suite struct SourceRules {
    @Test(arguments: pureTargets)
    func pureTargetsHaveNoHiddenInputs(target: String) {
        for file in SourceTree.swiftFiles(under: "Sources/\(target)") {
            let excepted = pureExceptions[file.path, default: []]
            for (number, line) in file.code.enumerated() {
                for banned in bannedInPure where !excepted.contains(banned.word) && contains(line, word: banned.word) {
                    Issue.record("\(file.path):\(number + 1): `\(banned.word)` in a pure target; \(banned.instead)")
                }
            }
        }
    }

    @Test func rootTasksBeginOnALoop() {
        for file in SourceTree.swiftFiles(under: "Sources") {
            for (number, line) in file.code.enumerated() {
                let bare = contains(line, word: "Task {") || contains(line, word: "Task.detached") || contains(line, word: "Task(priority")
                #expect(!bare, "\(file.path):\(number + 1): a bare task runs on the global pool; write `loop.spawn { … }`")
            }
        }
    }

    @Test func nothingIsPublicAndNothingIsOnTheMainActor() {
        for file in SourceTree.swiftFiles(under: "Sources") {
            for (number, line) in file.code.enumerated() {
                // A public distributed actor crashes the optimiser across modules; @MainActor code never runs in the daemon.
                for word in ["public", "open class", "@MainActor"] { #expect(!contains(line, word: word), "\(file.path):\(number + 1): `\(word)`; write `package`") }
            }
        }
    }

    @Test func everyShimIsInTheModule() {
        let umbrella = SourceTree.text("Sources/CShims/include/CShims.h")
        for header in SourceTree.files(under: "Sources/CShims/include", suffix: ".h") where !header.hasSuffix("/CShims.h") {
            let name = header.split(separator: "/").last ?? ""
            #expect(umbrella.contains("#include \"\(name)\""), "\(header) is missing in CShims.h")
        }
    }

    @Test func noUnfinishedMarksAndNoEmptyNames() {
        for file in SourceTree.swiftFiles(under: "Sources") + SourceTree.swiftFiles(under: "Tests") where !file.path.hasSuffix("SourceRules.swift") {
            for (number, line) in file.lines.enumerated() {
                for mark in ["TODO", "FIXME", "XXX", "HACK"] { #expect(!contains(String(line), word: mark), "\(file.path):\(number + 1): \(mark)") }
            }
            let name = file.path.split(separator: "/").last.map(String.init) ?? ""
            for word in ["Manager", "Helper", "Utils", "Util", "Misc"] {
                #expect(!name.contains(word), "\(file.path): a name that says nothing; name the thing in the field's words")
            }
        }
    }

    @Test func filesStayShort() {
        let files = SourceTree.swiftFiles(under: "Sources") + SourceTree.swiftFiles(under: "Tests")
            + ["c", "h", "py", "js", "css"].flatMap { suffix in
                ["Sources", "Tests", "ops"].flatMap { SourceTree.files(under: $0, suffix: ".\(suffix)").map(SourceTree.read) }
            }
        for file in files { #expect(file.lines.count <= 501, "\(file.path) has \(file.lines.count - 1) lines; at most 500: it is two things") }
    }

    @Test func theManifestDeclaresNoMoreThanTheTable() {
        let manifest = SourceTree.text("Package.swift")
        var seen: Set<String> = []
        for line in manifest.split(separator: "\n") {
            guard let call = ["library(\"", "executable(\""].first(where: { line.contains($0) }), let start = line.firstRange(of: call)?.upperBound else { continue }
            let words = line[start...].split(separator: "\"", omittingEmptySubsequences: false)
            let target = String(words[0])
            guard let allowed = importTable[target] else { continue }
            seen.insert(target)
            guard let open = line.firstIndex(of: "["), let close = line[open...].firstIndex(of: "]") else { continue }
            for (index, word) in line[open..<close].split(separator: "\"", omittingEmptySubsequences: false).enumerated() where index % 2 == 1 {
                #expect(allowed.contains(String(word)), "Package.swift: \(target) must not depend on \(word)")
            }
        }
        #expect(seen == Set(importTable.keys))
    }

    /// Whether `line` contains `word`, not as a part of a longer one.
    private func contains(_ line: String, word: String) -> Bool {
        var rest = Substring(line)
        while let range = rest.firstRange(of: word) {
            let before = range.lowerBound == line.startIndex ? nil : line[line.index(before: range.lowerBound)]
            let after = range.upperBound == line.endIndex ? nil : line[range.upperBound]
            func isWordy(_ character: Character?) -> Bool { character.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false }
            let lastIsWordy = isWordy(word.last), firstIsWordy = isWordy(word.first)
            if !(firstIsWordy && isWordy(before)) && !(lastIsWordy && isWordy(after)) { return true }
            rest = line[range.upperBound...]
        }
        return false
    }
}

@Suite struct SourceReading {
    @Test func onlyCodeIsLookedAt() {
        let text = """
            let a = "Task { in a string \\" still" + b // Task { in a comment
            /* Task {
            */ Task { real() }
            """
        let file = SourceFile(path: "x.swift", lines: text.split(separator: "\n", omittingEmptySubsequences: false))
        #expect(file.code == ["let a =  + b ", "", " Task { real() }"])
    }
    @Test(arguments: [
        ("package import Primitives", "Primitives"), ("@preconcurrency internal import Glibc", "Glibc"), ("import struct A.B", "A"), ("let important = 1", nil), ("// import X", nil),
    ] as [(Substring, String?)])
    func importsAreRead(line: Substring, module: String?) { #expect(importedModule(line) == module) }
}
