// What an export is written as.
import RTP

package enum ExportFormat: String, CaseIterable, Sendable {
    /// H.264 and AAC, index in front.
    case mp4
    /// VP8 and Opus.
    case webm
    /// AAC alone.
    case m4a
}

/// How much work the encoder may take for the same picture.
package enum ExportPreset: String, CaseIterable, Sendable { case fast, standard, high }

extension ExportFormat {
    var muxer: String { self == .m4a ? "ipod" : rawValue }
    var muxerOptions: [(name: String, value: String)] { self == .webm ? [] : [("movflags", "+faststart")] }

    /// nil: no picture.
    func video(_ preset: ExportPreset, _ size: VideoSize, framesPerSecond: Int, threads: Int) -> Encoder.Video? {
        // Two seconds from key frame to key frame: what a player's seek costs.
        var video = Encoder.Video(size: size, frameRate: framesPerSecond, keyEvery: framesPerSecond * 2)
        video.threads = threads
        switch self {
        case .m4a: return nil
        case .mp4:
            video.options = switch preset {
            case .fast: [("preset", "superfast"), ("crf", "25")]
            case .standard: [("preset", "veryfast"), ("crf", "23")]
            case .high: [("preset", "medium"), ("crf", "20")]
            }
        case .webm:
            video.name = "libvpx"
            // Its threads wait for each other by spinning: on a busy machine two take ten times the work of one.
            video.threads = 1
            // Tenths of a bit a pixel.
            let quality: Int64 = switch preset { case .fast: 5; case .standard: 7; case .high: 12 }
            video.bitRate = Int64(size.width * size.height * framesPerSecond) * quality / 100
            let speed = switch preset { case .fast: "12"; case .standard: "8"; case .high: "4" }
            video.options = [("deadline", "realtime"), ("cpu-used", speed), ("lag-in-frames", "0"), ("auto-alt-ref", "0"), ("static-thresh", "100")]
        }
        return video
    }
    var audio: Encoder.Audio {
        var audio = Encoder.Audio(bitRate: self == .webm ? 96_000 : 128_000)
        audio.channels = TrackSamples.Format.channels
        audio.rate = TrackSamples.Format.rate
        if self == .webm { audio.name = "libopus" }
        return audio
    }
}
