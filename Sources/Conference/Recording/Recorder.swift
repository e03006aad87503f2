// A node's recording plant: one journal thread, and the child processes that finish what it wrote.
import Capture
import Contracts
import EventLoop
import ObjectStorage
import Primitives

/// Confined to the control loop. Made by a node of the recorder role.
package final class Recorder: @unchecked Sendable {
    package enum Limits {
        /// Finishing processes at once; the others wait in order.
        package static let children = 2
        package static let waiting = 256
        /// Releases remembered. An order takes no longer than its deadline to arrive.
        package static let released = 1024
    }
    package let journals: JournalWriterThread
    let settings: RecorderSettings
    let objects: LocalFolder
    let bucket: (any ObjectStore)?
    let disk: DiskThread
    /// Of its own: fetching from the bucket may take minutes.
    let bucketDisk = DiskThread(name: "segments")
    let loop: UVLoop
    /// What brings ended journal files to the storage; nil where they are written into the only one there is.
    package let uploader: Uploader?
    var storing = Storing()
    private var writers: [RecordingID: CaptureWriter] = [:]
    /// Recordings released here, the newest last, and the epochs under which they were: an older decider's order is too late. The same one may
    /// want the node again, and its words arrive in the order they were said.
    private var released: [(recording: RecordingID, epoch: Epoch)] = []
    private var running = 0
    /// Told of each recording that became ready here, with its manifest's revision, and of each that was erased. Set once, before the first.
    package var onReady: (@Sendable (RecordingRecord, Int) async -> Void)?
    /// - Returns: objects removed elsewhere; nil where that has to be tried again.
    package var onErase: (@Sendable (RecordingLayout) async -> Int?)?
    /// Recordings deleted here, by cause, their objects and bytes, and attempts the bucket did not answer.
    package struct Removals: Sendable, Equatable {
        package static let causes = RemovalCause.allCases.map(\.rawValue)
        package var recordings: [String: UInt64] = [:]
        package var objects: UInt64 = 0
        package var bytes: UInt64 = 0
        package var pending: UInt64 = 0
    }
    package private(set) var removals = Removals()
    private var queue = BoundedQueue<CheckedContinuation<Void, Never>>(capacity: Limits.waiting)

    package init(settings: RecorderSettings, node: NodeName, objects: LocalFolder, bucket: (any ObjectStore)? = nil, disk: DiskThread, loop: UVLoop, rings: [PacketRing]) throws {
        self.settings = settings
        self.loop = loop
        self.objects = objects
        self.bucket = bucket
        self.disk = disk
        let relay = ReportRelay(loop: loop)
        let uploader = try Self.uploader(settings, objects, bucket, clock: loop) { relay.bring($0) }
        self.uploader = uploader
        journals = JournalWriterThread(
            base: settings.journalRoot ?? settings.storageRoot, writer: node, clock: loop,
            segmentAge: .seconds(uploader == nil ? Journal.Limits.segmentSeconds : Journal.Limits.storedSegmentSeconds), isEmptied: settings.journalRoot != nil
        ) { report in
            guard case .fileEnded(let layout, let key) = report else { return relay.bring(report) }
            // At once, on this thread: once a recording is closed, all its files are known there.
            if let uploader, let key = try? ObjectKey(key), let group = try? ObjectKey(layout.folder) { uploader.add(key, of: group) }
        }
        relay.recorder = self
        if settings.journalRoot != nil { storing.late = try takeUp() }
        uploader?.start()
        try journals.start()
        for ring in rings { try journals.attach(ring) }
    }
    /// After the media loops have stopped.
    package func stop() {
        journals.stop()
        uploader?.stop()
        bucketDisk.stop()
    }

    /// This node's writer of the recording, made at the first order.
    func writer(_ order: CaptureOrder, context: ConferenceContext) throws -> CaptureWriter {
        if let writer = writers[order.recording] { return writer }
        if released.contains(where: { $0.recording == order.recording && $0.epoch > order.epoch }) {
            throw ServiceError(.conflict, code: "superseded", message: "the recording was released here")
        }
        let writer = CaptureWriter(context: context, recorder: self, order: order)
        writers[order.recording] = writer
        writer.assumeIsolated { $0.start(order) }
        return writer
    }
    func release(_ recording: RecordingID, epoch: Epoch) async throws {
        if let writer = writers[recording] {
            let layout = try await writer.local { try await $0.release(epoch: epoch) }
            await settle(layout)
        }
        if released.count == Limits.released { released.removeFirst() }
        released.append((recording, epoch))
    }
    /// The writer has closed its files.
    func remove(_ writer: CaptureWriter) { if let id = writers.first(where: { $0.value === writer })?.key { writers[id] = nil } }

    fileprivate func heard(_ report: JournalReport) {
        let id: RecordingID = switch report {
        case .capturing(_, _, let id, _), .failing(let id, _, _), .recovered(let id, _), .trackClosed(_, _, let id, _), .recordingClosed(let id): id
        case .fileEnded(let layout, _): layout.recording
        }
        writers[id]?.assumeIsolated { $0.heard(report) }
    }

    func write(_ bytes: [UInt8], as key: String) async throws {
        try await disk.run { [objects] in try objects.put(ObjectKey(key), bytes: bytes) }
    }

    /// Removes the recording's files, and what `onErase` stands for. Doing it again removes what is left.
    func erase(_ layout: RecordingLayout) async throws -> RecordingRemoval {
        let unstored = try await forget(layout)
        var removal = try await disk.run { [objects] in
            let folder = try ObjectKey(layout.folder), found = try objects.list(under: folder)
            try objects.deleteAll(under: folder)
            return RecordingRemoval(objects: found.count + unstored.objects, bytes: found.reduce(unstored.bytes) { $0 + $1.size })
        }
        guard let onErase else { return removal }
        removal.bucketObjects = await onErase(layout)
        removal.isPending = removal.bucketObjects == nil
        return removal
    }
    func count(_ removal: RecordingRemoval, _ cause: RemovalCause) {
        if removal.isPending { removals.pending += 1 } else { removals.recordings[cause.rawValue, default: 0] += 1 }
        removals.objects += UInt64(removal.objects)
        removals.bytes += UInt64(clamping: removal.bytes)
    }

    /// Runs `troupe-media finalise` for a recording whose journals are closed.
    func finalise(_ layout: RecordingLayout) async -> Result<FinishedRecording, MediaFailure> {
        while running >= Limits.children {
            guard !queue.isFull else { return .failure(MediaFailure(code: "overloaded", message: "too many recordings wait to be finished; it is tried again at the next start")) }
            await withCheckedContinuation { _ = queue.push($0) }
        }
        running += 1
        defer {
            running -= 1
            queue.pop()?.resume()
        }
        await fetch(layout)
        let arguments = ["finalise", "--dir", "\(settings.storageRoot)/\(layout.folder)", "--recording", layout.recording.rawValue]
        if let failure = await MediaOutcome.run(settings.mediaWorker, arguments, on: loop).failure { return .failure(failure) }
        do { return try await disk.run { [objects] in FinishedRecording.read(layout, from: objects) } } catch {
            return .failure(MediaFailure(code: "disk_busy", message: "the disk of recordings is too busy", isTemporary: true))
        }
    }
}

/// Brings the journal thread's and the uploader's reports to the control loop, in order.
private final class ReportRelay: @unchecked Sendable {
    private let loop: UVLoop
    /// Set once before the thread starts, read on the loop only.
    weak var recorder: Recorder?
    init(loop: UVLoop) { self.loop = loop }
    func bring(_ report: JournalReport) { loop.post { self.recorder?.heard(report) } }
    func bring(_ report: Uploader.Report) { loop.post { self.recorder?.heard(report) } }
}
