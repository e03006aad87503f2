// The target table of docs/decisions/0001-targets.md, enforced over the source.
import Testing

/// Who may import whom. A target's own system modules stand beside its peers.
let importTable: [String: Set<String>] = [
    "Primitives": [],
    "RTP": ["Primitives"],
    "WebRTC": ["RTP", "Primitives", "COpenSSL", "CSRTP"],
    "Forwarding": ["RTP", "Primitives"],
    "Capture": ["RTP", "Primitives"],
    "Composition": ["Capture", "RTP", "Primitives"],
    "EventLoop": ["Primitives", "CLibuv", "CShims"],
    "Transport": ["EventLoop", "WebRTC", "Forwarding", "RTP", "Primitives", "CShims", "CLibuv", "COpenSSL"],
    "Cluster": ["EventLoop", "Primitives", "COpenSSL", "CShims"],
    "Contracts": ["Cluster", "Primitives"],
    "Store": ["Cluster", "Contracts", "EventLoop", "Primitives", "CSQLite", "CPostgres", "CShims"],
    "Hashing": ["COpenSSL"],
    "ObjectStorage": ["Hashing", "EventLoop", "Primitives", "CCurl"],
    "Conference": ["Contracts", "Cluster", "Transport", "Forwarding", "WebRTC", "RTP", "Capture", "Composition", "Store", "ObjectStorage", "EventLoop", "Primitives", "CShims"],
    "Gateway": ["Conference", "Composition", "Contracts", "EventLoop", "Hashing", "Primitives", "CWebSockets", "COpenSSL", "CShims", "CLibuv"],
    "Rendering": ["Composition", "Capture", "RTP", "Primitives", "CFFmpeg", "CShims"],
    "Configuration": ["Primitives", "CYAML"],
    "Node": ["Configuration", "Gateway", "Conference", "Contracts", "Cluster", "Store", "ObjectStorage", "Transport", "Forwarding", "WebRTC", "RTP", "Capture", "EventLoop", "Primitives", "COpenSSL", "CShims"],
    "Simulation": ["Conference", "Contracts", "Cluster", "Transport", "Forwarding", "WebRTC", "RTP", "EventLoop", "Primitives", "CShims"],
    "Simulate": ["Simulation", "Cluster"],
    "Operator": ["Contracts", "Cluster", "Configuration", "EventLoop", "Primitives"],
    "MediaWorker": ["Rendering", "Capture", "Primitives", "CShims"],
    "LoadClient": ["WebRTC", "Transport", "Forwarding", "RTP", "EventLoop", "Primitives", "CWebSockets", "COpenSSL", "CShims", "CLibuv"],
]
/// Modules of the toolchain. Foundation is not among them: `FoundationEssentials` only, at the edges.
let toolchain: Set<String> = ["Swift", "Synchronization", "Distributed", "_Concurrency", "Glibc"]
let foundationAllowed: Set<String> = ["Capture", "Conference", "Gateway", "Node", "Rendering", "MediaWorker", "LoadClient", "Store"]

@Suite struct Imports {
    @Test(arguments: importTable.keys.sorted())
    func onlyWhatTheTableAllows(target: String) throws {
        for file in SourceTree.swiftFiles(under: "Sources/\(target)") {
            for (number, line) in file.lines.enumerated() {
                guard let module = importedModule(line) else { continue }
                let allowed = importTable[target, default: []].contains(module) || toolchain.contains(module)
                    || (module == "FoundationEssentials" && foundationAllowed.contains(target))
                #expect(allowed, "\(file.path):\(number + 1): \(target) must not import \(module)")
            }
        }
    }

    @Test func everyTargetIsInTheTable() {
        let targets = SourceTree.directories(under: "Sources").filter { !SourceTree.swiftFiles(under: "Sources/\($0)").isEmpty }
        #expect(Set(targets) == Set(importTable.keys))
    }

    @Test func whatTheTableAllowsNeverPointsUpward() {
        // A target's dependencies are all strictly below it: the table has no cycle.
        var settled: Set<String> = [], left = importTable
        while let next = left.keys.sorted().first(where: { left[$0]!.allSatisfy { settled.contains($0) || importTable[$0] == nil } }) {
            settled.insert(next)
            left[next] = nil
        }
        #expect(left.isEmpty, "a cycle among \(left.keys.sorted())")
    }
}

/// The module a line imports, whatever stands in front (`package import`, `@preconcurrency import`, `import struct A.B`).
func importedModule(_ line: Substring) -> String? {
    var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
    let modifiers: Set<Substring> = ["package", "internal", "private", "fileprivate", "public"]
    while let first = words.first, modifiers.contains(first) || (first.hasPrefix("@") && first != "@main") { words.removeFirst() }
    guard words.first == "import", words.count > 1 else { return nil }
    let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "typealias", "let", "var"]
    let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
    return name.split(separator: ".").first.map(String.init)
}
