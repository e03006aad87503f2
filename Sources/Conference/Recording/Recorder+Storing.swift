// Journal files on their way to the storage while a recording runs, and back where finishing lacks them.
// Decision: docs/decisions/0042-segments-stored-as-they-close.md
import Capture
import Contracts
import EventLoop
import ObjectStorage
import Primitives

extension Recorder {
    enum StoringLimits {
        /// How long a writer that is released waits for its files to be stored; below `Recording.Limits.release`.
        static let settle = Duration.seconds(8)
        /// For what the bucket has and the folder lacks, before finishing goes on without it.
        static let fetch = Duration.seconds(60)
        /// Attempts to tell a recording of files that came late, the pauses doubling from the first to the longest: about an hour in all.
        static let attempts = 16
        static let firstPause = Duration.seconds(2)
        static let longestPause = Duration.seconds(300)
    }
    /// Confined to the control loop.
    struct Storing {
        /// Set once the node is in its cluster.
        var context: ConferenceContext?
        /// Recordings whose files were not all stored when they were closed, here or in an earlier life.
        var late: Set<RecordingLayout> = []
        /// Recordings finished without a look at the bucket, which did not answer.
        var unfetched: Set<RecordingLayout> = []
        var waiting: [RecordingLayout: [OneAnswer<Void>]] = [:]
    }

    /// What has to be brought where: from the journals' own folder to the storage folder and the bucket, or from the storage folder to the bucket.
    static func uploader(
        _ settings: RecorderSettings, _ objects: LocalFolder, _ bucket: (any ObjectStore)?, clock: any TimeSource, onReport: @escaping @Sendable (Uploader.Report) -> Void
    ) throws -> Uploader? {
        let buckets = bucket.map { [Uploader.Store(name: "bucket", objects: $0)] } ?? []
        if let root = settings.journalRoot {
            let stores = [Uploader.Store(name: "folder", objects: objects)] + buckets
            return Uploader(.init(source: try LocalFolder(path: root), stores: stores, removesStored: true), clock: clock, onReport: onReport)
        }
        return buckets.isEmpty ? nil : Uploader(.init(source: objects, stores: buckets, removesStored: false), clock: clock, onReport: onReport)
    }
    /// Before anything is written: what an earlier life of this node left unstored.
    func takeUp() throws -> Set<RecordingLayout> {
        guard let uploader else { return [] }
        return Set(try uploader.takeUp(under: ObjectKey("rooms")).compactMap { RecordingLayout(folder: $0.rawValue) })
    }
    /// The node is in its cluster: recordings can be told.
    func begin(storing context: ConferenceContext) {
        storing.context = context
        for layout in storing.late.sorted(by: { $0.folder < $1.folder }) where isSettled(layout) { told(late: layout) }
    }

    func heard(_ report: Uploader.Report) {
        let log = storing.context?.log ?? { _, _, _ in }
        switch report {
        case .failing(let store, let cause, let detail): log(.warning, "storing", ["store": store, "cause": cause.rawValue, "error": detail])
        case .recovered(let store, let waiting): log(.info, "storing", ["store": store, "cause": "", "waiting": "\(waiting)"])
        case .settled(let group):
            guard let layout = RecordingLayout(folder: group.rawValue) else { return }
            for answer in storing.waiting.removeValue(forKey: layout) ?? [] { answer.answer(.success(())) }
            if storing.context != nil, storing.late.contains(layout) { told(late: layout) }
        }
    }
    private func isSettled(_ layout: RecordingLayout) -> Bool { (try? ObjectKey(layout.folder)).map { uploader?.isSettled($0) ?? true } ?? true }

    /// Waits until finishing finds the recording's files in the storage folder. What takes longer is told as late.
    func settle(_ layout: RecordingLayout) async {
        // Without a folder of their own the journals stand there already.
        guard settings.journalRoot != nil, !isSettled(layout) else { return }
        let answer = OneAnswer<Void>()
        storing.waiting[layout, default: []].append(answer)
        let timer = loop.schedule(after: StoringLimits.settle) { answer.answer(.failure(DeadlineExceeded(after: StoringLimits.settle))) }
        do { try await withCheckedThrowingContinuation { answer.open($0) } } catch {
            storing.late.insert(layout)
            storing.context?.log(.warning, "storing_late", ["recording": layout.recording.rawValue, "waiting": "\(uploader?.counters.waiting ?? 0)"])
        }
        timer.cancel()
    }

