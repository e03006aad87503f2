// What an export does, as a value: which pictures stand where, which sounds are heard, from when to when.
//
// The planner decides everything that can be decided without opening a media file; the renderer carries it out.
// Two time lines, both µs: the recording's (from time zero) and the output's (cuts taken out).
package import Capture
package import Primitives
package import RTP

package struct RenderPlan: Equatable, Sendable {
    package struct Person: Equatable, Sendable {
        package var id: ParticipantID
        /// Shown as lower third and on placeholders; never empty.
        package var name: String
    }
    /// A part of a track in one file, whose times are the recording's.
    package struct Piece: Equatable, Sendable {
        /// Below the recording's folder.
        package var path: String
        /// The recording's time.
        package var range: Range<Int64>
    }
    package struct Source: Equatable, Sendable {
        package var track: TrackID
        package var person: Int
        package var kind: Codec.Kind
        package var isScreen: Bool
        package var isDenoised: Bool
        /// In order of time; they may overlap a little, where a later one wins.
        package var pieces: [Piece]
    }
    package struct Tile: Equatable, Sendable {
        package var person: Int
        /// Index into `sources`; nil: the camera is off, the name stands here.
        package var source: Int?
        package var place: Rectangle
        /// Clockwise, 0, 90, 180 or 270 degrees: how the picture must be turned.
        package var rotation = 0
    }
    package struct Sound: Equatable, Sendable {
        /// Index into `sources`.
        package var source: Int
        /// Hundredths of a decibel.
        package var gain: Int
    }
    /// A stretch in which nothing changes.
    package struct Interval: Equatable, Sendable {
        package var output: Range<Int64>
        /// The recording's time at `output.lowerBound`.
        package var start: Int64
        package var tiles: [Tile]
        package var sounds: [Sound]
        /// The recording's time of an output time in this interval.
        package func recorded(_ time: Int64) -> Int64 { start + (time - output.lowerBound) }
    }
    package struct Chapter: Equatable, Sendable {
        /// The output's time.
        package var at: Int64
        package var title: String
    }

    package var picture: VideoSize
    package var framesPerSecond: Int
    package var people: [Person]
    package var sources: [Source]
    /// Without gaps from 0 to `duration`.
    package var intervals: [Interval]
    package var chapters: [Chapter]
    package var missing: [WorkerVerdict.Missing]
    /// µs.
    package var duration: Int64

    /// Frames of the output; the last one may begin up to a frame before the end.
    package var frameCount: Int64 { (duration * Int64(framesPerSecond) + 999_999) / 1_000_000 }
    /// The output's time of a frame, µs.
    package func time(ofFrame number: Int64) -> Int64 { number * 1_000_000 / Int64(framesPerSecond) }
}
