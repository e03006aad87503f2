// Servers that die, stand still or are full while they are written to.
import Glibc
@testable import ObjectStorage
import Primitives
import Testing

@Suite(.timeLimit(.minutes(3))) struct S3Failures {
    private func key(_ text: String) -> ObjectKey { try! ObjectKey(text) }
    /// Waits until `bucket` has sent so many bytes.
    private func sent(_ bytes: Int64, by bucket: S3Bucket) async throws {
        while bucket.counts.bytesSent < UInt64(bytes) {
            try Task.checkCancellation()
            try await Task.sleep(for: .milliseconds(1))
        }
    }
    private func put(_ bucket: S3Bucket, _ file: TemporaryFile) -> Task<ObjectStorageError?, any Error> {
        Task.detached {
            try await blocking {
                do throws(ObjectStorageError) { try bucket.put(try ObjectKey("rooms/a/big"), file: file.path) } catch { return error }
                return nil
            }
        }
    }

    @Test(arguments: S3Kind.here) func aServerKilledInTheMiddleLeavesNothingBehind(kind: S3Kind) async throws {
        let server = try await S3Server.start(kind), bucket = try await server.bucket("recordings")
        let size = 5 * Int(S3Limits.partBytes), file = TemporaryFile(size: size), back = TemporaryFile(size: 1)
        let first = put(bucket, file)
        try await sent(2 * S3Limits.partBytes, by: bucket)
        try await server.tell("kill")
        guard case .away(let text)? = try await first.value else { Issue.record("it cannot have been stored"); return }
        #expect(!text.contains(S3Server.secret))
        #expect(bucket.counts.abortedUploads == 1 && bucket.counts.retries >= UInt64(S3Limits.attempts - 1))
        #expect(try await server.tell("start"))
        try await blocking { [key] in
            #expect(throws: ObjectStorageError.notFound) { try bucket.info(key("rooms/a/big")) }
            let left = try bucket.list(under: key("rooms"))
            #expect(left.isEmpty)
        }
        let second = try await put(bucket, file).value
        #expect(second == nil)
        try await blocking { [key] in
            let stored = try bucket.get(key("rooms/a/big"), to: back.path)
            #expect(stored.size == size)
            #expect(TemporaryFile.content(back.path) == TemporaryFile.bytes(size))
            // The upload whose end the dead server could not be told is swept with the rest.
            try bucket.deleteAll(under: key("rooms"))
            let left = try bucket.client.send(.init(method: "GET", query: [("uploads", "")], understood: [501]))
            #expect(XMLElement.parse(left.body)?.first("Upload") == nil)
            #expect(try bucket.list(under: key("rooms")).isEmpty)
        }
    }

    /// Waits for a minute: with the strict server, in `ops/test --long`.
    @Test(.enabled(if: S3Kind.here.contains(.swift)), arguments: S3Kind.here) func aServerThatStandsStillIsWaitedForAndThenGivenUp(kind: S3Kind) async throws {
        let server = try await S3Server.start(kind), bucket = try await server.bucket("recordings", stall: .seconds(1))
        let file = TemporaryFile(size: 8 * Int(S3Limits.partBytes))
        let first = put(bucket, file)
        try await sent(S3Limits.partBytes, by: bucket)
        try await server.tell("freeze")
        let clock = ContinuousClock(), begin = clock.now
        let error = try await first.value
        guard case .away? = error else { Issue.record("nobody answered, and yet: \(String(describing: error))"); return }
        // Each attempt, of the part and then of taking it back, ends by the stall's time.
        #expect(clock.now - begin < (.seconds(3) + S3Limits.longestPause) * (2 * S3Limits.attempts))
        try await server.tell("thaw")
        let second = try await put(bucket, file).value
        #expect(second == nil)
        let stored = try await blocking { [key] in try bucket.info(key("rooms/a/big")) }
        #expect(stored.size == 8 * S3Limits.partBytes)
    }

    @Test(.enabled(if: S3Kind.here.contains(.rclone))) func aFullDiskIsSaidAndGoesByMakingRoom() async throws {
        let server = try await S3Server.start(.rclone)
        guard try await server.tell("small") else {
            print("a full disk is not tested: this user may not mount a file system of its own")
            return
        }
        let bucket = try await server.bucket("recordings"), file = TemporaryFile(size: 4 * Int(S3Limits.partBytes))
        try await blocking { [key] in
            try bucket.put(key("rooms/old"), bytes: TemporaryFile.bytes(8 << 20))
            guard case .away(let text)? = #expect(throws: ObjectStorageError.self, performing: { try bucket.put(key("rooms/a/big"), file: file.path) }) else { Issue.record("it cannot have fitted"); return }
            #expect(text.contains("500"))
            #expect(try bucket.list(under: key("rooms/a")).isEmpty, "nothing is visible of what did not fit")
            #expect(try bucket.read(key("rooms/old"), range: 0..<(8 << 20)) == TemporaryFile.bytes(8 << 20))
            try bucket.delete(key("rooms/old"))
            try bucket.put(key("rooms/a/small"), bytes: TemporaryFile.bytes(12 << 20))
            #expect(try bucket.info(key("rooms/a/small")).size == 12 << 20)
        }
    }

    @Test(.enabled(if: S3Kind.here.contains(.rclone))) func aCertificateIsTrustedThroughItsAuthorityAlone() async throws {
        let server = try await S3Server.start(.rclone)
        #expect(try await server.tell("tls"))
        let trusting = try await server.bucket("recordings", certificates: "\(server.folder)/cert.pem", isTLS: true)
        let doubting = try await server.bucket("recordings", creating: false, isTLS: true)
        let lost = try await server.bucket("recordings", creating: false, certificates: "\(server.folder)/nothing.pem", isTLS: true)
        try await blocking { [key] in
            try trusting.put(key("rooms/x"), bytes: [1, 2, 3])
            #expect(try trusting.read(key("rooms/x"), range: 0..<9) == [1, 2, 3])
            for bucket in [doubting, lost] {
                guard case .refused(let text)? = #expect(throws: ObjectStorageError.self, performing: { try bucket.check() }) else { Issue.record("not refused"); return }
                #expect(text.contains("`ca_file`") && bucket.counts.requests == 1)
            }
        }
    }

    @Test func aServerThatIsNotThereIsAway() throws {
        let address = try S3Address(endpoint: "http://127.0.0.1:9", bucket: "recordings", region: "us-east-1", isPathStyle: true)
        let bucket = S3Bucket(address, credentials: { () throws(ObjectStorageError) in S3Credentials(accessKey: "a", secret: "b") }, random: SystemRandom(), wall: S3Server.wall)
        #expect(throws: ObjectStorageError.away("GET of the bucket: Couldn't connect to server")) { try bucket.check() }
        #expect(bucket.counts == S3Counts(requests: 5, retries: 4, failures: 1))
    }
    @Test func keysThatCannotBeReadAreSaid() throws {
        let address = try S3Address(endpoint: "http://127.0.0.1:9", bucket: "recordings", region: "us-east-1", isPathStyle: true)
        let bucket = S3Bucket(address, credentials: { () throws(ObjectStorageError) in throw .refused("no keys") }, random: SystemRandom(), wall: S3Server.wall)
        #expect(throws: ObjectStorageError.refused("no keys")) { try bucket.check() }
        #expect(bucket.counts.requests == 0)
    }
}
