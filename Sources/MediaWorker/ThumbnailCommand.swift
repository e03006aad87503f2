// `troupe-media thumbnail`.
import Capture
import Rendering

struct ThumbnailCommand: Subcommand {
    static let name = "thumbnail"
    static let usage = """
        troupe-media thumbnail --dir FOLDER [--height 360] [--out thumbnail.jpg]
          Makes thumbnail.jpg from the finished tracks, or a file below FOLDER/processed: the people, and screens, of a good moment.
        """
    private var height = 360
    private var output = RecordingLayout.Names.thumbnail

    mutating func take(_ option: String, _ value: String) throws(ArgumentError) -> Bool {
        switch option {
        case "--height": height = try Arguments.number(option, value, Thumbnailer.Limits.heights)
        case "--out": output = value
        default: return false
        }
        return true
    }
    func check(_ common: CommonArguments) throws(ArgumentError) {
        guard output != RecordingLayout.Names.thumbnail else { return }
        _ = try Arguments.processed("--out", output, example: "processed/exports/ID.jpg")
    }
    func run(_ common: CommonArguments, _ progress: Progress) throws(WorkerError) -> WorkerVerdict {
        try Thumbnailer(path: common.folder, height: height, output: output, progress: progress).run()
    }
}
