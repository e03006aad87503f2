// Filters of libavfilter, one behind the other.
import CFFmpeg
import Capture
import RTP

/// Owns one `AVFilterGraph`: a source, the filters in their order, a sink. Frames in, frames out.
///
/// Options are set one by one and never written into a description, so that no text from outside is parsed as filters.
final class FilterChain {
    struct Filter {
        /// libavfilter's name.
        let name: String
        let options: [(name: String, value: String)]
        init(_ name: String, _ options: [(name: String, value: String)] = []) { self.name = name; self.options = options }
    }
    private var graph: UnsafeMutablePointer<AVFilterGraph>?
    private let source: UnsafeMutablePointer<AVFilterContext>
    private let sink: UnsafeMutablePointer<AVFilterContext>

    /// For pictures in planar 4:2:0; times are frames.
    convenience init(picture size: VideoSize, _ filters: [Filter]) throws(WorkerError) {
        let source = Filter("buffer", [("video_size", "\(size.width)x\(size.height)"), ("pix_fmt", "yuv420p"), ("time_base", "1/1"), ("pixel_aspect", "1/1")])
        try self.init([source] + filters + [Filter("format", [("pix_fmts", "yuv420p")]), Filter("buffersink")])
    }
    /// For planar floats, in and out; times are samples.
    convenience init(rate: Int, channels: Int, _ filters: [Filter]) throws(WorkerError) {
        let layout = channels == 1 ? "mono" : "stereo"
        let source = Filter("abuffer", [("sample_rate", "\(rate)"), ("sample_fmt", "fltp"), ("channel_layout", layout), ("time_base", "1/\(rate)")])
        let format = Filter("aformat", [("sample_fmts", "fltp"), ("sample_rates", "\(rate)"), ("channel_layouts", layout)])
        try self.init([source] + filters + [format, Filter("abuffersink")])
    }
    private init(_ filters: [Filter]) throws(WorkerError) {
        var made: [UnsafeMutablePointer<AVFilterContext>] = []
        var graph = avfilter_graph_alloc()
        do throws(WorkerError) {
            guard let graph else { throw Libav.noMemory("a filter graph") }
            graph.pointee.nb_threads = 1
            for filter in filters {
                guard let type = avfilter_get_by_name(filter.name) else { throw WorkerError(.internalError, "this FFmpeg has no filter \(filter.name); install one that has") }
                guard let context = avfilter_graph_alloc_filter(graph, type, "\(filter.name)\(made.count)") else { throw Libav.noMemory("a filter") }
                for option in filter.options { try Libav.set(context, option.name, option.value) }
                try Libav.check(avfilter_init_str(context, nil), "set up the filter \(filter.name)")
                if let before = made.last { try Libav.check(avfilter_link(before, 0, context, 0), "link the filter \(filter.name)") }
                made.append(context)
            }
            try Libav.check(avfilter_graph_config(graph, nil), "set up filters")
        } catch {
            avfilter_graph_free(&graph)
            throw error
        }
        self.graph = graph
        source = made[0]
        sink = made[made.count - 1]
    }
    deinit { avfilter_graph_free(&graph) }

    /// - Parameter frame: stays the caller's; nil for the end.
    func send(_ frame: MediaFrame?) throws(WorkerError) {
        try Libav.check(av_buffersrc_add_frame_flags(source, frame?.raw, Int32(AV_BUFFERSRC_FLAG_KEEP_REF)), "filter a frame")
    }
    /// - Returns: false when another frame is needed, or at the end.
    func receive(_ frame: MediaFrame) throws(WorkerError) -> Bool {
        frame.clear()
        let code = av_buffersink_get_frame(sink, frame.raw)
        if code == Libav.again || code == Libav.endOfFile { return false }
        try Libav.check(code, "filter a frame")
        return true
    }
}

extension MediaFrame {
    /// What a filter found out about the frame.
    func finding(_ name: String) -> Double? {
        guard let entry = av_dict_get(raw.pointee.metadata, name, nil, 0), let value = entry.pointee.value else { return nil }
        return Double(String(cString: value))
    }
}
