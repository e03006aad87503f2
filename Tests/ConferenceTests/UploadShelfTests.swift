import Capture
import Glibc
import ObjectStorage
import Primitives
import Synchronization
import Testing
@testable import Conference

/// Chunks on a real disk, by one node and by several.
@Suite final class UploadShelfTests {
    private let root: String
    private let folder: LocalFolder
    private let layout = RecordingLayout(room: "R_1", recording: "RC_1")

    init() throws {
        root = try temporaryFolder("troupe-shelf")
        folder = try LocalFolder(path: root)
        try folder.put(ObjectKey(layout.facts(Epoch(1))), bytes: [1])
    }
    deinit {
        try? folder.deleteAll(under: ObjectKey("rooms"))
        rmdir(root)
    }
    private static func upload(_ name: String = "a", first: Int = 0) -> UploadIndex.Upload {
        .init(kind: .camera, upload: name, firstSequence: first, mediaType: "video/webm", startedAt: 5, offsetUncertainty: 1)
    }
    private static func chunk(_ sequence: Int, _ bytes: [UInt8]) -> UploadIndex.Chunk {
        .init(sequence: sequence, bytes: Int64(bytes.count), sha256: String(repeating: "\(bytes.count % 10)", count: 64), at: 0)
    }
    private func stored(_ sequence: Int) throws -> [UInt8] { try folder.read(ObjectKey(layout.chunk("p", .camera, sequence)), range: 0..<100) }

