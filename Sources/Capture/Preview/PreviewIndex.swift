// `preview/index.json`: what a page needs to play all of a recording's previews side by side. Paths are relative to the file.
import Primitives

package struct PreviewIndex: Codable, Equatable, Sendable {
    /// One playlist and what Media Source Extensions need to play its segments without one.
    package struct Variant: Codable, Equatable, Sendable {
        package var playlist: String
        package var head: String
        /// Everything of a segment's path before its number: four digits or more, from 0, then ".m4s".
        package var segmentPrefix: String
        /// For `video/mp4; codecs="…"` (RFC 6381).
        package var codecs: String
        enum CodingKeys: String, CodingKey { case playlist, head, segmentPrefix = "segment_prefix", codecs }
    }
    package struct Stretch: Codable, Equatable, Sendable {
        package var from: Double
        package var to: Double
        package init(from: Double, to: Double) { self.from = from; self.to = to }
    }
    package struct Peer: Codable, Equatable, Sendable {
        package var peerID: ParticipantID
        package var name: String
        package var width: Int
        package var height: Int
        /// Picture and sound; a screen share's may be silent, a peer without a camera is black.
        package var av: Variant
        /// Sound alone; not of a screen share.
        package var audio: Variant?
        /// Seconds; those who do not speak have a lower bit rate meanwhile.
        package var speaking: [Stretch]
        package init(peerID: ParticipantID, name: String, width: Int, height: Int, av: Variant, audio: Variant?, speaking: [Stretch]) {
            self.peerID = peerID; self.name = name; self.width = width; self.height = height
            self.av = av; self.audio = audio; self.speaking = speaking
        }
        enum CodingKeys: String, CodingKey { case peerID = "peer_id", name, width, height, av, audio, speaking }
    }
    package enum State: String, Codable, Sendable { case running, ready }

    package var version = 1
    package var state: State
    package var recordingID: RecordingID
    package var roomID: RoomID
    package var timeZero: String
    package var timeZeroMicroseconds: Int64
    package var segmentSeconds: Int
    package var frameRate: Int
    /// Of every playlist, once `state` is ready; while it is running, those that all have.
    package var segments: Int
    /// Seconds from time zero that can be played.
    package var duration: Double
    package var peers: [Peer]
    package var screenshares: [Peer]
    /// What an operator should know.
    package var warnings: [String]

    package init(
        state: State, recordingID: RecordingID, roomID: RoomID, timeZero: WallTime, segmentSeconds: Int, frameRate: Int, segments: Int, duration: Double,
        peers: [Peer], screenshares: [Peer], warnings: [String]
    ) {
        self.state = state; self.recordingID = recordingID; self.roomID = roomID
        self.timeZero = timeZero.rfc3339
        timeZeroMicroseconds = timeZero.microseconds
        self.segmentSeconds = segmentSeconds; self.frameRate = frameRate; self.segments = segments; self.duration = duration
        self.peers = peers; self.screenshares = screenshares; self.warnings = warnings
    }
    enum CodingKeys: String, CodingKey {
        case version, state, segments, duration, peers, screenshares, warnings
        case recordingID = "recording_id", roomID = "room_id", timeZero = "time_zero", timeZeroMicroseconds = "time_zero_us"
        case segmentSeconds = "segment_seconds", frameRate = "frame_rate"
    }
}

extension PreviewIndex.Variant {
    /// - Parameter folder: relative to index.json, without a slash at the end.
    package init(folder: String, name: String, head: String, codecs: String) {
        self.init(playlist: "\(folder)/\(name).m3u8", head: "\(folder)/\(head)", segmentPrefix: "\(folder)/\(name)_", codecs: codecs)
    }
}
