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

    package init(bucket: any ObjectStore, folder: LocalFolder, context: ConferenceContext) { self.bucket = bucket; self.folder = folder; self.context = context }
    package func stop() { disk.stop() }

    /// Everything of the recording that the bucket lacks; again while the bucket does not take it.
    package func keep(_ layout: RecordingLayout) async {
        await tried("archive", layout) { [bucket, folder] in try Self.upload(layout, from: folder, to: bucket) }
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
    private func tried(_ what: String, _ layout: RecordingLayout, _ work: @escaping @Sendable () throws -> Int) async {
        var pause = Limits.firstPause
        for attempt in 1...Limits.attempts {
            do {
                let sent = try await disk.run(work)
                counted.withLock { $0.kept += 1 }
                return context.log(.info, what, ["recording": layout.recording.rawValue, "objects": "\(sent)"])
            } catch {
                context.log(.warning, what, ["recording": layout.recording.rawValue, "attempt": "\(attempt)", "error": "\(error)"])
                // A wrong key or a missing bucket stays wrong.
                if case ObjectStorageError.refused = error { break }
                try? await context.loop.sleep(for: pause)
                pause = min(pause * 2, Limits.longestPause)
            }
        }
        counted.withLock { $0.failed += 1 }
        context.log(.error, what, ["recording": layout.recording.rawValue, "error": "given up; the recording stands in the folder alone"])
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
