// One upload's chunks, hostile for all we know, into tracks on the recording's time.
import CFFmpeg
import Capture
import Composition
import Glibc
import Primitives
import RTP

/// Carries out the order in a recording's folder: joins the chunks, finds their place in time, writes a file for each medium.
/// Runs in a process of its own (`troupe-media device`); blocking. Two passes over the chunks: the first listens, the second writes.
package final class DeviceUpload {
    package enum Limits {
        /// µs a file's time may have: eight days.
        static let times = -1_000_000..<(691_200_000_000 as Int64)
        /// µs decoded before a place that was jumped to.
        static let preRoll: Int64 = 100_000
        /// µs by which a packet behind a gap may seem to lie before it: Opus's delay.
        static let gapSlack: Int64 = 20_000
        /// Key frames remembered in the first pass.
        static let keys = 1_000_000
        /// µs of a packet that tells none, and at most.
        static let lastDuration: Int64 = 33_333
        static let longestDuration: Int64 = 1_000_000
    }
    private let folder: Folder
    private let order: DeviceOrder

    /// - Parameter path: the recording's folder, with the order in it.
    package convenience init(path: String) throws(WorkerError) {
        let folder = Folder(path)
        self.init(folder, try folder.readJSON(DeviceOrder.self, DeviceOrder.Names.order))
    }
    init(_ folder: Folder, _ order: DeviceOrder) { self.folder = folder; self.order = order }

    /// Writes the outcome beside the order.
    package func run() throws(WorkerError) -> WorkerVerdict {
        let tracks = try make()
        try folder.writeJSON(DeviceOutcome(tracks: tracks), as: DeviceOrder.Names.outcome, isDurable: false)
        let files = tracks.compactMap(\.file)
        return WorkerVerdict(
            ok: true, code: "ready", duration: files.map { $0.start + $0.duration }.max() ?? 0, size: files.reduce(0) { $0 + $1.size }, tracks: files.count,
            complete: tracks.allSatisfy { $0.reason == nil && $0.chunks.isWhole })
    }

    func make() throws(WorkerError) -> [Manifest.DeviceTrack] {
        guard let upload = try folder.uploads(order.peer)?.upload(order.upload, order.kind) else {
            throw WorkerError(.missing, "uploads.json of \(order.peer) names no upload \(order.upload)")
        }
        let joined = try JoinedUpload(folder, order.peer, upload)
        func failed(_ reason: String) -> [Manifest.DeviceTrack] {
            [Manifest.DeviceTrack(peerID: order.peer, upload: order.upload, kind: order.kind, source: order.kind.sources[0].source, chunks: joined.chunks, reason: reason)]
        }
        if let failure = joined.joined.failure { return failed(failure.rawValue) }
        let survey: Survey
        do throws(WorkerError) { survey = try self.survey(joined) } catch {
            // What libav makes of a stranger's file is the file's fault, unless memory or the disk gave out.
            guard error.failure == .internalError else { throw error }
            return failed("unreadable")
        }
        guard !survey.media.isEmpty else { return failed("no_media") }
        return try write(joined, survey, try align(upload, survey))
    }

    // MARK: - First pass

    private struct Medium {
        var source: String
        var stream: PacketReader.Stream
        var codec: Codec?
    }
    private struct Survey {
        var media: [Medium] = []
        /// µs of the file's time.
        var keys: [Int64] = []
        var last: Int64 = 0
        var levels: SoundLevels?
    }
    private func survey(_ joined: JoinedUpload) throws(WorkerError) -> Survey {
        let reader = try PacketReader(joined.makeStream(), name: "upload \(order.upload)"), packet = try MediaPacket()
        var survey = Survey()
        for (kind, source) in order.kind.sources {
            guard let stream = reader.streams.first(where: { kind == .video ? $0.parameters.isVideo : $0.parameters.isAudio }) else { continue }
            survey.media.append(Medium(source: source, stream: stream, codec: Codec(stream.parameters)))
        }
        let sound = survey.media.first { $0.stream.parameters.isAudio && $0.codec != nil }?.stream, picture = survey.media.first { $0.stream.parameters.isVideo }?.stream
        let ears = try sound.map { stream throws(WorkerError) in try SoundReader(stream, from: 0) }
        while try reader.next(into: packet) {
            guard let stream = survey.media.first(where: { $0.stream.index == packet.stream })?.stream, let time = stream.time(of: packet) else { continue }
            survey.last = max(survey.last, time)
            if packet.stream == picture?.index, packet.isKey, survey.keys.count < Limits.keys { survey.keys.append(time) }
            if packet.stream == sound?.index { try ears?.read(packet) }
        }
        try ears?.finish()
        survey.levels = ears?.levels
        return survey
    }

    private func align(_ upload: UploadIndex.Upload, _ survey: Survey) throws(WorkerError) -> DeviceAlignment {
        let uncertainty = max(0, upload.offsetUncertainty)
        guard let device = survey.levels, !order.sounds.isEmpty else { return DeviceAlignment(clock: order.clock, uncertainty: uncertainty) }
        let search = DeviceAlignment.search(uncertainty: uncertainty)
        let from = order.clock - search, until = order.clock + survey.last + search
        guard until > 0, until > from else { return DeviceAlignment(clock: order.clock, uncertainty: uncertainty) }
        let server = try SoundLevels.read(order.sounds, in: folder, max(0, from)..<until)
        let (findings, asked) = SoundOffset.find(device: device, server: server, expected: order.clock, search: search)
        return DeviceAlignment(clock: order.clock, uncertainty: uncertainty, findings: findings, asked: asked)
    }

    // MARK: - Second pass

    private func write(_ joined: JoinedUpload, _ survey: Survey, _ alignment: DeviceAlignment) throws(WorkerError) -> [Manifest.DeviceTrack] {
        let reader = try PacketReader(joined.makeStream(), name: "upload \(order.upload)"), packet = try MediaPacket()
        // Where the alignment may be off, more is left out.
        let leftOut = Spans(order.leftOut.filter { $0.count == 2 && $0[0] < $0[1] }.map { max(0, $0[0] - alignment.uncertainty)..<($0[1] < .max / 2 ? $0[1] + alignment.uncertainty : .max) })
        var files: [DeviceFile] = []
        for medium in survey.media {
            guard let codec = medium.codec, let name = order.files[medium.source] else { continue }
            let before = survey.keys.last { alignment.recorded($0).map { $0 <= 0 } ?? false }
            let beginning = medium.stream.parameters.isVideo ? before ?? survey.keys.first ?? Int64.max : Int64.min
            files.append(try DeviceFile(folder, name: name, medium.stream, codec, title: order.title, joined.joined.gaps, from: beginning, leftOut: leftOut))
        }
        while try reader.next(into: packet) {
            guard let file = files.first(where: { $0.stream.index == packet.stream }), let time = file.stream.time(of: packet), let placed = alignment.recorded(time),
                placed < Limits.times.upperBound
            else { continue }
            try file.write(packet, time, at: placed)
        }
        return try survey.media.map { medium throws(WorkerError) in
            var track = Manifest.DeviceTrack(peerID: order.peer, upload: order.upload, kind: order.kind, source: medium.source, chunks: joined.chunks)
            track.alignment = alignment
            guard let file = files.first(where: { $0.stream.index == medium.stream.index }) else { track.reason = "codec"; return track }
            guard let start = file.start, start < order.duration else { track.reason = file.start != nil ? "not_in_recording" : leftOut.ranges.isEmpty ? "no_media" : "left_out"; return track }
            track.file = try file.publish()
            track.holes = file.holes
            if track.file == nil { track.reason = "unreadable" }
            return track
        }
    }
}

