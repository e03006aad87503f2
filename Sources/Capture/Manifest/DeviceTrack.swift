// What `metadata.json` says of browser-recorded tracks, and which second comes from where.
import Primitives
import RTP

extension Manifest {
    /// One kind of medium of one upload: a file beside the server's, or why there is none.
    package struct DeviceTrack: Codable, Equatable, Sendable {
        /// The upload's chunks: what was told of, and what is here.
        package struct Chunks: Codable, Equatable, Sendable {
            package var told: Int
            /// First and last number of each stretch that is not here, the first hundred.
            package var missing: [[Int]]
            /// Numbers of those shorter than they were told to be: used as far as they go; the first hundred.
            package var cutOff: [Int]
            /// Numbers of those whose bytes are others than were told: left out; the first hundred.
            package var damaged: [Int]
            package var bytes: Int64
            /// Bytes of them that stand in no file.
            package var leftOut: Int64
            package init(told: Int = 0, missing: [[Int]] = [], cutOff: [Int] = [], damaged: [Int] = [], bytes: Int64 = 0, leftOut: Int64 = 0) {
                self.told = told; self.missing = missing; self.cutOff = cutOff; self.damaged = damaged; self.bytes = bytes; self.leftOut = leftOut
            }
            package var isWhole: Bool { missing.isEmpty && cutOff.isEmpty && damaged.isEmpty }
            enum CodingKeys: String, CodingKey { case told, missing, damaged, bytes, cutOff = "cut_off", leftOut = "left_out" }
        }
        package var peerID: ParticipantID
        package var upload: String
        /// What the upload was of; a name in `tracks` of the server has the same.
        package var kind: UploadKind
        /// "camera", "microphone", "screen_share", "screen_share_audio": whose holes it can fill.
        package var source: String
        /// Its times are the recording's; nil where `reason` says why.
        package var file: File?
        package var alignment: DeviceAlignment?
        /// Where chunks are missing, until the first picture that can be shown again.
        package var holes: [MissingPart]
        package var chunks: Chunks
        /// Why it cannot be used: "no_header", "no_media", "codec", "unreadable",
        /// "not_in_recording", "left_out", "crashed", or a `WorkerFailure`.
        package var reason: String?
        package init(peerID: ParticipantID, upload: String, kind: UploadKind, source: String, chunks: Chunks, reason: String? = nil) {
            self.peerID = peerID; self.upload = upload; self.kind = kind; self.source = source; self.chunks = chunks; self.reason = reason
            holes = []
        }
        enum CodingKeys: String, CodingKey { case upload, kind, source, file, alignment, holes, chunks, reason, peerID = "peer_id" }
        package var medium: Codec.Kind { source == Source.camera || source == Source.screen ? .video : .audio }
    }
    /// Names of media, as publishers call them.
    package enum Source {
        package static let camera = "camera"
        package static let microphone = "microphone"
        package static let screen = "screen_share"
        package static let screenSound = "screen_share_audio"
    }

    /// Where one medium of one participant comes from, second by second. Times without a piece have nothing to show or play.
    package struct Edit: Codable, Equatable, Sendable {
        package enum Origin: String, Codable, Sendable { case server, device }
        package struct Piece: Codable, Equatable, Sendable {
            package var from: Double
            package var to: Double
            package var origin: Origin
            /// The server's track; of a device's piece, the one it stands in for.
            package var trackID: TrackID
            /// Of a device's piece: its file.
            package var path: String?
            /// Of a device's piece: why the server has nothing here.
            package var cause: HoleCause?
            package init(from: Double, to: Double, origin: Origin, trackID: TrackID, path: String? = nil, cause: HoleCause? = nil) {
                self.from = from; self.to = to; self.origin = origin; self.trackID = trackID; self.path = path; self.cause = cause
            }
            enum CodingKeys: String, CodingKey { case from, to, origin, path, cause, trackID = "track_id" }
        }
        package var peerID: ParticipantID
        package var source: String
        /// In order; none overlaps another.
        package var pieces: [Piece]
        package init(peerID: ParticipantID, source: String, pieces: [Piece]) { self.peerID = peerID; self.source = source; self.pieces = pieces }
        enum CodingKeys: String, CodingKey { case source, pieces, peerID = "peer_id" }
    }

    /// All pieces that come from a device, with their participant.
    package var repairs: [(peerID: ParticipantID, piece: Edit.Piece)] {
        (edits ?? []).flatMap { edit in edit.pieces.filter { $0.origin == .device }.map { (edit.peerID, $0) } }
    }
}
