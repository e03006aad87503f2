import Configuration
import Glibc
@testable import Node
import Testing

@Suite struct StoreOpenings {
    private let folder: String
    init() {
        var template = Array("/tmp/troupe-url-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    private func refusal(_ text: String, permissions: UInt32 = 0o600) throws -> String {
        let path = "\(folder)/postgres.url"
        try PrivateFile.write(Array(text.utf8), to: path, permissions: permissions)
        defer { unlink(path) }
        do { _ = try StoreOpening.open(.postgres(urlFile: path)); return "" } catch { return error.description.split(separator: folder, omittingEmptySubsequences: false).joined(separator: "…") }
    }

    @Test func aURLFileIsReadBeforeAnythingStarts() throws {
        defer { rmdir(folder) }
        #expect(try refusal("postgresql://troupe:secret@db/troupe?sslmode=verify-full\n") == "")
        #expect(try refusal("postgresql://troupe:secret@db/troupe\n", permissions: 0o640) == "…/postgres.url can be read by others; run `chmod 600 …/postgres.url`")
        #expect(try refusal("# the database\nsecret\n").hasPrefix("…/postgres.url:2: this is not a PostgreSQL URL; write for instance postgresql://"))
        #expect(try !refusal("# the database\nsecret\n").contains("secret"))
        #expect(throws: FileError.self) { try StoreOpening.open(.postgres(urlFile: "\(folder)/nothing")) }
    }
}
