// Pictures and samples into one file.
import CFFmpeg
import Capture
import Composition

/// Owns the encoders and the muxer of an export; frames go in side by side in time.
final class ExportWriter {
    private let muxer: Muxer
    private let video: (encoder: Encoder, stream: Int)?
    private let audio: (encoder: Encoder, stream: Int)
    private let packet: MediaPacket
    /// Samples an audio frame takes.
    let frameSamples: Int

    init(_ path: String, _ format: ExportFormat, _ preset: ExportPreset, _ plan: RenderPlan, title: String, threads: Int) throws(WorkerError) {
        packet = try MediaPacket()
        muxer = try Muxer(.file(path), format: format.muxer, title: title, options: format.muxerOptions)
        if let settings = format.video(preset, plan.picture, framesPerSecond: plan.framesPerSecond, threads: threads) {
            let encoder = try Encoder(settings)
            video = (encoder, try muxer.add(encoder.parameters, timeBase: encoder.timeBase))
        } else {
            video = nil
        }
        let encoder = try Encoder(format.audio)
        audio = (encoder, try muxer.add(encoder.parameters, timeBase: encoder.timeBase))
        frameSamples = encoder.frameSamples > 0 ? encoder.frameSamples : 1_024
        try muxer.add(chapters: plan.chapters.map { ($0.at, $0.title) }, end: plan.duration)
        try muxer.begin()
    }
    func write(_ picture: MediaFrame) throws(WorkerError) {
        guard let video else { return }
        try video.encoder.send(picture)
        try drain(video, duration: 1)
    }
    /// - Parameter samples: planar, `frameSamples` of each channel, fewer only in the last call.
    func write(_ samples: [[Float]], at position: Int64) throws(WorkerError) {
        try audio.encoder.send(samples, from: 0, count: samples[0].count, time: position)
        try drain(audio, duration: nil)
    }
    func finish() throws(WorkerError) {
        if let video {
            try video.encoder.send(nil)
            try drain(video, duration: 1)
        }
        try audio.encoder.send(nil)
        try drain(audio, duration: nil)
        try muxer.finish()
    }
    private func drain(_ track: (encoder: Encoder, stream: Int), duration: Int64?) throws(WorkerError) {
        while try track.encoder.receive(packet) {
            if let duration { packet.duration = duration }
            try muxer.write(packet, stream: track.stream, isInterleaved: true)
        }
    }
}
