// What a preview is made of, and how far it has come.
import Capture
import Composition
import Glibc
import Primitives

/// A recording's tracks: finished files, or journals that may still grow. Owned by the `Previewer`.
protocol PreviewInput: AnyObject {
    var recording: RecordingID { get }
    var room: RoomID { get }
    /// The recording's time zero, wall µs; nil until enough is known of it.
    var zero: Int64? { get }
    /// µs from time zero up to which every source has given all it will give.
    var readyUntil: Int64 { get }
    /// µs from time zero to the recording's end; nil while it runs.
    var end: Int64? { get }
    /// Of the tracks read so far.
    var trackCount: Int { get }
    /// Nothing is missing at the end: the recording was stopped, not given up.
    var isComplete: Bool { get }
    var warnings: [String] { get }
    /// Looks at what changed since the last call.
    /// - Parameter rendered: µs from time zero up to which everybody's frames were taken.
    func poll(rendered: Int64) throws(WorkerError)
    /// Each track once.
    func takeSources() -> [any FrameSource]
    func name(of peer: ParticipantID) -> String
}

/// A finished recording: metadata.json and the files it names.
final class RecordedInput: PreviewInput {
    let recording: RecordingID
    let room: RoomID
    let zero: Int64?
    let readyUntil = Int64.max
    let end: Int64?
    let isComplete = true
    private let manifest: Manifest
    private let sources: [TrackFileSource]
    private var areTaken = false

    /// - Returns: nil where the recording has not been finished yet.
    init?(_ folder: Folder) throws(WorkerError) {
        guard let manifest = try folder.manifest() else { return nil }
        self.manifest = manifest
        recording = manifest.recordingID
        room = manifest.roomID
        zero = manifest.timeZeroMicroseconds
        end = Int64((manifest.duration * 1_000_000).rounded())
        let rotations = folder.timeline()?.events.filter { $0.type == "rotation" } ?? []
        let repairs = manifest.repairs.map(\.piece)
        let devices = (manifest.deviceTracks ?? []).map { device in TrackFileSource(folder, device, only: Self.spans(repairs.filter { $0.path == device.file?.path })) }
        sources = manifest.tracks.filter { !$0.files.isEmpty }.map { track in
            TrackFileSource(
                folder, track, rotations: rotations.filter { $0.trackID == track.trackID }, without: Self.spans(repairs.filter { $0.trackID == track.trackID }))
        } + devices.filter { !$0.isAtEnd }
    }
    private static func spans(_ pieces: [Manifest.Edit.Piece]) -> Spans {
        Spans(pieces.filter { $0.from < $0.to && $0.from >= 0 && $0.to < 1e7 }.map { Int64($0.from * 1e6)..<Int64($0.to * 1e6) })
    }
    var trackCount: Int { sources.count }
    var warnings: [String] { sources.flatMap(\.warnings) }
    func poll(rendered: Int64) {}
    func takeSources() -> [any FrameSource] {
        defer { areTaken = true }
        return areTaken ? [] : sources
    }
    func name(of peer: ParticipantID) -> String { manifest.participants.first { $0.peerID == peer }?.name ?? peer.rawValue }
}

extension Folder {
    /// - Returns: nil where there is none; a file that cannot be used is an error.
    func manifest() throws(WorkerError) -> Manifest? {
        guard access("\(path)/\(RecordingLayout.Names.metadata)", F_OK) == 0 else { return nil }
        let file = try MappedFile("\(path)/\(RecordingLayout.Names.metadata)")
        guard let manifest = try? CaptureJSON.decode(Manifest.self, file.bytes, limit: CaptureJSON.Limits.manifestBytes), manifest.duration.isFinite, (0...1e7).contains(manifest.duration),
            manifest.recordingID.isSafe, manifest.roomID.isSafe, manifest.tracks.allSatisfy({ $0.peerID.isSafe && $0.trackID.isSafe && $0.files.allSatisfy { $0.isBelowTracks } }),
            (manifest.deviceTracks ?? []).allSatisfy({ $0.peerID.isSafe && $0.file?.isBelowTracks ?? true })
        else { throw WorkerError(.nothingCaptured, "metadata.json cannot be used; finalise the recording again") }
        return manifest
    }
    func timeline() -> Timeline? {
        guard let file = try? MappedFile("\(path)/\(RecordingLayout.Names.timeline)") else { return nil }
        return try? CaptureJSON.decode(Timeline.self, file.bytes, limit: CaptureJSON.Limits.manifestBytes)
    }
}

extension Manifest.File {
    /// Points at a file of the recording's `tracks` folder and nowhere else.
    fileprivate var isBelowTracks: Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 3 && parts[0] == RecordingLayout.Names.tracks && parts.allSatisfy { !$0.isEmpty && !$0.hasPrefix(".") }
    }
}
