// Where a published track's frames come from: made up, the beep and flash, or files.
internal import Primitives
internal import RTP

struct MediaFrame {
    var payloads: [[UInt8]]
    var isKeyFrame: Bool
}

/// A track's frames, one after the other. Time is the offset from the track's start on its capture clock.
protocol FrameSource {
    var codec: Codec { get }
    /// Whether payloads leave their last bytes to a stamp.
    var isStamped: Bool { get }
    /// When the next frame was captured.
    var nextOffset: Duration { get }
    /// - Parameter keyFrame: a receiver asked for one.
    mutating func next(keyFrame: Bool) -> MediaFrame
}

struct SyntheticAudio: FrameSource {
    let shape: AudioShape
    let codec = Codec.opus
    let isStamped = true
    private var index: Int64 = 0
    init(_ shape: AudioShape) { self.shape = shape }
    var nextOffset: Duration { .nanoseconds(index &* 1_000_000_000 / Int64(shape.rate)) }
    mutating func next(keyFrame: Bool) -> MediaFrame {
        index += 1
        var payload = [UInt8](repeating: 0xAA, count: shape.size)
        payload[0] = 0xF8   // RFC 6716 §3.1: CELT, full band, 20 ms, mono, one frame
        return MediaFrame(payloads: [payload], isKeyFrame: true)
    }
}

struct SyntheticVideo: FrameSource {
    let shape: VideoShape
    let codec = Codec.vp8
    let isStamped = true
    private var index: Int64 = 0
    init(_ shape: VideoShape) { self.shape = shape }
    var nextOffset: Duration { .nanoseconds(index &* 1_000_000_000 / Int64(shape.framesPerSecond)) }
    mutating func next(keyFrame: Bool) -> MediaFrame {
        defer { index += 1 }
        let isKey = keyFrame || index == 0
        return MediaFrame(
            payloads: VP8Payloads.synthetic(packets: shape.packetsPerFrame, size: shape.size, pictureID: UInt16(truncatingIfNeeded: index), isKeyFrame: isKey), isKeyFrame: isKey)
    }
}

struct BeepSource: FrameSource {
    let codec = Codec.opus
    let isStamped = false
    private var index = 0
    var nextOffset: Duration { .milliseconds(index * 1000 / BeepFlash.packetsPerSecond) }
    mutating func next(keyFrame: Bool) -> MediaFrame {
        defer { index += 1 }
        return MediaFrame(payloads: [BeepFlash.opus[index % BeepFlash.opus.count]], isKeyFrame: true)
    }
}
struct FlashSource: FrameSource {
    let codec = Codec.vp8
    let isStamped = false
    private var index = 0
    var nextOffset: Duration { .milliseconds(index * 1000 / BeepFlash.framesPerSecond) }
    mutating func next(keyFrame: Bool) -> MediaFrame {
        defer { index += 1 }
        let frame = index % BeepFlash.framesPerSecond < BeepFlash.whiteFrames ? BeepFlash.white : BeepFlash.black
        return MediaFrame(payloads: VP8Payloads.packetise(frame, pictureID: UInt16(truncatingIfNeeded: index)), isKeyFrame: true)
    }
}

/// Frames of a file, over and over. Asked for a key frame it goes on with the file's next one.
struct RecordedFrames: FrameSource {
    struct Frame: Equatable {
        var bytes: [UInt8]
        var duration: Duration
    }
    let codec: Codec
    let isStamped = false
    private let frames: [Frame]
    private var index = 0
    private var pictureID: UInt16 = 0
    private(set) var nextOffset = Duration.zero
    /// - Parameter frames: at least one.
    init?(codec: Codec, frames: [Frame]) {
        guard !frames.isEmpty else { return nil }
        self.codec = codec
        self.frames = frames
    }
    mutating func next(keyFrame: Bool) -> MediaFrame {
        if keyFrame, codec == .vp8, let skip = (0..<frames.count).first(where: { VP8Payloads.isKeyFrame(frames[(index + $0) % frames.count].bytes) }) { index += skip }
        let frame = frames[index % frames.count]
        index = (index + 1) % frames.count
        nextOffset += frame.duration
        guard codec == .vp8 else { return MediaFrame(payloads: [frame.bytes], isKeyFrame: true) }
        defer { pictureID = (pictureID &+ 1) & 0x7FFF }
        return MediaFrame(payloads: VP8Payloads.packetise(frame.bytes, pictureID: pictureID), isKeyFrame: VP8Payloads.isKeyFrame(frame.bytes))
    }
}

extension Material {
    /// The sources of one publisher.
    func sources(_ files: EncodedFiles) -> [any FrameSource] {
        switch self {
        case .synthetic(let audio, let video): (audio.map { [SyntheticAudio($0)] } ?? []) + (video.map { [SyntheticVideo($0)] } ?? [])
        case .beepFlash: [BeepSource(), FlashSource()]
        case .files: [files.audio, files.video].compactMap { $0 }
        }
    }
}
