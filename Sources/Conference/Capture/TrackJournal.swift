// The segments of one track's journal, written by the journal thread.
import Capture
import Glibc
import Primitives

/// One open track. Confined to the journal thread.
///
/// Packets are encoded into `pending`; `flush` writes what stands there. A write that fails leaves the rest pending, so the
/// file goes on where it stopped once the disk is well again; a record cut by a file that had to be given up is written anew
/// in the next one. What no longer fits is lost, counted and written down.
final class TrackJournal {
    enum Limits {
        /// Waits in memory while the disk cannot be written: about 10 s of a 2.5 Mbit/s publication.
        static let pendingBytes = 4 << 20
        /// Names tried when segments of an earlier life stand there.
        static let segmentAttempts = 10_000
        /// Between two attempts to open a file that could not be opened.
        static let retry: Duration = .milliseconds(500)
    }

    let tag: UInt32
    private(set) var header: JournalHeader
    private(set) var summary = JournalSummary()
    /// What keeps the file from being written now.
    private(set) var failure: JournalError?
    private let base: String
    private let disk: any JournalDisk
    private let segmentAge: Duration
    private var file: Int32?
    private var path = ""
    /// Of the open file.
    private var key = ""
    private var ended: [String] = []
    /// The file's header, as far as it is not written yet.
    private var head: [UInt8] = []
    /// Whole records; `begun` bytes of the first one stand in the file already.
    private var pending: [UInt8] = []
    private var begun = 0
    private var segmentBytes = 0
    private var isDirty = false
    private var opened = Instant.origin
    private var retryAt = Instant.origin
    private var lost: (packets: UInt64, from: Int64, to: Int64) = (0, 0, 0)

    /// - Parameter segmentAge: after which the next segment begins.
    init(tag: UInt32, header: JournalHeader, base: String, disk: any JournalDisk, segmentAge: Duration) {
        self.tag = tag; self.header = header; self.base = base; self.disk = disk; self.segmentAge = segmentAge
        pending.reserveCapacity(64 << 10)
    }

    var layout: RecordingLayout { RecordingLayout(room: header.room, recording: header.recording) }
    var isFirst: Bool { summary.packets == 0 }
    /// Keys of the segments that were ended, or given up, since the last call.
    func takeEnded() -> [String] {
        defer { ended = [] }
        return ended
    }

    /// Takes one packet.
    /// - Returns: false when it is lost: the disk has failed for too long.
    func append(_ type: Journal.RecordType, receivedAt: Int64, isRecovered: Bool = false, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard pending.count + bytes.count + Journal.recordHead <= Limits.pendingBytes,
            JournalEncoder.record(type, receivedAt: receivedAt, isRecovered: isRecovered, bytes, into: &pending)
        else {
            if lost.packets == 0 { lost.from = receivedAt }
            lost.packets &+= 1
            lost.to = receivedAt
            summary.lost &+= 1
            return false
        }
        summary.packets &+= 1
        summary.bytes &+= UInt64(bytes.count)
        if summary.first == nil { summary.first = receivedAt }
        summary.last = receivedAt
        return true
    }
    /// Packets that never came here: they may have been this track's.
    func note(_ overflow: PacketRing.Overflow, at receivedAt: Int64) {
        guard pending.count < Limits.pendingBytes else { return }
        JournalEncoder.event(.lost(.ringFull, packets: overflow.packets, from: overflow.from, to: overflow.to), at: receivedAt, into: &pending)
    }

    /// Writes what is pending; begins the next segment when this one is large or old enough.
    func flush(now: Instant, wall: WallTime) throws(JournalError) {
        do throws(JournalError) {
            try openIfNeeded(now: now, wall: wall)
            try writePending()
            if lost.packets > 0 { try writeLost(wall) }
            failure = nil
            if file != nil, segmentBytes >= Journal.Limits.segmentBytes || now - opened >= segmentAge { try endSegment(wall) }
        } catch {
            failure = error
            throw error
        }
    }
    func sync() throws(JournalError) {
        guard let file, isDirty else { return }
        do throws(DiskError) {
            try disk.sync(file)
            isDirty = false
        } catch {
            // What the kernel could not write is gone from its cache: a new segment keeps the rest readable.
            abandon()
            let typed = JournalError(error, path: path)
            failure = typed
            throw typed
        }
    }
    /// Ends the last segment. Errors are final: what is pending is counted as lost by the caller's report.
    func close(now: Instant, wall: WallTime) throws(JournalError) {
        if file == nil, pending.isEmpty, lost.packets == 0 { return }
        retryAt = now
        try flush(now: now, wall: wall)
        if file != nil { try endSegment(wall) }
    }
    /// Gives the file up without ending it, as a killed writer would.
    func abandon() {
        if let file {
            disk.close(file)
            ended.append(key)
        }
        file = nil
        head = []
        begun = 0
        header.segment &+= 1
    }

    private func openIfNeeded(now: Instant, wall: WallTime) throws(JournalError) {
        guard file == nil, !pending.isEmpty || lost.packets > 0 else { return }
        guard now >= retryAt else { throw failure ?? .io(EAGAIN, path) }
        retryAt = now + Limits.retry
        for _ in 0..<Limits.segmentAttempts {
            key = layout.segment(header.track, writer: header.writer, epoch: header.epoch, number: header.segment)
            path = "\(base)/\(key)"
            do throws(DiskError) {
                file = try disk.create(path)
                break
            } catch where error.code == EEXIST {
                header.segment &+= 1
            } catch {
                throw JournalError(error, path: path)
            }
        }
        guard file != nil else { throw .io(EEXIST, path) }
        retryAt = .origin
        header.wallStart = wall
        opened = now
        segmentBytes = 0
        summary.segments &+= 1
        head = JournalEncoder.header(header)
    }
    private func writePending() throws(JournalError) {
        guard let file, !head.isEmpty || !pending.isEmpty else { return }
        isDirty = true
        let head = write(head, from: 0, file)
        self.head.removeFirst(head.written)
        segmentBytes += head.written
        if let error = head.error { throw error }
        let records = write(pending, from: begun, file)
        segmentBytes += records.written
        keepRecords(after: begun + records.written)
        if let error = records.error { throw error }
    }
    private func write(_ bytes: [UInt8], from: Int, _ file: Int32) -> (written: Int, error: JournalError?) {
        var at = from
        while at < bytes.count {
            do throws(DiskError) { at += try disk.write(file, bytes, from: at) } catch {
                return (at - from, JournalError(error, path: path))
            }
        }
        return (at - from, nil)
    }
    /// Drops the records that end at or before `offset`.
    private func keepRecords(after offset: Int) {
        var end = 0
        while end < offset {
            let next = end + JournalEncoder.length(ofRecordAt: end, in: pending)
            if next > offset { break }
            end = next
        }
        begun = offset - end
        if end == pending.count { pending.removeAll(keepingCapacity: true) } else { pending.removeFirst(end) }
    }
    private func writeLost(_ wall: WallTime) throws(JournalError) {
        let cause = failure?.lossCause ?? .ioError
        JournalEncoder.event(.lost(cause, packets: lost.packets, from: lost.from, to: lost.to), at: wall.microseconds, into: &pending)
        lost = (0, 0, 0)
        try writePending()
    }
    private func endSegment(_ wall: WallTime) throws(JournalError) {
        JournalEncoder.event(.closed, at: wall.microseconds, into: &pending)
        try writePending()
        try sync()
        abandon()
    }
}
