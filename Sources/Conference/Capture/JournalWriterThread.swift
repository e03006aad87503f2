// One thread per node that moves captured packets from the media loops' rings into files.
// Decision: docs/decisions/0016-packet-journals.md; law 2: media loops never touch a disk, a full ring is a counted hole.
import Capture
import EventLoop
import Glibc
import Primitives
import Synchronization

/// Drains rings every `Limits.poll`, writes at once, and makes it durable at least every `Limits.sync`.
///
/// All functions may be called from any thread and do not block, but for `stop`. Commands take effect in the order they were
/// given: a track opened before its tap was added finds its packets, one closed after its tap was removed loses none.
package final class JournalWriterThread: @unchecked Sendable {
    package enum Limits {
        /// Between two looks at the rings: well below what `PacketRing.Limits.defaultBytes` holds.
        package static let poll: Duration = .milliseconds(20)
        /// What a crash of the machine may cost; a crash of the process costs at most `poll`.
        package static let sync: Duration = .milliseconds(400)
        package static let commands = 4_096
        package static let openTracks = 4_096
        /// Tracks whose last number is remembered.
        static let numbers = 1 << 16
    }
    private enum Command: Sendable {
        case attach(PacketRing)
        case detach(PacketRing)
        case open(UInt32, JournalHeader)
        case close(UInt32)
        case facts(RecordingLayout, Epoch, [UInt8])
        case event(RecordingLayout, [UInt8])
        case closeRecording(RecordingLayout)
        case stop
    }

    private let base: String
    private let writer: NodeName
    private let clock: any TimeSource
    private let disk: any JournalDisk
    private let segmentAge: Duration
    private let isEmptied: Bool
    private let onReport: @Sendable (JournalReport) -> Void
    private let monitor = Monitor()
    private let nextTag = Atomic<UInt32>(1)
    private let published = Mutex(JournalCounters())
    // Under `monitor`:
    private var queue = BoundedQueue<Command>(capacity: Limits.commands)
    private var thread: pthread_t?
    // Confined to the thread:
    private var rings: [PacketRing] = []
    private var retiredRefused: UInt64 = 0
    private var tracks: [UInt32: TrackJournal] = [:]
    private var notebooks: [RecordingLayout: RecordingNotebook] = [:]
    /// The next number of the files below a path, where they may have left already.
    private var numbers: [String: UInt32] = [:]
    private var counters = JournalCounters()
    private var failing: Set<UInt32> = []
    private var later: [Command] = []
    private var syncedAt = Instant.origin

    /// - Parameters:
    ///   - base: the storage directory; recordings go to `rooms/…` below it.
    ///   - writer: this node's name: part of every segment's name.
    ///   - clock: read on the journal thread; must be safe there (not a loop's cached time).
    ///   - segmentAge: after which the next segment of a track, and the next file of notes, begins.
    ///   - isEmptied: files leave the folder once they have ended, so that what stands there does not tell which names were used.
    ///   - onReport: called on the journal thread.
    package init(
        base: String, writer: NodeName, clock: any TimeSource, disk: any JournalDisk = SystemDisk(), segmentAge: Duration = .seconds(Journal.Limits.segmentSeconds),
        isEmptied: Bool = false, onReport: @escaping @Sendable (JournalReport) -> Void
    ) {
        self.base = base; self.writer = writer; self.clock = clock; self.disk = disk; self.segmentAge = segmentAge; self.isEmptied = isEmptied; self.onReport = onReport
    }

    // MARK: - Commands, from any thread

    package func start() throws(JournalError) {
        var handle = pthread_t()
        let code = pthread_create(&handle, nil, { argument in
            if let argument { Unmanaged<JournalWriterThread>.fromOpaque(argument).takeRetainedValue().run() }
            return nil
        }, Unmanaged.passRetained(self).toOpaque())
        guard code == 0 else {
            Unmanaged.passUnretained(self).release()
            throw .noThread(code)
        }
        monitor.locked { thread = handle }
    }
    /// Takes what stands in the rings, ends all files and waits for the thread. Call after the media loops have stopped writing.
    package func stop() {
        let handle = monitor.locked { () -> pthread_t? in
            while queue.isFull, thread != nil { monitor.wait(until: Monitor.now + Limits.poll.inNanoseconds) }
            _ = queue.push(.stop)
            monitor.wakeAll()
            return thread.take()
        }
        if let handle { pthread_join(handle, nil) }
    }
    /// Drains `ring` from now on. One ring per media loop serves all recordings.
    package func attach(_ ring: PacketRing) throws(JournalError) { try submit(.attach(ring)) }
    /// Drains it once more and lets it go.
    package func detach(_ ring: PacketRing) throws(JournalError) { try submit(.detach(ring)) }

    /// Opens a track's journal; the file appears with its first packet. Call it before the tap exists.
    /// - Parameter header: `writer`, `segment` and `wallStart` are filled in here.
    /// - Returns: the tag the track's tap must write (`OutboundConfiguration` sink `.tap`).
    package func open(_ header: JournalHeader) throws(JournalError) -> UInt32 {
        var header = header
        header.writer = writer
        header.segment = 0
        guard header.isValid else { throw .badHeader(header.track) }
        let tag = nextTag.wrappingAdd(1, ordering: .relaxed).oldValue
        try submit(.open(tag, header))
        return tag
    }
    /// Ends a track's journal. Call it after the tap is gone.
    package func close(_ tag: UInt32) throws(JournalError) { try submit(.close(tag)) }
    /// Replaces `recording-{epoch}.json`.
    package func write(_ facts: RecordingFacts) throws(JournalError) {
        let layout = RecordingLayout(room: facts.room, recording: facts.recording)
        guard layout.room.isSafe, layout.recording.isSafe, let bytes = try? CaptureJSON.encode(facts, pretty: true) else { throw .badHeader("") }
        try submit(.facts(layout, facts.epoch, bytes))
    }
    /// Appends a line to `events-{writer}.{n}.jsonl`.
    package func append(_ event: RecordedEvent, to layout: RecordingLayout) throws(JournalError) {
        guard layout.room.isSafe, layout.recording.isSafe, let line = try? CaptureJSON.line(event) else { throw .badHeader("") }
        try submit(.event(layout, line))
    }
    /// Closes every track of the recording and its notes; `recordingClosed` follows. Then `troupe-media finalise` may run.
    package func close(recording layout: RecordingLayout) throws(JournalError) { try submit(.closeRecording(layout)) }

    package var snapshot: JournalCounters { published.withLock { $0 } }

    private func submit(_ command: Command) throws(JournalError) {
        let accepted = monitor.locked {
            guard queue.push(command) else { return false }
            monitor.wakeAll()
            return true
        }
        guard accepted else { throw .overloaded }
    }

    // MARK: - The thread

    private func run() {
        var isStopping = false
        while !isStopping {
            let commands = later + take(wait: later.isEmpty)
            later = []
            apply(openers: commands)
            drain()
            for command in commands where finish(command) { isStopping = true }
            flush()
            publish()
        }
        drain()
        for layout in Set(tracks.values.map(\.layout)).union(notebooks.keys).sorted(by: { $0.folder < $1.folder }) { closeRecording(layout) }
        publish()
    }

    private func take(wait: Bool) -> [Command] {
        monitor.locked {
            if wait, queue.isEmpty { monitor.wait(until: isIdle ? nil : Monitor.now + Limits.poll.inNanoseconds) }
            var out: [Command] = []
            while let command = queue.pop() { out.append(command) }
            if !out.isEmpty { monitor.wakeAll() }
            return out
        }
    }
    private var isIdle: Bool { rings.isEmpty && tracks.isEmpty && notebooks.values.allSatisfy(\.isIdle) }

    /// Commands that must be done before packets are looked at.
    private func apply(openers commands: [Command]) {
        for command in commands {
            switch command {
            case .attach(let ring): rings.append(ring)
            case .open(let tag, let header):
                guard tracks.count < Limits.openTracks else { onReport(.failing(recording: header.recording, track: header.track, .overloaded)); continue }
                var header = header
                header.segment = firstNumber(RecordingLayout(room: header.room, recording: header.recording).journals(header.track))
                tracks[tag] = TrackJournal(tag: tag, header: header, base: base, disk: disk, segmentAge: segmentAge)
            case .facts(let layout, let epoch, let bytes): notebook(layout).keep(facts: bytes, epoch: epoch)
            case .event(let layout, let line): notebook(layout).append(line: line)
            case .detach, .close, .closeRecording, .stop: break
            }
        }
    }
    /// Commands that must be done after the packets before them are taken.
    /// - Returns: true for the last one.
    private func finish(_ command: Command) -> Bool {
        switch command {
        case .detach(let ring):
            retiredRefused &+= ring.refused
            rings.removeAll { $0 === ring }
        case .close(let tag): if let track = tracks[tag] { close(track) }
        case .closeRecording(let layout): closeRecording(layout)
        case .stop: return true
        case .attach, .open, .facts, .event: break
        }
        return false
    }

    private func drain() {
        for ring in rings {
            ring.drain { entry in
                if entry.kind == .overflow { noteOverflow(entry); return true }
                guard let track = tracks[entry.tag] ?? openedMeanwhile(entry.tag) else { counters.unknownTag &+= 1; return true }
                take(entry, track)
                return true
            }
        }
    }
    private func take(_ entry: PacketRing.Entry, _ track: TrackJournal) {
        let isFirst = track.isFirst
        guard track.append(entry.kind == .rtcp ? .rtcp : .rtp, receivedAt: entry.receivedAt, isRecovered: entry.isRecovered, entry.bytes) else { counters.lost &+= 1; return }
        counters.packets &+= 1
        counters.bytes &+= UInt64(entry.bytes.count)
        if isFirst { onReport(.capturing(tag: track.tag, track: track.header.track, recording: track.header.recording, receivedAt: entry.receivedAt)) }
    }
    /// A track may have been opened after this turn's commands were taken and before its packet was seen.
    private func openedMeanwhile(_ tag: UInt32) -> TrackJournal? {
        let commands = take(wait: false)
        apply(openers: commands)
        later += commands.filter {
            switch $0 {
            case .detach, .close, .closeRecording, .stop: true
            case .attach, .open, .facts, .event: false
            }
        }
        return tracks[tag]
    }
    private func noteOverflow(_ entry: PacketRing.Entry) {
        guard let overflow = PacketRing.Overflow(entry) else { return }
        for track in tracks.values { track.note(overflow, at: entry.receivedAt) }
    }

    private func flush() {
        let now = clock.now, wall = clock.wall
        let isSyncDue = now - syncedAt >= Limits.sync
        for track in tracks.values {
            var error: JournalError?
            do throws(JournalError) { try track.flush(now: now, wall: wall) } catch let cause { error = cause }
            // Also while the disk takes no more: what it has taken is to last.
            if isSyncDue { do throws(JournalError) { try track.sync() } catch let cause { error = error ?? cause } }
            if let error { failed(track, error) } else { recovered(track) }
            told(track.takeEnded(), track.layout)
        }
        for notebook in notebooks.values where notebook.hasWork(now) && (isSyncDue || !notebook.isFailing) { flush(notebook, now) }
        if isSyncDue {
            counters.syncs &+= 1
            syncedAt = now
        }
        counters.longestFlush = max(counters.longestFlush, (clock.now - now).inMicroseconds)
    }
    private func told(_ ended: [String], _ layout: RecordingLayout) { for key in ended { onReport(.fileEnded(layout, key: key)) } }
    private func flush(_ notebook: RecordingNotebook, _ now: Instant) {
        defer { told(notebook.takeEnded(), notebook.layout) }
        do throws(JournalError) {
            try notebook.flush(now)
            if notebook.isFailing { onReport(.recovered(recording: notebook.layout.recording, track: nil)) }
            notebook.isFailing = false
        } catch {
            counters.writeErrors &+= 1
            if !notebook.isFailing { onReport(.failing(recording: notebook.layout.recording, track: nil, error)) }
            notebook.isFailing = true
        }
    }
    private func failed(_ track: TrackJournal, _ error: JournalError) {
        counters.writeErrors &+= 1
        if failing.insert(track.tag).inserted { onReport(.failing(recording: track.header.recording, track: track.header.track, error)) }
    }
    private func recovered(_ track: TrackJournal) {
        if failing.remove(track.tag) != nil { onReport(.recovered(recording: track.header.recording, track: track.header.track)) }
    }

    private func close(_ track: TrackJournal) {
        do throws(JournalError) { try track.close(now: clock.now, wall: clock.wall) } catch {
            failed(track, error)
            track.abandon()
        }
        tracks[track.tag] = nil
        failing.remove(track.tag)
        remember(track.header.segment, track.layout.journals(track.header.track))
        told(track.takeEnded(), track.layout)
        onReport(.trackClosed(tag: track.tag, track: track.header.track, recording: track.header.recording, track.summary))
    }
    private func closeRecording(_ layout: RecordingLayout) {
        for track in tracks.values.filter({ $0.layout == layout }).sorted(by: { $0.tag < $1.tag }) { close(track) }
        if let notebook = notebooks.removeValue(forKey: layout) {
            flush(notebook, clock.now)
            notebook.close()
            remember(notebook.number, layout.folder)
            told(notebook.takeEnded(), layout)
        }
        onReport(.recordingClosed(layout.recording))
    }
    private func notebook(_ layout: RecordingLayout) -> RecordingNotebook {
        if let known = notebooks[layout] { return known }
        let made = RecordingNotebook(layout: layout, base: base, writer: writer, disk: disk, age: segmentAge, number: firstNumber(layout.folder))
        notebooks[layout] = made
        return made
    }
    /// A name is never used twice: what was stored under it would be written over. Another life of this node began at a later second.
    private func firstNumber(_ below: String) -> UInt32 {
        isEmptied ? max(numbers[below] ?? 0, UInt32(clamping: clock.wall.microseconds / 1_000_000)) : 0
    }
    private func remember(_ next: UInt32, _ below: String) {
        guard isEmptied else { return }
        if numbers.count >= Limits.numbers { numbers = [:] }
        numbers[below] = next
    }
    private func publish() {
        counters.ringFull = rings.reduce(retiredRefused) { $0 &+ $1.refused }
        counters.openTracks = tracks.count
        let snapshot = counters
        published.withLock { $0 = snapshot }
    }
}
