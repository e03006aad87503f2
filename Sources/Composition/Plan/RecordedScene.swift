// Who was there with what, from a recording's manifest and timeline.
internal import Capture
internal import Primitives
internal import RTP

/// What the planner works on; µs of the recording's time.
struct RecordedScene {
    enum Limits {
        /// µs: a picture that stands still for longer gives way to the placeholder.
        static let frozen: Int64 = 2_000_000
        /// Longer recordings are cut off; 30 days.
        static let duration: Int64 = 30 * 86_400 * 1_000_000
    }
    struct Person {
        var id: ParticipantID
        var name: String
        var present: Spans
        var speaking: Spans
    }
    struct Turn { var time: Int64; var degrees: Int }
    /// A track, and when it can be shown or heard.
    struct Recorded {
        var source: RenderPlan.Source
        var live: Spans
        var turns: [Turn]
    }
    private(set) var people: [Person] = []
    private(set) var tracks: [Recorded] = []
    private(set) var missing: [WorkerVerdict.Missing] = []
    let duration: Int64

    init(_ manifest: Manifest, _ timeline: Timeline?) {
        duration = min(Self.microseconds(manifest.duration), Limits.duration)
        let whole = 0..<duration
        let notes = Dictionary(grouping: timeline?.events ?? [], by: \.trackID)
        let comings = Dictionary(grouping: (timeline?.events ?? []).filter { $0.type == "participant_joined" || $0.type == "participant_left" }, by: \.peerID)
        let byPeer = Dictionary(grouping: manifest.tracks, by: \.peerID)
        let allRepairs = Dictionary(grouping: manifest.repairs, by: \.peerID)
        // Who never sent anything takes no room in the picture.
        for participant in Self.inOrder(manifest) {
            let own = byPeer[participant.peerID, default: []].filter { $0.files.contains(where: Self.isBelow) }
            let repairs = Dictionary(grouping: allRepairs[participant.peerID, default: []].map(\.piece), by: \.trackID)
            let alone = repairs.filter { track, _ in !own.contains { $0.trackID == track } }.sorted { $0.key < $1.key }
            guard !own.isEmpty || !alone.isEmpty else { continue }
            let index = people.count
            var media = Spans(), speaking: [Range<Int64>] = []
            for track in own {
                let repairs = repairs[track.trackID, default: []]
                let filled = Spans(repairs.map { Self.range($0.from, $0.to, whole.upperBound) })
                let recorded = Self.recorded(track, person: index, notes[track.trackID, default: []], whole, without: filled)
                tracks.append(recorded)
                tracks += Self.devices(manifest, track.trackID, repairs, person: index, whole)
                media = Spans(media.ranges + recorded.source.pieces.map(\.range).map { $0.clamped(to: whole) } + filled.ranges)
                speaking += notes[track.trackID, default: []].filter { $0.type == "speaking" }.compactMap { Self.range($0.t, $0.until) }
            }
            for (track, pieces) in alone {
                tracks += Self.devices(manifest, track, pieces, person: index, whole)
                media = Spans(media.ranges + pieces.map { Self.range($0.from, $0.to, whole.upperBound) })
            }
            let present = Spans(Self.presence(comings[participant.peerID, default: []], participant, duration).ranges + media.ranges)
            people.append(Person(
                id: participant.peerID, name: Self.shown(participant), present: present.clipped(to: whole), speaking: Spans(speaking).clipped(to: whole)))
        }
        for track in manifest.tracks {
            missing += track.holes.filter { !$0.cause.isQuiet && $0.isRepaired != true }.map { WorkerVerdict.Missing(peerID: track.peerID, trackID: track.trackID, from: $0.from, to: $0.to, cause: $0.cause.rawValue) }
            let isReplaced = allRepairs[track.peerID, default: []].contains { $0.piece.trackID == track.trackID }
            if !isReplaced, !track.files.contains(where: Self.isBelow) { missing.append(WorkerVerdict.Missing(peerID: track.peerID, trackID: track.trackID, cause: "no_file")) }
        }
    }

