// A finished track's frames, part after part.
import Capture
import Glibc
import RTP

/// Reads the files metadata.json names. A file that is missing or cannot be read costs its part and a warning, not the job.
final class TrackFileSource: FrameSource {
    let track: SourceTrack
    private(set) var parameters: StreamParameters?
    private(set) var rotation = 0
    private(set) var isAtEnd = false
    private(set) var warnings: [String] = []
    private let folder: Folder
    private var parts: [Manifest.File]
    private var rotations: [Timeline.Entry]
    private var reader: PacketReader?
    private var stream: PacketReader.Stream?

    /// - Parameter rotations: the timeline's entries of this track, in order.
    init(_ folder: Folder, _ track: Manifest.Track, rotations: [Timeline.Entry] = []) {
        self.folder = folder
        self.track = SourceTrack(id: track.trackID, peer: track.peerID, kind: track.kind, source: track.source)
        self.rotations = rotations
        parts = track.files.reversed()
        isAtEnd = parts.isEmpty
    }

    func next(into packet: MediaPacket) throws(WorkerError) -> Bool {
        while !isAtEnd {
            guard let reader, let stream else { try openNext(); continue }
            guard try reader.next(into: packet) else { self.reader = nil; isAtEnd = parts.isEmpty; continue }
            guard packet.stream == stream.index, packet.time != Libav.noTime else { continue }
            packet.time = stream.timeBase.rescale(packet.time, to: Libav.microseconds)
            packet.duration = stream.timeBase.rescale(packet.duration, to: Libav.microseconds)
            // A whole millisecond may have been lost to rounding when the file was written.
            while let change = rotations.first, change.t * 1_000 <= packet.time + 1_000 { rotation = change.rotation ?? 0; rotations.removeFirst() }
            return true
        }
        return false
    }
    /// Of the first picture at or before `time` (µs) that decoding can begin with, where there is one.
    func seek(to time: Int64) throws(WorkerError) {
        while reader == nil, !isAtEnd { try openNext() }
        try reader?.seek(to: time)
    }
    private func openNext() throws(WorkerError) {
        guard let part = parts.popLast() else { isAtEnd = true; return }
        do throws(WorkerError) {
            let opened = try PacketReader("\(folder.path)/\(part.path)")
            guard let found = opened.streams.first(where: { track.kind == .audio ? $0.parameters.isAudio : $0.parameters.isVideo }) else {
                throw WorkerError(.internalError, "\(part.path) holds no \(track.kind.rawValue)")
            }
            reader = opened
            stream = found
            parameters = found.parameters
        } catch {
            warnings.append("track \(track.id): \(error.message)")
            isAtEnd = parts.isEmpty
        }
    }
}
