// From key files to a bucket: what is wrong with them is said, and never what stands in them.
import Configuration
import Glibc
@testable import Node
import ObjectStorage
import Primitives
import Testing

@Suite final class StorageOpenings {
    private let folder: String
    init() {
        var template = Array("/tmp/troupe-opening-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    deinit {
        for name in ["access", "secret"] { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }
    private func write(_ text: String, _ name: String, permissions: UInt32 = 0o600) throws { try PrivateFile.write(Array(text.utf8), to: "\(folder)/\(name)", permissions: permissions) }
    private func bucket() -> Topology.Bucket {
        Topology.Bucket(
            endpoint: "http://127.0.0.1:9", name: "recordings", region: "us-east-1", prefix: "a/b", accessKeyFile: "\(folder)/access", secretKeyFile: "\(folder)/secret", caFile: nil, isPathStyle: true)
    }
    private func complaint() -> String {
        do {
            _ = try StorageOpening.bucket(bucket(), random: SystemRandom())
            return "opened"
        } catch { return "\(error)" }
    }

    @Test func keysAreReadFromPrivateFiles() throws {
        #expect(complaint().hasSuffix("access, which `access_key_file` names, is not there; write the key into it in one line and run `chmod 600 \(folder)/access`"))
        try write("AKIDEXAMPLE\n", "access")
        try write("tell-nobody", "secret", permissions: 0o644)
        #expect(complaint() == "\(folder)/secret can be read by others; run `chmod 600 \(folder)/secret`")
        for text in ["", "two words-tell-nobody", "tell-nobody\ntell-nobody", String(repeating: "x", count: 1_025), "tell-nobody\u{1}"] {
            try write(text, "secret")
            #expect(complaint() == "\(folder)/secret must hold one key in one line, without spaces")
        }
        try write("tell-nobody\n", "secret")
        #expect(complaint() == "opened")
    }

    @Test func keysThatGoAwayAreMissedByTheNextRequest() throws {
        try write("AKIDEXAMPLE", "access")
        try write("tell-nobody", "secret")
        let opened = try StorageOpening.bucket(bucket(), random: SystemRandom())
        unlink("\(folder)/secret")
        guard case .refused(let text)? = #expect(throws: ObjectStorageError.self, performing: { try opened.check() }) else { Issue.record("not refused"); return }
        #expect(text.contains("`secret_key_file`") && opened.counts.requests == 0)
    }
}
