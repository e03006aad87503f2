// What the journal thread says to the recording that uses it.
import Capture
import Primitives

/// Why the journal thread could not keep something. It keeps trying; each says what an operator can do.
package enum JournalError: Error, Equatable, Sendable, CustomStringConvertible {
    case diskFull(String)
    case readOnly(String)
    case notPermitted(String)
    /// An `errno` and the path it came from.
    case io(Int32, String)
    /// Ids that are no file names, payload types of another kind: a mistake of the caller.
    case badHeader(TrackID)
    /// The command queue is full: the thread hangs in a system call of a stuck disk.
    case overloaded
    case noThread(Int32)

    package var description: String {
        switch self {
        case .diskFull(let path): "the disk of \(path) is full: free space; capture goes on by itself then"
        case .readOnly(let path): "\(path) is on a read-only file system: remount it writable"
        case .notPermitted(let path): "no permission to write \(path): give the node's user access to the storage directory"
        case .io(let code, let path): "error \(code) while writing \(path): check the disk"
        case .badHeader(let track): "track \(track) cannot be journalled: an id is no safe file name, or its payload types are of another kind"
        case .overloaded: "the journal thread does not keep up: its disk is stuck"
        case .noThread(let code): "the system gives no thread for the journal (\(code))"
        }
    }
    /// The cause written into the journal for packets lost to this error.
    var lossCause: JournalLossCause {
        switch self {
        case .diskFull: .diskFull
        case .readOnly, .notPermitted: .readOnly
        default: .ioError
        }
    }
}

/// What became of one track's journal.
package struct JournalSummary: Equatable, Sendable {
    package var packets: UInt64 = 0
    package var bytes: UInt64 = 0
    /// Packets that reached the thread and are not in a file.
    package var lost: UInt64 = 0
    package var segments: UInt32 = 0
    /// Ingress receive time (µs) of the first and last packet kept.
    package var first: Int64?
    package var last: Int64?
}

/// Called on the journal thread, in the order things happened: post to a loop, do not block.
package enum JournalReport: Sendable {
    /// The first packet of a track has been taken: it is being captured.
    case capturing(tag: UInt32, track: TrackID, recording: RecordingID, receivedAt: Int64)
    /// A file of this recording cannot be written; reported once until it recovers. Packets wait in memory up to a bound.
    case failing(recording: RecordingID, track: TrackID?, JournalError)
    case recovered(recording: RecordingID, track: TrackID?)
    /// The track's last segment is closed and on disk (or given up on: then `failing` came before).
    case trackClosed(tag: UInt32, track: TrackID, recording: RecordingID, JournalSummary)
    /// Nobody writes this file any more: a segment, notes, or facts that were replaced. Below the writer's `base`.
    case fileEnded(RecordingLayout, key: String)
    /// After `close(recording:)`: all its files are closed and on disk.
    case recordingClosed(RecordingID)
}

/// What the thread has done since it began. A snapshot.
package struct JournalCounters: Equatable, Sendable {
    package var packets: UInt64 = 0
    package var bytes: UInt64 = 0
    /// Packets refused by full rings.
    package var ringFull: UInt64 = 0
    /// Packets dropped because their file could not be written.
    package var lost: UInt64 = 0
    /// Packets with a tag nobody opened: a tap that outlived its track.
    package var unknownTag: UInt64 = 0
    package var writeErrors: UInt64 = 0
    package var syncs: UInt64 = 0
    /// The longest time between two complete flushes of what had been taken (µs).
    package var longestFlush: Int64 = 0
    package var openTracks: Int = 0
}
