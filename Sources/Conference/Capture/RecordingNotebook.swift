// `recording-{epoch}.json` and this writer's `events-{writer}.{n}.jsonl` of one recording, written by the journal thread.
import Capture
import Glibc
import Primitives

/// Confined to the journal thread. Keeps the latest facts and the events not yet written until the disk takes them.
final class RecordingNotebook {
    enum Limits {
        /// Event lines waiting for a disk that cannot be written; later ones are lost.
        static let pendingBytes = 1 << 20
        /// Names tried when notes of an earlier life stand there.
        static let numbers = 10_000
    }
    let layout: RecordingLayout
    private let base: String
    private let writer: NodeName
    private let disk: any JournalDisk
    private let age: Duration
    private var facts: (key: String, bytes: [UInt8])?
    private var pending: [UInt8] = []
    private var file: Int32?
    private var key = ""
    /// Of the next file.
    private(set) var number: UInt32
    private var opened = Instant.origin
    private var isDirty = false
    private var ended: [String] = []
    var isFailing = false

    /// - Parameter age: after which notes go on in the next file.
    init(layout: RecordingLayout, base: String, writer: NodeName, disk: any JournalDisk, age: Duration, number: UInt32) {
        self.layout = layout; self.base = base; self.writer = writer; self.disk = disk; self.age = age; self.number = number
    }

    func hasWork(_ now: Instant) -> Bool { facts != nil || !pending.isEmpty || isDirty || isOld(now) }
    var isIdle: Bool { facts == nil && pending.isEmpty && !isDirty && file == nil }
    func keep(facts bytes: [UInt8], epoch: Epoch) { facts = (layout.facts(epoch), bytes) }
    func append(line: [UInt8]) { if pending.count + line.count <= Limits.pendingBytes { pending += line } }
    /// Keys of the files that were ended or replaced since the last call.
    func takeEnded() -> [String] {
        defer { ended = [] }
        return ended
    }

    func flush(_ now: Instant) throws(JournalError) {
        if let (key, bytes) = facts {
            let path = "\(base)/\(key)"
            do throws(DiskError) { try disk.replace(path, with: bytes) } catch { throw JournalError(error, path: path) }
            facts = nil
            ended.append(key)
        }
        if !pending.isEmpty || isDirty {
            do throws(DiskError) { try writeEvents(now) } catch { throw JournalError(error, path: "\(base)/\(key)") }
        }
        if isOld(now) { close() }
    }
    func close() {
        guard let file else { return }
        disk.close(file)
        self.file = nil
        number += 1
        ended.append(key)
    }

    private func isOld(_ now: Instant) -> Bool { file != nil && now - opened >= age }
    private func writeEvents(_ now: Instant) throws(DiskError) {
        if file == nil { try open(now) }
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
    private func open(_ now: Instant) throws(DiskError) {
        for _ in 0..<Limits.numbers {
            key = layout.events(writer, number: number)
            do throws(DiskError) {
                file = try disk.create("\(base)/\(key)")
                opened = now
                return
            } catch where error.code == EEXIST { number += 1 }
        }
        throw DiskError(code: EEXIST)
    }
}
