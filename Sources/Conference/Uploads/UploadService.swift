// What gateways ask about tracks that browsers recorded themselves. Decision: docs/decisions/0037-browser-recorded-tracks.md
import Contracts
import Primitives

/// One chunk as its sender announces it: everything but its bytes. Strings and numbers are the sender's until `UploadService.admit` has seen them.
package struct ChunkOffer: Codable, Sendable, Equatable {
    package var room: RoomID
    package var recording: RecordingID
    package var participant: ParticipantID
    /// "camera", "screen" or "audio".
    package var kind: String
    package var upload: String
    package var firstSequence: Int
    package var sequence: Int
    package var mediaType: String
    /// Microseconds since 1970 by `clock`'s clock, and by how many it may be off.
    package var startedAt: Int64
    package var offsetUncertainty: Int64
    /// The node whose clock `startedAt` was reckoned by.
    package var clock: NodeName?
    /// Microseconds from the upload's start to the chunk's first byte.
    package var at: Int64
    /// What the sender knows of the bytes; nil where it does not say.
    package var bytes: Int64?
    package var sha256: String?
    package init(
        room: RoomID, recording: RecordingID, participant: ParticipantID, kind: String, upload: String, firstSequence: Int, sequence: Int, mediaType: String,
        startedAt: Int64, offsetUncertainty: Int64, clock: NodeName?, at: Int64, bytes: Int64?, sha256: String?
    ) {
        self.room = room; self.recording = recording; self.participant = participant; self.kind = kind; self.upload = upload; self.firstSequence = firstSequence
        self.sequence = sequence; self.mediaType = mediaType; self.startedAt = startedAt; self.offsetUncertainty = offsetUncertainty; self.clock = clock
        self.at = at; self.bytes = bytes; self.sha256 = sha256
    }
}

/// A chunk is on the disk.
package struct ChunkReceipt: Sendable, Equatable {
    package var sequence: Int
    package var bytes: Int64
    package var sha256: String
    /// Every chunk of its upload is here.
    package var isUploadComplete: Bool
    package init(sequence: Int, bytes: Int64, sha256: String, isUploadComplete: Bool) {
        self.sequence = sequence; self.bytes = bytes; self.sha256 = sha256; self.isUploadComplete = isUploadComplete
    }
}

/// What is here of one upload.
package struct UploadStanding: Sendable, Equatable {
    package struct Chunk: Sendable, Equatable {
        package var sequence: Int
        package var bytes: Int64
        package var sha256: String
        package init(sequence: Int, bytes: Int64, sha256: String) { self.sequence = sequence; self.bytes = bytes; self.sha256 = sha256 }
    }
    package var kind: String
    package var upload: String
    package var firstSequence: Int
    package var lastSequence: Int?
    package var isComplete: Bool
    package var chunks: [Chunk]
    /// Ranges of numbers that are not here, oldest first.
    package var missing: [ClosedRange<Int>]
    package init(kind: String, upload: String, firstSequence: Int, lastSequence: Int?, isComplete: Bool, chunks: [Chunk], missing: [ClosedRange<Int>]) {
        self.kind = kind; self.upload = upload; self.firstSequence = firstSequence; self.lastSequence = lastSequence; self.isComplete = isComplete
        self.chunks = chunks; self.missing = missing
    }
}

/// Everything of one participant in one recording.
package struct UploadListing: Sendable, Equatable {
    package var uploads: [UploadStanding]
    /// By kind: the number after all that are known.
    package var nextSequence: [String: Int]
    /// nil while the recording runs.
    package var acceptedUntil: WallTime?
    package init(uploads: [UploadStanding], nextSequence: [String: Int], acceptedUntil: WallTime?) {
        self.uploads = uploads; self.nextSequence = nextSequence; self.acceptedUntil = acceptedUntil
    }
}

/// Calls throw `ServiceError` and `StoreError`. A participant sends its own chunks only.
package protocol UploadService: Sendable {
    /// Bytes one chunk may have.
    var chunkBytes: Int64 { get }
    /// Whether the chunk may be sent: the recording takes it, and it is the caller's own.
    /// - Parameter offer: an empty `recording` stands for the room's newest.
    /// - Returns: the offer as it may be vouched for.
    func admit(_ offer: ChunkOffer, caller: Caller) async throws -> ChunkOffer
    /// An admitted chunk's bytes are about to come. Refused where too many of its participant's are under way at this node.
    func begin(_ offer: ChunkOffer) throws(ServiceError)
    /// They were answered, or broke off: once for each `begin` that did not throw.
    func end(_ offer: ChunkOffer)
    /// Keeps a chunk; durable when it returns. The same chunk again is answered alike.
    /// - Parameters:
    ///   - sha256: of `bytes`, 64 hexadecimal digits.
    ///   - offer: one that was admitted a moment ago.
    func store(_ bytes: [UInt8], sha256: String, of offer: ChunkOffer) async throws -> ChunkReceipt
    /// The recorder's last word: `last` is its last chunk's number.
    func complete(_ upload: String, kind: String, last: Int, of participant: ParticipantID, in recording: RecordingID, caller: Caller) async throws -> UploadStanding
    func uploads(of participant: ParticipantID, in recording: RecordingID, caller: Caller) async throws -> UploadListing
}