    @Test func aChunkIsThereWithItsEntry() throws {
        let shelf = UploadShelf(folder)
        #expect(try shelf.store([1, 2], Self.chunk(0, [1, 2]), of: Self.upload(), peer: "p", in: layout).chunks.count == 1)
        #expect(try stored(0) == [1, 2])
        #expect(try shelf.index("p", in: layout).uploads.map(\.upload) == ["a"])
        #expect(try shelf.index("q", in: layout).uploads.isEmpty, "another participant has its own")
        // Again, and with other bytes.
        #expect(try shelf.store([1, 2], Self.chunk(0, [1, 2]), of: Self.upload(), peer: "p", in: layout).chunks.count == 1)
        #expect(throws: UploadRefusal.taken) { try shelf.store([3], Self.chunk(0, [3]), of: Self.upload(), peer: "p", in: self.layout) }
        #expect(try stored(0) == [1, 2], "what was refused has not been written")
    }
    /// The node died after it wrote the file and before it entered it: nobody was told that it is here.
    @Test func aFileWithoutAnEntryIsWrittenOver() throws {
        try folder.put(ObjectKey(layout.chunk("p", .camera, 0)), bytes: [9, 9, 9])
        _ = try UploadShelf(folder).store([1], Self.chunk(0, [1]), of: Self.upload(), peer: "p", in: layout)
        #expect(try stored(0) == [1])
    }
    @Test func nothingIsWrittenForARecordingThatWasDeleted() throws {
        try folder.deleteAll(under: ObjectKey(layout.folder))
        #expect(throws: ObjectStorageError.notFound) { try UploadShelf(folder).store([1], Self.chunk(0, [1]), of: Self.upload(), peer: "p", in: self.layout) }
        #expect(try folder.list(under: ObjectKey("rooms")).isEmpty)
    }
    @Test func deletingTakesLocksAlong() throws {
        _ = try UploadShelf(folder).store([1], Self.chunk(0, [1]), of: Self.upload(), peer: "p", in: layout)
        try folder.deleteAll(under: ObjectKey(layout.folder))
        #expect(access("\(root)/rooms", F_OK) != 0)
    }
    /// What another node wrote is seen though this one has its own copy in memory.
    @Test func twoNodesShareOneIndex() throws {
        let here = UploadShelf(folder), there = UploadShelf(folder)
        _ = try here.store([1], Self.chunk(0, [1]), of: Self.upload(), peer: "p", in: layout)
        _ = try there.store([1, 2], Self.chunk(1, [1, 2]), of: Self.upload(), peer: "p", in: layout)
        _ = try here.store([1, 2, 3], Self.chunk(2, [1, 2, 3]), of: Self.upload(), peer: "p", in: layout)
        #expect(try there.end("a", .camera, at: 2, peer: "p", in: layout).complete)
        try here.handOver("a", .camera, peer: "p", in: layout)
        #expect(try there.index("p", in: layout).uploads[0].isHandedOver)
    }
    /// Threads stand for nodes: each has its shelf, and all write one index at once. None of the entries is lost.
    @Test(.timeLimit(.minutes(1))) func nodesThatWriteAtOnceLoseNothing() async throws {
        let folder = folder, layout = layout
        try await withThrowingTaskGroup { group in
            for node in 0..<4 {
                group.addTask {
                    let shelf = UploadShelf(folder)
                    for turn in 0..<10 {
                        let sequence = turn * 4 + node
                        _ = try shelf.store([UInt8(sequence)], Self.chunk(sequence, [UInt8(sequence)]), of: Self.upload(), peer: "p", in: layout)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try UploadShelf(folder).end("a", .camera, at: 39, peer: "p", in: layout).complete)
        for sequence in 0..<40 { #expect(try stored(sequence) == [UInt8(sequence)]) }
    }
    /// Of two that want one number, one gets it, and the file is that one's.
    @Test func oneOfTwoThatWantTheSameNumberGetsIt() async throws {
        let folder = folder, layout = layout
        for round in 0..<8 {
            let winners = await withTaskGroup(of: UInt8?.self, returning: [UInt8].self) { group in
                for value in [UInt8(1), 2] {
                    group.addTask {
                        let bytes = [UInt8](repeating: value, count: Int(value))
                        return (try? UploadShelf(folder).store(bytes, Self.chunk(round, bytes), of: Self.upload(), peer: "p", in: layout)) == nil ? nil : value
                    }
                }
                return await group.reduce(into: []) { if let value = $1 { $0.append(value) } }
            }
            #expect(winners.count == 1)
            #expect(try stored(round).first == winners.first)
        }
    }
    @Test func aLockThatIsHeldIsWaitedForSoLong() throws {
        let key = try ObjectKey(layout.uploads("p")), other = folder, below = try ObjectKey(layout.folder)
        try folder.exclusively(key, below: below, patience: .zero) {
            #expect(throws: ObjectStorageError.away("\(key) is being changed by another node; try again")) { try other.exclusively(key, below: below, patience: .milliseconds(30)) {} }
        }
        try folder.exclusively(key, below: below, patience: .zero) {}
    }
    @Test func whatAPeerSaysIsChecked() {
        var offer = ChunkOffer(
            room: "R_1", recording: "RC_1", participant: "p", kind: "camera", upload: "u-1", firstSequence: 0, sequence: 1, mediaType: "video/webm; codecs=vp8", startedAt: 1,
            offsetUncertainty: 1, clock: "n1", at: 1, bytes: nil, sha256: nil)
        let hash = String(repeating: "a", count: 64)
        func code(_ change: (inout ChunkOffer) -> Void, bytes: Int64 = 1, sha256: String? = nil) -> String? {
            var changed = offer
            change(&changed)
            do { _ = try UploadDesk.checked(changed, bytes: bytes, sha256: sha256 ?? hash); return nil } catch { return error.code }
        }
        #expect(code { _ in } == nil)
        #expect(code { $0.kind = "../../etc" } == "bad_kind")
        #expect(code { $0.mediaType = "video/mp4" } == "bad_media_type")
        #expect(code { $0.mediaType = "audio/webm" } == "bad_media_type")
        #expect(code { $0.kind = "audio"; $0.mediaType = "Audio/WebM;codecs=opus" } == nil)
        #expect(code { $0.mediaType = "video/webm;\r\nX: y" } == "bad_media_type")
        for upload in ["", "../up", ".hidden", "a/b", String(repeating: "u", count: 65)] { #expect(code { $0.upload = upload } == "malformed") }
        #expect(code { $0.sequence = 1_000_000 } == "malformed" && code { $0.sequence = -1 } == "malformed")
        #expect(code({ $0.firstSequence = 2 }) == "malformed" && code({ $0.at = -1 }) == "malformed" && code({ $0.startedAt = .max }) == "malformed")
        #expect(code({ $0.clock = "a/b" }) == "malformed" && code({ $0.offsetUncertainty = .max }) == "malformed")
        #expect(code({ _ in }, bytes: 0) == "malformed" && code({ _ in }, sha256: "A" + hash.dropFirst()) == "malformed")
        offer.kind = "screen"
        #expect(code { _ in } == nil)
    }
}
