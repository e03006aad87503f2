// `troupe-media finalise`.
import Capture
import Primitives
import Rendering

struct FinaliseCommand: Subcommand {
    static let name = "finalise"
    static let usage = """
        troupe-media finalise --dir FOLDER --recording ID
          Makes tracks/{peer}/{track}.webm (.mkv for H.264), metadata.json and timeline.json from the journals in FOLDER, and
          tracks/{peer}/{source}-device.partN.webm from the chunks browsers uploaded. Run it again when more of them have arrived.
        """
    private var recording: RecordingID = ""

    mutating func take(_ option: String, _ value: String) -> Bool {
        guard option == "--recording" else { return false }
        recording = RecordingID(value)
        return true
    }
    func check(_ common: CommonArguments) throws(ArgumentError) {
        guard recording.isSafe else { throw .wrong("`--recording` is missing or no recording id") }
    }
    func run(_ common: CommonArguments, _ progress: Progress) throws(WorkerError) -> WorkerVerdict {
        try Finaliser(path: common.folder, recording: recording, isolation: .own, progress: progress).run()
    }
}
