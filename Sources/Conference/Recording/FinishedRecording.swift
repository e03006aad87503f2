// What the finishing process wrote down, as the store and the pages want it.
import Capture
import Contracts
import ObjectStorage
import Primitives
import RTP

/// What finishing found out.
struct FinishedRecording: Sendable {
    /// Seconds from the recording's time zero to its end.
    var duration: Double
    /// Bytes of the finished files.
    var size: Int64
    var tracks: [RecordedTrack]
    /// The manifest's.
    var revision: Int
}

extension FinishedRecording {
    /// Reads `metadata.json`.
    static func read(_ layout: RecordingLayout, from objects: LocalFolder) -> Result<FinishedRecording, MediaFailure> {
        do {
            let key = try ObjectKey(layout.metadata)
            let bytes = try objects.read(key, range: 0..<(try objects.info(key).size))
            let manifest = try bytes.withUnsafeBytes { try CaptureJSON.decode(Manifest.self, $0) }
            return .success(FinishedRecording(manifest, layout))
        } catch {
            return .failure(MediaFailure(code: "bad_manifest", message: "metadata.json cannot be read: \(error)"))
        }
    }

    init(_ manifest: Manifest, _ layout: RecordingLayout) {
        duration = manifest.duration
        size = manifest.size
        revision = manifest.revision ?? 1
        let names = Dictionary(manifest.participants.map { ($0.peerID, $0.name) }, uniquingKeysWith: { $1 })
        func recorded(_ track: TrackID, _ peer: ParticipantID, _ kind: Codec.Kind, _ source: String, _ file: Manifest.File) -> RecordedTrack {
            RecordedTrack(
                trackID: track, participantID: peer, name: names[peer] ?? peer.rawValue,
                kind: kind == .audio ? .audio : .video, source: TrackSource(rawValue: source) ?? (kind == .audio ? .microphone : .camera),
                codec: file.codec.rawValue, start: file.start, duration: file.duration, key: "\(layout.folder)/\(file.path)")
        }
        tracks = manifest.tracks.flatMap { track in track.files.map { recorded(track.trackID, track.peerID, track.kind, track.source, $0) } }
        // Of a medium the server has nothing of, the browser's files are the track.
        for edit in manifest.edits ?? [] where !manifest.tracks.contains(where: { $0.peerID == edit.peerID && $0.source == edit.source && !$0.files.isEmpty }) {
            for device in manifest.deviceTracks ?? [] where device.peerID == edit.peerID {
                guard let file = device.file, let piece = edit.pieces.first(where: { $0.path == file.path }) else { continue }
                tracks.append(recorded(piece.trackID, edit.peerID, device.medium, edit.source, file))
            }
        }
    }
}
