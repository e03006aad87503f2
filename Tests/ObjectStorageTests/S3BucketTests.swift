// The bucket against real servers: what a folder does, a bucket does; and what goes wrong has a name and an end.
import Glibc
@testable import ObjectStorage
import Primitives
import Testing

/// A file of `size` bytes that are all different in every part, gone with this object.
final class TemporaryFile: Sendable {
    let path: String
    init(size: Int, seed: UInt64 = 1) {
        var template = Array("/tmp/troupe-file-XXXXXX".utf8CString)
        let descriptor = template.withUnsafeMutableBufferPointer { mkstemp($0.baseAddress!) }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        let bytes = Self.bytes(size, seed)
        precondition(bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, size) } == size)
        close(descriptor)
    }
    deinit { unlink(path) }
    static func bytes(_ count: Int, _ seed: UInt64 = 1) -> [UInt8] {
        var random = SplitMix64(seed: seed)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            for index in 0..<count { buffer[index] = UInt8(truncatingIfNeeded: index % 8 == 0 ? random.next() : random.state >> UInt64(index % 8 * 8)) }
            filled = count
        }
    }
    static func content(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 1 << 20)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        return bytes
    }
}

@Suite(.timeLimit(.minutes(2))) struct S3Buckets {
    private func key(_ text: String) -> ObjectKey { try! ObjectKey(text) }

    @Test(arguments: S3Kind.here) func itKeepsWhatAFolderKeeps(kind: S3Kind) async throws {
        let server = try await S3Server.shared(kind), bucket = try await server.bucket("folder", prefix: "troupe/a")
        try await blocking { [key] in
            try bucket.check()
            let bytes = TemporaryFile.bytes(100_000)
            try bucket.put(key("rooms/a/r/one.webm"), bytes: bytes)
            let info = try bucket.info(key("rooms/a/r/one.webm"))
            #expect(info.size == 100_000 && abs((info.modifiedAt - S3Server.wall()).inSeconds) < 60)
            #expect(try bucket.read(key("rooms/a/r/one.webm"), range: 0..<100_000) == bytes)
            #expect(try bucket.read(key("rooms/a/r/one.webm"), range: 10..<13) == Array(bytes[10..<13]))
            #expect(try bucket.read(key("rooms/a/r/one.webm"), range: 99_998..<Int64.max) == Array(bytes[99_998...]))
            #expect(try bucket.read(key("rooms/a/r/one.webm"), range: 100_000..<100_001) == [])
            #expect(try bucket.read(key("rooms/a/r/one.webm"), range: 5..<5) == [])
            #expect(throws: ObjectStorageError.badRange(size: 100_000)) { try bucket.read(key("rooms/a/r/one.webm"), range: 100_001..<100_002) }
            #expect(throws: ObjectStorageError.badRange(size: 100_000)) { try bucket.read(key("rooms/a/r/one.webm"), range: -1..<2) }
            #expect(throws: ObjectStorageError.notFound) { try bucket.read(key("rooms/none"), range: 0..<1) }
            #expect(throws: ObjectStorageError.notFound) { try bucket.info(key("rooms/none")) }
            #expect(throws: ObjectStorageError.notFound) { try bucket.get(key("rooms/none"), to: "/tmp/never") }
            try bucket.put(key("rooms/a/r/one.webm"), bytes: [])
            #expect(try bucket.info(key("rooms/a/r/one.webm")).size == 0, "a second put replaces the object")
            for name in ["rooms/a/2", "rooms/a/10", "rooms/ab/1", "rooms/a/x=1"] { try bucket.put(key(name), bytes: [1, 2, 3]) }
            #expect(try bucket.list(under: key("rooms/a")).map(\.key.rawValue) == ["rooms/a/10", "rooms/a/2", "rooms/a/r/one.webm", "rooms/a/x=1"])
            #expect(try bucket.size(under: key("rooms/a")) == 9)
            #expect(try bucket.list(under: key("rooms/ab/1")).map(\.size) == [3])
            #expect(try bucket.list(under: key("nothing/here")).isEmpty)
            try bucket.delete(key("rooms/a/2"))
            try bucket.delete(key("rooms/a/2"))
            try bucket.deleteAll(under: key("rooms/a"))
            #expect(try bucket.list(under: key("rooms")).map(\.key.rawValue) == ["rooms/ab/1"])
            #expect(bucket.counts.retries == 0 && bucket.counts.failures == 0 && bucket.counts.requests > 30)
        }
    }

    @Test(arguments: S3Kind.here) func listsGoOnOverPages(kind: S3Kind) async throws {
        let server = try await S3Server.shared(kind), bucket = try await server.bucket("pages")
        let count = kind == .rclone ? S3Limits.pageKeys + 30 : 40
        try await blocking { [key] in
            for index in 0..<count { try bucket.put(key("rooms/a/\(index)"), bytes: [UInt8(index % 256)]) }
            #expect(try bucket.list(under: key("rooms/a")).count == count)
            try bucket.deleteAll(under: key("rooms"))
            #expect(try bucket.list(under: key("rooms")).isEmpty)
        }
    }

    @Test(arguments: S3Kind.here) func largeFilesGoInParts(kind: S3Kind) async throws {
        let server = try await S3Server.shared(kind), bucket = try await server.bucket("parts")
        let size = 3 * Int(S3Limits.partBytes) + 12_345, file = TemporaryFile(size: size), back = TemporaryFile(size: 1)
        try await blocking { [key] in
            let before = bucket.counts.requests
            try bucket.put(key("rooms/a/big"), file: file.path)
            #expect(bucket.counts.requests - before == 7, "begin, four parts, end, look")
            let info = try bucket.get(key("rooms/a/big"), to: back.path)
            #expect(info.size == Int64(size) && TemporaryFile.content(back.path) == TemporaryFile.bytes(size))
            let border = Int(S3Limits.partBytes), pair = try bucket.read(key("rooms/a/big"), range: S3Limits.partBytes - 1..<S3Limits.partBytes + 1)
            #expect(pair == Array(TemporaryFile.bytes(size)[border - 1...border]))
            #expect(throws: ObjectStorageError.self) { try bucket.put(key("x"), file: "/tmp/not/there") }
            #expect(throws: ObjectStorageError.self) { try bucket.get(key("rooms/a/big"), to: "/tmp/not/there/x") }
        }
    }

    @Test(arguments: S3Kind.here) func wrongKeysAreRefusedAtOnceAndNotPrinted(kind: S3Kind) async throws {
        let server = try await S3Server.shared(kind)
        _ = try await server.bucket("keys")
        let wrong = try await server.bucket("keys", secret: "not-the-secret", creating: false)
        try await blocking { [key] in
            for attempt in 0..<5 {
                let error = #expect(throws: ObjectStorageError.self) {
                    switch attempt {
                    case 0: try wrong.check()
                    case 1: try wrong.put(key("rooms/x"), bytes: [1])
                    case 2: _ = try wrong.info(key("rooms/x"))
                    case 3: _ = try wrong.read(key("rooms/x"), range: 0..<1)
                    default: try wrong.put(key("rooms/x"), file: "/proc/self/exe")
                    }
                }
                guard case .refused(let text)? = error else { Issue.record("\(attempt): \(String(describing: error))"); continue }
                #expect(!text.contains("not-the-secret") && text.contains("403"))
            }
            #expect(wrong.counts.retries == 0 && wrong.counts.failures == 5)
        }
        let missing = try await server.bucket("no-such-bucket", creating: false)
        try await blocking {
            guard case .refused(let text)? = #expect(throws: ObjectStorageError.self, performing: { try missing.check() }) else { Issue.record("not refused"); return }
            #expect(text.contains("NoSuchBucket") && text.contains("create"))
        }
    }

    @Test(arguments: S3Kind.here) func aSignedURLIsGoodForOneObjectAndAWhile(kind: S3Kind) async throws {
        let server = try await S3Server.shared(kind), bucket = try await server.bucket("urls")
        let late = try await server.bucket("urls", creating: false, wall: { S3Server.wall() + .seconds(-3_600) })
        try await blocking { [key] in
            let connection = try #require(HTTPConnection())
            func ask(_ method: String, _ url: String, _ body: [UInt8] = []) throws -> HTTPAnswer {
                try body.withUnsafeBytes { connection.exchange(method, url, headers: [], body: method == "PUT" ? $0 : nil, into: .memory(1_000), certificates: nil).result }.get()
            }
            let put = try bucket.presigned(.put, key("rooms/a/chunk"), life: .seconds(300))
            #expect(try ask("PUT", put, [1, 2, 3]).status == 200)
            let get = try bucket.presigned(.get, key("rooms/a/chunk"), life: .seconds(300))
            #expect(try ask("GET", get).body == [1, 2, 3])
            #expect(try ask("PUT", get, [9]).status == 403, "made for reading")
            #expect(try ask("GET", get.replacing("rooms/a/chunk", with: "rooms/a/other")).status == 403, "made for another object")
            #expect(try ask("GET", get.replacing("X-Amz-Expires=300", with: "X-Amz-Expires=301")).status == 403, "changed")
            let expired = try late.presigned(.get, key("rooms/a/chunk"), life: .seconds(300))
            #expect(try [400, 403].contains(ask("GET", expired).status), "an hour ago, for five minutes; rclone says 400")
            #expect(try bucket.read(key("rooms/a/chunk"), range: 0..<9) == [1, 2, 3])
        }
    }
}
