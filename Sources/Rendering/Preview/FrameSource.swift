// Where a track's encoded frames come from: its finished files, or its journals while they grow.
import Capture
import Composition
import Primitives
import RTP

/// Who published a track, and what it shows.
struct SourceTrack: Equatable {
    var id: TrackID
    var peer: ParticipantID
    var kind: Codec.Kind
    /// "camera", "microphone", "screen_share", "screen_share_audio".
    var source: String
    var isScreen: Bool { source.hasPrefix("screen_share") }
}

/// One track's frames in order, on the recording's time. Owned by the lane that shows it.
protocol FrameSource: AnyObject {
    var track: SourceTrack { get }
    /// What a decoder of the frame that `next` gave last must know; another object where a new decoder is needed.
    var parameters: StreamParameters? { get }
    /// Of the frame that `next` gave last: clockwise, in degrees.
    var rotation: Int { get }
    /// Nothing more will come.
    var isAtEnd: Bool { get }
    /// µs of the recording's time at which it is to be seen or heard; nil: always.
    var shown: Spans? { get }
    /// - Returns: false while there is nothing more to read. Times are µs from the recording's time zero.
    func next(into packet: MediaPacket) throws(WorkerError) -> Bool
}

extension FrameSource {
    var shown: Spans? { nil }
    func isShown(at time: Int64) -> Bool { shown?.contains(time) ?? true }
}
