// A recording that was not finished: its journals, read as they grow.
import Capture
import Glibc
import Primitives
import RTP

/// Follows journals until the recording ends: recording-{epoch}.json says when it stopped, metadata.json that it was finished, or nothing
/// has grown for `Limits.silence` and it counts as given up.
final class CapturedInput: PreviewInput {
    enum Limits {
        /// µs before "now" for which frames may still be on their way: what the network and the journal thread take.
        static let margin: Int64 = 500_000
        /// Seconds without growth after the stop, and without one.
        static let settled = 3.0
        static let silence = 600.0
        /// Bytes of a segment that are looked at: writers begin the next one after half of it.
        static let segmentBytes = 2 * Journal.Limits.segmentBytes
        /// µs behind what was rendered after which a segment's mapping is let go.
        static let kept: Int64 = 10_000_000
    }
    private struct Segment {
        var file: GrowingFile?
        var next = 0
        var isClosed = false
        var lastReceived: Int64 = 0
    }
    private(set) var recording: RecordingID = ""
    private(set) var room: RoomID = ""
    private(set) var end: Int64?
    private(set) var readyUntil: Int64 = 0
    private(set) var isComplete = false
    private(set) var warnings: [String] = []
    private let folder: Folder
    private let follow: Bool
    private var facts: RecordingFacts?
    private var follower: RecordingFollower?
    private var segments: [String: Segment] = [:]
    private var sources: [TrackID: JournalSource] = [:]
    private var newest: (receivedAt: Int64, at: Double) = (0, monotonicSeconds())
    private var grewAt = monotonicSeconds()

    init(_ folder: Folder, follow: Bool) { self.folder = folder; self.follow = follow }

    var zero: Int64? { follower?.zero }
    var trackCount: Int { sources.count }
    func name(of peer: ParticipantID) -> String { facts?.participants.first { $0.id == peer }?.name ?? peer.rawValue }
    func takeSources() -> [any FrameSource] {
        guard let follower, zero != nil else { return [] }
        var made: [JournalSource] = []
        for id in follower.trackIDs where sources[id] == nil {
            guard let header = follower.header(of: id), header.participant.isSafe, follower.lastReceived(of: id) != nil else { continue }
            let source = JournalSource(self, SourceTrack(id: id, peer: header.participant, kind: header.kind, source: header.source))
            sources[id] = source
            made.append(source)
        }
        return made
    }
    /// For a track's source.
    func next(of track: TrackID) -> PresentedFrame? { follower?.next(of: track) }
    var isEnded: Bool { end != nil }

    func poll(rendered: Int64) throws(WorkerError) {
        guard end == nil else { return }
        let isOver = try readFacts() || !follow
        try readJournals(rendered)
        let now = monotonicSeconds()
        if let latest = follower?.latest, latest > newest.receivedAt { newest = (latest, now); grewAt = now }
        let isSilent = now - grewAt >= (isOver ? follow ? Limits.settled : 0 : Limits.silence)
        if isSilent {
            try conclude(isOver, rendered)
        } else {
            // Where no packet comes, time goes on nevertheless.
            let current = newest.receivedAt &+ Int64((now - newest.at) * 1_000_000)
            follower?.advance(to: current, startedAt: facts?.startedAt.microseconds)
            // Once it is over the last segment is as long as what was captured.
            if let zero, !isOver { readyUntil = current - zero - TrackFollower.Limits.holdback - Limits.margin }
        }
    }
    private func conclude(_ isOver: Bool, _ rendered: Int64) throws(WorkerError) {
        follower?.advance(to: .max, startedAt: facts?.startedAt.microseconds)
        guard let zero, let latest = follower?.latest else { throw WorkerError(.nothingCaptured, "no journal in \(folder.path) holds a packet") }
        // What was shown as silence while nobody knew that it was over stays.
        end = max(1, latest - zero, rendered)
        readyUntil = .max
        isComplete = facts?.stoppedAt != nil
        if !isOver { warnings.append("nothing was captured for \(Int(Limits.silence)) s and nobody stopped the recording: it is taken as given up") }
    }

