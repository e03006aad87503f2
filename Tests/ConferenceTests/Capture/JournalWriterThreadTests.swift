import Capture
import Glibc
import Primitives
import RTP
import Synchronization
import Testing
@testable import Conference

/// The system's clocks: the journal thread reads them on its own thread.
struct SystemClock: TimeSource {
    private func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
    var now: Instant { Instant(nanoseconds: read(CLOCK_MONOTONIC)) }
    var wall: WallTime { WallTime(microseconds: read(CLOCK_REALTIME) / 1000) }
}

/// A real disk that can be told to fail.
final class FaultyDisk: JournalDisk {
    struct State {
        var code: Int32?
        /// Bytes still taken before the fault shows.
        var room = Int.max
        var writes = 0
        /// The next sync fails.
        var failsSync = false
    }
    let state = Mutex(State())
    private let disk = SystemDisk()
    func fail(_ code: Int32?, after room: Int = 0) { state.withLock { $0.code = code; $0.room = code == nil ? .max : room } }

    private func check() throws(DiskError) {
        if let code = state.withLock({ $0.room <= 0 ? $0.code : nil }) { throw DiskError(code: code) }
    }
    func create(_ path: String) throws(DiskError) -> Int32 { try check(); return try disk.create(path) }
    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer) throws(DiskError) -> Int {
        try check()
        let room = state.withLock { $0.writes += 1; return $0.room }
        let n = try disk.write(file, UnsafeRawBufferPointer(rebasing: bytes.prefix(room)))
        state.withLock { if $0.room != .max { $0.room -= n } }
        return n
    }
    /// What was taken is kept: a failing sync is another fault than a disk that takes no more.
    func sync(_ file: Int32) throws(DiskError) {
        if state.withLock({ state in defer { state.failsSync = false }; return state.failsSync }) { throw DiskError(code: EIO) }
        try disk.sync(file)
    }
    func close(_ file: Int32) { disk.close(file) }
    func replace(_ path: String, with bytes: [UInt8]) throws(DiskError) { try check(); try disk.replace(path, with: bytes) }
}

/// A writer on a folder of its own, with its reports in order.
final class WriterBench: Sendable {
    let folder: String
    let disk = FaultyDisk()
    let ring = PacketRing(capacity: 1 << 20)
    let writer: JournalWriterThread
    private let reports: AsyncStream<JournalReport>

    init(segmentAge: Duration = .seconds(300)) throws {
        var template = Array("/tmp/troupe-journal-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        let (stream, continuation) = AsyncStream.makeStream(of: JournalReport.self, bufferingPolicy: .unbounded)
        reports = stream
        writer = JournalWriterThread(base: folder, writer: "a", clock: SystemClock(), disk: disk, segmentAge: segmentAge) { continuation.yield($0) }
        try writer.start()
        try writer.attach(ring)
    }
    /// The next report for which `body` gives something; others are passed over.
    func next<T: Sendable>(_ body: (JournalReport) -> T?) async throws -> T {
        for await report in reports { if let value = body(report) { return value } }
        throw CancellationError()
    }
    func header(_ track: TrackID, recording: RecordingID = "rec", epoch: UInt64 = 1) -> JournalHeader {
        JournalHeader(
            recording: recording, room: "room", track: track, participant: "ann", kind: .video, source: "camera", codec: .vp8,
            payloadTypes: [.init(96, .vp8)], writer: "overwritten", epoch: Epoch(epoch), wallStart: WallTime(seconds: 0), ingress: "b")
    }
    func write(_ tag: UInt32, at: Int64, _ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { ring.write(tag: tag, kind: .rtp, receivedAt: at, $0) } }
    func path(_ name: String) -> String { "\(folder)/rooms/room/rec/\(name)" }

    static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 65_536)
        while case let n = fread(&chunk, 1, chunk.count, file), n > 0 { bytes += chunk[..<n] }
        return bytes
    }
    func records(_ name: String) throws -> (packets: [Int64], events: [JournalEvent], damage: JournalReader.Damage) {
        try Self.read(path(name)).withUnsafeBytes { raw in
            var reader = try JournalReader(raw), packets: [Int64] = [], events: [JournalEvent] = []
            while let record = reader.next() {
                if let event = JournalEvent(record) { events.append(event) } else { packets.append(record.receivedAt) }
            }
            return (packets, events, reader.damage)
        }
    }
    /// What stands in all segments of a track, in their order.
    func allRecords(_ track: String) throws -> (packets: [Int64], events: [JournalEvent], damage: JournalReader.Damage) {
        var packets: [Int64] = [], events: [JournalEvent] = [], damage = JournalReader.Damage()
        for segment in 0..<16 where !Self.read(path("journal/\(track)/a-1-\(segment).trj")).isEmpty {
            let read = try records("journal/\(track)/a-1-\(segment).trj")
            packets += read.packets
            events += read.events
            if read.damage != JournalReader.Damage() { damage = read.damage }
        }
        return (packets, events, damage)
    }
    deinit { system("rm -rf '\(folder)'") }
    private func system(_ command: String) { _ = Glibc.system(command) }
}

