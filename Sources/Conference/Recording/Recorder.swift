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
    private let settings: RecorderSettings
    private let objects: LocalFolder
    private let loop: UVLoop
    private var writers: [RecordingID: CaptureWriter] = [:]
    /// Recordings released here, the newest last, and the epochs under which they were: an order that was on its way is too late.
    private var released: [(recording: RecordingID, epoch: Epoch)] = []
    private var running = 0
    private var queue = BoundedQueue<CheckedContinuation<Void, Never>>(capacity: Limits.waiting)

    package init(settings: RecorderSettings, node: NodeName, loop: UVLoop, rings: [PacketRing]) throws {
        self.settings = settings
        self.loop = loop
        objects = try LocalFolder(path: settings.storageRoot)
        let relay = ReportRelay(loop: loop)
        journals = JournalWriterThread(base: settings.storageRoot, writer: node, clock: loop) { relay.bring($0) }
        relay.recorder = self
        try journals.start()
        for ring in rings { try journals.attach(ring) }
    }
    /// After the media loops have stopped.
    package func stop() { journals.stop() }

    /// This node's writer of the recording, made at the first order.
    func writer(_ order: CaptureOrder, context: ConferenceContext) throws -> CaptureWriter {
        if let writer = writers[order.recording] { return writer }
        if released.contains(where: { $0.recording == order.recording && $0.epoch >= order.epoch }) {
            throw ServiceError(.conflict, code: "superseded", message: "the recording was released here")
        }
        let writer = CaptureWriter(context: context, recorder: self, order: order)
        writers[order.recording] = writer
        writer.assumeIsolated { $0.start(order) }
        return writer
    }
    func release(_ recording: RecordingID, epoch: Epoch) async throws {
        if let writer = writers[recording] {
            try await writer.local { try await $0.release(epoch: epoch) }
        }
        if released.count == Limits.released { released.removeFirst() }
        released.append((recording, epoch))
    }
    /// The writer has closed its files.
    func remove(_ writer: CaptureWriter) { if let id = writers.first(where: { $0.value === writer })?.key { writers[id] = nil } }

    fileprivate func heard(_ report: JournalReport) {
        let id: RecordingID = switch report {
        case .capturing(_, _, let id, _), .failing(let id, _, _), .recovered(let id, _), .trackClosed(_, _, let id, _), .recordingClosed(let id): id
        }
        writers[id]?.assumeIsolated { $0.heard(report) }
    }

    func erase(_ layout: RecordingLayout) async throws {
        try objects.deleteAll(under: try ObjectKey(layout.folder))
    }

    /// Runs `troupe-media finalise` for a recording whose journals are closed.
    func finalise(_ layout: RecordingLayout, loop: any Loop) async -> Result<FinishedRecording, FinishFailure> {
        while running >= Limits.children {
            guard !queue.isFull else { return .failure(FinishFailure(message: "too many recordings wait to be finished; it is tried again at the next start")) }
            await withCheckedContinuation { _ = queue.push($0) }
        }
        running += 1
        defer {
            running -= 1
            queue.pop()?.resume()
        }
        let child = await run(["finalise", "--dir", "\(settings.storageRoot)/\(layout.folder)", "--recording", layout.recording.rawValue])
        guard child.exit.isSuccess else {
            let how = child.exit.signal == 0 ? "exit status \(child.exit.status)" : "signal \(child.exit.signal)"
            let known = WorkerFailure.allCases.first { child.exit.signal == 0 && $0.exitCode == Int32(truncatingIfNeeded: child.exit.status) }
            return .failure(FinishFailure(message: "finishing ended with \(how): \(child.lastLine)", isTemporary: known?.isTemporary ?? false))
        }
        return FinishedRecording.read(layout, from: objects)
    }

    private struct ChildResult: Sendable { var exit: ChildProcess.Exit; var lastLine: String }
    private func run(_ arguments: [String]) async -> ChildResult {
        let last = LastLine()
        return await withCheckedContinuation { continuation in
            do {
                _ = try ChildProcess(loop, path: settings.mediaWorker, arguments: arguments, onLine: { last.text = $0 }, onExit: { exit in
                    continuation.resume(returning: ChildResult(exit: exit, lastLine: last.text))
                })
            } catch {
                continuation.resume(returning: ChildResult(exit: ChildProcess.Exit(status: 127, signal: 0), lastLine: "\(error)"))
            }
        }
    }
}

/// Written and read on the control loop only: a child's lines and its end arrive there.
private final class LastLine: @unchecked Sendable { var text = "" }

/// Brings the journal thread's reports to the control loop, in order.
private final class ReportRelay: @unchecked Sendable {
    private let loop: UVLoop
    /// Set once before the thread starts, read on the loop only.
    weak var recorder: Recorder?
    init(loop: UVLoop) { self.loop = loop }
    func bring(_ report: JournalReport) { loop.post { self.recorder?.heard(report) } }
}
