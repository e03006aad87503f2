import Capture
import Contracts
import EventLoop
import Glibc
import ObjectStorage
import Primitives
import RTP
import Testing
@testable import Conference

/// A recorder whose journals have a folder of their own: they are brought to the storage as they end, and fetched where they lack.
@Suite(.timeLimit(.minutes(1))) final class RecorderStoringTests {
    private let root: String
    private let folder: LocalFolder
    private let bucket: LocalFolder
    private let loop: UVLoop
    private let disk = DiskThread(name: "storing")
    private let ring = PacketRing(capacity: 1 << 20)
    private let layout = RecordingLayout(room: "R_1", recording: "RC_1")

    init() throws {
        root = try temporaryFolder("troupe-storing")
        folder = try LocalFolder(path: root + "/folder")
        bucket = try LocalFolder(path: root + "/bucket")
        loop = try UVLoop(name: "storing")
        loop.start()
    }
    deinit {
        disk.stop()
        loop.stop()
        loop.join()
        _ = system("rm -rf '\(root)'")
    }
    private func on<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { [loop] continuation in
            loop.spawn { do { continuation.resume(returning: try await body()) } catch { continuation.resume(throwing: error) } }
        }
    }
    private func recorder(_ name: NodeName = "n1", bucket: (any ObjectStore)? = nil) throws -> Recorder {
        try Recorder(
            settings: RecorderSettings(storageRoot: root + "/folder", mediaWorker: "/nowhere", journalRoot: "\(root)/spool/\(name)"), node: name, objects: folder, bucket: bucket,
            disk: disk, loop: loop, rings: [ring])
    }
    private func header() -> JournalHeader {
        JournalHeader(
            recording: layout.recording, room: layout.room, track: "t", participant: "ann", kind: .audio, source: "microphone", codec: .opus, payloadTypes: [.init(111, .opus)],
            writer: "n1", epoch: Epoch(1), wallStart: WallTime(seconds: 0), ingress: "n1")
    }
    private func capture(_ recorder: Recorder, packets: Int) throws {
        let tag = try recorder.journals.open(header())
        for index in 0..<packets { _ = [UInt8](repeating: 7, count: 200).withUnsafeBytes { ring.write(tag: tag, kind: .rtp, receivedAt: Int64(index), $0) } }
        try recorder.journals.append(RecordedEvent(.recordingStarted, at: WallTime(seconds: 1)), to: layout)
        try recorder.journals.close(recording: layout)
    }
    private func names(_ store: LocalFolder) throws -> [String] { try store.list(under: ObjectKey("rooms")).map(\.key.rawValue) }
    /// Notes, then a segment, each numbered by the second in which the writer began.
    private func isWhole(_ store: LocalFolder) throws -> Bool {
        let names = try names(store)
        return names.count == 2 && names[0].hasPrefix("\(layout.folder)/events-n1.") && names[1].hasPrefix("\(layout.folder)/journal/t/n1-1-")
    }
    private var expected: [String] { ["\(layout.folder)/events-n1.0.jsonl", "\(layout.folder)/journal/t/n1-1-0.trj"] }
    private func until(_ condition: () throws -> Bool) async throws {
        while try !condition() {
            try Task.checkCancellation()
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    @Test func whatIsClosedStandsInTheStorageAndNoLongerHere() async throws {
        let recorder = try recorder(bucket: bucket), spool = try LocalFolder(path: root + "/spool/n1"), layout = layout
        try capture(recorder, packets: 100)
        try await until { try isWhole(folder) }
        try await on { await recorder.settle(layout) }
        let bytes = try folder.read(ObjectKey(names(folder)[1]), range: 0..<(1 << 20))
        let packets = try bytes.withUnsafeBytes { raw in
            var reader = try JournalReader(raw), count = 0
            while let record = reader.next() { count += record.type == .rtp ? 1 : 0 }
            return reader.isClosed ? count : -1
        }
        #expect(packets == 100)
        try await until { try names(spool).isEmpty }
        #expect(try names(bucket) == names(folder))
        // The same track again, in the same second: nothing that is stored is written over.
        let before = try names(folder)
        try capture(recorder, packets: 5)
        try await until { try names(folder).count == 4 && names(spool).isEmpty }
        #expect(try Set(names(folder)).isSuperset(of: before))
        #expect(try folder.read(ObjectKey(before[1]), range: 0..<(1 << 20)) == bytes)
        recorder.stop()
    }
    /// A node was killed: its next life brings what it left, and nothing of it is written over.
    @Test func theNextLifeBringsWhatWasLeft() async throws {
        let spool = try LocalFolder(path: root + "/spool/n1")
        for name in expected { try spool.put(ObjectKey(name), bytes: [1, 2, 3]) }
        let recorder = try recorder(), layout = layout
        #expect(recorder.storing.late == [layout], "whoever has finished it is told")
        try await until { try names(folder) == expected && names(spool).isEmpty }
        try capture(recorder, packets: 3)
        try await until { try names(folder).count == 4 }
        #expect(try names(folder).contains("\(layout.folder)/journal/t/n1-1-0.trj") && folder.read(ObjectKey(expected[1]), range: 0..<9) == [1, 2, 3])
        recorder.stop()
    }
    /// The uploader removes folders it has emptied, while the journal thread begins a file in them.
    @Test func aFileBeginsInAFolderThatIsBeingRemoved() async throws {
        let spool = try LocalFolder(path: root + "/spool/n1"), disk = SystemDisk()
        let stored = try ObjectKey("\(layout.folder)/journal/t/n1-1-0.trj"), begun = try ObjectKey("\(layout.folder)/journal/t/n1-1-1.trj")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for _ in 0..<1500 {
                    try spool.put(stored, bytes: [1])
                    try spool.delete(stored)
                }
            }
            group.addTask {
                for _ in 0..<1500 {
                    disk.close(try disk.create(spool.file(begun)))
                    try spool.delete(begun)
                }
            }
            try await group.waitForAll()
        }
        #expect(try names(spool).isEmpty)
    }
    @Test func whatTheFolderLacksIsFetchedFromTheBucket() async throws {
        for name in expected + ["\(layout.folder)/recording-3.json"] { try bucket.put(ObjectKey(name), bytes: [1, 2, 3]) }
        for name in ["tracks/ann/t.webm", "metadata.json"] { try bucket.put(ObjectKey("\(layout.folder)/\(name)"), bytes: [9]) }
        // Half of it came here; and one stands here that has grown since.
        try folder.put(ObjectKey(expected[1]), bytes: [1])
        try folder.put(ObjectKey("\(layout.folder)/recording-3.json"), bytes: [4, 5, 6, 7])
        #expect(try Recorder.fetch(layout, from: bucket, to: folder) == 2)
        for name in expected { #expect(try folder.read(ObjectKey(name), range: 0..<9) == [1, 2, 3]) }
        #expect(try folder.read(ObjectKey("\(layout.folder)/recording-3.json"), range: 0..<9) == [4, 5, 6, 7])
        #expect(try names(folder).count == 3, "results are made here")
        #expect(try Recorder.fetch(layout, from: bucket, to: folder) == 0)
    }
    @Test func aBucketThatDoesNotAnswerIsAskedAgain() async throws {
        let address = try S3Address(endpoint: "http://127.0.0.1:9", bucket: "recordings", region: "us-east-1", isPathStyle: true)
        let away = S3Bucket(address, credentials: { () throws(ObjectStorageError) in throw .refused("no keys") }, random: SystemRandom(), wall: { WallTime(seconds: 0) })
        let recorder = try recorder(bucket: away), layout = layout
        try await on { await recorder.fetch(layout) }
        #expect(recorder.storing.unfetched == [layout])
        try await on { await recorder.bucketAnswers(layout) }
        #expect(recorder.storing.unfetched.isEmpty)
        recorder.stop()
    }
    /// Deleting a recording counts, and removes, what stands on a recorder's own disk too.
    @Test func deletionReachesTheJournalsOwnFolder() async throws {
        let spool = try LocalFolder(path: root + "/spool/n1"), other = try ObjectKey("rooms/R_1/RC_2/journal/t/n1-1-0.trj")
        let recorder = try recorder(), layout = layout
        for name in expected { try spool.put(ObjectKey(name), bytes: [1, 2, 3]) }
        try spool.put(other, bytes: [1])
        try folder.put(ObjectKey("\(layout.folder)/metadata.json"), bytes: [1])
        let removal = try await on { try await recorder.erase(layout) }
        #expect(removal == RecordingRemoval(objects: 3, bytes: 7))
        #expect(try names(spool) == [other.rawValue])
        #expect(try names(folder).isEmpty)
        recorder.stop()
    }
}
