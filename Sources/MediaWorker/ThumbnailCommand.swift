// `troupe-media thumbnail`.
import Capture
import Rendering

struct ThumbnailCommand: Subcommand {
    static let name = "thumbnail"
    static let usage = """
        troupe-media thumbnail --dir FOLDER [--height 360]
          Makes thumbnail.jpg from the finished tracks: the people, and screens, of a good moment.
        """
    private var height = 360

    mutating func take(_ option: String, _ value: String) throws(ArgumentError) -> Bool {
        guard option == "--height" else { return false }
        height = try Arguments.number(option, value, Thumbnailer.Limits.heights)
        return true
    }
    func run(_ common: CommonArguments, _ progress: Progress) throws(WorkerError) -> WorkerVerdict {
        try Thumbnailer(path: common.folder, height: height, progress: progress).run()
    }
}
