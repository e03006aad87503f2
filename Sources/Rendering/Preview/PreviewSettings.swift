// How a preview looks and what it may cost.
import Capture
import RTP

package struct PreviewSettings: Sendable {
    package enum Limits {
        /// Lines of the picture that may be asked for.
        package static let heights = 90...1_080
        package static let segmentSeconds: Set<Int> = [2, 4]
        package static let frameRates: Set<Int> = [10, 15, 24, 25, 30]
        /// Peers and shared screens of one recording; more are left out with a warning.
        static let lanes = 200
    }
    package var segmentSeconds = 2
    package var height = 360
    package var frameRate = 15
    /// Go on while the recording runs.
    package var follow = false
    package init() {}

    var grid: PreviewGrid { PreviewGrid(segmentSeconds: segmentSeconds, frameRate: frameRate) }
    /// 16:9, both sides even.
    var size: VideoSize { VideoSize(width: (height * 16 / 9 + 1) & ~1, height: height & ~1) }
}

/// libx264 for one lane: fast, no reordering, nothing held back, key frames where we ask for them and nowhere else.
enum PreviewEncoding {
    /// Quality (x264's rate factor, smaller is better) and the most bits a second at 360 lines.
    struct Quality: Equatable {
        let rateFactor: Int
        let bitRate: Int64
        static let speaking = Quality(rateFactor: 27, bitRate: 800_000)
        static let listening = Quality(rateFactor: 33, bitRate: 250_000)
    }
    static let soundBitRate: Int64 = 64_000
    /// µs between copied pictures, at least: containers count coarser than clocks.
    static let leastStep: Int64 = 1_000

    static func video(_ settings: PreviewSettings, size: VideoSize) -> Encoder.Video {
        var video = Encoder.Video(size: size, frameRate: settings.frameRate, keyEvery: settings.grid.framesPerSegment)
        video.maximumBitRate = bitRate(.speaking, size)
        video.bufferBits = Int32(clamping: video.maximumBitRate)
        video.options = [
            ("preset", "superfast"), ("profile", "main"), ("crf", "\(Quality.speaking.rateFactor)"), ("forced-idr", "1"),
            // force-cfr: else x264 waits for the next picture to know how long this one lasts.
            ("x264-params", "force-cfr=1:weightp=0:scenecut=0:bframes=0:rc-lookahead=0:sync-lookahead=0:mbtree=0:subme=0:keyint=\(settings.grid.framesPerSegment):min-keyint=\(settings.grid.framesPerSegment)"),
        ]
        return video
    }
    static func audio() -> Encoder.Audio {
        var audio = Encoder.Audio(bitRate: soundBitRate)
        audio.options = [("aac_coder", "fast")]
        return audio
    }
    /// Grows with the picture's area.
    static func bitRate(_ quality: Quality, _ size: VideoSize) -> Int64 { max(quality.bitRate / 4, quality.bitRate * Int64(size.width * size.height) / (640 * 360)) }
}
