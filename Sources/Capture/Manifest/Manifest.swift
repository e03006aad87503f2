// `metadata.json`: what was recorded, where it is, on which clock, and what is missing.
// Times named in seconds count from the recording's time zero; `…_us` are microseconds of wall time.
import Primitives
import RTP
import FoundationEssentials

package struct Manifest: Codable, Equatable, Sendable {
    package static let currentVersion = 1

    package struct Participant: Codable, Equatable, Sendable {
        package var peerID: ParticipantID
        package var name: String
        package var role: String?
        package var joinedAt: Double?
        package var leftAt: Double?
        package init(peerID: ParticipantID, name: String, role: String?, joinedAt: Double?, leftAt: Double?) {
            self.peerID = peerID; self.name = name; self.role = role; self.joinedAt = joinedAt; self.leftAt = leftAt
        }
        enum CodingKeys: String, CodingKey { case peerID = "peer_id", name, role, joinedAt = "joined_at", leftAt = "left_at" }
    }
    /// One playable file of a track; several where the codec changed.
    package struct File: Codable, Equatable, Sendable {
        /// Below the recording's folder.
        package var path: String
        package var codec: Codec
        package var container: String
        package var start: Double
        package var duration: Double
        package var size: Int64
        package var width: Int?
        package var height: Int?
        package var frames: Int
        package var keyFrames: Int
        package init(path: String, codec: Codec, container: String, start: Double, duration: Double, size: Int64, width: Int?, height: Int?, frames: Int, keyFrames: Int) {
            self.path = path; self.codec = codec; self.container = container; self.start = start; self.duration = duration; self.size = size
            self.width = width; self.height = height; self.frames = frames; self.keyFrames = keyFrames
        }
        enum CodingKeys: String, CodingKey { case path, codec, container, start, duration, size, width, height, frames, keyFrames = "key_frames" }
    }
    /// RTP → wall clock of one SSRC: wall = wall_us + (timestamp − rtp) / clock_rate · (1 + drift).
    package struct Clock: Codable, Equatable, Sendable {
        package var ssrc: UInt32
        /// Extended: the wrap count stands in the upper 32 bits, the first packet's cycle is 1.
        package var rtp: UInt64
        package var wallMicroseconds: Int64
        package var clockRate: UInt32
        package var driftPPM: Double
        package var method: StreamClock.Method
        package var senderReports: Int
        enum CodingKeys: String, CodingKey {
            case ssrc, rtp, wallMicroseconds = "wall_us", clockRate = "clock_rate", driftPPM = "drift_ppm", method, senderReports = "sender_reports"
        }
    }
    package struct MissingPart: Codable, Equatable, Sendable {
        package var from: Double
        package var to: Double
        package var cause: HoleCause
        package var packets: UInt64
        /// A browser-recorded track stands in for all of it: `edits` says where.
        package var isRepaired: Bool?
        package init(from: Double, to: Double, cause: HoleCause, packets: UInt64) { self.from = from; self.to = to; self.cause = cause; self.packets = packets }
        enum CodingKeys: String, CodingKey { case from, to, cause, packets, isRepaired = "repaired_by_device" }
    }
    /// Whether all that was sent is in the files, and the numbers behind the answer.
    package struct Integrity: Codable, Equatable, Sendable {
        package var complete: Bool
        package var packets: Int
        package var lost: UInt64
        package var duplicates: Int
        package var malformed: Int
        package var unknownPayloadType: Int
        package var incompleteFrames: Int
        package var skippedFrames: Int
        package var fillerFrames: Int
        package var damagedStretches: Int
        package var damagedBytes: Int
        package var tornBytes: Int
        package var segments: Int
        package var unreadableSegments: Int
        /// 0...100 (`IntegrityScore`); this and what follows is nil from a release that did not say it.
        package var score: Int?
        package var repaired: Repaired?
        /// Packets that came after later ones, without word of a retransmission.
        package var reordered: Int?
        /// Holes and freezes, and the seconds of them; mutes and who was left out are none.
        package var holes: Int?
        package var holeSeconds: Double?
        package var freezes: Int?
        package var freezeSeconds: Double?
        /// How often another layer, camera or attachment of the publisher took over.
        package var layerSwitches: Int?
        /// The farthest of its streams' clocks from the recorder's, in parts per million.
        package var driftPPM: Double?
        enum CodingKeys: String, CodingKey {
            case complete, packets, lost, duplicates, malformed, segments
            case unknownPayloadType = "unknown_payload_type", incompleteFrames = "incomplete_frames", skippedFrames = "skipped_frames"
            case fillerFrames = "filler_frames", damagedStretches = "damaged_stretches", damagedBytes = "damaged_bytes"
            case tornBytes = "torn_bytes", unreadableSegments = "unreadable_segments"
            case score, repaired, reordered, holes, freezes, holeSeconds = "hole_seconds", freezeSeconds = "freeze_seconds", layerSwitches = "layer_switches", driftPPM = "drift_ppm"
        }
    }
    /// What did not come the straight way and is there nevertheless.
    package struct Repaired: Codable, Equatable, Sendable {
        /// Packets that reached their ingress node by a retransmission (RTX, RFC 4588): the way there had lost the first one, or it was late.
        package var retransmission: Int
        /// Packets that the writer with the most of them lacks.
        package var standby: Int
        /// Seconds of holes for which the browser's own recording has a part.
        package var deviceSeconds: Double
        /// Holes that it fills as a whole; nil where nothing was uploaded.
        package var deviceHoles: Int?
        enum CodingKeys: String, CodingKey { case retransmission, standby, deviceSeconds = "device_seconds", deviceHoles = "device_holes" }
        package init(retransmission: Int = 0, standby: Int = 0, deviceSeconds: Double = 0) {
            self.retransmission = retransmission; self.standby = standby; self.deviceSeconds = deviceSeconds
        }
    }
    package struct Track: Codable, Equatable, Sendable {
        package var trackID: TrackID
        package var peerID: ParticipantID
        package var kind: Codec.Kind
        package var source: String
        package var codec: Codec
        package var start: Double?
        package var duration: Double?
        /// From the first packet to the first key frame, seconds; video.
        package var keyFrameWait: Double
        package var files: [File]
        package var clocks: [Clock]
        package var holes: [MissingPart]
        package var integrity: Integrity
        package var writers: [NodeName]
        package var epochs: [UInt64]
        enum CodingKeys: String, CodingKey {
            case trackID = "track_id", peerID = "peer_id", kind, source, codec, start, duration, keyFrameWait = "key_frame_wait"
            case files, clocks, holes, integrity, writers, epochs
        }
    }

    package var version = Manifest.currentVersion
    /// How often the recording was finished, from 1: a track that came late makes the next one. nil from a release that did not count.
    package var revision: Int?
    package var recordingID: RecordingID
    package var roomID: RoomID
    package var title: String
    /// The shared time zero, as RFC 3339 and in microseconds.
    package var timeZero: String
    package var timeZeroMicroseconds: Int64
    package var startedAt: String
    package var stoppedAt: String?
    package var duration: Double
    /// Bytes of all files of all tracks.
    package var size: Int64
    package var complete: Bool
    package var participants: [Participant]
    package var tracks: [Track]
    /// What browsers recorded by themselves, and which second comes from where; nil where nothing was uploaded.
    package var deviceTracks: [DeviceTrack]?
    package var edits: [Edit]?
    /// What an operator should know: facts missing, lines unreadable, journals skipped.
    package var warnings: [String]

    enum CodingKeys: String, CodingKey {
        case version, revision, title, duration, size, complete, participants, tracks, warnings
        case recordingID = "recording_id", roomID = "room_id", timeZero = "time_zero", timeZeroMicroseconds = "time_zero_us"
        case startedAt = "started_at", stoppedAt = "stopped_at", edits, deviceTracks = "device_tracks"
    }
}

/// Seconds with the microseconds' precision, without the noise of binary fractions.
package func seconds(_ microseconds: Int64) -> Double { (Double(microseconds) / 1000).rounded() / 1000 }
