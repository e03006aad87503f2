// One file of one track, written by libavformat without transcoding.
import Capture
import RTP

/// Frames in, WebM (Matroska for H.264) out, with cues for seeking.
///
/// Timestamps are milliseconds from the recording's time zero: a track that begins later begins later in its file.
final class TrackMuxer {
    enum Container: String {
        case webm
        case matroska = "mkv"
        init(_ codec: Codec) { self = codec == .h264 ? .matroska : .webm }
        var muxer: String { self == .webm ? "webm" : "matroska" }
    }
    let configuration: CodecConfiguration
    private(set) var frames = 0
    private(set) var keyFrames = 0
    private(set) var start: Int64?
    private(set) var end: Int64 = 0
    private let muxer: Muxer
    private let packet: MediaPacket
    private var lastTimestamp: Int64 = .min

    init(path: String, configuration: CodecConfiguration, title: String) throws(WorkerError) {
        self.configuration = configuration
        packet = try MediaPacket()
        muxer = try Muxer(.file(path), format: Container(configuration.codec).muxer, title: title)
        _ = try muxer.add(try StreamParameters(configuration), timeBase: Libav.milliseconds)
        try muxer.begin()
    }

    func write(_ frame: PresentedFrame) throws(WorkerError) {
        let time = max(Self.milliseconds(frame.time), lastTimestamp)
        try packet.fill(frame.data, time: time, duration: max(1, Self.milliseconds(frame.time + frame.duration) - time), isKey: frame.isKey)
        try muxer.write(packet, stream: 0)
        lastTimestamp = time
        if start == nil { start = frame.time }
        end = frame.time + frame.duration
        frames += 1
        if frame.isKey { keyFrames += 1 }
    }
    /// Writes cues and duration and closes the file.
    func finish() throws(WorkerError) { try muxer.finish() }

    private static func milliseconds(_ microseconds: Int64) -> Int64 { (microseconds + 500) / 1000 }
}
