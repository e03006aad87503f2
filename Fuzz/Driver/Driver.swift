// libFuzzer's entry points. Built only by ops/fuzz (TROUPE_FUZZ=1); TROUPE_FUZZ_TARGET names the parser.
internal import FuzzTargets
internal import Glibc

private func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// The parser under test, chosen once.
private let target: FuzzTarget = {
    guard let name = variable("TROUPE_FUZZ_TARGET"), let target = FuzzTarget.named(name) else {
        let text = "TROUPE_FUZZ_TARGET must be one of \(FuzzTarget.all.map(\.name).joined(separator: ", "))\n"
        write(STDERR_FILENO, text, text.utf8.count)
        exit(2)
    }
    return target
}()

/// Writes the seeds into the corpus folder that TROUPE_FUZZ_SEEDS names.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>) -> Int32 {
    guard let folder = variable("TROUPE_FUZZ_SEEDS") else { return 0 }
    for (index, seed) in target.seeds().enumerated() {
        guard let file = fopen("\(folder)/seed-\(index)", "w") else { continue }
        fwrite(seed, 1, seed.count, file)
        fclose(file)
    }
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    target.run(UnsafeRawBufferPointer(start: bytes, count: count))
    return 0
}
