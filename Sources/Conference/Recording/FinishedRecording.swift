// What the finishing process wrote down, as the store and the pages want it.
import Capture
import Contracts
import ObjectStorage
import Primitives

/// What finishing found out.
struct FinishedRecording: Sendable {
    /// Seconds from the recording's time zero to its end.
    var duration: Double
    /// Bytes of the finished files.
    var size: Int64
    var tracks: [RecordedTrack]
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
        let names = Dictionary(manifest.participants.map { ($0.peerID, $0.name) }, uniquingKeysWith: { $1 })
        tracks = manifest.tracks.flatMap { track in
            track.files.map { file in
                RecordedTrack(
                    trackID: track.trackID, participantID: track.peerID, name: names[track.peerID] ?? track.peerID.rawValue,
                    kind: track.kind == .audio ? .audio : .video, source: TrackSource(rawValue: track.source) ?? (track.kind == .audio ? .microphone : .camera),
                    codec: file.codec.rawValue, start: file.start, duration: file.duration, key: "\(layout.folder)/\(file.path)")
            }
        }
    }
}