    /// In the order in which they came; people whom only a track names come last.
    private static func inOrder(_ manifest: Manifest) -> [Manifest.Participant] {
        let named = Set(manifest.participants.map(\.peerID))
        var others: [ParticipantID: Manifest.Participant] = [:]
        for track in manifest.tracks where !named.contains(track.peerID) {
            others[track.peerID] = Manifest.Participant(peerID: track.peerID, name: "", role: nil, joinedAt: track.start, leftAt: nil)
        }
        var seen: Set<ParticipantID> = []
        return (manifest.participants + others.values).filter { seen.insert($0.peerID).inserted }.sorted { ($0.joinedAt ?? 0, $0.peerID) < ($1.joinedAt ?? 0, $1.peerID) }
    }
    private static func shown(_ participant: Manifest.Participant) -> String {
        let name = participant.name.filter { !$0.isNewline && $0.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } }
        return name.isEmpty ? participant.peerID.rawValue : String(name.prefix(80))
    }
    /// From each coming to the next leaving. Without events: from the manifest's one pair, or all the time the tracks tell.
    private static func presence(_ events: [Timeline.Entry], _ participant: Manifest.Participant, _ duration: Int64) -> Spans {
        guard !events.isEmpty else {
            return participant.joinedAt.map { from in Spans([range(from, participant.leftAt, duration)]) } ?? Spans()
        }
        var ranges: [Range<Int64>] = [], since: Int64? = events.first?.type == "participant_left" ? 0 : nil
        for event in events {
            let time = min(duration, max(0, milliseconds(event.t)))
            if event.type == "participant_joined" { since = since ?? time } else if let from = since { ranges.append(from..<max(from, time)); since = nil }
        }
        if let from = since { ranges.append(from..<max(from, duration)) }
        return Spans(ranges)
    }

    /// - Parameter filled: when a device's track stands in for this one.
    private static func recorded(_ track: Manifest.Track, person: Int, _ notes: [Timeline.Entry], _ whole: Range<Int64>, without filled: Spans) -> Recorded {
        let pieces = track.files.filter(isBelow).sorted { $0.start < $1.start }.map { file in
            RenderPlan.Piece(path: file.path, range: range(file.start, file.start + file.duration, whole.upperBound))
        }.filter { !$0.range.isEmpty }
        let isScreen = track.source.hasPrefix("screen")
        var live = Spans(pieces.map(\.range))
        if track.kind == .video {
            let frozen = track.holes.map { range($0.from, $0.to, whole.upperBound) }.filter { $0.upperBound - $0.lowerBound > Limits.frozen }
            // What stood in the picture before a hole stays for a moment.
            live = live.subtracting(muted(notes, whole.upperBound)).subtracting(Spans(frozen.map { $0.lowerBound + Limits.frozen..<$0.upperBound }))
        }
        let turns = notes.filter { $0.type == "rotation" }.compactMap { note in
            note.rotation.flatMap { [0, 90, 180, 270].contains($0) ? Turn(time: max(0, milliseconds(note.t)), degrees: $0) : nil }
        }
        let source = RenderPlan.Source(track: track.trackID, person: person, kind: track.kind, isScreen: isScreen, isDenoised: false, pieces: pieces)
        return Recorded(source: source, live: live.subtracting(filled).clipped(to: whole), turns: turns)
    }
    /// What stands in for a track, each file a track of its own: where one gives way to the other, the mixer fades.
    private static func devices(_ manifest: Manifest, _ track: TrackID, _ pieces: [Manifest.Edit.Piece], person: Int, _ whole: Range<Int64>) -> [Recorded] {
        Dictionary(grouping: pieces, by: \.path).sorted { ($0.key ?? "") < ($1.key ?? "") }.compactMap { path, pieces in
            guard let device = manifest.deviceTracks?.first(where: { $0.file?.path == path }), let file = device.file, isBelow(file) else { return nil }
            let piece = RenderPlan.Piece(path: file.path, range: range(file.start, file.start + file.duration, whole.upperBound))
            let source = RenderPlan.Source(track: track, person: person, kind: device.medium, isScreen: device.source.hasPrefix("screen"), isDenoised: false, pieces: [piece])
            return Recorded(source: source, live: Spans(pieces.map { range($0.from, $0.to, whole.upperBound) }).clipped(to: piece.range), turns: [])
        }
    }
    /// Whether a file's path stays below the recording's folder.
    private static func isBelow(_ file: Manifest.File) -> Bool { file.path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { TrackID(String($0)).isSafe } }
    static func muted(_ notes: [Timeline.Entry], _ end: Int64) -> Spans {
        var ranges: [Range<Int64>] = [], since: Int64?
        for note in notes where note.type == "muted" || note.type == "track_published" {
            guard let isMuted = note.muted else { continue }
            let time = min(end, max(0, milliseconds(note.t)))
            if isMuted { since = since ?? time } else if let from = since { ranges.append(from..<max(from, time)); since = nil }
        }
        if let from = since { ranges.append(from..<max(from, end)) }
        return Spans(ranges)
    }

    // MARK: Times from outside: clamped, so that no arithmetic on them can overflow

    static func microseconds(_ seconds: Double) -> Int64 {
        guard seconds.isFinite else { return 0 }
        return Int64((min(max(0, seconds), Double(Limits.duration / 1_000_000)) * 1_000_000).rounded())
    }
    /// As µs.
    static func milliseconds(_ value: Int64) -> Int64 { min(max(value, -Limits.duration / 1000), Limits.duration / 1000) * 1000 }
    static func range(_ from: Double, _ to: Double?, _ end: Int64) -> Range<Int64> {
        let lower = min(microseconds(from), end)
        return lower..<max(lower, min(to.map(microseconds) ?? end, end))
    }
    private static func range(_ from: Int64, _ until: Int64?) -> Range<Int64>? {
        let lower = max(0, milliseconds(from))
        guard let upper = until.map(milliseconds), upper > lower else { return nil }
        return lower..<upper
    }
}
