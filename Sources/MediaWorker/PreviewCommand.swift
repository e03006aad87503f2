// `troupe-media preview`.
import Capture
import Rendering

struct PreviewCommand: Subcommand {
    static let name = "preview"
    static let usage = """
        troupe-media preview --dir FOLDER [--segment-seconds 2|4] [--height 360] [--fps 15] [--follow]
          Makes preview/peers/{peer}/av.m3u8 and audio.m3u8, preview/screenshare/{peer}/video.m3u8 and preview/index.json from the
          finished tracks, or from the journals where the recording was not finished; with --follow while it still runs.
        """
    static let flags: Set<String> = ["--follow"]
    private var settings = PreviewSettings()

    mutating func take(_ option: String, _ value: String) throws(ArgumentError) -> Bool {
        switch option {
        case "--follow": settings.follow = true
        case "--height": settings.height = try Arguments.number(option, value, PreviewSettings.Limits.heights)
        case "--segment-seconds": settings.segmentSeconds = try Self.choice(option, value, PreviewSettings.Limits.segmentSeconds)
        case "--fps": settings.frameRate = try Self.choice(option, value, PreviewSettings.Limits.frameRates)
        default: return false
        }
        return true
    }
    func run(_ common: CommonArguments, _ progress: Progress) throws(WorkerError) -> WorkerVerdict {
        try Previewer(path: common.folder, settings: settings, progress: progress).run()
    }
    private static func choice(_ option: String, _ text: String, _ choices: Set<Int>) throws(ArgumentError) -> Int {
        guard let value = Int(text), choices.contains(value) else { throw .wrong("`\(option) \(text)`: write one of \(choices.sorted().map { "\($0)" }.joined(separator: ", "))") }
        return value
    }
}
