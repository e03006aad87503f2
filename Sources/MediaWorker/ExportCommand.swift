// `troupe-media export`.
import Capture
import Primitives
import Rendering

struct ExportCommand: Subcommand {
    static let name = "export"
    static let usage = """
        troupe-media export --dir FOLDER [--composition FILE] [--out processed/exports/ID.mp4] [--format mp4|webm|m4a]
                            [--preset fast|standard|high] [--threads N]
          Renders the Composition State in FILE from the track files metadata.json names, to a file below FOLDER/processed.
          Without --composition: a grid with mixed sound. Without --out: processed/output.webm (or .mp4, .m4a).
          Without --format: what --out ends with. --threads: of the H.264 encoder.
        """
    private var composition: String?
    private var output: String?
    private var format: ExportFormat?
    private var preset = ExportPreset.standard
    private var threads = 2

    mutating func take(_ option: String, _ value: String) throws(ArgumentError) -> Bool {
        switch option {
        case "--composition": composition = value
        case "--out": output = value
        case "--format": format = try Self.choice(option, value, ExportFormat.allCases)
        case "--preset": preset = try Self.choice(option, value, ExportPreset.allCases)
        case "--threads": threads = try Arguments.number(option, value, Exporter.Limits.threads)
        default: return false
        }
        return true
    }
    func check(_ common: CommonArguments) throws(ArgumentError) { _ = try target }

    func run(_ common: CommonArguments, _ progress: Progress) throws(WorkerError) -> WorkerVerdict {
        let target: (output: String, format: ExportFormat)
        do throws(ArgumentError) { target = try self.target } catch { throw WorkerError(.usage, "\(error)") }
        var request = Exporter.Request(output: target.output, composition: composition, format: target.format)
        request.preset = preset
        request.threads = threads
        return try Exporter(path: common.folder, request, progress: progress).run()
    }

    private var target: (output: String, format: ExportFormat) {
        get throws(ArgumentError) {
            let named = output.flatMap { path in ExportFormat.allCases.first { path.hasSuffix(".\($0.rawValue)") } }
            let format = self.format ?? named ?? .webm
            let output = self.output ?? "\(RecordingLayout.Names.processed)/output.\(format.rawValue)"
            return (try Arguments.processed("--out", output, example: "processed/exports/ID.\(format.rawValue)"), format)
        }
    }
    private static func choice<T: RawRepresentable<String>>(_ option: String, _ text: String, _ all: [T]) throws(ArgumentError) -> T {
        guard let value = T(rawValue: text) else { throw .wrong("`\(option) \(text)`: write one of \(all.map(\.rawValue).joined(separator: ", "))") }
        return value
    }
}
