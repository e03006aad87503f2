// From evidence, clocks and files to the manifest and the timeline.
import Primitives
import RTP

/// A track as it was finished.
package struct FinishedTrack: Sendable {
    package var track: Manifest.Track
    package var summary: PresentationSummary
    package init(track: Manifest.Track, summary: PresentationSummary) { self.track = track; self.summary = summary }
}

package enum ManifestBuilder {
    package static func track(
        _ evidence: TrackEvidence, clocks: [StreamClock], holes: [Hole], quiet: [QuietTime] = [], summary: PresentationSummary, files: [Manifest.File], zero: Int64
    ) -> Manifest.Track {
        let header = evidence.header
        var missing = holes.map { Manifest.MissingPart(from: seconds(max(0, $0.from - zero)), to: seconds(max(0, $0.to - zero)), cause: $0.cause, packets: $0.packets) }
        if summary.keyFrameWait > 0, let start = summary.start {
            missing.append(Manifest.MissingPart(from: seconds(start - summary.keyFrameWait), to: seconds(start), cause: .keyFrameWait, packets: 0))
        }
        missing += summary.frozen.map { Manifest.MissingPart(from: seconds($0.lowerBound), to: seconds($0.upperBound), cause: .keyFrameWait, packets: 0) }
        missing.sort { ($0.from, $0.to) < ($1.from, $1.to) }
        let damage = evidence.counts.damage
        let lost = holes.reduce(0 as UInt64) { $0 + $1.packets }
        var integrity = Manifest.Integrity(
            complete: holes.allSatisfy { $0.cause.isQuiet } && damage.stretches == 0 && summary.incomplete == 0 && evidence.counts.unreadableSegments == 0 && evidence.counts.beyondLimits == 0,
            packets: evidence.counts.packets, lost: lost, duplicates: evidence.counts.duplicates,
            malformed: evidence.counts.malformed + summary.malformed, unknownPayloadType: evidence.counts.unknownPayloadType,
            incompleteFrames: summary.incomplete, skippedFrames: summary.skipped, fillerFrames: summary.fillers,
            damagedStretches: damage.stretches, damagedBytes: damage.bytes, tornBytes: damage.tornBytes,
            segments: evidence.counts.segments, unreadableSegments: evidence.counts.unreadableSegments)
        report(evidence, clocks, holes, quiet, summary, files, zero, into: &integrity)
        return Manifest.Track(
            trackID: header.track, peerID: header.participant, kind: header.kind, source: header.source, codec: files.first?.codec ?? header.codec,
            start: summary.start.map(seconds), duration: summary.start.flatMap { start in summary.end.map { seconds($0 - start) } },
            keyFrameWait: seconds(summary.keyFrameWait), files: files,
            clocks: zip(evidence.streams, clocks).map { stream, clock in
                Manifest.Clock(
                    ssrc: stream.ssrc, rtp: clock.originTimestamp, wallMicroseconds: clock.originWall, clockRate: clock.clockRate,
                    driftPPM: (clock.drift * 1e9).rounded() / 1000, method: clock.method, senderReports: clock.reportCount)
            },
            holes: missing, integrity: integrity, writers: evidence.writers.sorted(), epochs: evidence.epochs.sorted())
    }

    /// What is missing and what was repaired, in numbers, and the score of both.
    private static func report(
        _ evidence: TrackEvidence, _ clocks: [StreamClock], _ holes: [Hole], _ quiet: [QuietTime], _ summary: PresentationSummary, _ files: [Manifest.File],
        _ zero: Int64, into integrity: inout Manifest.Integrity
    ) {
        let lost = holes.filter { !$0.cause.isQuiet }, frozen = summary.frozen.filter { $0.upperBound > $0.lowerBound }
        let first = evidence.firstReceived ?? 0, last = max(evidence.lastReceived ?? 0, lost.map(\.to).max() ?? 0)
        // Freezes are on the senders' time, holes on that of arrival: a network's delay apart.
        let missing = lost.map { IntegrityScore.Missing(from: $0.from, to: $0.to, weight: IntegrityScore.Weights.hole) }
            + frozen.map { .init(from: zero + $0.lowerBound, to: zero + $0.upperBound, weight: IntegrityScore.Weights.freeze) }
            + [.init(from: first, to: first + summary.keyFrameWait, weight: IntegrityScore.Weights.firstKeyFrame)]
        integrity.score = files.isEmpty ? 0 : IntegrityScore.score(span: (first, last), missing: missing, quiet: quiet.map(\.range))
        integrity.repaired = Manifest.Repaired(retransmission: evidence.counts.recovered, standby: evidence.counts.byStandby)
        integrity.reordered = evidence.counts.reordered
        (integrity.holes, integrity.holeSeconds) = (lost.count, seconds(lost.reduce(0) { $0 + ($1.to - $1.from) }))
        (integrity.freezes, integrity.freezeSeconds) = (frozen.count, seconds(frozen.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) }))
        integrity.layerSwitches = summary.switches
        integrity.driftPPM = clocks.map { ($0.drift * 1e9).rounded() / 1000 }.max { abs($0) < abs($1) }
    }

    package static func manifest(facts: RecordingFacts, events: [RecordedEvent], zero: Int64, tracks: [FinishedTrack], warnings: [String]) -> Manifest {
        let end = tracks.compactMap(\.summary.end).max() ?? 0
        let complete = !tracks.isEmpty && tracks.allSatisfy(\.track.integrity.complete)
        let sorted = tracks.map(\.track).sorted { ($0.peerID, $0.start ?? 0, $0.trackID) < ($1.peerID, $1.start ?? 0, $1.trackID) }
        return Manifest(
            recordingID: facts.recording, roomID: facts.room, title: facts.title, timeZero: WallTime(microseconds: zero).rfc3339, timeZeroMicroseconds: zero,
            startedAt: facts.startedAt.rfc3339, stoppedAt: facts.stoppedAt?.rfc3339, duration: seconds(end),
            size: sorted.reduce(0) { $0 + $1.files.reduce(0) { $0 + $1.size } }, complete: complete,
            participants: participants(facts, events, zero, sorted), tracks: sorted, warnings: warnings)
    }

    package static func timeline(facts: RecordingFacts, events: [RecordedEvent], manifest: Manifest, tracks: [FinishedTrack]) -> Timeline {
        let zero = WallTime(microseconds: manifest.timeZeroMicroseconds)
        let entries = events.map { Timeline.Entry($0, zero: zero) } + tracks.sorted { $0.track.trackID < $1.track.trackID }.flatMap { Timeline.Entry.entries($0.track, $0.summary) }
        return Timeline(recording: facts.recording, zero: zero, duration: Int64(manifest.duration * 1000), events: entries)
    }

    /// Everybody whom the facts, the events or a track name.
    private static func participants(_ facts: RecordingFacts, _ events: [RecordedEvent], _ zero: Int64, _ tracks: [Manifest.Track]) -> [Manifest.Participant] {
        var people: [ParticipantID: Manifest.Participant] = [:]
        for person in facts.participants { people[person.id] = Manifest.Participant(peerID: person.id, name: person.name, role: person.role, joinedAt: nil, leftAt: nil) }
        for event in events {
            guard let id = event.participant else { continue }
            var person = people[id] ?? Manifest.Participant(peerID: id, name: event.name ?? "", role: event.role, joinedAt: nil, leftAt: nil)
            let time = seconds(event.at.microseconds &- zero)
            switch RecordedEvent.Kind(rawValue: event.type) {
            case .participantJoined:
                person.joinedAt = person.joinedAt ?? time
                person.leftAt = nil
                if let name = event.name { person.name = name }
            case .participantLeft: person.leftAt = time
            default: break
            }
            people[id] = person
        }
        for track in tracks where people[track.peerID] == nil {
            people[track.peerID] = Manifest.Participant(peerID: track.peerID, name: "", role: nil, joinedAt: nil, leftAt: nil)
        }
        return people.values.sorted { $0.peerID < $1.peerID }
    }
}