    /// Files of it came after it was released: it is finished again, or was deleted and they go too.
    private func told(late layout: RecordingLayout) {
        guard let context = storing.context, storing.late.remove(layout) != nil else { return }
        context.loop.spawn { [self] in
            var pause = StoringLimits.firstPause
            for _ in 0..<StoringLimits.attempts {
                do {
                    return try await context.recording(layout.recording).uploadsChanged()
                } catch let error as ServiceError where error.kind == .notFound {
                    if await removeLeftovers(of: layout, context) { return }
                } catch { context.log(.warning, "storing_told", ["recording": layout.recording.rawValue, "error": "\(error)"]) }
                try? await context.loop.sleep(for: pause)
                pause = min(pause * 2, StoringLimits.longestPause)
            }
        }
    }
    /// - Returns: false where the store does not say that the recording is gone, or something could not be removed.
    private func removeLeftovers(of layout: RecordingLayout, _ context: ConferenceContext) async -> Bool {
        do {
            guard try await context.recordings.recording(layout.recording) == nil else { return false }
            let removal = try await erase(layout)
            context.log(.info, "leftovers_deleted", ["recording": layout.recording.rawValue, "objects": "\(removal.objects)", "bytes": "\(removal.bytes)"])
            return !removal.isPending
        } catch {
            context.log(.warning, "leftovers_deleted", ["recording": layout.recording.rawValue, "error": "\(error)"])
            return false
        }
    }

    /// Deletes what stands here unstored, and takes back what is being sent.
    func forget(_ layout: RecordingLayout) async throws -> RecordingRemoval {
        storing.late.remove(layout)
        storing.unfetched.remove(layout)
        guard let uploader else { return RecordingRemoval(objects: 0, bytes: 0) }
        let found = try await disk.run { try uploader.forget(ObjectKey(layout.folder)) }
        return RecordingRemoval(objects: found.objects, bytes: found.bytes)
    }

    /// Brings what the bucket has of the recording's evidence and the folder lacks.
    func fetch(_ layout: RecordingLayout) async {
        guard let bucket else { return }
        do {
            let count = try await loop.withDeadline(StoringLimits.fetch) { [disk = bucketDisk, objects] in try await disk.run { try Self.fetch(layout, from: bucket, to: objects) } }
            storing.unfetched.remove(layout)
            if count > 0 { storing.context?.log(.info, "segments_fetched", ["recording": layout.recording.rawValue, "objects": "\(count)"]) }
        } catch {
            storing.unfetched.insert(layout)
            storing.context?.log(.warning, "segments_fetched", ["recording": layout.recording.rawValue, "error": "\(error)"])
        }
    }
    /// - Returns: objects fetched.
    static func fetch(_ layout: RecordingLayout, from bucket: any ObjectStore, to folder: LocalFolder) throws -> Int {
        var fetched = 0
        let here = Dictionary(try folder.list(under: ObjectKey(layout.folder)).map { ($0.key, $0.size) }, uniquingKeysWith: { $1 })
        for object in try bucket.list(under: ObjectKey(layout.folder)) where layout.isEvidence(object.key.rawValue) && here[object.key] != object.size {
            // What is larger here is newer than what is there.
            if let size = here[object.key], size > object.size { continue }
            try folder.fetch(object.key, from: bucket)
            fetched += 1
        }
        return fetched
    }
    /// The bucket answers again: a recording that was finished without a look there is finished again where it lacked something.
    package func bucketAnswers(_ layout: RecordingLayout) async {
        guard let bucket, storing.unfetched.remove(layout) != nil else { return }
        let count = try? await bucketDisk.run { [objects] in try Self.fetch(layout, from: bucket, to: objects) }
        guard let count, count > 0 else { return }
        storing.late.insert(layout)
        told(late: layout)
    }
}

extension RecordingLayout {
    /// A journal segment, notes or facts: what finishing is made of.
    fileprivate func isEvidence(_ key: String) -> Bool {
        let inside = key.dropFirst(folder.utf8.count + 1)
        let names = [String(inside)]
        return inside.hasPrefix("\(Names.journals)/") || !Names.notes(among: names).isEmpty || !Names.facts(among: names).isEmpty
    }
}
