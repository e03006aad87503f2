// From a recording's tracks to segments everyone can scrub: docs/decisions/0030-previews.md.
import Capture
import Glibc
import Primitives

/// Makes one recording's `preview` folder. Runs in `troupe-media`; blocking, on the calling thread.
///
/// Repeatable: what an earlier run left is removed first. All lanes go forward together, segment by segment; a playlist tells
/// of a segment only when every lane has it, so that players never run apart.
package final class Previewer {
    package enum Limits {
        /// Between two looks at a recording that runs, µs.
        static let poll: UInt32 = 250_000
        /// Segments a lane that came late makes in one go, so that the others are not kept waiting.
        static let catchUp = 16
    }
    private let folder: Folder
    private let output: Folder
    private let settings: PreviewSettings
    private let progress: Progress
    private var lanes: [PreviewLane] = []
    private var warnings: [String] = []
    /// Segments the playlists tell of.
    private var published = 0

    /// - Parameter path: the recording's folder, `…/rooms/{room}/{recording}`.
    package init(path: String, settings: PreviewSettings, progress: Progress = Progress { _ in }) {
        folder = Folder(path)
        output = Folder("\(path)/\(RecordingLayout.Names.preview)")
        self.settings = settings
        self.progress = progress
    }

    package func run() throws(WorkerError) -> WorkerVerdict {
        guard access(folder.path, R_OK | X_OK) == 0 else { throw WorkerError(code: errno, "open \(folder.path)") }
        let lock = try FolderLock(folder, job: "preview")
        defer { withExtendedLifetime(lock) {} }
        try sweep()
        try folder.makeFolders(RecordingLayout.Names.preview)
        let input: any PreviewInput = if let recorded = try RecordedInput(folder) { recorded } else { CapturedInput(folder, follow: settings.follow) }
        return try make(input)
    }

    private func make(_ input: any PreviewInput) throws(WorkerError) -> WorkerVerdict {
        let grid = settings.grid
        while true {
            try input.poll(rendered: Int64(lanes.map(\.segments).min() ?? 0) * grid.segmentMicroseconds)
            try admit(input)
            let total = input.end.map { grid.frames(in: $0) }
            if total == nil { progress.report("follow", 0) }
            let wanted = total.map { grid.segments(frames: $0) } ?? Int(max(0, min(input.readyUntil, .max / 2)) / grid.segmentMicroseconds)
            if total != nil, lanes.isEmpty { throw WorkerError(.nothingCaptured, "no track of \(input.recording) can be shown") }
            let isBehind = try advance(to: wanted, total: total)
            let isEnded = total != nil && !isBehind
            try publish(input, isEnded: isEnded, total: total)
            if isEnded { return verdict(input, total: total ?? 0) }
            if !isBehind { usleep(Limits.poll) }
        }
    }
    /// A lane for each peer, one more for a screen it shares.
    private func admit(_ input: any PreviewInput) throws(WorkerError) {
        for source in input.takeSources() {
            let track = source.track
            if let lane = lanes.first(where: { $0.peer == track.peer && $0.isScreen == track.isScreen }) { try lane.add(source); continue }
            guard lanes.count < PreviewSettings.Limits.lanes else { warn("more than \(PreviewSettings.Limits.lanes) people and screens: \(track.peer) is left out"); continue }
            let name = RecordingLayout.Names.previews(of: track.peer, isScreen: track.isScreen)
            try output.makeFolders(name)
            let lane = try PreviewLane(Folder("\(output.path)/\(name)"), peer: track.peer, isScreen: track.isScreen, settings)
            try lane.add(source)
            lanes.append(lane)
        }
    }
    /// Makes what can be made, at most `Limits.catchUp` segments of each lane: first of those that play already, then of those that came late.
    /// - Returns: whether a lane has fewer than `wanted` segments still.
    private func advance(to wanted: Int, total: Int?) throws(WorkerError) -> Bool {
        let target = max(published, min(wanted, published + Limits.catchUp)), late = lanes.filter { $0.segments < published }
        for number in published..<target {
            for lane in lanes where lane.segments == number && !late.contains(where: { $0 === lane }) { try lane.makeSegment(total: total ?? .max) }
            if let total { progress.report("write", Double(number) / Double(settings.grid.segments(frames: total)) * 0.99) }
        }
        for lane in late {
            for _ in 0..<Limits.catchUp where lane.segments < target { try lane.makeSegment(total: total ?? .max) }
        }
        published = target
        return lanes.contains { $0.segments < wanted }
    }
    private func publish(_ input: any PreviewInput, isEnded: Bool, total: Int?) throws(WorkerError) {
        let playing = lanes.filter { $0.segments >= published && $0.segments > 0 }
        guard isEnded || told != (playing.count, published) else { return }
        for lane in playing { try lane.publish(count: published, isEnded: isEnded) }
        if isEnded { for lane in lanes { try lane.makeDurable() } }
        try write(input, isEnded: isEnded, total: total)
        told = (playing.count, published)
    }
    /// Lanes and segments the index tells of.
    private var told = (lanes: 0, segments: 0)

    private func write(_ input: any PreviewInput, isEnded: Bool, total: Int?) throws(WorkerError) {
        func entries(_ isScreen: Bool) -> [PreviewIndex.Peer] {
            lanes.filter { $0.isScreen == isScreen && $0.segments >= published }.compactMap { $0.entry(name: input.name(of: $0.peer)) }.sorted { $0.peerID < $1.peerID }
        }
        let frames = min(total ?? .max, published * settings.grid.framesPerSegment)
        let index = PreviewIndex(
            state: isEnded ? .ready : .running, recordingID: input.recording, roomID: input.room, timeZero: WallTime(microseconds: input.zero ?? 0),
            segmentSeconds: settings.segmentSeconds, frameRate: settings.frameRate, segments: published,
            duration: Double(frames) / Double(settings.frameRate), peers: entries(false), screenshares: entries(true), warnings: warnings + input.warnings)
        guard let bytes = try? CaptureJSON.encode(index, pretty: true) else { throw WorkerError(.internalError, "index.json cannot be encoded") }
        try output.write(bytes, as: RecordingLayout.Names.previewIndex, isDurable: isEnded)
    }
    private func verdict(_ input: any PreviewInput, total: Int) -> WorkerVerdict {
        progress.report("write", 1)
        let layout = RecordingLayout(room: input.room, recording: input.recording)
        return WorkerVerdict(
            ok: true, code: "ready", duration: Double(total) / Double(settings.frameRate), size: lanes.reduce(0) { $0 + $1.bytes }, tracks: input.trackCount,
            complete: input.isComplete && warnings.isEmpty && input.warnings.isEmpty,
            outputPath: "\(layout.folder)/\(RecordingLayout.Names.preview)/\(RecordingLayout.Names.previewIndex)", segments: published)
    }
    private func warn(_ text: String) { if !warnings.contains(text) { warnings.append(text) } }

    /// Removes an earlier run's files: the index first, so that nobody is sent to what is going away.
    private func sweep() throws(WorkerError) {
        output.remove(RecordingLayout.Names.previewIndex)
        for kind in ["peers", "screenshare"] {
            for peer in try output.entries(kind) {
                let names = (try? output.entries("\(kind)/\(peer)")) ?? []
                for name in names where name.hasSuffix(".m3u8") { output.remove("\(kind)/\(peer)/\(name)") }
                for name in names where name.hasSuffix(".m4s") || name.hasSuffix(".mp4") { output.remove("\(kind)/\(peer)/\(name)") }
                rmdir("\(output.path)/\(kind)/\(peer)")
            }
        }
    }
}
