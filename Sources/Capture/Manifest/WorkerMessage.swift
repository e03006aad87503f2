// What `troupe-media` prints, whatever it does: one JSON object a line, the last one a verdict.
import Primitives
import FoundationEssentials

package enum WorkerMessage: Equatable, Sendable {
    /// Work done so far, 0…1, never going back; the seconds it will still take, where that can be told.
    case progress(stage: String, done: Double, eta: Double? = nil)
    case verdict(WorkerVerdict)

    /// - Returns: nil for a line that is neither.
    package init?(line: String) {
        let bytes = Array(line.utf8)
        guard bytes.count <= CaptureJSON.Limits.factsBytes, let shape = try? JSONDecoder().decode(Shape.self, from: Data(bytes)) else { return nil }
        switch shape.type {
        case "progress": self = .progress(stage: shape.stage ?? "", done: min(1, max(0, shape.done ?? 0)), eta: shape.eta.map { max(0, $0) })
        case "verdict":
            guard let verdict = try? JSONDecoder().decode(WorkerVerdict.self, from: Data(bytes)) else { return nil }
            self = .verdict(verdict)
        default: return nil
        }
    }
    /// The line, with its line feed.
    package var line: [UInt8] {
        switch self {
        case .progress(let stage, let done, let eta):
            let shape = Shape(type: "progress", stage: stage, done: (done * 1000).rounded() / 1000, eta: eta.map { ($0 * 10).rounded() / 10 })
            return ((try? CaptureJSON.encode(shape)) ?? []) + [0x0A]
        case .verdict(let verdict): return ((try? CaptureJSON.encode(verdict)) ?? []) + [0x0A]
        }
    }
    private struct Shape: Codable { var type: String; var stage: String?; var done: Double?; var eta: Double? }
}

/// How a job ended.
package struct WorkerVerdict: Codable, Equatable, Sendable {
    /// Something a recording should contain and does not. Seconds from the recording's time zero.
    package struct Missing: Codable, Equatable, Sendable {
        package var peerID: ParticipantID
        package var trackID: TrackID
        package var from: Double?
        package var to: Double?
        /// A `HoleCause`, or `no_file`, `unreadable_file`.
        package var cause: String
        package init(peerID: ParticipantID, trackID: TrackID, from: Double? = nil, to: Double? = nil, cause: String) {
            self.peerID = peerID; self.trackID = trackID; self.from = from; self.to = to; self.cause = cause
        }
        enum CodingKeys: String, CodingKey { case peerID = "peer_id", trackID = "track_id", from, to, cause }
    }
    package var type = "verdict"
    package var ok: Bool
    /// "ready", or why not: the raw value of `WorkerFailure`.
    package var code: String
    /// What to do about it; empty when all is well.
    package var message: String
    /// Seconds from time zero to the end of the last track, or of what was rendered.
    package var duration: Double
    /// Bytes of all files written.
    package var size: Int64
    /// Tracks finished, or read.
    package var tracks: Int
    /// No hole, no damage: the same as in metadata.json.
    package var complete: Bool
    /// Storage key of what was made: metadata.json, the preview's index.json, an export's file, the thumbnail.
    package var outputPath: String?
    /// Of a preview: segments of each playlist, all alike.
    package var segments: Int?
    /// Of an export: what the recording lacks, the first hundred of `missingCount`.
    package var missing: [Missing]?
    package var missingCount: Int?
    /// Of an export: LUFS of the sound as it was recorded and mixed; nil for silence.
    package var loudness: Double?
    package var chapters: Int?

    package init(ok: Bool, code: String, message: String = "", duration: Double = 0, size: Int64 = 0, tracks: Int = 0, complete: Bool = false, outputPath: String? = nil, segments: Int? = nil) {
        self.ok = ok; self.code = code; self.message = message; self.duration = duration; self.size = size
        self.tracks = tracks; self.complete = complete; self.outputPath = outputPath; self.segments = segments
    }
    enum CodingKeys: String, CodingKey { case type, ok, code, message, duration, size, tracks, complete, segments, missing, loudness, chapters, outputPath = "output_path", missingCount = "missing_count" }
}

/// Why a job failed. The raw value stands in the verdict, `exitCode` (sysexits.h) is the process's.
package enum WorkerFailure: String, Error, Sendable, CaseIterable {
    case usage, nothingCaptured = "nothing_captured", unusable, missing, internalError = "internal_error"
    case notWritable = "not_writable", diskFull = "disk_full", inputOutput = "io_error", busy

    package var exitCode: Int32 {
        switch self {
        case .usage: 64             // EX_USAGE
        case .nothingCaptured, .unusable: 65   // EX_DATAERR
        case .missing: 66           // EX_NOINPUT
        case .internalError: 70     // EX_SOFTWARE
        case .notWritable: 73       // EX_CANTCREAT
        case .diskFull, .inputOutput: 74   // EX_IOERR
        case .busy: 75              // EX_TEMPFAIL
        }
    }
    /// Worth another attempt later without anyone doing anything.
    package var isTemporary: Bool { self == .busy || self == .diskFull || self == .inputOutput }
}
