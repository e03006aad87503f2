// One medium of one upload as a file, on the recording's time.
import Capture
import Composition
import Glibc
import RTP

/// Writes packets as they are, under a temporary name. A picture that cannot be decoded because chunks are missing before it is left out.
final class DeviceFile {
    let stream: PacketReader.Stream
    /// µs of the recording's time; nil while nothing was written.
    private(set) var start: Int64?
    private(set) var holes: [Manifest.MissingPart] = []
    private let folder: Folder
    private let name: String
    private let temporary: String
    private let codec: Codec
    private let container: TrackMuxer.Container
    private let beginning: Int64
    private var gaps: ArraySlice<JoinedWebM.Gap>
    private var muxer: Muxer?
    private var end: Int64 = 0
    private var lastTime: Int64 = .min
    private var frames = 0
    private var keyFrames = 0
    private var needsKey: Bool
    /// What lies before the next packet, if it is not there.
    private var missing: HoleCause?
    private let leftOut: Spans

    /// - Parameters:
    ///   - name: of the file, without the container's ending.
    ///   - from: µs of the file's own time: earlier packets are left out.
    ///   - leftOut: µs of the recording's time of which nothing is written.
    init(
        _ folder: Folder, name: String, _ stream: PacketReader.Stream, _ codec: Codec, title: String, _ gaps: [JoinedWebM.Gap], from beginning: Int64, leftOut: Spans
    ) throws(WorkerError) {
        self.folder = folder; self.name = name; self.stream = stream; self.codec = codec; self.beginning = beginning; self.leftOut = leftOut
        self.gaps = gaps[...]
        container = TrackMuxer.Container(codec)
        needsKey = codec.kind == .video
        let parts = name.split(separator: "/")
        let parent = parts.dropLast().joined(separator: "/")
        try folder.makeFolders(parent)
        temporary = "\(parent)/.\(parts.last ?? "").\(getpid()).new"
        let muxer = try Muxer(.file("\(folder.path)/\(temporary)"), format: container.muxer, title: title)
        _ = try muxer.add(stream.parameters, timeBase: Libav.milliseconds)
        try muxer.begin()
        self.muxer = muxer
    }
    deinit {
        muxer = nil
        folder.remove(temporary)
    }

    /// - Parameters:
    ///   - time: µs of the file's own time.
    ///   - placed: µs of the recording's.
    func write(_ packet: MediaPacket, _ time: Int64, at placed: Int64) throws(WorkerError) {
        guard time >= beginning else { return }
        while let gap = gaps.first, let resumes = gap.resumes, time >= resumes - DeviceUpload.Limits.gapSlack {
            gaps.removeFirst()
            missing = .missingChunk
            needsKey = codec.kind == .video
        }
        if leftOut.contains(max(0, placed)) {
            missing = .leftOut
            needsKey = codec.kind == .video
            return
        }
        guard packet.isKey || !needsKey, codec.kind == .video || placed >= 0 else { return }
        needsKey = false
        // A picture from before the recording is what it begins with.
        let at = max(0, placed, lastTime == .min ? 0 : lastTime)
        let duration = packet.duration > 0 ? stream.timeBase.rescale(packet.duration, to: Libav.microseconds) : DeviceUpload.Limits.lastDuration
        let isKey = packet.isKey
        packet.time = (at + 500) / 1000
        packet.duration = max(1, (min(duration, DeviceUpload.Limits.longestDuration) + 500) / 1000)
        do throws(WorkerError) { try muxer?.write(packet, stream: 0) } catch {
            // What libav does not want to write is no fault of the disk: this file is given up.
            guard error.failure == .internalError else { throw error }
            muxer = nil
        }
        if let cause = missing.take(), start != nil, at > end { holes.append(Manifest.MissingPart(from: seconds(end), to: seconds(at), cause: cause, packets: 0)) }
        if start == nil { start = at }
        (lastTime, end) = (at, max(end, at + duration))
        frames += 1
        keyFrames += isKey ? 1 : 0
    }
    /// Ends the file and gives it its name; nil where libav could not write it.
    func publish() throws(WorkerError) -> Manifest.File? {
        guard let muxer, let start else { return nil }
        do throws(WorkerError) { try muxer.finish() } catch {
            guard error.failure == .internalError else { throw error }
            return nil
        }
        self.muxer = nil
        let full = "\(name).\(container.rawValue)"
        try folder.publish(temporary, as: full)
        let size = codec.kind == .video ? stream.parameters.size : nil
        return Manifest.File(
            path: full, codec: codec, container: container.rawValue, start: seconds(start), duration: seconds(end - start), size: folder.size(full),
            width: size?.width, height: size?.height, frames: frames, keyFrames: keyFrames)
    }
}
