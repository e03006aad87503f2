// Which second of a participant's picture and sound comes from the server's track, and which from what the browser recorded: where the server's
// has holes, and all of it where the server has none.
// Decision: docs/decisions/0038-browser-track-alignment.md
package import Capture
package import Primitives
internal import RTP

/// Fills holes of server tracks from device tracks that are aligned well enough. Pure; writes nothing but the manifest it is given.
package enum EditList {
    package enum Limits {
        /// µs before and behind a hole that come from the device, too: holes are counted by when packets were received.
        static let margin: Int64 = 200_000
        /// Holes nearer than this (µs) are filled as one: nobody wants to hear two microphones take turns.
        static let join: Int64 = 1_000_000
        /// µs: shorter holes stay as they are.
        static let shortestSound: Int64 = 40_000
        static let shortestPicture: Int64 = 100_000
        /// µs: two tracks of one medium at once for longer than this, and nobody can say which the device recorded.
        static let together: Int64 = 1_000_000
        /// µs before the room's word of a mute in which nothing is taken from the device.
        static let muteNotice: Int64 = 300_000
        /// µs between the end of a track that its publisher ended and a lost connection.
        static let slack: Int64 = 1_000_000
        /// Why participants leave without wishing to (`LeaveReason`).
        static let lost: Set<String> = ["connection_lost", "node_lost", "shutdown", "draining"]
    }
    private struct Medium: Hashable { var peer: ParticipantID; var source: String }
    /// A stretch of a server track that should be filled.
    private struct Loss { var range: Range<Int64>; var track: TrackID; var cause: HoleCause }

    /// Sets `edits`, and what holes and integrity reports say of repairs; a device's end may make the recording longer.
    /// - Parameter end: µs, `end(of:stoppedAt:)`.
    package static func apply(to manifest: inout Manifest, _ timeline: Timeline, end: Int64) {
        guard let devices = manifest.deviceTracks else { return }
        let notes = Dictionary(grouping: timeline.events, by: \.trackID), comings = Dictionary(grouping: timeline.events, by: \.peerID)
        let media = Dictionary(grouping: manifest.tracks, by: { Medium(peer: $0.peerID, source: $0.source) })
        let usable = Dictionary(grouping: devices.filter { $0.file != nil && $0.alignment?.isTrusted == true }, by: { Medium(peer: $0.peerID, source: $0.source) })
        var edits: [Manifest.Edit] = []
        for (medium, own) in usable.sorted(by: { ($0.key.peer, $0.key.source) < ($1.key.peer, $1.key.source) }) {
            let ordered = media[medium, default: []].sorted { ($0.start ?? 0, $0.trackID) < ($1.start ?? 0, $1.trackID) }
            guard ordered.contains(where: { !$0.files.isEmpty }) else {
                let events = comings[medium.peer, default: []], offered = offers(medium.source, ordered, events, manifest)
                let quiet = Spans(offered.quiet.ranges + leftOut(events).ranges)
                let pieces = fill(alone(offered.tracks, events, end: end), own, quiet)
                if !pieces.isEmpty { edits.append(Manifest.Edit(peerID: medium.peer, source: medium.source, pieces: joined([], pieces))) }
                continue
            }
            guard !isDouble(ordered) else {
                manifest.warnings.append("\(medium.peer) sent several tracks of \(medium.source) at once: none is repaired from the browser's recording")
                continue
            }
            let losses = losses(ordered, notes, comings[medium.peer, default: []], manifest.duration)
            let quiet = Spans(muted(ordered, notes).ranges + leftOut(comings[medium.peer, default: []]).ranges)
            let pieces = fill(losses, own, quiet)
            edits.append(Manifest.Edit(peerID: medium.peer, source: medium.source, pieces: joined(ordered, pieces)))
        }
        manifest.edits = edits
        tell(&manifest)
    }

    // MARK: - What is missing

    private static func live(_ track: Manifest.Track) -> Spans { Spans(track.files.map { RecordedScene.range($0.start, $0.start + $0.duration, .max) }) }
    private static func isDouble(_ tracks: [Manifest.Track]) -> Bool {
        let all = tracks.map(live)
        return all.reduce(0) { $0 + $1.total } > Spans(all.flatMap(\.ranges)).total + Limits.together
    }
    private static func losses(_ tracks: [Manifest.Track], _ notes: [TrackID?: [Timeline.Entry]], _ comings: [Timeline.Entry], _ duration: Double) -> [Loss] {
        var found: [Loss] = []
        for track in tracks {
            let shortest = track.kind == .audio ? Limits.shortestSound : Limits.shortestPicture
            found += track.holes.filter { !$0.cause.isQuiet }.map { Loss(range: RecordedScene.range($0.from, $0.to, .max), track: track.trackID, cause: $0.cause) }
                .filter { $0.range.upperBound - $0.range.lowerBound >= shortest }
                .map { Loss(range: widened($0.range, RecordedScene.microseconds(duration)), track: $0.track, cause: $0.cause) }
            if let away = away(track, notes[track.trackID, default: []], comings, duration) { found.append(away) }
        }
        var out: [Loss] = []
        for loss in found.sorted(by: { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }) {
            if let last = out.last, last.track == loss.track, loss.range.lowerBound <= last.range.upperBound + Limits.join {
                let length = { (range: Range<Int64>) in range.upperBound - range.lowerBound }
                out[out.count - 1] = Loss(
                    range: last.range.lowerBound..<max(last.range.upperBound, loss.range.upperBound), track: last.track, cause: length(loss.range) > length(last.range) ? loss.cause : last.cause)
            } else {
                out.append(loss)
            }
        }
        return out
    }
    /// With the margins, but not beyond the recording's end.
    private static func widened(_ range: Range<Int64>, _ end: Int64) -> Range<Int64> {
        max(0, range.lowerBound - Limits.margin)..<max(range.upperBound, min(end, range.upperBound + Limits.margin))
    }
    /// From the end of a track whose publisher's connection was lost to the publisher's return, or the recording's end.
    private static func away(_ track: Manifest.Track, _ notes: [Timeline.Entry], _ comings: [Timeline.Entry], _ duration: Double) -> Loss? {
        guard let end = live(track).ranges.last?.upperBound,
            let left = comings.first(where: { $0.type == "participant_left" && RecordedScene.milliseconds($0.t) >= end - Limits.slack }), Limits.lost.contains(left.reason ?? "")
        else { return nil }
        let at = RecordedScene.milliseconds(left.t)
        guard !notes.contains(where: { $0.type == "track_unpublished" && RecordedScene.milliseconds($0.t) < at - Limits.slack }) else { return nil }
        let back = comings.first { $0.type == "participant_joined" && $0.t >= left.t }.map { RecordedScene.milliseconds($0.t) } ?? RecordedScene.microseconds(duration)
        return back > end ? Loss(range: end..<back, track: track.trackID, cause: .connectionLost) : nil
    }
    // MARK: - Media of which the server has nothing

    /// µs: the recording's end, also where the server's tracks end before it or are not there.
    package static func end(of manifest: Manifest, stoppedAt: WallTime?) -> Int64 {
        let stopped = stoppedAt.map { $0.microseconds.subtractingReportingOverflow(manifest.timeZeroMicroseconds) }
        let length = stopped.flatMap { $0.overflow ? nil : $0.partialValue } ?? 0
        return max(RecordedScene.microseconds(manifest.duration), min(length, RecordedScene.Limits.duration))
    }
    /// A track of the medium that the Room knew of, from when it was published; `from` is nil where it was there before the recording, or where nobody
    /// told of it at all: then it has a name of its own.
    private struct Offer { var track: TrackID; var from: Int64? }
    /// - Returns: also when the publisher wanted none of it heard or seen.
    private static func offers(_ source: String, _ tracks: [Manifest.Track], _ events: [Timeline.Entry], _ manifest: Manifest) -> (tracks: [Offer], quiet: Spans) {
        var offers = tracks.map { Offer(track: $0.trackID, from: nil) }
        for event in events where RecordedEvent.Kind(rawValue: event.type) == .trackPublished && event.source == source {
            guard let track = event.trackID else { continue }
            offers.removeAll { $0.track == track }
            offers.append(Offer(track: track, from: max(0, RecordedScene.milliseconds(event.t))))
        }
        // Words about a track of which nothing else is known may be about this one.
        let others = Set(manifest.tracks.map(\.trackID)).union(events.filter { $0.source != nil && $0.source != source }.compactMap(\.trackID))
        let own = Set(offers.map(\.track)), isUnknown = offers.isEmpty
        let words = events.filter { event in event.trackID.map { own.contains($0) || isUnknown && !others.contains($0) } ?? false }
        let quiet = Dictionary(grouping: words, by: \.trackID).values.flatMap { RecordedScene.muted($0, .max).ranges }.map { max(0, $0.lowerBound - Limits.muteNotice)..<$0.upperBound }
        if isUnknown {
            var name = TrackID("\(source)-\(events.first?.peerID?.rawValue ?? "device")")
            while others.contains(name) { name = TrackID("\(name)-") }
            offers = [Offer(track: name, from: nil)]
        }
        return (offers, Spans(quiet))
    }
    /// Each track from when it was published, or its publisher came, until the publisher ended it or left, wishing to.
    private static func alone(_ offers: [Offer], _ events: [Timeline.Entry], end: Int64) -> [Loss] {
        let came = events.first { RecordedEvent.Kind(rawValue: $0.type) == .participantJoined }.map { max(0, RecordedScene.milliseconds($0.t)) } ?? 0
        return offers.compactMap { offer in
            let from = offer.from ?? came
            let until = events.first { event in
                guard RecordedScene.milliseconds(event.t) >= from else { return false }
                return switch RecordedEvent.Kind(rawValue: event.type) {
                case .trackUnpublished: event.trackID == offer.track
                case .participantLeft: !Limits.lost.contains(event.reason ?? "")
                default: false
                }
            }.map { min(end, RecordedScene.milliseconds($0.t)) } ?? end
            return until > from ? Loss(range: from..<until, track: offer.track, cause: .network) : nil
        }
    }

    // MARK: - What is not taken

    /// When the publisher wanted none of this heard or seen.
    private static func muted(_ tracks: [Manifest.Track], _ notes: [TrackID?: [Timeline.Entry]]) -> Spans {
        Spans(tracks.enumerated().flatMap { index, track in
            let until = index + 1 < tracks.count ? RecordedScene.microseconds(tracks[index + 1].start ?? 0) : .max
            return RecordedScene.muted(notes[track.trackID, default: []], .max).ranges.map { range in
                let from = max(0, range.lowerBound - Limits.muteNotice)
                return from..<max(from, min(range.upperBound, until))
            }
        })
    }

    /// When a participant was not to be recorded, with the notice before it; µs.
    /// - Parameter events: the timeline's entries of the participant.
    package static func leftOut(_ events: [Timeline.Entry]) -> Spans {
        var ranges: [Range<Int64>] = [], since: Int64?
        for event in events {
            switch RecordedEvent.Kind(rawValue: event.type) {
            case .participantExcluded: since = since ?? max(0, RecordedScene.milliseconds(event.t) - Limits.muteNotice)
            case .participantIncluded:
                if let from = since.take() { ranges.append(from..<max(from, RecordedScene.milliseconds(event.t))) }
            default: break
            }
        }
        return Spans(ranges + (since.map { [$0..<Int64.max] } ?? []))
    }

    // MARK: - What fills it

    private static func fill(_ losses: [Loss], _ devices: [Manifest.DeviceTrack], _ quiet: Spans) -> [Manifest.Edit.Piece] {
        var taken = Spans(), pieces: [Manifest.Edit.Piece] = []
        for device in devices.sorted(by: isBetter) {
            guard let file = device.file else { continue }
            let shortest = device.medium == .audio ? Limits.shortestSound : Limits.shortestPicture
            let usable = Spans([RecordedScene.range(file.start, file.start + file.duration, .max)])
                .subtracting(Spans(device.holes.map { RecordedScene.range($0.from, $0.to, .max) })).subtracting(quiet)
            for loss in losses {
                for range in usable.clipped(to: loss.range).subtracting(taken).ranges where range.upperBound - range.lowerBound >= shortest {
                    pieces.append(Manifest.Edit.Piece(
                        from: seconds(range.lowerBound), to: seconds(range.upperBound), origin: .device, trackID: loss.track, path: file.path, cause: loss.cause))
                    taken = Spans(taken.ranges + [range])
                }
            }
        }
        return pieces
    }
    private static func isBetter(_ a: Manifest.DeviceTrack, _ b: Manifest.DeviceTrack) -> Bool {
        let one = a.alignment?.method == .sound ? 0 : 1, other = b.alignment?.method == .sound ? 0 : 1
        return (one, a.alignment?.uncertainty ?? .max, a.file?.path ?? "") < (other, b.alignment?.uncertainty ?? .max, b.file?.path ?? "")
    }
    /// The device's pieces, and the server's tracks wherever those are not.
    private static func joined(_ tracks: [Manifest.Track], _ pieces: [Manifest.Edit.Piece]) -> [Manifest.Edit.Piece] {
        var taken = Spans(pieces.map { RecordedScene.range($0.from, $0.to, .max) }), out = pieces
        for track in tracks {
            let free = live(track).subtracting(taken)
            out += free.ranges.map { Manifest.Edit.Piece(from: seconds($0.lowerBound), to: seconds($0.upperBound), origin: .server, trackID: track.trackID) }
            taken = Spans(taken.ranges + free.ranges)
        }
        return out.sorted { ($0.from, $0.to) < ($1.from, $1.to) }
    }

    // MARK: - Saying it

    private static func tell(_ manifest: inout Manifest) {
        let repairs = Dictionary(grouping: manifest.repairs.map(\.piece), by: \.trackID)
        for index in manifest.tracks.indices {
            let own = repairs[manifest.tracks[index].trackID, default: []].map { RecordedScene.range($0.from, $0.to, .max) }
            var filled: [Range<Int64>] = []
            for hole in manifest.tracks[index].holes.indices {
                let part = manifest.tracks[index].holes[hole], range = RecordedScene.range(part.from, part.to, .max)
                let isRepaired = !part.cause.isQuiet && !own.isEmpty && Spans([range]).subtracting(Spans(own)).ranges.isEmpty
                manifest.tracks[index].holes[hole].isRepaired = isRepaired ? true : nil
                if !part.cause.isQuiet { filled += own.map { $0.clamped(to: range) } }
            }
            guard manifest.edits?.contains(where: { $0.peerID == manifest.tracks[index].peerID && $0.source == manifest.tracks[index].source }) == true else { continue }
            var repaired = manifest.tracks[index].integrity.repaired ?? Manifest.Repaired()
            repaired.deviceHoles = manifest.tracks[index].holes.count { $0.isRepaired == true }
            repaired.deviceSeconds = seconds(Spans(filled).total)
            manifest.tracks[index].integrity.repaired = repaired
        }
        manifest.duration = max(manifest.duration, manifest.repairs.map(\.piece.to).max() ?? 0)
    }
}
