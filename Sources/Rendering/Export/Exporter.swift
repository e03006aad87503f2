// From a recording's folder and a Composition State to one file.
import Capture
import Composition
import Glibc
import Primitives

/// Renders one export. Runs in `troupe-media`; blocking, on the calling thread.
///
/// Reads metadata.json, timeline.json and the track files they name; writes under a name beginning with a dot and renames at the end.
/// What is missing of the recording is told in the verdict, never a reason to stop.
package final class Exporter {
    package enum Limits {
        /// Missing parts named in the verdict; the rest are counted.
        static let missing = 100
        /// Share of the work that measuring the sound is.
        static let measuring = 0.05
        package static let threads = 1...16
    }
    package struct Request: Sendable {
        /// Below the recording's folder; its folders are made.
        package var output: String
        /// Path of a Composition State's JSON; nil: a grid with mixed sound.
        package var composition: String?
        package var format: ExportFormat
        package var preset = ExportPreset.standard
        package var threads = 2
        package init(output: String, composition: String?, format: ExportFormat) { self.output = output; self.composition = composition; self.format = format }
    }
    private let folder: Folder
    private let request: Request
    private let progress: Progress
    private var missing: [WorkerVerdict.Missing] = []

    /// - Parameter path: the recording's folder, `…/rooms/{room}/{recording}`.
    package init(path: String, _ request: Request, progress: Progress) {
        folder = Folder(path)
        self.request = request
        self.progress = progress
    }

    package func run() throws(WorkerError) -> WorkerVerdict {
        guard access(folder.path, R_OK | X_OK) == 0 else { throw WorkerError(code: errno, "open \(folder.path)") }
        let manifest = try folder.readJSON(Manifest.self, RecordingLayout.Names.metadata)
        let timeline = access("\(folder.path)/\(RecordingLayout.Names.timeline)", F_OK) == 0 ? try folder.readJSON(Timeline.self, RecordingLayout.Names.timeline) : nil
        let plan = try plan(manifest, timeline)
        missing = plan.missing
        let (parent, name) = Self.split(request.output)
        try folder.makeFolders(parent)
        // The unfinished file is its own lock: what a killed attempt left is taken over, what a living one writes is not.
        let temporary = "\(parent)/.\(name).part"
        let lock = try FolderLock(folder, file: temporary, doing: "making this export")
        defer { withExtendedLifetime(lock) {} }
        let loudness: Double?
        do throws(WorkerError) {
            loudness = try render(plan, manifest, "\(folder.path)/\(temporary)")
        } catch {
            folder.remove(temporary)
            throw error
        }
        try folder.publish(temporary, as: request.output)
        return verdict(plan, manifest, loudness)
    }

    // MARK: - What is asked for

    private func plan(_ manifest: Manifest, _ timeline: Timeline?) throws(WorkerError) -> RenderPlan {
        var text: [UInt8]?
        if let path = request.composition {
            let file = try MappedFile(path)
            text = Array(file.bytes.prefix(CompositionState.Limits.bytes + 1))
        }
        do throws(CompositionError) {
            var state = CompositionState()
            if let text { state = try CompositionState.read(text, for: CompositionSubject(manifest)) }
            return try RenderPlanner.plan(state, manifest, timeline)
        } catch { throw WorkerError(.unusable, error.description) }
    }
    /// "a/b/c" is "a/b" and "c".
    private static func split(_ path: String) -> (parent: String, name: String) {
        let parts = path.split(separator: "/")
        return (parts.dropLast().joined(separator: "/"), String(parts.last ?? ""))
    }

    // MARK: - Rendering

    /// - Returns: LUFS of the sound before it was levelled.
    private func render(_ plan: RenderPlan, _ manifest: Manifest, _ path: String) throws(WorkerError) -> Double? {
        let lost = { [self] (source: Int, piece: RenderPlan.Piece) in unreadable(plan, source, piece) }
        let loudness = try Loudness.measure(Mixer(plan, folder: folder.path, unreadable: lost)) { progress.report("measure", $0 * Limits.measuring) }
        let sound = LevelledSound(Mixer(plan, folder: folder.path, unreadable: { _, _ in }), gain: Loudness.gain(loudness))
        let canvas = request.format == .m4a ? nil : try Canvas(plan, folder: folder.path, captions: Captions(), unreadable: lost)
        let writer = try ExportWriter(path, request.format, request.preset, plan, title: manifest.title, threads: request.threads)
        var position: Int64 = 0
        for number in 0..<plan.frameCount {
            if let canvas { try writer.write(try canvas.frame(number)) }
            // The sound of this frame, and all of it behind the last one.
            let until = number + 1 < plan.frameCount ? TrackSamples.position(plan.time(ofFrame: number + 1)) : .max
            while position < until {
                let samples = try sound.next(writer.frameSamples)
                guard !samples[0].isEmpty else { break }
                try writer.write(samples, at: position)
                position += Int64(samples[0].count)
            }
            progress.report("render", Limits.measuring + (1 - Limits.measuring) * Double(number) / Double(plan.frameCount))
        }
        try writer.finish()
        return loudness
    }
    private func unreadable(_ plan: RenderPlan, _ source: Int, _ piece: RenderPlan.Piece) {
        let track = plan.sources[source]
        missing.append(.init(
            peerID: plan.people[track.person].id, trackID: track.track, from: seconds(piece.range.lowerBound), to: seconds(piece.range.upperBound), cause: "unreadable_file"))
    }

    private func verdict(_ plan: RenderPlan, _ manifest: Manifest, _ loudness: Double?) -> WorkerVerdict {
        progress.report("render", 1)
        var verdict = WorkerVerdict(
            ok: true, code: "ready", duration: seconds(plan.duration), size: folder.size(request.output), tracks: plan.sources.count,
            complete: manifest.complete && missing.isEmpty, outputPath: "\(RecordingLayout(room: manifest.roomID, recording: manifest.recordingID).folder)/\(request.output)")
        verdict.missing = Array(missing.prefix(Limits.missing))
        verdict.missingCount = missing.count
        verdict.loudness = loudness.map { ($0 * 10).rounded() / 10 }
        verdict.chapters = plan.chapters.count
        if !missing.isEmpty { verdict.message = "\(missing.count) parts of the recording are missing; `missing` names them" }
        return verdict
    }
}
