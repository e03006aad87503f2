import Capture
import Glibc
import ObjectStorage
import Primitives
import Testing
@testable import Conference

/// What goes to the bucket, here another folder: both stand behind one protocol.
@Suite final class RecordingArchiveTests {
    private let root: String
    private let folder: LocalFolder
    private let bucket: LocalFolder
    private let layout = RecordingLayout(room: "R_1", recording: "RC_1")

    init() throws {
        root = try temporaryFolder("troupe-archive")
        folder = try LocalFolder(path: root + "/folder")
        bucket = try LocalFolder(path: root + "/bucket")
    }
    deinit {
        try? folder.deleteAll(under: ObjectKey("rooms"))
        try? bucket.deleteAll(under: ObjectKey("rooms"))
        for name in ["/folder", "/bucket", ""] { rmdir(root + name) }
    }
    private func put(_ name: String, _ bytes: [UInt8], in store: LocalFolder) throws { try store.put(ObjectKey("\(layout.folder)/\(name)"), bytes: bytes) }

    @Test func everyFileOfOneRecordingIsCopied() throws {
        try put("metadata.json", [1, 2], in: folder)
        try put("journal/t/a-1-0.trj", [3], in: folder)
        try folder.put(ObjectKey("rooms/R_1/RC_10/metadata.json"), bytes: [9])
        #expect(try RecordingArchive.upload(layout, from: folder, to: bucket) == 2)
        #expect(try bucket.list(under: ObjectKey("rooms")).map(\.key.rawValue) == ["rooms/R_1/RC_1/journal/t/a-1-0.trj", "rooms/R_1/RC_1/metadata.json"])
        #expect(try folder.list(under: ObjectKey(layout.folder)).count == 2, "what is served stays")
    }
    /// Everything of it, and nothing of its neighbour.
    @Test func removalTakesTheWholeCopy() throws {
        for name in ["metadata.json", "policy.json", "journal/t/a-1-0.trj", "tracks/p/t.webm", "preview/peers/p/av_0000.m4s"] { try put(name, [1, 2, 3], in: folder) }
        try bucket.put(ObjectKey("rooms/R_1/RC_10/metadata.json"), bytes: [9])
        #expect(try RecordingArchive.upload(layout, from: folder, to: bucket) == 5)
        #expect(try RecordingArchive.remove(layout, from: bucket) == 5)
        #expect(try RecordingArchive.remove(layout, from: bucket) == 0)
        #expect(try bucket.list(under: ObjectKey("rooms")).map(\.key.rawValue) == ["rooms/R_1/RC_10/metadata.json"])
    }
    @Test func whatIsThereIsNotSentAgainButDocumentsAre() throws {
        let large = [UInt8](repeating: 7, count: Int(RecordingArchive.Limits.document) + 1)
        try put("tracks/p/t.webm", large, in: folder)
        try put("metadata.json", [1], in: folder)
        #expect(try RecordingArchive.upload(layout, from: folder, to: bucket) == 2)
        try put("metadata.json", [2], in: folder)
        #expect(try RecordingArchive.upload(layout, from: folder, to: bucket) == 1)
        #expect(try bucket.read(ObjectKey("\(layout.folder)/metadata.json"), range: 0..<1) == [2])
        // Half of it is not it.
        try put("tracks/p/t.webm", Array(large.dropLast()), in: bucket)
        #expect(try RecordingArchive.upload(layout, from: folder, to: bucket) == 2)
    }
    /// A bucket that is away leaves a word of what is to be done; whoever looks later finds it, does it, and takes the word back.
    @Test func whatNobodyBringsIsTakenUp() throws {
        try put("metadata.json", [1], in: folder)
        let now = WallTime(microseconds: Int64(time(nil)) * 1_000_000), past = WallTime(seconds: 1), future = WallTime(seconds: now.seconds + 3600)
        try #require(rmdir(root + "/bucket") == 0)
        #expect(throws: ObjectStorageError.self) { try RecordingArchive.bring(layout, from: folder, to: bucket, by: "n1", since: past) }
        #expect(try RecordingArchive.abandoned(in: folder, since: past) == [], "its keeper was there a moment ago")
        #expect(try RecordingArchive.abandoned(in: folder, since: future) == [layout])
        try #require(mkdir(root + "/bucket", 0o700) == 0)
        // While another node says that it is at it, its word stays.
        try folder.put(ObjectKey("unarchived/RC_1/n2"), bytes: Array("R_1".utf8))
        #expect(try RecordingArchive.bring(layout, from: folder, to: bucket, by: "n3", since: past) == 1)
        #expect(try RecordingArchive.abandoned(in: folder, since: future) == [layout])
        #expect(try RecordingArchive.bring(layout, from: folder, to: bucket, by: "n3", since: future) == 1, "a document goes again")
        #expect(try RecordingArchive.abandoned(in: folder, since: future) == [])
        #expect(try folder.list(under: ObjectKey("unarchived")) == [])
    }
    /// What was deleted meanwhile is not brought back, and nobody looks for it again.
    @Test func whatIsGoneIsDone() throws {
        try folder.put(ObjectKey("unarchived/RC_1/n1"), bytes: Array("R_1".utf8))
        #expect(try RecordingArchive.bring(layout, from: folder, to: bucket, by: "n1", since: WallTime(seconds: 1)) == 0)
        #expect(try folder.list(under: ObjectKey("unarchived")) == [] && bucket.list(under: ObjectKey("rooms")) == [])
    }
}
