// Every seed, every kept corpus file and every input that once broke something, through its parser; and seeded mutations of them.
import FuzzTargets
import Glibc
import Primitives
import Testing

private let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")

@Suite struct FuzzReplay {
    @Test(arguments: FuzzTarget.all.map(\.name))
    func corporaAndMutationsAreSurvived(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let seeds = target.seeds()
        #expect(!seeds.isEmpty && seeds.allSatisfy { !$0.isEmpty && $0.count <= target.longest })
        let inputs = seeds + files("\(root)/Fuzz/Corpus/\(name)", longest: target.longest)
        for input in inputs + [[]] { input.withUnsafeBytes(target.run) }
        var random = SplitMix64(seed: 0xF022)
        for _ in 0..<2_000 {
            let mutant = mutate(inputs[Int(random.next() % UInt64(inputs.count))], &random, longest: target.longest)
            mutant.withUnsafeBytes(target.run)
        }
    }

    @Test func everyCorpusHasItsTarget() {
        for folder in names("\(root)/Fuzz/Corpus") { #expect(FuzzTarget.named(folder) != nil, "Fuzz/Corpus/\(folder) belongs to no target") }
    }

    /// A few of libFuzzer's mutations: flip, overwrite, cut, double, splice in a border value.
    private func mutate(_ input: [UInt8], _ random: inout SplitMix64, longest: Int) -> [UInt8] {
        var bytes = input
        for _ in 0...(random.next() % 4) {
            guard !bytes.isEmpty else { return [UInt8(truncatingIfNeeded: random.next())] }
            let at = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 6 {
            case 0: bytes[at] ^= 1 << UInt8(random.next() % 8)
            case 1: bytes[at] = UInt8(truncatingIfNeeded: random.next())
            case 2: bytes.removeSubrange(at...)
            case 3: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 16)], at: at)
            case 4: for offset in 0..<min(4, bytes.count - at) { bytes[at + offset] = random.next() % 2 == 0 ? 0xFF : 0 }
            default: bytes.remove(at: at)
            }
        }
        return Array(bytes.prefix(longest))
    }

    private func names(_ folder: String) -> [String] {
        guard let handle = opendir(folder) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self) }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
    private func files(_ folder: String, longest: Int) -> [[UInt8]] {
        names(folder).compactMap { name in
            guard let file = fopen("\(folder)/\(name)", "r") else { return nil }
            defer { fclose(file) }
            var bytes = [UInt8](repeating: 0, count: longest)
            let count = fread(&bytes, 1, longest, file)
            return Array(bytes[..<count])
        }
    }
}
