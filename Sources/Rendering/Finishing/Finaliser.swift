// From journals to files people can watch: merge, align, remux, tell.
import Capture
import Glibc
import Primitives
import RTP

/// Finishes one recording's folder. Runs in `troupe-media`; blocking, on the calling thread.
///
/// Two passes over the journals, each a track after the other through a `TrackMerge`, so that memory does not grow with their length: the
/// first learns every participant's clocks and the time zero, the second writes. Repeatable: results replace those of an earlier run as a whole.
package final class Finaliser {
    package enum Limits {
        package static let tracks = 4_096
        package static let segments = 50_000      // of one track: 2 writers' of two days
        /// A first packet earlier than this (µs) before the start the Recording named moves time zero.
        static let plausible = (0 as Int64)..<(7_258_118_400_000_000 as Int64)
        /// µs by which a frame's time may lie before its packets' arrival: what streams of one track are put in order by.
        static let ahead: Int64 = 2_000_000
        /// Of all the work, what reading the journals first is, and what browsers' uploads are where there are some.
        static let surveying = 0.2
        static let devices = 0.3
        /// A manifest's revision grows no further.
        static let revisions = 1 << 30
    }
    /// What the first pass keeps of a track.
    private struct Survey {
        var journal: TrackJournals
        var evidence: TrackEvidence
    }

    private let folder: Folder
    private let recording: RecordingID
    private let progress: Progress
    private let isolation: WorkerIsolation?
    /// Share of the work that is the server's tracks.
    private let ownShare: Double
    private var warnings: [String] = []
    private var bytesDone = 0
    private var bytesTotal = 1

    /// - Parameters:
    ///   - path: the recording's folder, `…/rooms/{room}/{recording}`.
    ///   - isolation: where uploads are looked into; nil: in this process.
    package init(path: String, recording: RecordingID, isolation: WorkerIsolation? = nil, progress: Progress = Progress { _ in }) {
        folder = Folder(path)
        self.recording = recording
        self.isolation = isolation
        self.progress = progress
        ownShare = DeviceFinisher.hasUploads(folder) ? 1 - Limits.devices : 1
    }

    package func run() throws(WorkerError) -> WorkerVerdict {
        guard recording.isSafe else { throw WorkerError(.usage, "\"\(recording)\" is no recording id") }
        guard access(folder.path, R_OK | X_OK) == 0 else { throw WorkerError(code: errno, "open \(folder.path)") }
        let lock = try FolderLock(folder)
        defer { withExtendedLifetime(lock) {} }
        let facts = readFacts()
        let events = readEvents()
        let names = try tracks()
        let surveys = try survey(names, facts)
        guard let known = facts ?? Self.facts(recording, surveys), !surveys.isEmpty || DeviceFinisher.hasUploads(folder) else {
            throw WorkerError(.nothingCaptured, "no journal of \(recording) holds a packet")
        }
        let clocks = Self.clocks(surveys)
        let zero = Self.timeZero(known, surveys, clocks)
        var finished: [FinishedTrack] = []
        for (survey, clocks) in zip(surveys, clocks) { finished.append(try finish(survey, clocks, zero, known, events)) }
        return try conclude(known, events, zero, finished)
    }

    // MARK: - Reading what is there

    private func readFacts() -> RecordingFacts? {
        for facts in folder.facts() where facts.recording == recording { return facts }
        warnings.append("recording-{epoch}.json is missing or cannot be used: names and start time are taken from the journals")
        return nil
    }
    /// As far as journals tell them.
    private static func facts(_ recording: RecordingID, _ surveys: [Survey]) -> RecordingFacts? {
        guard let header = surveys.first?.evidence.header else { return nil }
        let first = surveys.compactMap(\.evidence.firstReceived).min() ?? 0
        return RecordingFacts(recording: recording, room: header.room, title: "", startedAt: WallTime(microseconds: first), epoch: header.epoch)
    }
    private func readEvents() -> [RecordedEvent] {
        var notes: [[RecordedEvent]] = []
        for name in RecordingLayout.Names.notes(among: (try? folder.entries("")) ?? []) {
            guard let file = try? MappedFile("\(folder.path)/\(name)") else { continue }
            let (events, bad) = CaptureJSON.events(file.bytes)
            let usable = events.filter { Limits.plausible.contains($0.at.microseconds) }
            let unusable = bad + events.count - usable.count
            if unusable > 0 { warnings.append("\(unusable) lines of \(name) cannot be read") }
            notes.append(usable)
        }
        return RecordedEvent.merge(notes)
    }
    private func tracks() throws(WorkerError) -> [TrackID] {
        let names = try folder.entries(RecordingLayout.Names.journals).map { TrackID($0) }.filter(\.isSafe)
        if names.count > Limits.tracks { warnings.append("only \(Limits.tracks) of \(names.count) tracks are finished") }
        return Array(names.prefix(Limits.tracks))
    }

    // MARK: - First pass

    private func survey(_ names: [TrackID], _ facts: RecordingFacts?) throws(WorkerError) -> [Survey] {
        var surveys: [Survey] = []
        for (index, name) in names.enumerated() {
            progress.report("survey", Double(index) / Double(max(1, names.count)) * Limits.surveying * ownShare)
            let journal = try TrackJournals(folder, recording, name, offsets: facts?.clockOffsets ?? [:])
            warnings += journal.warnings
            guard let evidence = journal.read() else { warnings.append("track \(name): no segment can be read"); continue }
            guard !evidence.streams.isEmpty else { warnings.append("track \(name): no packet was captured"); continue }
            surveys.append(Survey(journal: journal, evidence: evidence))
        }
        bytesTotal = max(1, surveys.reduce(0) { $0 + $1.journal.bytes })
        return surveys
    }
    /// One clock for each stream of each track; all tracks of a participant share the sender's wall clock.
    private static func clocks(_ surveys: [Survey]) -> [[StreamClock]] {
        var participants: [ParticipantID: ParticipantClock] = [:]
        for participant in Set(surveys.map(\.evidence.header.participant)) {
            participants[participant] = ParticipantClock(surveys.filter { $0.evidence.header.participant == participant }.flatMap { $0.evidence.streams.map(\.timing) })
        }
        return surveys.map { survey in survey.evidence.streams.compactMap { participants[survey.evidence.header.participant]?.clock(of: $0.timing) } }
    }
    /// The start the Recording named, or the first packet when that is earlier.
    private static func timeZero(_ facts: RecordingFacts, _ surveys: [Survey], _ clocks: [[StreamClock]]) -> Int64 {
        let first = clocks.flatMap { $0.map(\.originWall) }.filter(Limits.plausible.contains).min()
        return min(facts.startedAt.microseconds, first ?? .max)
    }

    // MARK: - Second pass

    private func finish(_ survey: Survey, _ clocks: [StreamClock], _ zero: Int64, _ facts: RecordingFacts, _ events: [RecordedEvent]) throws(WorkerError) -> FinishedTrack {
        let evidence = survey.evidence, header = evidence.header
        var presenter = TrackPresenter(evidence, clocks: clocks, zero: zero)
        let files = try TrackFiles(folder, header, title: facts.title)
        let expected = max(1, Double((evidence.lastReceived ?? 0) - zero))
        var failure: WorkerError?
        func write(before: Int64) {
            while failure == nil, let frame = presenter.next(before: before) {
                do throws(WorkerError) { try files.write(frame) } catch { failure = error }
                report(Double(bytesDone) + Double(survey.journal.bytes) * min(1, max(0, Double(frame.time) / expected)))
            }
        }
        let again = survey.journal.read({ packet, stream, released in
            // What was not there at the first look is left out: the next run finds it. After a failure nobody takes the frames.
            guard failure == nil, stream < clocks.count else { return }
            presenter.append(packet, to: stream)
            write(before: released &- zero &- Limits.ahead)
        }, held: { presenter.oldestHeld }, end: {
            presenter.endGrowing()
            write(before: .max)
        })
        if let failure { throw failure }
        guard again?.counts == evidence.counts else { throw WorkerError(.inputOutput, "the journals of track \(header.track) changed while they were read") }
        bytesDone += survey.journal.bytes
        let published = try files.publish()
        let quiet = LossLedger.quiet(header.track, of: header.participant, in: events)
        let holes = LossLedger.holes(evidence, until: Self.expectedEnd(header, facts, events), quiet: quiet)
        let track = ManifestBuilder.track(evidence, clocks: clocks, holes: holes, quiet: quiet, summary: presenter.summary, files: published, zero: zero)
        if files.refused > 0 { warnings.append("track \(track.trackID): libav refused \(files.refused) frames or headers") }
        if published.isEmpty { warnings.append("track \(track.trackID): no frame could be decoded") }
        return FinishedTrack(track: track, summary: presenter.summary)
    }
    /// When a track should have ended: unpublished, its participant gone, or the recording stopped.
    private static func expectedEnd(_ header: JournalHeader, _ facts: RecordingFacts, _ events: [RecordedEvent]) -> Int64? {
        let ended = events.filter { event in
            switch RecordedEvent.Kind(rawValue: event.type) {
            case .trackUnpublished: event.track == header.track
            case .participantLeft: event.participant == header.participant
            default: false
            }
        }
        return (ended.map(\.at) + [facts.stoppedAt].compactMap { $0 }).map(\.microseconds).filter(Limits.plausible.contains).min()
    }
    private func report(_ done: Double) {
        progress.report("write", ownShare * (Limits.surveying + (1 - Limits.surveying) * min(1, done / Double(bytesTotal))))
    }

    // MARK: - The end

    private func conclude(_ facts: RecordingFacts, _ events: [RecordedEvent], _ zero: Int64, _ finished: [FinishedTrack]) throws(WorkerError) -> WorkerVerdict {
        var manifest = ManifestBuilder.manifest(facts: facts, events: events, zero: zero, tracks: finished, warnings: warnings)
        var timeline = ManifestBuilder.timeline(facts: facts, events: events, manifest: manifest, tracks: finished)
        try DeviceFinisher(folder: folder, isolation: isolation).run(&manifest, timeline, facts) { progress.report("devices", ownShare + (1 - ownShare) * $0) }
        let devices = (manifest.deviceTracks ?? []).compactMap(\.file)
        manifest.size += devices.reduce(0) { $0 + $1.size }
        timeline.duration = Int64(manifest.duration * 1000)
        manifest.revision = revision(of: manifest)
        try sweep(keeping: Set(manifest.tracks.flatMap { $0.files.map(\.path) } + devices.map(\.path)))
        try folder.writeJSON(timeline, as: RecordingLayout.Names.timeline)
        try folder.writeJSON(manifest, as: RecordingLayout.Names.metadata)
        progress.report("write", 1)
        let written = manifest.tracks.filter { !$0.files.isEmpty }.count + (manifest.edits ?? []).count { edit in edit.pieces.allSatisfy { $0.origin == .device } }
        guard written > 0 else {
            let what = finished.isEmpty ? "no journal of \(recording) holds a packet, and no browser's recording can stand in" : "packets were captured, but no frame of them can be decoded"
            throw WorkerError(.nothingCaptured, "\(what); metadata.json says what is missing")
        }
        return WorkerVerdict(
            ok: true, code: "ready", duration: manifest.duration, size: manifest.size, tracks: written, complete: manifest.complete,
            outputPath: RecordingLayout(room: facts.room, recording: recording).metadata)
    }
    /// The next one, where there is anything new in it. A manifest that cannot be read, or is of a release that did not count, was the first.
    private func revision(of manifest: Manifest) -> Int {
        guard access("\(folder.path)/\(RecordingLayout.Names.metadata)", F_OK) == 0 else { return 1 }
        var before = try? folder.manifest()
        let revision = max(1, min(before?.revision ?? 1, Limits.revisions))
        before?.revision = manifest.revision
        return before == manifest ? revision : revision + 1
    }
    /// Removes files of earlier runs that this one did not write again.
    private func sweep(keeping kept: Set<String>) throws(WorkerError) {
        for peer in try folder.entries(RecordingLayout.Names.tracks) {
            let below = "\(RecordingLayout.Names.tracks)/\(peer)"
            for name in (try? folder.entries(below)) ?? [] where !kept.contains("\(below)/\(name)") && (name.hasSuffix(".webm") || name.hasSuffix(".mkv")) {
                folder.remove("\(below)/\(name)")
            }
        }
    }
}

extension Folder {
    /// What deciders said of the recording, the newest first; those that cannot be used are left out.
    func facts() -> some Sequence<RecordingFacts> {
        RecordingLayout.Names.facts(among: (try? entries()) ?? []).lazy.compactMap { name in
            guard let file = try? MappedFile("\(path)/\(name)"), let facts = try? CaptureJSON.decode(RecordingFacts.self, file.bytes),
                facts.recording.isSafe, facts.room.isSafe, Finaliser.Limits.plausible.contains(facts.startedAt.microseconds)
            else { return nil }
            return facts
        }
    }
}
