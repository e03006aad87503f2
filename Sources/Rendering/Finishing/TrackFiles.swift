// The files of one track: one, or a part for each codec.
import Capture
import Glibc
import Primitives
import RTP

/// Writes a track's frames under temporary names; `publish` renames them when all of them are whole.
final class TrackFiles {
    enum Limits {
        static let parts = 64      // codec changes of one track; later frames are left out
    }
    private let folder: Folder
    private let header: JournalHeader
    private let title: String
    private var done: [(temporary: String, muxer: TrackMuxer)] = []
    private var muxer: TrackMuxer?
    private var temporary = ""
    /// Frames libav would not write: a publisher's headers can parse here and be refused there. They cost the part, not the recording.
    private(set) var refused = 0

    init(_ folder: Folder, _ header: JournalHeader, title: String) throws(WorkerError) {
        self.folder = folder; self.header = header; self.title = title
        try folder.makeFolders("\(RecordingLayout.Names.tracks)/\(header.participant)")
    }
    deinit {
        muxer = nil
        if !temporary.isEmpty { folder.remove(temporary) }
        for part in done { folder.remove(part.temporary) }
    }

    func write(_ frame: PresentedFrame) throws(WorkerError) {
        if muxer == nil || frame.codec != muxer?.configuration.codec {
            guard let configuration = frame.configuration, done.count < Limits.parts else { return }
            try endPart()
            temporary = "\(RecordingLayout.Names.tracks)/\(header.participant)/.\(header.track).\(done.count + 1).\(getpid()).new"
            try unlessRefused { () throws(WorkerError) -> Void in muxer = try TrackMuxer(path: "\(folder.path)/\(temporary)", configuration: configuration, title: title) }
        }
        try unlessRefused { () throws(WorkerError) -> Void in try muxer?.write(frame) }
    }
    /// Gives the open part up when libav itself refuses; failures of the disk go on to the caller.
    private func unlessRefused(_ body: () throws(WorkerError) -> Void) throws(WorkerError) {
        do throws(WorkerError) { try body() } catch {
            guard error.failure == .internalError else { throw error }
            refused += 1
            muxer = nil
            folder.remove(temporary)
            temporary = ""
        }
    }
    /// Ends the last part, gives all their names, and says what they hold.
    func publish() throws(WorkerError) -> [Manifest.File] {
        try endPart()
        var files: [Manifest.File] = []
        for (index, part) in done.enumerated() {
            let codec = part.muxer.configuration.codec, container = TrackMuxer.Container(codec).rawValue
            let name = RecordingLayout.Names.track(header.participant, header.track, part: done.count > 1 ? index + 1 : nil, container: container)
            try folder.publish(part.temporary, as: name)
            let start = part.muxer.start ?? 0
            files.append(Manifest.File(
                path: name, codec: codec, container: container, start: seconds(start), duration: seconds(part.muxer.end - start), size: folder.size(name),
                width: part.muxer.configuration.size?.width, height: part.muxer.configuration.size?.height,
                frames: part.muxer.frames, keyFrames: part.muxer.keyFrames))
        }
        done = []
        return files
    }
    private func endPart() throws(WorkerError) {
        guard let ended = muxer else { return }
        try unlessRefused { () throws(WorkerError) -> Void in
            try ended.finish()
            done.append((temporary, ended))
        }
        muxer = nil
        temporary = ""
    }
}
