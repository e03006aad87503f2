// The files of one track: one, or a part for each stream, codec and set of parameters.
import Capture
import Glibc
import Primitives
import RTP

/// Writes a track's frames under temporary names; `publish` renames them when all of them are whole.
final class TrackFiles {
    enum Limits {
        /// Parts of one track. Beyond these a new stream goes on in the part of the one before; a file plays that.
        static let streamParts = 64
        /// Codec and parameter changes a file cannot hold need parts in any case; later frames are left out, and counted as refused.
        static let parts = 1_024
    }
    private let folder: Folder
    private let header: JournalHeader
    private let title: String
    private var done: [(temporary: String, muxer: TrackMuxer)] = []
    private var muxer: TrackMuxer?
    /// What the frames need now, and the stream the open part is of.
    private var configuration: CodecConfiguration?
    private var stream: UInt32 = 0
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
        if let configuration = frame.configuration { self.configuration = configuration }
        if beginsPart(frame) {
            guard let configuration, configuration.codec == frame.codec else { return }
            guard done.count < Limits.parts else { refused += 1; return }
            try endPart()
            stream = frame.stream
            temporary = "\(RecordingLayout.Names.tracks)/\(header.participant)/.\(header.track).\(done.count + 1).\(getpid()).new"
            try unlessRefused { () throws(WorkerError) -> Void in muxer = try TrackMuxer(path: "\(folder.path)/\(temporary)", configuration: configuration, title: title) }
        }
        try unlessRefused { () throws(WorkerError) -> Void in try muxer?.write(frame) }
    }
    private func beginsPart(_ frame: PresentedFrame) -> Bool {
        guard let muxer, frame.codec == muxer.configuration.codec else { return true }
        guard frame.isKey, !frame.isFiller else { return false }
        return configuration?.needsHeader(beside: muxer.configuration) == true || frame.stream != stream && done.count + 1 < Limits.streamParts
    }
    /// Gives the open part up when libav itself refuses; failures of the disk go on to the caller.
    private func unlessRefused(_ body: () throws(WorkerError) -> Void) throws(WorkerError) {
        do throws(WorkerError) { try body() } catch {
            guard error.failure == .internalError else { throw error }
            refused += 1
            muxer = nil
            configuration = nil
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

extension CodecConfiguration {
    /// A file's header holds it, and that of a file for `other` says something else. VP8 and VP9 say all in their frames.
    fileprivate func needsHeader(beside other: CodecConfiguration) -> Bool {
        switch (self, other) {
        case (.h264(_, let sps, let pps), .h264(_, let otherSPS, let otherPPS)): sps != otherSPS || pps != otherPPS
        case (.av1(_, let header), .av1(_, let otherHeader)): header != otherHeader
        default: codec != other.codec
        }
    }
}
