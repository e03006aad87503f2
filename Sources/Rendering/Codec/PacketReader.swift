// Encoded frames out of a file.
import CFFmpeg
import Capture
import Glibc

/// Owns one `AVFormatContext` opened for reading. Reads files of this machine only, in the containers we write ourselves or
/// browsers record, or a joined upload: nothing in it makes it open anything else.
final class PacketReader {
    enum Limits {
        static let formats = "matroska,webm,mov,mp4"
        static let joinedFormats = "matroska,webm"
        static let streams: Int32 = 16
        /// Bytes and µs looked at to find out what is inside.
        static let probeBytes: Int64 = 4 << 20
        static let probeDuration: Int64 = 2_000_000
    }
    struct Stream {
        let index: Int
        let parameters: StreamParameters
        /// Units of its packets' times.
        let timeBase: AVRational
    }
    let path: String
    let streams: [Stream]
    private var context: UnsafeMutablePointer<AVFormatContext>?
    private let input: StreamInput?

    convenience init(_ path: String) throws(WorkerError) { try self.init(path, nil) }
    /// A joined upload, from its beginning; it cannot seek.
    /// - Parameter name: for messages.
    convenience init(_ stream: JoinedStream, name: String) throws(WorkerError) { try self.init(name, StreamInput(stream)) }

    private init(_ path: String, _ input: StreamInput?) throws(WorkerError) {
        self.path = path
        self.input = input
        var options: OpaquePointer?
        av_dict_set(&options, "protocol_whitelist", "file", 0)
        av_dict_set(&options, "format_whitelist", input == nil ? Limits.formats : Limits.joinedFormats, 0)
        av_dict_set(&options, "max_streams", "\(Limits.streams)", 0)
        av_dict_set(&options, "probesize", "\(Limits.probeBytes)", 0)
        av_dict_set(&options, "analyzeduration", "\(Limits.probeDuration)", 0)
        defer { av_dict_free(&options) }
        var opened: UnsafeMutablePointer<AVFormatContext>?
        if let input {
            opened = avformat_alloc_context()
            guard opened != nil else { throw Libav.noMemory("a demuxer") }
            opened?.pointee.pb = input.context
        }
        try Libav.check(avformat_open_input(&opened, input == nil ? "file:\(path)" : nil, nil, &options), "read \(path)")
        // From here on `deinit` would close it, but streams must be set first: close by hand until all is well.
        do {
            streams = try Self.survey(opened, path)
        } catch {
            avformat_close_input(&opened)
            throw error
        }
        context = opened
    }
    deinit { avformat_close_input(&context) }

    private static func survey(_ context: UnsafeMutablePointer<AVFormatContext>?, _ path: String) throws(WorkerError) -> [Stream] {
        guard let context else { throw WorkerError(.internalError, "cannot read \(path)") }
        try Libav.check(avformat_find_stream_info(context, nil), "find the streams of \(path)")
        var found: [Stream] = []
        for index in 0..<Int(context.pointee.nb_streams) {
            guard let stream = context.pointee.streams[index], let parameters = stream.pointee.codecpar else { continue }
            found.append(Stream(index: index, parameters: try StreamParameters(copying: parameters), timeBase: stream.pointee.time_base))
        }
        return found
    }

    /// The next packet of any stream; false at the end. What a damaged file holds behind the damage is left out.
    func next(into packet: MediaPacket) throws(WorkerError) -> Bool {
        packet.clear()
        let code = av_read_frame(context, packet.raw)
        if code == Libav.outOfMemory { throw Libav.noMemory("a packet of \(path)") }
        return code >= 0
    }
    /// Goes on with the key frame at or before `time`.
    /// - Parameter time: µs.
    func seek(to time: Int64) throws(WorkerError) {
        try Libav.check(av_seek_frame(context, -1, time, AVSEEK_FLAG_BACKWARD), "seek in \(path)")
    }
}

/// Owns the `AVIOContext` through which libavformat reads a joined upload.
private final class StreamInput {
    private enum Constants { static let bufferBytes: Int32 = 64 << 10 }
    private(set) var context: UnsafeMutablePointer<AVIOContext>?
    private let stream: JoinedStream

    init(_ stream: JoinedStream) throws(WorkerError) {
        self.stream = stream
        guard let buffer = av_malloc(Int(Constants.bufferBytes)) else { throw Libav.noMemory("a demuxer") }
        context = avio_alloc_context(
            buffer.assumingMemoryBound(to: UInt8.self), Constants.bufferBytes, 0, Unmanaged.passUnretained(stream).toOpaque(),
            { opaque, bytes, count in
                guard let opaque, let bytes, count > 0 else { return Libav.endOfFile }
                let read = Unmanaged<JoinedStream>.fromOpaque(opaque).takeUnretainedValue().read(into: UnsafeMutableRawBufferPointer(start: bytes, count: Int(count)))
                return read > 0 ? Int32(read) : Libav.endOfFile
            }, nil, nil)
        guard let context else { av_free(buffer); throw Libav.noMemory("a demuxer") }
        context.pointee.seekable = 0
    }
    deinit {
        guard context != nil else { return }
        av_freep(&context!.pointee.buffer)
        avio_context_free(&context)
    }
}
