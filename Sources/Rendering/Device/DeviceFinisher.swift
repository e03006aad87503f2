// All uploads of a recording into its manifest: one order after the other, each in a process of its own.
// Decision: docs/decisions/0038-browser-track-alignment.md
import Capture
import Composition
import Glibc
import Primitives
import RTP

/// Part of finishing, after the server's tracks. An upload that cannot be used costs itself and is told with its reason.
struct DeviceFinisher {
    enum Limits {
        /// Participants with uploads; later ones are left out and said so.
        static let peers = 1_000
        /// µs: an upload that by its clock began farther than this from the recording is none of it.
        static let clock: Int64 = 86_400_000_000
    }
    let folder: Folder
    /// nil: in this very process.
    let isolation: WorkerIsolation?

    /// Uploads there are, for whoever plans the work.
    static func hasUploads(_ folder: Folder) -> Bool { !((try? folder.entries(RecordingLayout.Names.chunks)) ?? []).isEmpty }

    /// Adds device tracks and edits to `manifest`; leaves it as it is where nothing was uploaded.
    /// - Parameter facts: when the recording was stopped, and the µs to add to a node's clock to get the recorder's.
    func run(_ manifest: inout Manifest, _ timeline: Timeline, _ facts: RecordingFacts, _ report: (Double) -> Void) throws(WorkerError) {
        let names = try folder.entries(RecordingLayout.Names.chunks).map { ParticipantID($0) }.filter(\.isSafe)
        guard !names.isEmpty else { return }
        if names.count > Limits.peers { manifest.warnings.append("uploads of only \(Limits.peers) of \(names.count) participants are looked at") }
        let known = Set(manifest.participants.map(\.peerID)), end = EditList.end(of: manifest, stoppedAt: facts.stoppedAt)
        var tracks: [Manifest.DeviceTrack] = []
        for (number, peer) in names.prefix(Limits.peers).enumerated() {
            let share = { (done: Double) in report((Double(number) + done) / Double(min(names.count, Limits.peers))) }
            // Who is not in the recording did not want to be, or was never there.
            guard known.contains(peer) else { manifest.warnings.append("chunks of \(peer): nobody of this name is in the recording"); continue }
            let index: UploadIndex
            do throws(WorkerError) {
                guard let found = try folder.uploads(peer) else { manifest.warnings.append("chunks of \(peer): uploads.json is missing"); continue }
                index = found
            } catch { manifest.warnings.append(error.message); continue }
            tracks += try self.tracks(peer, index, manifest, end: end, EditList.leftOut(timeline.events.filter { $0.peerID == peer }), facts.clockOffsets, share)
        }
        for name in [DeviceOrder.Names.order, DeviceOrder.Names.outcome] { folder.remove(name) }
        manifest.deviceTracks = tracks
        EditList.apply(to: &manifest, timeline, end: end)
    }

    private func tracks(
        _ peer: ParticipantID, _ index: UploadIndex, _ manifest: Manifest, end: Int64, _ leftOut: Spans, _ offsets: [String: Int64], _ report: (Double) -> Void
    ) throws(WorkerError) -> [Manifest.DeviceTrack] {
        var parts: [String: Int] = [:], out: [Manifest.DeviceTrack] = []
        let uploads = index.uploads.prefix(UploadIndex.Limits.uploads).sorted { ($0.startedAt, $0.kind.rawValue, $0.firstSequence) < ($1.startedAt, $1.kind.rawValue, $1.firstSequence) }
        for (number, upload) in uploads.enumerated() {
            report(Double(number) / Double(uploads.count))
            let sum = upload.startedAt.subtractingReportingOverflow(manifest.timeZeroMicroseconds)
            let clock = sum.partialValue &+ (upload.clock.flatMap { offsets[$0.rawValue] } ?? 0)
            func failed(_ reason: String) -> Manifest.DeviceTrack {
                Manifest.DeviceTrack(peerID: peer, upload: upload.upload, kind: upload.kind, source: upload.kind.sources[0].source, chunks: .init(told: upload.chunks.count), reason: reason)
            }
            guard !sum.overflow, abs(clock) < Limits.clock else { out.append(failed("not_in_recording")); continue }
            var files: [String: String] = [:]
            for (_, source) in upload.kind.sources {
                parts[source, default: 0] += 1
                files[source] = Self.name(peer, source, parts[source] ?? 1, manifest)
            }
            let order = DeviceOrder(
                title: manifest.title, peer: peer, kind: upload.kind, upload: upload.upload, clock: clock, duration: end, files: files,
                sounds: Self.sounds(peer, upload.kind, manifest), leftOut: leftOut.ranges.map { [$0.lowerBound, $0.upperBound] })
            do throws(WorkerError) { out += try carryOut(order) } catch {
                // A full disk will be as full for the next one; everything else is this upload's own.
                if error.failure == .diskFull || error.failure == .notWritable { throw error }
                out.append(failed(error.failure == .internalError ? "crashed" : error.failure.rawValue))
            }
        }
        return out
    }
    private func carryOut(_ order: DeviceOrder) throws(WorkerError) -> [Manifest.DeviceTrack] {
        guard let isolation else { return try DeviceUpload(folder, order).make() }
        folder.remove(DeviceOrder.Names.outcome)
        try folder.writeJSON(order, as: DeviceOrder.Names.order, isDurable: false)
        try isolation.run(["device", "--dir", folder.path])
        let tracks = try folder.readJSON(DeviceOutcome.self, DeviceOrder.Names.outcome).tracks
        // The process looked at what a stranger sent: its word is checked.
        let allowed = order.files.values
        guard tracks.allSatisfy({ track in track.peerID == order.peer && track.file.map { file in allowed.contains { file.path.hasPrefix("\($0).") } } ?? true }) else {
            throw WorkerError(.internalError, "the outcome of upload \(order.upload) is of something else")
        }
        return tracks
    }

    /// "tracks/ann/camera-device.part1"; another word where a track of the server's is called so.
    private static func name(_ peer: ParticipantID, _ source: String, _ part: Int, _ manifest: Manifest) -> String {
        let taken = Set(manifest.tracks.filter { $0.peerID == peer }.map(\.trackID))
        var name = "\(source)-device"
        while taken.contains(TrackID(name)) { name += "-" }
        return "\(RecordingLayout.Names.tracks)/\(peer)/\(name).part\(part)"
    }
    /// What the server has of the same microphone, or of the same screen's sound.
    private static func sounds(_ peer: ParticipantID, _ kind: UploadKind, _ manifest: Manifest) -> [DeviceOrder.Sound] {
        guard let source = kind.sources.first(where: { $0.kind == .audio })?.source else { return [] }
        return manifest.tracks.filter { $0.peerID == peer && $0.source == source && $0.kind == .audio }.flatMap { track in
            track.files.map { file in
                DeviceOrder.Sound(path: file.path, start: file.start, duration: file.duration, holes: track.holes.map { .init(from: $0.from, to: $0.to) })
            }
        }
    }
}
