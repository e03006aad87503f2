// A finished track's frames, part after part.
import Capture
import Composition
import Glibc
import Primitives
import RTP

/// Reads the files metadata.json names. A file that is missing or cannot be read costs its part and a warning, not the job.
final class TrackFileSource: FrameSource {
    enum Limits {
        /// µs before a stretch that is wanted, decoded for Opus to settle (RFC 7845 §4.6), and behind it for the fade.
        static let preRoll: Int64 = 80_000
        static let tail: Int64 = 20_000
        /// µs: what is not wanted for longer than this is jumped over.
        static let jump: Int64 = 5_000_000
    }
    let track: SourceTrack
    private(set) var parameters: StreamParameters?
    private(set) var rotation = 0
    private(set) var isAtEnd = false
    private(set) var warnings: [String] = []
    let shown: Spans?
    private let folder: Folder
    private var parts: [Manifest.File]
    private var rotations: [Timeline.Entry]
    private var reader: PacketReader?
    private var stream: PacketReader.Stream?
    /// Stretches nothing else is read for, the next one last; nil: everything is read.
    private var wanted: [Range<Int64>]?

    /// - Parameters:
    ///   - rotations: the timeline's entries of this track, in order.
    ///   - filled: when a browser's recording stands in for it.
    init(_ folder: Folder, _ track: Manifest.Track, rotations: [Timeline.Entry] = [], without filled: Spans = Spans()) {
        self.folder = folder
        shown = filled.ranges.isEmpty ? nil : Spans([.min / 4..<(.max / 4)]).subtracting(filled)
        self.track = SourceTrack(id: track.trackID, peer: track.peerID, kind: track.kind, source: track.source)
        self.rotations = rotations
        parts = track.files.reversed()
        isAtEnd = parts.isEmpty
    }

    /// A browser's recording, only where it is wanted.
    init(_ folder: Folder, _ device: Manifest.DeviceTrack, only spans: Spans) {
        self.folder = folder
        track = SourceTrack(id: TrackID("\(device.source)-\(device.upload)"), peer: device.peerID, kind: device.medium, source: device.source)
        rotations = []
        shown = spans
        wanted = spans.ranges.reversed()
        parts = device.file.map { [$0] } ?? []
        isAtEnd = parts.isEmpty || spans.ranges.isEmpty
    }

    func next(into packet: MediaPacket) throws(WorkerError) -> Bool {
        while !isAtEnd {
            guard let reader, let stream else { try openNext(); continue }
            guard try reader.next(into: packet) else { self.reader = nil; isAtEnd = parts.isEmpty; continue }
            guard packet.stream == stream.index, packet.time != Libav.noTime else { continue }
            packet.time = stream.timeBase.rescale(packet.time, to: Libav.microseconds)
            if wanted != nil, try jump(from: packet.time) { continue }
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
    /// Behind what is wanted: to the next stretch, or the end.
    /// - Returns: true when the packet that was read is not to be used.
    private func jump(from time: Int64) throws(WorkerError) -> Bool {
        guard let now = wanted?.last, time >= now.upperBound + Limits.tail else { return false }
        wanted?.removeLast()
        guard let next = wanted?.last else { isAtEnd = true; return true }
        guard next.lowerBound - time > Limits.jump else { return try jump(from: time) }
        try reader?.seek(to: max(0, next.lowerBound - Limits.preRoll))
        return true
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
            if let first = wanted?.last, first.lowerBound > Limits.jump { try opened.seek(to: first.lowerBound - Limits.preRoll) }
        } catch {
            warnings.append("track \(track.id): \(error.message)")
            isAtEnd = parts.isEmpty
        }
    }
}
