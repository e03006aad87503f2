import EventLoop
import Glibc
@testable import ObjectStorage
import Primitives
import Synchronization
import Testing

/// The uploader's threads with real folders and a real S3 server.
@Suite(.timeLimit(.minutes(2))) final class Uploaders {
    private struct SystemClock: TimeSource {
        var now: Instant { Instant(nanoseconds: Monitor.now) }
        var wall: WallTime { S3Server.wall() }
    }
    /// A folder that can be told to fail, or to keep other bytes than it was given.
    private final class Faulty: ObjectStore {
        enum Fault: Sendable { case away, refused, flips }
        private let folder: LocalFolder
        private let fault = Mutex<Fault?>(nil)
        private let asked = Mutex(0)
        init(_ folder: LocalFolder) { self.folder = folder }
        var attempts: Int { asked.withLock { $0 } }
        func fail(_ fault: Fault?) { self.fault.withLock { $0 = fault } }
        func put(_ key: ObjectKey, bytes: [UInt8]) throws(ObjectStorageError) { try folder.put(key, bytes: bytes) }
        func put(_ key: ObjectKey, file path: String) throws(ObjectStorageError) {
            asked.withLock { $0 += 1 }
            switch fault.withLock({ $0 }) {
            case .away: throw .away("the network is gone")
            case .refused: throw .refused("wrong keys")
            case .flips:
                var bytes = TemporaryFile.content(path)
                bytes[bytes.count / 2] ^= 1
                try folder.put(key, bytes: bytes)
            case nil: try folder.put(key, file: path)
            }
        }
        func get(_ key: ObjectKey, to path: String) throws(ObjectStorageError) -> ObjectInfo { try folder.get(key, to: path) }
        func read(_ key: ObjectKey, range: Range<Int64>) throws(ObjectStorageError) -> [UInt8] { try folder.read(key, range: range) }
        func info(_ key: ObjectKey) throws(ObjectStorageError) -> ObjectInfo { try folder.info(key) }
        func list(under prefix: ObjectKey) throws(ObjectStorageError) -> [ObjectInfo] { try folder.list(under: prefix) }
        func delete(_ key: ObjectKey) throws(ObjectStorageError) { try folder.delete(key) }
        func deleteAll(under prefix: ObjectKey) throws(ObjectStorageError) { try folder.deleteAll(under: prefix) }
    }
    private let root: String
    private let source: LocalFolder
    private let target: LocalFolder
    private let group = try! ObjectKey("rooms/a/r1")
    private let reports: AsyncStream<Uploader.Report>
    private let said: AsyncStream<Uploader.Report>.Continuation

    init() throws {
        var template = Array("/tmp/troupe-uploader-XXXXXX".utf8CString)
        root = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        source = try LocalFolder(path: root + "/source")
        target = try LocalFolder(path: root + "/target")
        (reports, said) = AsyncStream.makeStream(of: Uploader.Report.self, bufferingPolicy: .unbounded)
    }
    deinit {
        for folder in [source, target] { try? folder.deleteAll(under: ObjectKey("rooms")) }
        for name in ["/source", "/target", ""] { rmdir(root + name) }
    }
    private static func key(_ n: Int) -> ObjectKey { try! ObjectKey("rooms/a/r1/journal/t/n1-1-\(n).trj") }
    private func uploader(_ stores: [any ObjectStore], removes: Bool = true, free: (@Sendable () -> Double)? = nil) -> Uploader {
        let stores = stores.enumerated().map { Uploader.Store(name: "\($0)", objects: $1) }
        return Uploader(.init(source: source, stores: stores, removesStored: removes, free: free), clock: SystemClock()) { [said] in said.yield($0) }
    }
    private func next(_ wanted: (Uploader.Report) -> Bool) async throws {
        for await report in reports where wanted(report) { return }
        throw CancellationError()
    }
    private func until(_ condition: () throws -> Bool) async throws {
        while try !condition() {
            try Task.checkCancellation()
            try await Task.sleep(for: .milliseconds(2))
        }
    }
    private static func content(_ n: Int) -> [UInt8] { TemporaryFile.bytes(100_000 + n, UInt64(n)) }

    @Test func filesAreStoredAndTheirLocalCopiesGo() async throws {
        for n in 0..<20 { try source.put(Self.key(n), bytes: Self.content(n)) }
        let uploader = uploader([target])
        // As a node does that comes back: all that an earlier life left.
        #expect(try uploader.takeUp(under: ObjectKey("rooms")) == [group])
        #expect(!uploader.isSettled(group))
        uploader.start()
        try await next { $0 == .settled(group) }
        try await until { try source.list(under: ObjectKey("rooms")).isEmpty }
        for n in 0..<20 { #expect(try target.read(Self.key(n), range: 0..<(1 << 20)) == Self.content(n)) }
        try await until { uploader.counters.removed == 20 }
        #expect(uploader.counters.stored == 20 && uploader.counters.waiting == 0 && uploader.counters.failures.isEmpty)
        uploader.stop()
    }
    @Test(arguments: [UploadPlan.Cause.away, .refused, .differs]) func aStoreThatDoesNotTakeThemIsCaughtUpWith(cause: UploadPlan.Cause) async throws {
        let store = Faulty(target), uploader = uploader([store])
        store.fail(cause == .away ? .away : cause == .refused ? .refused : .flips)
        uploader.start()
        for n in 0..<5 {
            try source.put(Self.key(n), bytes: Self.content(n))
            uploader.add(Self.key(n), of: group)
        }
        try await next { if case .failing("0", cause, let detail) = $0 { !detail.isEmpty } else { false } }
        try await until { store.attempts >= 3 }
        #expect(try source.list(under: group).count == 5, "nothing local goes")
        store.fail(nil)
        try await next { if case .recovered("0", _) = $0 { true } else { $0 == .settled(group) } }
        try await until { try source.list(under: ObjectKey("rooms")).isEmpty }
        for n in 0..<5 { #expect(try target.read(Self.key(n), range: 0..<(1 << 20)) == Self.content(n), "nor does what was stored wrong stay") }
        #expect(uploader.counters.failures[cause.rawValue]! >= 3)
        uploader.stop()
    }
    @Test func aNearlyFullDiskShedsWhatIsStoredAndNothingElse() async throws {
        let free = Mutex(0.5), share: @Sendable () -> Double = { free.withLock { $0 } }
        let second = try LocalFolder(path: root + "/second"), bucket = Faulty(second)
        defer { try? second.deleteAll(under: ObjectKey("rooms")); rmdir(root + "/second") }
        bucket.fail(.away)
        let uploader = uploader([target, bucket], free: share)
        uploader.start()
        for n in 0..<3 {
            try source.put(Self.key(n), bytes: Self.content(n))
            uploader.add(Self.key(n), of: group)
        }
        try await next { $0 == .settled(group) }
        #expect(try source.list(under: group).count == 3, "the bucket lacks them")
        // Of another recording, and in no store yet: only those of the first one may go.
        let other = try ObjectKey("rooms/a/r2/journal/t/n1-1-0.trj")
        try source.put(other, bytes: Self.content(9))
        free.withLock { $0 = 0.01 }
        try await until { uploader.counters.shed == 3 }
        #expect(try source.list(under: ObjectKey("rooms")).map(\.key) == [other])
        #expect(try target.list(under: group).count == 3)
        uploader.stop()
    }
    @Test func whatIsForgottenComesBackNowhere() async throws {
        let store = Faulty(target), uploader = uploader([store])
        for n in 0..<4 { try source.put(Self.key(n), bytes: Self.content(n)) }
        store.fail(.away)
        try uploader.takeUp(under: ObjectKey("rooms"))
        uploader.start()
        try await until { store.attempts >= 2 }
        let gone = try uploader.forget(group)
        #expect(gone.objects == 4 && gone.bytes == (0..<4).reduce(0) { $0 + Int64(Self.content($1).count) })
        store.fail(nil)
        try await until { uploader.counters.waiting == 0 && uploader.isSettled(group) }
        for folder in [source, target] { #expect(try folder.list(under: ObjectKey("rooms")).isEmpty) }
        uploader.stop()
    }

    @Test(arguments: S3Kind.here) func anS3ServerThatIsKilledLosesNothing(kind: S3Kind) async throws {
        let server = try await S3Server.start(kind), bucket = try await server.bucket("recordings", stall: .seconds(1))
        let uploader = uploader([bucket])
        uploader.start()
        for n in 0..<40 {
            try source.put(Self.key(n), bytes: Self.content(n))
            uploader.add(Self.key(n), of: group)
            if n == 15 {
                try await until { uploader.counters.stored > 3 }
                try await server.tell("kill")
            }
        }
        try await next { if case .failing("0", .away, _) = $0 { true } else { false } }
        let left = try source.list(under: group).count
        #expect(left >= 40 - 16, "capture went on")
        #expect(try await server.tell("start"))
        try await next { $0 == .settled(group) }
        try await until { try source.list(under: ObjectKey("rooms")).isEmpty }
        try await blocking {
            for n in 0..<40 {
                let stored = try bucket.read(Self.key(n), range: 0..<(1 << 20))
                #expect(stored == Self.content(n))
            }
        }
        uploader.stop()
    }
    @Test(.enabled(if: S3Kind.here.contains(.rclone))) func aFullS3ServerKeepsNothingAndTakesThemOnceThereIsRoom() async throws {
        let server = try await S3Server.start(.rclone)
        guard try await server.tell("small") else { return }
        let bucket = try await server.bucket("recordings"), uploader = uploader([bucket]), large = try ObjectKey("rooms/old")
        try await blocking { try bucket.put(large, bytes: TemporaryFile.bytes(23 << 20)) }
        let big = TemporaryFile.bytes(4 << 20)
        for n in 0..<2 { try source.put(Self.key(n), bytes: big) }
        try uploader.takeUp(under: ObjectKey("rooms"))
        uploader.start()
        try await next { if case .failing("0", .away, _) = $0 { true } else { false } }
        #expect(try source.list(under: group).count == 2)
        try await blocking { try bucket.delete(large) }
        try await next { $0 == .settled(group) }
        try await until { try source.list(under: ObjectKey("rooms")).isEmpty }
        uploader.stop()
    }
}