extension UploadKind {
    /// The media such an upload can hold, by the names their publishers give them; the one it is about first.
    var sources: [(kind: Codec.Kind, source: String)] {
        switch self {
        case .camera: [(.video, Manifest.Source.camera), (.audio, Manifest.Source.microphone)]
        case .screen: [(.video, Manifest.Source.screen), (.audio, Manifest.Source.screenSound)]
        case .audio: [(.audio, Manifest.Source.microphone)]
        }
    }
}
extension Codec {
    /// nil for what recordings do not hold.
    init?(_ parameters: StreamParameters) {
        switch parameters.raw.pointee.codec_id {
        case AV_CODEC_ID_OPUS: self = .opus
        case AV_CODEC_ID_VP8: self = .vp8
        case AV_CODEC_ID_VP9: self = .vp9
        case AV_CODEC_ID_H264: self = .h264
        case AV_CODEC_ID_AV1: self = .av1
        default: return nil
        }
    }
}
extension PacketReader.Stream {
    /// µs; nil where it has none, or none that can be.
    fileprivate func time(of packet: MediaPacket) -> Int64? {
        guard packet.time != Libav.noTime else { return nil }
        let time = timeBase.rescale(packet.time, to: Libav.microseconds)
        return DeviceUpload.Limits.times.contains(time) ? time : nil
    }
}