    /// - Returns: whether the recording is over.
    private func readFacts() throws(WorkerError) -> Bool {
        for newest in folder.facts() { facts = newest; break }
        return facts?.stoppedAt != nil || access("\(folder.path)/\(RecordingLayout.Names.metadata)", F_OK) == 0
    }
    private func readJournals(_ rendered: Int64) throws(WorkerError) {
        for name in try folder.entries(RecordingLayout.Names.journals).prefix(Finaliser.Limits.tracks) {
            let track = TrackID(name), below = "\(RecordingLayout.Names.journals)/\(name)"
            guard track.isSafe else { continue }
            var fresh: [(begun: Int64, name: String)] = []
            for segment in try folder.entries(below).filter({ $0.hasSuffix(".\(Journal.fileExtension)") }).prefix(Finaliser.Limits.segments) {
                let name = "\(below)/\(segment)"
                if segments[name] == nil { fresh.append((begun(name), name)) } else { read(name, track, rendered) }
            }
            // Names are in no order of time: 10 stands before 2, and writers begin when they are told.
            for one in fresh.sorted(by: { ($0.begun, $0.name) < ($1.begun, $1.name) }) { read(one.name, track, rendered) }
        }
    }
    /// When its writer began a segment, µs; what cannot be read yet comes last.
    private func begun(_ name: String) -> Int64 {
        guard let file = try? MappedFile("\(folder.path)/\(name)"), let reader = try? JournalReader(file.bytes) else { return .max }
        return reader.header.wallStart.microseconds
    }
    private func read(_ name: String, _ track: TrackID, _ rendered: Int64) {
        var segment = segments[name] ?? Segment()
        defer { segments[name] = segment }
        if segment.isClosed || folder.size(name) <= segment.next {
            if let zero, segment.file != nil, segment.next > 0, segment.lastReceived - zero + Limits.kept < rendered { segment.file = nil }
            return
        }
        if segment.file == nil { segment.file = try? GrowingFile("\(folder.path)/\(name)", reserve: Limits.segmentBytes) }
        guard let bytes = segment.file?.refresh(), begin(bytes) else { return }
        guard let read = follower?.read(bytes, of: track, from: segment.next, offsets: facts?.clockOffsets ?? [:]) else { return }
        (segment.next, segment.isClosed) = read
        segment.lastReceived = follower?.lastReceived(of: track) ?? 0
    }
    /// Which recording this is: what recording-{epoch}.json says, or else the first journal.
    private func begin(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if follower != nil { return true }
        guard let header = try? JournalReader(bytes).header else { return false }
        recording = facts?.recording ?? header.recording
        room = facts?.room ?? header.room
        follower = RecordingFollower(recording: recording)
        return true
    }
}

/// A track of a `CapturedInput`.
final class JournalSource: FrameSource {
    let track: SourceTrack
    private(set) var parameters: StreamParameters?
    private(set) var rotation = 0
    private(set) var isAtEnd = false
    private unowned let input: CapturedInput
    private var codec: Codec?

    init(_ input: CapturedInput, _ track: SourceTrack) { self.input = input; self.track = track }

    func next(into packet: MediaPacket) throws(WorkerError) -> Bool {
        while let frame = input.next(of: track.id) {
            // Parameter sets stand in the frames too, but a decoder may have been made for a smaller picture.
            if let configuration = frame.configuration, configuration.codec != codec || configuration.codec == .h264 {
                // What a container could not hold is left out until the publisher says it better.
                guard let made = try? StreamParameters(configuration) else { continue }
                parameters = made
                codec = configuration.codec
            }
            guard frame.codec == codec else { continue }
            rotation = frame.rotation
            try packet.fill(frame.data, time: frame.time, duration: frame.duration, isKey: frame.isKey)
            return true
        }
        isAtEnd = input.isEnded
        return false
    }
}
