import Glibc
@testable import ObjectStorage
import Primitives
import Testing

@Suite struct ObjectKeys {
    @Test(arguments: [
        "rooms/a/rec-1/metadata.json", "x", "rooms/a/journal/t_1/node-1-3-0.trj", "a=b/c.d",
        String(repeating: "k", count: ObjectKey.Limits.partBytes),
    ])
    func plainKeysAreTaken(text: String) throws { #expect(try ObjectKey(text).rawValue == text) }

    @Test(arguments: [
        "", "/", "/etc/passwd", "a//b", "a/", "../x", "a/../b", "a/..", ".", "..", "a/.hidden", "a\\b", "a b", "a/b\n", "ä",
        "a/%2e%2e/b", String(repeating: "k", count: ObjectKey.Limits.partBytes + 1),
        String(repeating: "k/", count: ObjectKey.Limits.keyBytes / 2) + "kk",
    ])
    func othersAreRefused(text: String) { #expect(throws: ObjectStorageError.self) { try ObjectKey(text) } }

    @Test func aZeroByteIsRefused() { #expect(throws: ObjectStorageError.self) { try ObjectKey("a\u{0}b") } }
}

@Suite final class LocalFolders {
    let path: String
    let store: LocalFolder
    init() throws {
        var template = Array("/tmp/troupe-objects-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        store = try LocalFolder(path: "\(path)/objects/here")
    }
    /// Whoever takes the last file of a folder removes the folder: those who put another one there in that moment do not notice.
    @Test(.timeLimit(.minutes(1))) func foldersThatComeAndGoLoseNothing() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<2 {
                group.addTask { [store] in
                    let key = try ObjectKey("rooms/a/r/journal/t/n\(writer).trj"), copy = try ObjectKey("rooms/a/r/copies/n\(writer).trj")
                    for round in 0..<1500 {
                        try store.put(key, bytes: [UInt8(truncatingIfNeeded: round)])
                        if round % 10 == 0 {
                            try store.put(copy, file: store.file(key))
                            try store.delete(copy)
                        }
                        try store.delete(key)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try store.list(under: ObjectKey("rooms")).isEmpty)
    }
    /// A program that has not yet heard of it writes where everything is being deleted: that is deleted as well.
    @Test(.timeLimit(.minutes(1))) func deletingIsNotHeldUpByWhoStillWrites() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [store] in
                let key = try ObjectKey("rooms/a/r/processed/n.webm")
                // It may learn in the middle of it that its folder is gone.
                while !Task.isCancelled { try? store.put(key, bytes: [1]) }
            }
            for _ in 0..<20_000 { try store.deleteAll(under: ObjectKey("rooms/a/r")) }
            group.cancelAll()
            try await group.waitForAll()
        }
    }
    deinit {
        if let root = try? ObjectKey("rooms") { try? store.deleteAll(under: root) }
        for name in ["objects/here/secret", "objects/here/rooms", "objects/here", "objects", "outside/file", "outside"] { if rmdir("\(path)/\(name)") != 0 { unlink("\(path)/\(name)") } }
        rmdir(path)
    }
    func key(_ text: String) -> ObjectKey { try! ObjectKey(text) }

    /// A program that was killed in the middle of a file leaves it under a name that is no key.
    @Test func whatIsDeletedLeavesNothing() throws {
        try store.put(key("rooms/r/c/processed/x.mp4"), bytes: [1])
        try store.put(key("rooms/r/d/metadata.json"), bytes: [2])
        let half = "\(path)/objects/here/rooms/r/c/processed/.y.mp4.new"
        close(open(half, O_WRONLY | O_CREAT, 0o600))
        try store.deleteAll(under: key("rooms/r/c"))
        #expect(access("\(path)/objects/here/rooms/r/c", F_OK) != 0 && access(half, F_OK) != 0)
        #expect(try store.list(under: key("rooms")).map(\.key) == [key("rooms/r/d/metadata.json")])
        try store.deleteAll(under: key("rooms/r/c"))
    }

    @Test func whatIsPutIsRead() throws {
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try store.put(key("rooms/a/r/one.webm"), bytes: bytes)
        #expect(try store.info(key("rooms/a/r/one.webm")).size == 100_000)
        #expect(try store.read(key("rooms/a/r/one.webm"), range: 0..<100_000) == bytes)
        #expect(try store.read(key("rooms/a/r/one.webm"), range: 10..<13) == Array(bytes[10..<13]))
        #expect(try store.read(key("rooms/a/r/one.webm"), range: 99_998..<Int64.max) == Array(bytes[99_998...]))
        try store.put(key("rooms/a/r/one.webm"), bytes: [1])
        #expect(try store.read(key("rooms/a/r/one.webm"), range: 0..<10) == [1], "a second put replaces the object")
    }

    @Test func filesGoInAndOutWhole() throws {
        let size = 2 * LocalFolder.Limits.copiedBytes + 7, file = TemporaryFile(size: size), back = TemporaryFile(size: 9)
        try store.put(key("rooms/a/big"), file: file.path)
        let info = try store.get(key("rooms/a/big"), to: back.path)
        #expect(info.size == size)
        #expect(TemporaryFile.content(back.path) == TemporaryFile.bytes(size))
        #expect(throws: ObjectStorageError.notFound) { try store.get(key("rooms/none"), to: back.path) }
        #expect(throws: ObjectStorageError.refused("/tmp/not/there is not there")) { try store.put(key("rooms/x"), file: "/tmp/not/there") }
        #expect(throws: ObjectStorageError.away("cannot write /tmp/not/there/x: its folder is not there")) { try store.get(key("rooms/a/big"), to: "/tmp/not/there/x") }
        #expect(TemporaryFile.content(back.path).count == size, "what was there stays until the new one is whole")
    }

    @Test func rangesOutsideTheObjectAreRefused() throws {
        try store.put(key("rooms/x"), bytes: [1, 2, 3])
        #expect(throws: ObjectStorageError.badRange(size: 3)) { try store.read(key("rooms/x"), range: 4..<5) }
        #expect(throws: ObjectStorageError.badRange(size: 3)) { try store.read(key("rooms/x"), range: -1..<2) }
        #expect(throws: ObjectStorageError.notFound) { try store.read(key("rooms/y"), range: 0..<1) }
    }

    @Test func listsWholePartsInOrderAndSeesNoTemporaries() throws {
        for name in ["rooms/a/2", "rooms/a/10", "rooms/ab/1", "rooms/a/deep/er/3"] { try store.put(key(name), bytes: Array(repeating: 0, count: 5)) }
        fclose(fopen(store.file(key("rooms/a")) + "/.2.1234", "w"))
        #expect(try store.list(under: key("rooms/a")).map(\.key.rawValue) == ["rooms/a/10", "rooms/a/2", "rooms/a/deep/er/3"])
        #expect(try store.size(under: key("rooms/a")) == 15)
        #expect(try store.list(under: key("rooms/ab/1")).count == 1)
        #expect(try store.list(under: key("nothing/here")).isEmpty)
        unlink(store.file(key("rooms/a")) + "/.2.1234")
    }

    @Test func deletingIsIdempotentAndLeavesNoEmptyFolders() throws {
        try store.put(key("rooms/a/r/tracks/1"), bytes: [])
        try store.put(key("rooms/a/s/1"), bytes: [])
        try store.deleteAll(under: key("rooms/a/r"))
        try store.delete(key("rooms/a/r/tracks/1"))
        #expect(access(store.file(key("rooms/a/r")), F_OK) != 0)
        #expect(try store.list(under: key("rooms")).map(\.key.rawValue) == ["rooms/a/s/1"])
    }

    @Test func aMovedObjectTakesTheOthersPlace() throws {
        try store.put(key("rooms/a/attempts/1"), bytes: [1])
        try store.put(key("rooms/a/out"), bytes: [2, 2])
        try store.move(key("rooms/a/attempts/1"), to: key("rooms/a/out"))
        #expect(try store.list(under: key("rooms")).map(\.key.rawValue) == ["rooms/a/out"] && store.read(key("rooms/a/out"), range: 0..<1) == [1])
        try store.move(key("rooms/a/out"), to: key("rooms/b/new/out"))
        #expect(try store.read(key("rooms/b/new/out"), range: 0..<1) == [1])
        #expect(throws: ObjectStorageError.notFound) { try store.move(key("rooms/a/out"), to: key("rooms/b/new/out")) }
        #expect(try store.read(key("rooms/b/new/out"), range: 0..<1) == [1])
    }

    @Test func linksOutOfTheFolderAreNotFollowed() throws {
        mkdir("\(path)/outside", 0o700)
        let file = fopen("\(path)/outside/file", "w")
        fputs("secret", file)
        fclose(file)
        symlink("\(path)/outside", "\(store.path)/rooms")
        symlink("\(path)/outside/file", "\(store.path)/secret")
        #expect(throws: ObjectStorageError.notFound) { try store.read(key("rooms/file"), range: 0..<6) }
        #expect(throws: ObjectStorageError.notFound) { try store.read(key("secret"), range: 0..<6) }
        #expect(throws: ObjectStorageError.self) { try store.put(key("rooms/new"), bytes: [1]) }
        #expect(try store.list(under: key("rooms")).isEmpty)
        unlink("\(store.path)/rooms")
    }

    @Test func aFolderIsNoObject() throws {
        try store.put(key("rooms/a/1"), bytes: [])
        #expect(throws: ObjectStorageError.notFound) { try store.info(key("rooms/a")) }
        #expect(throws: ObjectStorageError.notFound) { try store.info(key("rooms/a/1/2")) }
    }
    @Test func aPlaceThatCannotBeMadeIsAway() {
        #expect(throws: ObjectStorageError.self) { try LocalFolder(path: "/proc/nothing/here") }
    }
}
