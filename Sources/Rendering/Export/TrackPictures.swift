// The pictures of one recorded track, at whatever time they are asked for.
import Capture
import Composition
import RTP

/// Owns the file that is open and its decoder. Times mostly grow; far forward and backward it seeks.
///
/// A file that cannot be read is reported once and gives no picture: the export goes on with the placeholder.
final class TrackPictures {
    enum Limits {
        /// µs: a gap longer than this is jumped over instead of decoded.
        static let jump: Int64 = 5_000_000
    }
    private let folder: String
    private let source: RenderPlan.Source
    private let unreadable: (RenderPlan.Piece) -> Void
    private var openPiece: Int?
    private var reader: PacketReader?
    private var decoder: Decoder?
    private var stream: PacketReader.Stream?
    private let packet: MediaPacket
    private var shown: MediaFrame
    private var next: MediaFrame
    /// µs; nil where there is no such frame.
    private var shownTime: Int64?
    private var nextTime: Int64?
    private var hasEnded = false
    private var failed: Set<Int> = []
    /// Grows with each new picture `picture(at:)` returns.
    private(set) var serial = 0

    /// - Parameter unreadable: called once for each file that cannot be read.
    init(_ source: RenderPlan.Source, folder: String, unreadable: @escaping (RenderPlan.Piece) -> Void) throws(WorkerError) {
        self.source = source
        self.folder = folder
        self.unreadable = unreadable
        packet = try MediaPacket()
        shown = try MediaFrame()
        next = try MediaFrame()
    }

    /// The latest picture at or before `time` (the recording's, µs); nil before the first, or where no file can be read.
    /// Valid until the next call.
    func picture(at time: Int64) throws(WorkerError) -> MediaFrame? {
        // A frame's time is rounded to the millisecond in the file: half of one early is on time.
        guard let piece = source.pieces.lastIndex(where: { $0.range.lowerBound <= time + 500 }) else { return nil }
        let target = time + 500
        if piece != openPiece { try open(piece, for: target) }
        guard reader != nil else { return nil }
        if let at = nextTime ?? shownTime, target < (shownTime ?? 0) || (target - at > Limits.jump && !hasEnded) { try seek(to: target) }
        while true {
            if nextTime == nil, !hasEnded { try decode() }
            guard let due = nextTime, due <= target else { break }
            swap(&shown, &next)
            (shownTime, nextTime) = (due, nil)
            serial += 1
        }
        return shownTime == nil ? nil : shown
    }

    private func open(_ piece: Int, for target: Int64) throws(WorkerError) {
        (openPiece, reader, decoder, stream) = (piece, nil, nil, nil)
        (shownTime, nextTime, hasEnded) = (nil, nil, false)
        guard !failed.contains(piece) else { return }
        do throws(WorkerError) {
            let opened = try PacketReader("\(folder)/\(source.pieces[piece].path)")
            guard let video = opened.streams.first(where: { $0.parameters.isVideo }) else { throw WorkerError(.missing, "no picture in \(opened.path)") }
            decoder = try Decoder(video.parameters, timeBase: video.timeBase)
            (reader, stream) = (opened, video)
            if target - source.pieces[piece].range.lowerBound > Limits.jump { try? opened.seek(to: target) }
        } catch {
            failed.insert(piece)
            unreadable(source.pieces[piece])
        }
    }
    private func seek(to target: Int64) throws(WorkerError) {
        do throws(WorkerError) { try reader?.seek(to: max(0, target)) } catch { return }
        decoder?.flush()
        (nextTime, hasEnded) = (nil, false)
    }
    /// Puts the next frame of the file into `next`, or sets `hasEnded`.
    private func decode() throws(WorkerError) {
        guard let reader, let decoder, let stream else { hasEnded = true; return }
        while true {
            if try decoder.receive(next) {
                guard next.time != Libav.noTime else { continue }
                nextTime = stream.timeBase.rescale(next.time, to: Libav.microseconds)
                return
            }
            guard !hasEnded else { return }
            repeat {
                guard try reader.next(into: packet) else {
                    hasEnded = true
                    break
                }
            } while packet.stream != stream.index
            try decoder.send(hasEnded ? nil : packet)
        }
    }
}
