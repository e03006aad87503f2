// Copies of finished recordings in a bucket, beside the folder the nodes serve from.
import Capture
import Contracts
import EventLoop
import ObjectStorage
import Primitives
import Synchronization

/// One a node that has a bucket. What it is told to keep is uploaded and looked at there; the file stays where it is.
package final class RecordingArchive: Sendable {
    package enum Limits {
        /// Attempts at one recording, the pauses doubling from the first to the longest: about an hour in all.
        static let attempts = 16
        static let firstPause = Duration.seconds(5)
        /// For the bucket's answer to a deletion, behind what is being uploaded.
        static let erase = Duration.seconds(12)
        static let longestPause = Duration.seconds(300)
        /// Between two looks for what nobody brings to the bucket any more.
        static let look = Duration.seconds(300)
        /// µs since its keeper last tried: it died, or gave up.
        static let abandoned: Int64 = 900_000_000
        /// Bytes of a room's id in what says so.
        static let word: Int64 = 256
        /// Recordings taken up at one look.
        static let atOnce = 64
        /// Bytes. Documents are written anew under one name: up to this size a file is sent again whatever stands there.
        static let document: Int64 = 1 << 20
    }
    package struct Counters: Sendable, Equatable {
        package var kept: UInt64 = 0
        package var erased: UInt64 = 0
        /// Recordings given up, of which the bucket lacks something.
        package var failed: UInt64 = 0
    }
    private let bucket: any ObjectStore
    private let folder: LocalFolder
    /// Of its own: an upload may take minutes.
    private let disk = DiskThread(name: "archive")
    private let context: ConferenceContext
    private let counted = Mutex(Counters())
    package var counters: Counters { counted.withLock { $0 } }
    /// Confined to the control loop.
    private nonisolated(unsafe) var looking: RepeatingTimer?

    package init(bucket: any ObjectStore, folder: LocalFolder, context: ConferenceContext) { self.bucket = bucket; self.folder = folder; self.context = context }
    /// Looks now and then for what a node that died, or gave up, has not brought to the bucket. On the control loop.
    package func start() {
        looking = context.loop.every(Limits.look) { [weak self, context] in context.loop.spawn { [weak self] in await self?.takeUp() } }
    }
    package func stop() {
        context.loop.run { self.looking?.cancel() }
        disk.stop()
    }

    /// Everything of the recording that the bucket lacks; again while the bucket does not take it. That it is to be done stands in the folder until it
    /// is: what this node does not bring to an end, another one takes up.
    package func keep(_ layout: RecordingLayout) async { await tried(layout, attempts: Limits.attempts) }
    private var oldest: WallTime { WallTime(microseconds: context.loop.wall.microseconds - Limits.abandoned) }
    private func takeUp() async {
        do {
            for layout in try await disk.run({ [folder, oldest] in try Self.abandoned(in: folder, since: oldest) }) { await tried(layout, attempts: 1) }
        } catch { context.log(.warning, "archive_look", ["error": "\(error)"]) }
    }
    /// One attempt. - Returns: objects removed; nil where the bucket did not answer in time, and somebody has to come again.
    package func erase(_ layout: RecordingLayout) async -> Int? {
        do {
            let removed = try await context.loop.withDeadline(Limits.erase) { [disk, bucket] in try await disk.run { try Self.remove(layout, from: bucket) } }
            counted.withLock { $0.erased += 1 }
            return removed
        } catch {
            context.log(.warning, "archive_erase", ["recording": layout.recording.rawValue, "error": "\(error)"])
            return nil
        }
    }
    static func remove(_ layout: RecordingLayout, from bucket: any ObjectStore) throws -> Int {
        let folder = try ObjectKey(layout.folder), found = try bucket.list(under: folder).count
        try bucket.deleteAll(under: folder)
        return found
    }
    private func tried(_ layout: RecordingLayout, attempts: Int) async {
        var pause = Limits.firstPause
        for attempt in 1...attempts {
            let oldest = oldest
            do {
                let sent = try await disk.run { [bucket, folder, node = context.system.node] in try Self.bring(layout, from: folder, to: bucket, by: node, since: oldest) }
                counted.withLock { $0.kept += 1 }
                return context.log(.info, "archive", ["recording": layout.recording.rawValue, "objects": "\(sent)"])
            } catch {
                context.log(.warning, "archive", ["recording": layout.recording.rawValue, "attempt": "\(attempt)", "error": "\(error)"])
                // A wrong key or a missing bucket stays wrong for a while.
                if case ObjectStorageError.refused = error { break }
                guard attempt < attempts else { break }
                try? await context.loop.sleep(for: pause)
                pause = min(pause * 2, Limits.longestPause)
            }
        }
        counted.withLock { $0.failed += 1 }
        context.log(.error, "archive", ["recording": layout.recording.rawValue, "error": "the recording stands in the folder alone; it is tried again in about a quarter of an hour"])
    }

    // MARK: What is still to be done

    /// Says in the folder that this node is at it, uploads, and takes that back, with what others said before `oldest` and left.
    /// - Returns: objects sent.
    static func bring(_ layout: RecordingLayout, from folder: LocalFolder, to bucket: any ObjectStore, by node: NodeName, since oldest: WallTime) throws -> Int {
        let words = try ObjectKey("unarchived/\(layout.recording.rawValue)"), mine = try ObjectKey("\(words.rawValue)/\(node.rawValue)")
        let left = try folder.list(under: words).filter { $0.modifiedAt < oldest }
        // A full disk keeps nobody from freeing it.
        try? folder.put(mine, bytes: Array(layout.room.rawValue.utf8))
        let sent = try upload(layout, from: folder, to: bucket)
        for key in Set(left.map(\.key) + [mine]) { try folder.delete(key) }
        return sent
    }
    /// Recordings at which nobody was since `oldest`, those left longest first.
    static func abandoned(in folder: LocalFolder, since oldest: WallTime) throws -> [RecordingLayout] {
        let words = Dictionary(grouping: try folder.list(under: ObjectKey("unarchived")), by: { $0.key.rawValue.split(separator: "/").dropFirst().first.map(String.init) ?? "" })
        let left = words.compactMap { recording, words in words.map(\.modifiedAt).max().map { (recording: recording, at: $0, word: words[0]) } }.filter { $0.at < oldest }
        return left.sorted { ($0.at, $0.recording) < ($1.at, $1.recording) }.prefix(Limits.atOnce).compactMap { one in
            // Taken back a moment ago, or nothing that a node wrote: the others are not held up by it.
            guard let room = try? folder.read(one.word.key, range: 0..<min(one.word.size, Limits.word)) else { return nil }
            return RecordingLayout(room: RoomID(String(decoding: room, as: UTF8.self)), recording: RecordingID(one.recording))
        }
    }

    /// - Returns: objects sent. Journals that are not there yet go too: they are the evidence the files were made of.
    static func upload(_ layout: RecordingLayout, from folder: LocalFolder, to bucket: any ObjectStore) throws -> Int {
        var sent = 0
        for object in try folder.list(under: ObjectKey(layout.folder)) {
            // Segments never change.
            if object.size > Limits.document || object.key.rawValue.hasSuffix(".\(Journal.fileExtension)"), try stored(object.key, in: bucket) == object.size { continue }
            try bucket.put(object.key, file: folder.file(object.key))
            guard try stored(object.key, in: bucket) == object.size else { throw ObjectStorageError.away("\(object.key) was sent, and is not there whole") }
            sent += 1
        }
        // Deleted meanwhile: the copy goes too.
        if sent > 0, try folder.list(under: ObjectKey(layout.folder)).isEmpty { _ = try remove(layout, from: bucket) }
        return sent
    }
    private static func stored(_ key: ObjectKey, in bucket: any ObjectStore) throws -> Int64? {
        do { return try bucket.info(key).size } catch ObjectStorageError.notFound { return nil }
    }
}
