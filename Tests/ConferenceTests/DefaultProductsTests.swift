import Capture
import Contracts
import Glibc
import ObjectStorage
import Primitives
import Testing
@testable import Conference

/// What every recording gets: once for each revision of its manifest, the earlier one served until the later one is whole.
@Suite final class DefaultProductsTests {
    private let root: String
    private let folder: LocalFolder
    private let layout = RecordingLayout(room: "R_1", recording: "RC_1")

    init() throws {
        root = try temporaryFolder("troupe-products")
        folder = try LocalFolder(path: root)
        try folder.put(ObjectKey(layout.metadata), bytes: [1])
    }
    deinit {
        try? folder.deleteAll(under: ObjectKey("rooms"))
        rmdir(root)
    }
    private func job(_ kind: JobKind, _ key: String?, id: JobID = "J_1") -> JobRecord {
        JobRecord(NewJob(id: id, kind: kind, recording: "RC_1", room: "R_1", dedupeKey: key), now: WallTime(seconds: 1))
    }
    private func key(_ name: String) throws -> ObjectKey { try ObjectKey("\(layout.folder)/\(name)") }
    private func read(_ name: String) throws -> [UInt8] { try folder.read(key(name), range: 0..<100) }
    /// One attempt's file, made and put in its place.
    private func place(_ byte: UInt8, _ product: String = "processed/output.webm", revision: Int) throws -> Bool {
        let attempt = try key("processed/exports/J_\(byte)-1.webm")
        try folder.put(attempt, bytes: [byte])
        return try DefaultProducts.place(attempt, as: product, revision: revision, in: layout, folder)
    }

    @Test func aKeySaysItsRevision() {
        for revision in [1, 2, 17, 1 << 30] { #expect(DefaultProducts.revision(of: job(.export, DefaultProducts.key(revision))) == revision) }
        #expect(DefaultProducts.key(1) == "default", "as releases without revisions wrote it")
        for key in [nil, "360/4", "default-", "default-1", "default-x", "default--2", "defaults", "default-2 "] { #expect(DefaultProducts.revision(of: job(.export, key)) == nil, "\(key ?? "nil")") }
        #expect(DefaultProducts.revision(of: job(.preview, "default")) == nil)
    }
    @Test func aPreviewIsOneJobForEachRevision() throws {
        let order = PreviewOrder(height: 480, segmentSeconds: 2)
        func asked(_ key: String?, id: JobID = "J_1") throws -> JobRecord {
            JobRecord(NewJob(id: id, kind: .preview, recording: "RC_1", room: "R_1", dedupeKey: key, parameters: try JobWork.parameters(order)), now: WallTime(seconds: 1))
        }
        #expect(order.key(1) == "480/2" && order.key(3) == "480/2-3", "the first as releases without revisions wrote it")
        for revision in [1, 2, 17] { #expect(try DefaultProducts.revision(of: asked(order.key(revision))) == revision) }
        for key in [nil, "360/4", "480/20", "480/2-", "default"] { #expect(try DefaultProducts.revision(of: asked(key)) == nil, "\(key ?? "nil")") }
        let all = [try asked("480/2", id: "a"), try asked("480/2-2", id: "b"), try asked("480/2-3", id: "c"), job(.export, "default", id: "d")]
        #expect(DefaultProducts.earlier(than: 3, .preview, among: all).map(\.id) == ["a", "b"])
    }
    @Test func earlierOnesOfTheSameKindGiveWay() {
        let all = [job(.export, "default", id: "a"), job(.export, "default-2", id: "b"), job(.export, "default-3", id: "c"), job(.thumbnail, "default", id: "d"), job(.export, nil, id: "e")]
        #expect(DefaultProducts.earlier(than: 3, .export, among: all).map(\.id) == ["a", "b"])
        #expect(DefaultProducts.earlier(than: 1, .export, among: all).isEmpty)
    }

    @Test func aLaterOneTakesThePlaceOfAnEarlierOneAndNeverTheOtherWay() throws {
        #expect(try place(1, revision: 1) && read("processed/output.webm") == [1])
        #expect(throws: ObjectStorageError.notFound) { try self.read("processed/exports/J_1-1.webm") }
        #expect(try place(3, revision: 3) && read("processed/output.webm") == [3])
        #expect(try !place(2, revision: 2), "an attempt that was overtaken while its node stood still")
        #expect(try read("processed/output.webm") == [3] && read("processed/exports/J_2-1.webm") == [2], "its file is its runner's to remove")
        #expect(try place(4, revision: 3) && read("processed/output.webm") == [4], "the same job, done again after its node died in between")
        #expect(try place(5, "thumbnail.jpg", revision: 1) && read("thumbnail.jpg") == [5], "each product has its own")
    }
    @Test func nothingComesBackOfADeletedRecording() throws {
        try folder.deleteAll(under: ObjectKey(layout.folder))
        #expect(throws: ObjectStorageError.notFound) { try DefaultProducts.place(self.key("processed/exports/J_1-1.webm"), as: "thumbnail.jpg", revision: 1, in: self.layout, self.folder) }
        #expect(try folder.list(under: ObjectKey("rooms")).isEmpty)
    }
    @Test func anUnreadableNoteIsNoReasonToReplaceAnything() throws {
        try folder.put(key("processed/revisions.json"), bytes: [0x7B])
        #expect(throws: (any Error).self) { try self.place(1, revision: 1) }
        #expect(throws: ObjectStorageError.notFound) { try self.read("processed/output.webm") }
    }
}
