// `troupe-media device`.
import Capture
import Rendering

struct DeviceCommand: Subcommand {
    static let name = "device"
    static let usage = """
        troupe-media device --dir FOLDER
          Makes tracks of one upload out of FOLDER/chunks, as FOLDER/.device.order says; started by finalise, for each upload anew.
        """
    mutating func take(_ option: String, _ value: String) -> Bool { false }
    func run(_ common: CommonArguments, _ progress: Progress) throws(WorkerError) -> WorkerVerdict { try DeviceUpload(path: common.folder).run() }
}
