// `recording.json` and this writer's `events-{writer}.jsonl` of one recording, written by the journal thread.
import Capture
import Primitives

/// Confined to the journal thread. Keeps the latest facts and the events not yet written until the disk takes them.
final class RecordingNotebook {
    enum Limits {
        /// Event lines waiting for a disk that cannot be written; later ones are lost.
        static let pendingBytes = 1 << 20
    }
    let layout: RecordingLayout
    private let base: String
    private let writer: NodeName
    private let disk: any JournalDisk
    private var facts: [UInt8]?
    private var pending: [UInt8] = []
    private var file: Int32?
    private var isDirty = false
    var isFailing = false

    init(layout: RecordingLayout, base: String, writer: NodeName, disk: any JournalDisk) {
        self.layout = layout; self.base = base; self.writer = writer; self.disk = disk
    }

    var hasWork: Bool { facts != nil || !pending.isEmpty || isDirty }
    func keep(facts bytes: [UInt8]) { facts = bytes }
    func append(line: [UInt8]) { if pending.count + line.count <= Limits.pendingBytes { pending += line } }

    func flush() throws(JournalError) {
        if let bytes = facts {
            let path = "\(base)/\(layout.facts)"
            do throws(DiskError) { try disk.replace(path, with: bytes) } catch { throw JournalError(error, path: path) }
            facts = nil
        }
        guard !pending.isEmpty || isDirty else { return }
        let path = "\(base)/\(layout.events(writer))"
        do throws(DiskError) { try writeEvents(path) } catch { throw JournalError(error, path: path) }
    }
    func close() {
        if let file { disk.close(file) }
        file = nil
    }

    private func writeEvents(_ path: String) throws(DiskError) {
        if file == nil {
            file = try disk.openToAppend(path)
            // A writer that died may have left half a line; empty lines are skipped by readers.
            pending.insert(0x0A, at: 0)
        }
        guard let file else { return }
        var written = 0
        defer { pending.removeFirst(written) }
        isDirty = true
        while written < pending.count {
            written += try disk.write(file, pending, from: written)
        }
        try disk.sync(file)
        isDirty = false
    }
}
