// A container written by libavformat, to a file or to memory.
import CFFmpeg
import Capture

/// Owns one `AVFormatContext` for writing: `add` streams, `begin`, `write` frames, `finish`.
final class Muxer {
    enum Target {
        case file(String)
        /// What was written is taken by `takeBytes`, as often as the caller likes; for containers that are written from front to back.
        case memory
    }
    private enum Constants { static let bufferBytes: Int32 = 64 << 10 }
    /// What libavformat wrote and nobody has taken.
    private final class Sink { var bytes: [UInt8] = [] }

    private let context: UnsafeMutablePointer<AVFormatContext>
    private let name: String
    private let options: [(name: String, value: String)]
    private let sink: Sink?
    private var timeBases: [AVRational] = []

    /// - Parameters:
    ///   - format: libavformat's name: "webm", "matroska", "mp4", …
    ///   - options: the muxer's own ("movflags", …).
    init(_ target: Target, format: String, title: String? = nil, options: [(name: String, value: String)] = []) throws(WorkerError) {
        self.options = options
        var made: UnsafeMutablePointer<AVFormatContext>?
        var url: String?
        if case .file(let path) = target { name = path; url = "file:\(path)" } else { name = "a \(format) stream" }
        let doing = "make a \(format) muxer for \(name)"
        try Libav.check(avformat_alloc_output_context2(&made, nil, format, url), doing)
        guard let made else { throw Libav.noMemory("a muxer") }
        context = made
        // The recording's time zero is kept, and what is written depends on the input alone.
        context.pointee.avoid_negative_ts = 0
        context.pointee.flags |= AVFMT_FLAG_BITEXACT
        switch target {
        case .file(let path):
            sink = nil
            try Libav.check(avio_open(&context.pointee.pb, "file:\(path)", AVIO_FLAG_WRITE), "create \(path)")
        case .memory:
            let sink = Sink()
            self.sink = sink
            guard let buffer = av_malloc(Int(Constants.bufferBytes)) else { throw Libav.noMemory("a muxer") }
            context.pointee.pb = avio_alloc_context(
                buffer.assumingMemoryBound(to: UInt8.self), Constants.bufferBytes, 1, Unmanaged.passUnretained(sink).toOpaque(), nil,
                { opaque, bytes, count in
                    guard let opaque, let bytes, count > 0 else { return 0 }
                    Unmanaged<Sink>.fromOpaque(opaque).takeUnretainedValue().bytes.append(contentsOf: UnsafeBufferPointer(start: bytes, count: Int(count)))
                    return count
                }, nil)
            guard context.pointee.pb != nil else { av_free(buffer); throw Libav.noMemory("a muxer") }
        }
        if let title { av_dict_set(&context.pointee.metadata, "title", title, 0) }
    }
    deinit {
        close()
        avformat_free_context(context)
    }

    /// - Parameters:
    ///   - timeBase: units of the times of the stream's packets.
    ///   - tag: the sample entry, four characters, where the codec has several ("avc3").
    /// - Returns: the stream's number for `write`.
    func add(_ parameters: StreamParameters, timeBase: AVRational, tag: String? = nil) throws(WorkerError) -> Int {
        guard let stream = avformat_new_stream(context, nil) else { throw Libav.noMemory("a stream") }
        try Libav.check(avcodec_parameters_copy(stream.pointee.codecpar, parameters.raw), "add a stream to \(name)")
        stream.pointee.codecpar.pointee.codec_tag = tag.map { $0.utf8.reversed().reduce(0) { $0 << 8 | UInt32($1) } } ?? 0
        stream.pointee.time_base = timeBase
        timeBases.append(timeBase)
        return Int(stream.pointee.index)
    }
    /// Marks in the time line; before `begin`.
    /// - Parameter chapters: in order, µs; each lasts to the next, the last to `end`.
    func add(chapters: [(start: Int64, title: String)], end: Int64) throws(WorkerError) {
        guard !chapters.isEmpty else { return }
        // avformat_free_context frees the array and all in it.
        guard let list = av_calloc(chapters.count, MemoryLayout<UnsafeMutableRawPointer?>.stride) else { throw Libav.noMemory("chapters") }
        context.pointee.chapters = list.assumingMemoryBound(to: UnsafeMutablePointer<AVChapter>?.self)
        for (index, chapter) in chapters.enumerated() {
            guard let memory = av_mallocz(MemoryLayout<AVChapter>.stride) else { throw Libav.noMemory("chapters") }
            let made = memory.assumingMemoryBound(to: AVChapter.self)
            context.pointee.chapters[index] = made
            context.pointee.nb_chapters = UInt32(index + 1)
            made.pointee.id = Int64(index + 1)
            made.pointee.time_base = Libav.microseconds
            made.pointee.start = chapter.start
            made.pointee.end = index + 1 < chapters.count ? chapters[index + 1].start : end
            av_dict_set(&made.pointee.metadata, "title", chapter.title, 0)
        }
    }
    /// Writes the head; all streams have been added.
    func begin() throws(WorkerError) {
        var settings: OpaquePointer?
        defer { av_dict_free(&settings) }
        for option in options { av_dict_set(&settings, option.name, option.value, 0) }
        try Libav.check(avformat_write_header(context, &settings), "begin \(name)")
        if let unknown = av_dict_get(settings, "", nil, AV_DICT_IGNORE_SUFFIX) { throw WorkerError(.internalError, "this muxer has no option \(String(cString: unknown.pointee.key))") }
    }
    /// Writes a frame behind those before it, in the order of the calls; times in the stream's units. The packet is empty afterwards.
    /// - Parameters:
    ///   - timeBase: units of the packet's times, where they are not the stream's.
    ///   - isInterleaved: let libavformat sort frames of several streams, at the price of holding some.
    func write(_ packet: MediaPacket, stream: Int, timeBase: AVRational? = nil, isInterleaved: Bool = false) throws(WorkerError) {
        guard context.pointee.pb != nil, let target = context.pointee.streams[stream] else { return }
        defer { packet.clear() }
        av_packet_rescale_ts(packet.raw, timeBase ?? timeBases[stream], target.pointee.time_base)
        packet.raw.pointee.stream_index = Int32(stream)
        try Libav.check(isInterleaved ? av_interleaved_write_frame(context, packet.raw) : av_write_frame(context, packet.raw), "write \(name)")
    }
    /// Ends the fragment that is being written, where the container has such ("frag_custom").
    func endFragment() throws(WorkerError) {
        try Libav.check(av_write_frame(context, nil), "write \(name)")
        avio_flush(context.pointee.pb)
    }
    /// What was written to memory since the last call.
    func takeBytes() -> [UInt8] {
        avio_flush(context.pointee.pb)
        defer { sink?.bytes.removeAll() }
        return sink?.bytes ?? []
    }
    /// Writes the end (index, duration) and closes the file.
    func finish() throws(WorkerError) {
        guard context.pointee.pb != nil else { return }
        try Libav.check(av_write_trailer(context), "end \(name)")
        let failed = context.pointee.pb?.pointee.error ?? 0
        let closed = sink == nil ? close() : 0
        try Libav.check(failed != 0 ? failed : closed, "write \(name)")
    }
    @discardableResult
    private func close() -> Int32 {
        guard context.pointee.pb != nil else { return 0 }
        guard sink != nil else { return avio_closep(&context.pointee.pb) }
        av_freep(&context.pointee.pb.pointee.buffer)
        avio_context_free(&context.pointee.pb)
        return 0
    }
}
