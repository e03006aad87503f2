import Capture
import Contracts
import EventLoop
import Glibc
import ObjectStorage
import Primitives
import Testing
@testable import Conference

/// A recorder's part in deleting a recording: its folder, and a bucket that may not answer.
@Suite(.timeLimit(.minutes(1))) struct RemovalTests {
    private static func on<Value: Sendable>(_ loop: UVLoop, _ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            loop.spawn { do { continuation.resume(returning: try await body()) } catch { continuation.resume(throwing: error) } }
        }
    }

    @Test func whatTheBucketKeepsIsPendingUntilItAnswers() async throws {
        let root = try temporaryFolder("troupe-removal")
        let folder = try LocalFolder(path: root + "/folder"), bucket = try LocalFolder(path: root + "/bucket")
        let layout = RecordingLayout(room: "R_1", recording: "RC_1"), neighbour = try ObjectKey("rooms/R_1/RC_10/metadata.json")
        for name in ["metadata.json", "policy.json", "journal/t/a-1-0.trj", "tracks/p/t.part1.webm", "tracks/p/t.part2.webm"] {
            try folder.put(ObjectKey("\(layout.folder)/\(name)"), bytes: [1, 2, 3])
        }
        try folder.put(neighbour, bytes: [9])
        #expect(try RecordingArchive.upload(layout, from: folder, to: bucket) == 5)

        let loop = try UVLoop(name: "removal"), disk = DiskThread(name: "removal")
        loop.start()
        let recorder = try Recorder(settings: RecorderSettings(storageRoot: root + "/folder", mediaWorker: "/nowhere"), node: "n1", objects: folder, disk: disk, loop: loop, rings: [])
        recorder.onErase = { _ in nil }
        let first = try await Self.on(loop) { try await recorder.erase(layout) }
        #expect(first == RecordingRemoval(objects: 5, bytes: 15, bucketObjects: nil, isPending: true))
        #expect(try folder.list(under: ObjectKey("rooms")).map(\.key) == [neighbour], "what is served goes at once, and nothing else")
        // The sweeper comes again: the files are gone already, the bucket answers now.
        recorder.onErase = { layout in try? RecordingArchive.remove(layout, from: bucket) }
        let second = try await Self.on(loop) { try await recorder.erase(layout) }
        #expect(second == RecordingRemoval(objects: 0, bytes: 0, bucketObjects: 5))
        #expect(try bucket.list(under: ObjectKey("rooms")).isEmpty)
        try await Self.on(loop) {
            recorder.count(first, .asked)
            recorder.count(second, .retention)
        }
        #expect(recorder.removals == Recorder.Removals(recordings: ["retention": 1], objects: 5, bytes: 15, pending: 1))

        recorder.stop()
        disk.stop()
        loop.stop()
        loop.join()
        try folder.deleteAll(under: ObjectKey("rooms"))
        for name in ["/folder", "/bucket", ""] { rmdir(root + name) }
    }
}
