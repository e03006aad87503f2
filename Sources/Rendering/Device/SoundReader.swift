// The levels of a sound, decoded.
import Capture
import RTP

/// Turns encoded sound into `SoundLevels`, packet by packet. What cannot be decoded is silence nobody knows of.
final class SoundReader {
    enum Limits {
        /// Samples at 8 kHz, 3 ms: smaller differences of timestamps are rounding.
        static let slip: Int64 = 24
    }
    private(set) var levels: SoundLevels
    private let decoder: Decoder
    private let timeBase: (Int64) -> Int64
    private let resampler = Resampler(rate: SoundLevels.rate, channels: 1)
    private let frame: MediaFrame
    private var samples: [[Float]] = [[]]
    private var due: Int64?

    /// - Parameter from: µs; nothing earlier is kept.
    init(_ stream: PacketReader.Stream, from: Int64) throws(WorkerError) {
        decoder = try Decoder(stream.parameters, timeBase: stream.timeBase)
        timeBase = { stream.timeBase.rescale($0, to: Libav.microseconds) }
        frame = try MediaFrame()
        levels = SoundLevels(from: from)
    }
    func read(_ packet: MediaPacket?) throws(WorkerError) {
        try decoder.send(packet)
        while try decoder.receive(frame) { try place() }
    }
    func finish() throws(WorkerError) {
        try read(nil)
        levels.finish()
    }
    private func place() throws(WorkerError) {
        samples[0].removeAll(keepingCapacity: true)
        // A format that cannot be resampled is as good as none.
        do throws(WorkerError) { try resampler.convert(frame, into: &samples) } catch { return }
        let time = frame.time == Libav.noTime ? nil : timeBase(frame.time)
        if let time, DeviceUpload.Limits.times.contains(time) {
            let wanted = time * Int64(SoundLevels.rate / 1_000) / 1_000
            if abs(wanted - (due ?? .min / 2)) > Limits.slip { due = wanted }
        }
        guard let position = due else { return }
        levels.add(samples[0], at: position)
        due = position + Int64(samples[0].count)
    }
}

extension SoundLevels {
    /// Of the server's files of one medium, between two times (µs of the recording). Files that cannot be read say nothing.
    static func read(_ sounds: [DeviceOrder.Sound], in folder: Folder, _ range: Range<Int64>) throws(WorkerError) -> SoundLevels {
        var all = SoundLevels(from: range.lowerBound)
        for sound in sounds {
            let own = Int64(sound.start * 1e6)..<Int64(max(sound.start, sound.start + sound.duration) * 1e6)
            guard own.overlaps(range) else { continue }
            do throws(WorkerError) {
                let reader = try PacketReader("\(folder.path)/\(sound.path)")
                guard let stream = reader.streams.first(where: { $0.parameters.isAudio }) else { continue }
                let packet = try MediaPacket(), ears = try SoundReader(stream, from: range.lowerBound)
                if range.lowerBound - own.lowerBound > DeviceUpload.Limits.preRoll { try? reader.seek(to: range.lowerBound - DeviceUpload.Limits.preRoll) }
                while try reader.next(into: packet) {
                    guard packet.stream == stream.index else { continue }
                    if packet.time != Libav.noTime, stream.timeBase.rescale(packet.time, to: Libav.microseconds) > range.upperBound { break }
                    try ears.read(packet)
                }
                try ears.finish()
                all.take(ears.levels)
            } catch { continue }
        }
        for hole in sounds.flatMap(\.holes) { all.forget(Int64(hole.from * 1e6) - DeviceUpload.Limits.preRoll..<Int64(hole.to * 1e6) + DeviceUpload.Limits.preRoll) }
        return all
    }
}
