// Where a track's encoded frames come from: its finished files, or its journals while they grow.
import Capture
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
    /// - Returns: false while there is nothing more to read. Times are µs from the recording's time zero.
    func next(into packet: MediaPacket) throws(WorkerError) -> Bool
}
