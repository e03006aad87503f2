// Recordings as manifests and timelines tell them, for planning.
@testable import Capture
import Primitives
import RTP
@testable import Composition

struct Recordings {
    var tracks: [Manifest.Track] = []
    var events: [Timeline.Entry] = []
    var participants: [Manifest.Participant] = []
    var duration = 60.0
    /// What browsers recorded; nil where nothing was uploaded.
    var devices: [Manifest.DeviceTrack]?

    mutating func participant(_ id: ParticipantID, name: String, joined: Double? = 0, left: Double? = nil) {
        participants.append(.init(peerID: id, name: name, role: nil, joinedAt: joined, leftAt: left))
    }
    mutating func track(_ id: TrackID, _ peer: ParticipantID, _ source: String, _ from: Double, _ to: Double, holes: [Manifest.MissingPart] = [], files: Int = 1) {
        let codec: Codec = source == "camera" || source == "screen_share" ? .vp8 : .opus
        let length = (to - from) / Double(max(1, files))
        let parts = (0..<files).map { part in
            Manifest.File(
                path: "tracks/\(peer)/\(id)\(files > 1 ? ".part\(part + 1)" : "").webm", codec: codec, container: "webm", start: from + Double(part) * length, duration: length,
                size: 1, width: 640, height: 360, frames: 1, keyFrames: 1)
        }
        tracks.append(Manifest.Track(
            trackID: id, peerID: peer, kind: codec.kind, source: source, codec: codec, start: from, duration: to - from, keyFrameWait: 0, files: parts, clocks: [], holes: holes,
            integrity: .init(
                complete: holes.isEmpty, packets: 1, lost: 0, duplicates: 0, malformed: 0, unknownPayloadType: 0, incompleteFrames: 0, skippedFrames: 0, fillerFrames: 0,
                damagedStretches: 0, damagedBytes: 0, tornBytes: 0, segments: 1, unreadableSegments: 0),
            writers: ["a"], epochs: [1]))
    }
    mutating func muted(_ track: TrackID, _ peer: ParticipantID, at t: Int64, _ isMuted: Bool) {
        var entry = Timeline.Entry(t: t, type: "muted", peerID: peer, trackID: track)
        entry.muted = isMuted
        events.append(entry)
    }
    mutating func speaks(_ track: TrackID, _ peer: ParticipantID, _ from: Int64, _ to: Int64) {
        var entry = Timeline.Entry(t: from, type: "speaking", peerID: peer, trackID: track)
        entry.until = to
        events.append(entry)
    }
    var manifest: Manifest {
        Manifest(
            recordingID: "rec", roomID: "room", title: "A meeting", timeZero: "2023-11-14T22:13:20.000Z", timeZeroMicroseconds: 1_700_000_000_000_000, startedAt: "", stoppedAt: nil,
            duration: duration, size: 1, complete: true, participants: participants, tracks: tracks, warnings: [])
    }
    /// With what devices fill.
    var edited: Manifest {
        var manifest = manifest
        manifest.deviceTracks = devices
        EditList.apply(to: &manifest, timeline, end: Int64(min(duration, 1e9) * 1e6))
        return manifest
    }
    var timeline: Timeline { Timeline(recording: "rec", zero: WallTime(microseconds: 1_700_000_000_000_000), duration: Int64(min(duration, 1e9) * 1000), events: events) }

    func plan(_ state: CompositionState = CompositionState()) throws(CompositionError) -> RenderPlan { try RenderPlanner.plan(state, edited, timeline) }

    /// Camera and microphone of each, all the time.
    static func meeting(_ peers: [ParticipantID], seconds: Double = 60) -> Recordings {
        var out = Recordings()
        out.duration = seconds
        for peer in peers {
            out.participant(peer, name: peer.rawValue.uppercased())
            out.track(TrackID("\(peer)-cam"), peer, "camera", 0, seconds)
            out.track(TrackID("\(peer)-mic"), peer, "microphone", 0, seconds)
        }
        return out
    }
}

extension RenderPlan {
    /// The interval of an output time, in seconds.
    func at(_ seconds: Double) -> Interval? { intervals.first { $0.output.contains(Int64(seconds * 1e6)) } }
    func names(_ seconds: Double) -> [String] { at(seconds)?.tiles.map { people[$0.person].id.rawValue + ($0.source.map { sources[$0].isScreen ? "+screen" : "" } ?? "-off") } ?? [] }
    func heard(_ seconds: Double) -> [String] { at(seconds)?.sounds.map { sources[$0.source].track.rawValue } ?? [] }
}
