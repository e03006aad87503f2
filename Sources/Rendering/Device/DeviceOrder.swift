// What finishing asks of the process that looks into one upload, and what comes back: files of the recording's folder, so that
// nothing of an upload stands in a command line.
import Capture
import Primitives

/// One upload to be made into tracks.
package struct DeviceOrder: Codable, Equatable, Sendable {
    /// A file of the server's sound the device may have recorded, too.
    struct Sound: Codable, Equatable, Sendable {
        struct Hole: Codable, Equatable, Sendable { var from: Double, to: Double }
        var path: String
        var start: Double
        var duration: Double
        var holes: [Hole]
    }
    enum Names {
        static let order = ".device.order"
        static let outcome = ".device.outcome"
    }
    var title: String
    var peer: ParticipantID
    var kind: UploadKind
    var upload: String
    /// µs of the recording's time at which the upload began, by the clock.
    var clock: Int64
    /// µs of the recording.
    var duration: Int64
    /// Files to write, by the medium's source, without the container's ending: "tracks/ann/camera-device.part1".
    var files: [String: String]
    var sounds: [Sound]
    /// First and last µs of each time in which the participant was not to be recorded: nothing of it goes into a file.
    var leftOut: [[Int64]] = []
}

struct DeviceOutcome: Codable, Equatable, Sendable {
    var tracks: [Manifest.DeviceTrack]
}

extension Folder {
    func readJSON<T: Decodable>(_ type: T.Type, _ name: String) throws(WorkerError) -> T {
        let file = try MappedFile("\(path)/\(name)")
        do throws(CaptureJSON.Failure) { return try CaptureJSON.decode(type, file.bytes, limit: CaptureJSON.Limits.manifestBytes) } catch {
            throw WorkerError(.unusable, "\(name) cannot be read (\(error)); finish the recording again")
        }
    }
    func writeJSON(_ value: some Encodable, as name: String, isDurable: Bool = true) throws(WorkerError) {
        guard let bytes = try? CaptureJSON.encode(value, pretty: true) else { throw WorkerError(.internalError, "\(name) cannot be encoded") }
        try write(bytes, as: name, isDurable: isDurable)
    }
    /// What a participant's browser sent; nil where it sent nothing.
    func uploads(_ peer: ParticipantID) throws(WorkerError) -> UploadIndex? {
        let name = "\(RecordingLayout.Names.chunks)/\(peer)/\(RecordingLayout.Names.uploads)"
        guard size(name) > 0 else { return nil }
        let file = try MappedFile("\(path)/\(name)")
        do throws(CaptureJSON.Failure) { return try CaptureJSON.decode(UploadIndex.self, file.bytes, limit: UploadIndex.Limits.fileBytes) } catch {
            throw WorkerError(.unusable, "\(name) cannot be read (\(error))")
        }
    }
}