@Suite(.timeLimit(.minutes(1))) struct JournalWriterThreadTests {
    let layout = RecordingLayout(room: "room", recording: "rec")

    @Test func packetsReachTheFileOfTheirTrack() async throws {
        let bench = try WriterBench()
        let one = try bench.writer.open(bench.header("one")), two = try bench.writer.open(bench.header("two"))
        for i in 0..<100 as Range<Int64> {
            #expect(bench.write(one, at: i, [UInt8](repeating: 1, count: 1000)))
            #expect(bench.write(two, at: 1000 + i, [2]))
        }
        let first = try await bench.next { if case .capturing(let tag, _, _, let at) = $0, tag == one { at } else { nil } }
        #expect(first == 0)
        try bench.writer.close(recording: layout)
        let summary = try await bench.next { if case .trackClosed(one, "one", "rec", let summary) = $0 { summary } else { nil } }
        #expect(summary == JournalSummary(packets: 100, bytes: 100_000, lost: 0, segments: 1, first: 0, last: 99))
        _ = try await bench.next { if case .recordingClosed("rec") = $0 { true } else { nil } }
        let read = try bench.records("journal/one/a-1-0.trj")
        #expect(read.packets == Array(0..<100))
        #expect(read.events == [.closed])
        #expect(try bench.records("journal/two/a-1-0.trj").packets == Array(1000..<1100))
        bench.writer.stop()
        #expect(bench.writer.snapshot.packets == 200)
        #expect(bench.writer.snapshot.openTracks == 0)
    }

    @Test func aRetransmissionKeepsItsMarkInTheFile() async throws {
        let bench = try WriterBench()
        let tag = try bench.writer.open(bench.header("one"))
        for i in 0..<20 as Range<Int64> {
            #expect([UInt8(i)].withUnsafeBytes { bench.ring.write(tag: tag, kind: .rtp, isRecovered: i % 5 == 3, receivedAt: i, $0) })
        }
        try bench.writer.close(recording: layout)
        _ = try await bench.next { if case .recordingClosed("rec") = $0 { true } else { nil } }
        bench.writer.stop()
        let marked = try WriterBench.read(bench.path("journal/one/a-1-0.trj")).withUnsafeBytes { raw in
            var reader = try JournalReader(raw), marked: [Int64] = []
            while let record = reader.next() { if record.isRecovered { marked.append(record.receivedAt) } }
            return marked
        }
        #expect(marked == [3, 8, 13, 18])
    }

    /// Whoever stores files as they end hears of each once, when nobody writes it any more, and of all before the recording is closed.
    @Test func everyFileThatEndedIsTold() async throws {
        let bench = try WriterBench(segmentAge: .milliseconds(60))
        let tag = try bench.writer.open(bench.header("one"))
        try bench.writer.write(RecordingFacts(recording: "rec", room: "room", title: "t", startedAt: WallTime(seconds: 1), epoch: Epoch(7)))
        var told: [String] = []
        for round in 0..<4 as Range<Int64> {
            for i in 0..<10 as Range<Int64> { #expect(bench.write(tag, at: round * 10 + i, [1])) }
            try bench.writer.append(RecordedEvent(.chat, at: WallTime(seconds: round)), to: layout)
            let before = told.count
            // A segment and notes that are old enough end without another packet.
            while told.count < before + (round == 0 ? 3 : 2) { told.append(try await bench.next { if case .fileEnded(_, let key) = $0 { key } else { nil } }) }
            for key in told where key.hasSuffix(".trj") { #expect(try bench.records(String(key.dropFirst("rooms/room/rec/".count))).events.last == .closed) }
        }
        #expect(bench.write(tag, at: 40, [1]))
        try bench.writer.close(recording: layout)
        var isClosed = false
        while !isClosed {
            isClosed = try await bench.next { report in
                switch report { case .recordingClosed: true; case .fileEnded: false; default: nil }
            }
        }
        #expect(Set(told).count == told.count && told.contains("rooms/room/rec/recording-7.json"))
        #expect(told.filter { $0.hasSuffix(".jsonl") } == (0..<4).map { "rooms/room/rec/events-a.\($0).jsonl" })
        let all = try bench.allRecords("one")
        #expect(all.packets == Array(0...40) && all.damage == JournalReader.Damage() && all.events.count == 5)
        bench.writer.stop()
    }

    @Test func notesStandBesideTheJournal() async throws {
        let bench = try WriterBench()
        var facts = RecordingFacts(recording: "rec", room: "room", title: "t", startedAt: WallTime(seconds: 1), epoch: Epoch(1))
        try bench.writer.write(facts)
        try bench.writer.append(RecordedEvent(.recordingStarted, at: WallTime(seconds: 1)), to: layout)
        facts.stoppedAt = WallTime(seconds: 21)
        try bench.writer.write(facts)
        try bench.writer.append(RecordedEvent(.recordingStopped, at: WallTime(seconds: 21)), to: layout)
        try bench.writer.close(recording: layout)
        _ = try await bench.next { if case .recordingClosed = $0 { true } else { nil } }
        let read = try WriterBench.read(bench.path("recording-1.json")).withUnsafeBytes { try CaptureJSON.decode(RecordingFacts.self, $0) }
        #expect(read == facts)
        let events = WriterBench.read(bench.path("events-a.0.jsonl")).withUnsafeBytes { CaptureJSON.events($0) }
        #expect(events.events.map(\.type) == ["recording_started", "recording_stopped"])
        #expect(events.badLines == 0)
        bench.writer.stop()
    }

    /// The disk fills in the middle of a record, stays full, and is freed: the file goes on without a torn record.
    @Test(arguments: [ENOSPC, EROFS, EIO])
    func aFailingDiskIsReportedAndSurvived(code: Int32) async throws {
        let bench = try WriterBench()
        let tag = try bench.writer.open(bench.header("one"))
        bench.disk.fail(code, after: 700)
        for i in 0..<10 as Range<Int64> { #expect(bench.write(tag, at: i, [UInt8](repeating: 7, count: 200))) }
        let error = try await bench.next { if case .failing("rec", "one", let error) = $0 { error } else { nil } }
        let path = bench.path("journal/one/a-1-0.trj")
        #expect(error == JournalError(DiskError(code: code), path: path))
        bench.disk.fail(nil)
        _ = try await bench.next { if case .recovered("rec", "one") = $0 { true } else { nil } }
        try bench.writer.close(tag)
        let summary = try await bench.next { if case .trackClosed(_, _, _, let summary) = $0 { summary } else { nil } }
        #expect(summary.packets == 10 && summary.lost == 0)
        let read = try bench.allRecords("one")
        #expect(read.packets == Array(0..<10))
        #expect(read.damage == JournalReader.Damage())
        bench.writer.stop()
        #expect(bench.writer.snapshot.writeErrors > 0)
    }

    /// More arrives than may wait in memory: what is lost is counted and written into the journal with its cause.
    @Test func whatAFullDiskCostsIsWrittenDown() async throws {
        let bench = try WriterBench()
        let tag = try bench.writer.open(bench.header("one"))
        bench.disk.fail(ENOSPC)
        let packet = [UInt8](repeating: 7, count: 60_000)
        var accepted: Int64 = 0
        while accepted < 100 { if bench.write(tag, at: accepted, packet) { accepted += 1 } else { sched_yield() } }
        // The ring holds 17 of these: most have been taken by the thread, beyond what it may keep.
        while bench.writer.snapshot.lost == 0 { sched_yield() }
        bench.disk.fail(nil)
        _ = try await bench.next { if case .recovered = $0 { true } else { nil } }
        try bench.writer.close(tag)
        let summary = try await bench.next { if case .trackClosed(_, _, _, let summary) = $0 { summary } else { nil } }
        #expect(summary.packets + summary.lost == 100)
        let read = try bench.allRecords("one")
        #expect(UInt64(read.packets.count) == summary.packets)
        var lost: UInt64 = 0
        for case .lost(.diskFull, let packets, let from, let to) in read.events {
            lost += packets
            #expect(from <= to && from >= 60)
        }
        #expect(lost == summary.lost)
        bench.writer.stop()
    }

    /// A track waits for its first packet long after it was opened, as every tap does: its file begins with it.
    @Test func aTrackThatWaitsForItsFirstPacketBeginsWithSegmentZero() async throws {
        let bench = try WriterBench()
        let tag = try bench.writer.open(bench.header("one"))
        let syncs = bench.writer.snapshot.syncs
        while bench.writer.snapshot.syncs < syncs + 2 { usleep(1000) }
        #expect(bench.write(tag, at: 5, [1]))
        try bench.writer.close(tag)
        let summary = try await bench.next { if case .trackClosed(_, _, _, let summary) = $0 { summary } else { nil } }
        #expect(summary.segments == 1)
        let read = try bench.records("journal/one/a-1-0.trj")
        #expect(read.packets == [5] && read.events == [.closed])
        bench.writer.stop()
    }

    /// The disk fills within a record and the sync after it fails: the file is given up, and the record stands whole in the next.
    @Test func aRecordCutByAFailingSyncIsWrittenAnew() async throws {
        let bench = try WriterBench()
        let tag = try bench.writer.open(bench.header("one"))
        bench.disk.fail(ENOSPC, after: 700)
        for i in 0..<10 as Range<Int64> { #expect(bench.write(tag, at: i, [UInt8](repeating: 7, count: 200))) }
        _ = try await bench.next { if case .failing = $0 { true } else { nil } }
        bench.disk.state.withLock { $0.failsSync = true }
        while bench.disk.state.withLock({ $0.failsSync }) { usleep(1000) }
        bench.disk.fail(nil)
        _ = try await bench.next { if case .recovered = $0 { true } else { nil } }
        try bench.writer.close(tag)
        let summary = try await bench.next { if case .trackClosed(_, _, _, let summary) = $0 { summary } else { nil } }
        #expect(summary.packets == 10 && summary.lost == 0)
        let packets = try bench.allRecords("one").packets
        #expect(Set(packets) == Set(0..<10))
        bench.writer.stop()
    }

    @Test func anEarlierLifesSegmentsAreKept() async throws {
        let bench = try WriterBench()
        for life in 0..<3 as Range<Int64> {
            let tag = try bench.writer.open(bench.header("one"))
            #expect(bench.write(tag, at: life, [1]))
            try bench.writer.close(tag)
            _ = try await bench.next { if case .trackClosed = $0 { true } else { nil } }
        }
        for life in 0..<3 as Range<Int64> { #expect(try bench.records("journal/one/a-1-\(life).trj").packets == [life]) }
        bench.writer.stop()
    }

    @Test func unsafeIdsAndUnknownTagsAreRefused() async throws {
        let bench = try WriterBench()
        for bad in ["../../etc", "", "a/b"] {
            #expect(throws: JournalError.badHeader(TrackID(bad))) { try bench.writer.open(bench.header(TrackID(bad))) }
        }
        #expect(bench.write(999, at: 0, [1]))
        while bench.writer.snapshot.unknownTag == 0 { sched_yield() }
        bench.writer.stop()
    }

    /// Closing on `stop` without any other command: nothing that stood in the ring is lost.
    @Test func stopEndsEveryFile() throws {
        let bench = try WriterBench()
        let tag = try bench.writer.open(bench.header("one"))
        for i in 0..<50 as Range<Int64> { #expect(bench.write(tag, at: i, [UInt8](repeating: 3, count: 500))) }
        bench.writer.stop()
        let read = try bench.records("journal/one/a-1-0.trj")
        #expect(read.packets.count == 50 && read.events == [.closed])
    }
}
