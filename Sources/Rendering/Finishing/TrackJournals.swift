// The segments of one track in a recording's folder, mapped while they are read.
import Capture
import Primitives

/// Reads a track's packets in order, as often as wanted; no more than the segments being merged are mapped at a time.
final class TrackJournals {
    private let folder: Folder
    private let paths: [String]
    private let segments: TrackSegments
    /// Of all segments.
    let bytes: Int
    let warnings: [String]

    init(_ folder: Folder, _ recording: RecordingID, _ track: TrackID, offsets: [String: Int64]) throws(WorkerError) {
        let below = "\(RecordingLayout.Names.journals)/\(track)"
        let names = try folder.entries(below).filter { $0.hasSuffix(".\(Journal.fileExtension)") }
        var segments = TrackSegments(recording: recording, track: track, offsets: offsets), bytes = 0, warnings: [String] = []
        if names.count > Finaliser.Limits.segments { warnings.append("track \(track): only \(Finaliser.Limits.segments) of \(names.count) segments are read") }
        paths = names.prefix(Finaliser.Limits.segments).map { "\(below)/\($0)" }
        for (number, path) in paths.enumerated() {
            guard let file = try? MappedFile("\(folder.path)/\(path)") else { warnings.append("\(path) cannot be opened"); continue }
            segments.add(file.bytes, number: number)
            bytes += file.bytes.count
            withExtendedLifetime(file) {}
        }
        (self.folder, self.segments, self.bytes, self.warnings) = (folder, segments, bytes, warnings)
    }

    /// - Parameters:
    ///   - take: is given each packet, its stream's index, and the receive time (µs) before which all were given.
    ///   - held: the receive time of the oldest packet whose bytes are still needed.
    ///   - end: nothing comes any more; afterwards no packet's bytes are there.
    /// - Returns: nil where no segment can be read.
    func read(_ take: (CapturedPacket, _ stream: Int, _ released: Int64) -> Void = { _, _, _ in }, held: () -> Int64? = { nil }, end: () -> Void = {}) -> TrackEvidence? {
        guard var merge = TrackMerge(segments) else { return nil }
        var mapped: [Int: MappedFile] = [:]
        while true {
            while let (stream, packet) = merge.next() { take(packet, stream, merge.released) }
            guard let number = merge.wanted else { break }
            let oldest = held()
            mapped = mapped.filter { !merge.isDone($0.key, held: oldest) }
            let file = try? MappedFile("\(folder.path)/\(paths[number])")
            mapped[number] = file
            merge.open(file?.bytes)
        }
        withExtendedLifetime(mapped, end)
        return merge.finish()
    }
}
