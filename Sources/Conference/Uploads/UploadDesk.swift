// Browser-recorded tracks as a node's gateways use them. Any node takes any chunk.
// Decision: docs/decisions/0037-browser-recorded-tracks.md
import Capture
import Cluster
import Contracts
import EventLoop
import ObjectStorage
import Primitives
import Synchronization

/// Checks whose chunk it is and whether the recording takes it, has it written, and tells the Recording of uploads that are whole.
package final class UploadDesk: UploadService {
    package enum Limits {
        /// Chunks are taken so long after a recording's stop: a laptop that was shut finds its way back the next day.
        package static let window = Duration.seconds(24 * 3600)
        /// For the Recording's answer.
        static let handOver = Duration.seconds(5)
        /// Bytes of an upload's name and of a media type.
        static let name = 64
        static let mediaType = 128
        /// Microseconds; a recorder runs no longer than two days.
        static let at: Int64 = 2 * 24 * 3600 * 1_000_000
        static let uncertainty: Int64 = 3600 * 1_000_000
    }
    /// What was refused for being too much of one participant's.
    package struct Counters: Sendable, Equatable {
        /// Chunks, before their bytes came.
        package var underWay: UInt64 = 0
        /// First chunks of further uploads.
        package var open: UInt64 = 0
    }
    private let context: ConferenceContext
    private let shelf: UploadShelf
    private let disk = DiskThread(name: "uploads")
    private let underWay = Mutex(ChunksUnderWay())
    private let counted = Mutex(Counters())
    package var counters: Counters { counted.withLock { $0 } }

    package init(context: ConferenceContext, objects: LocalFolder) {
        self.context = context
        shelf = UploadShelf(objects)
    }
    package func stop() { disk.stop() }
    package var chunkBytes: Int64 { UploadIndex.Limits.chunkBytes }

    // MARK: Permission

    private func requireOwn(_ participant: ParticipantID, in room: RoomID, _ caller: Caller) async throws {
        guard caller.identity == participant.rawValue, caller.room == nil || caller.room == room,
            try await context.rooms.admission(room: room, participant: participant) != nil
        else { throw ServiceError(.forbidden, code: "not_your_track", message: "a participant uploads what it recorded itself, with its own token") }
    }
    private func record(_ id: RecordingID, room: RoomID?) async throws -> RecordingRecord {
        guard id.isSafe, let record = try await context.recordings.recording(id), room == nil || record.status.roomID == room, !isGone(record) else { throw Self.unknownRecording }
        return record
    }
    /// Its time is over: what is left of it is being removed.
    private func isGone(_ record: RecordingRecord) -> Bool { record.deleteAfter.map { $0 <= context.loop.wall } ?? false }
    private func requireTakenIn(_ participant: ParticipantID, _ record: RecordingRecord) throws {
        guard !record.status.leftOut.contains(participant) else {
            throw ServiceError(.forbidden, code: "left_out", message: "this participant is left out of the recording: nothing of theirs is kept")
        }
    }
    /// The recording, open for chunks, with the caller's right to send this participant's.
    private func open(_ id: RecordingID, room: RoomID?, _ participant: ParticipantID, _ caller: Caller) async throws -> RecordingRecord {
        guard participant.isSafe else { throw ServiceError(.malformed, code: "bad_id", message: "a participant's id is 1 to 128 letters, digits, `_`, `.` or `-`") }
        let record = try await record(id, room: room)
        try await requireOwn(participant, in: record.status.roomID, caller)
        if let end = acceptedUntil(record), context.loop.wall > end {
            throw ServiceError(.ended, code: "uploads_closed", message: "chunks are taken for \(Int(Limits.window.inSeconds / 3600)) hours after a recording's stop")
        }
        return record
    }
    private func acceptedUntil(_ record: RecordingRecord) -> WallTime? { record.stoppedAt.map { $0 + Limits.window } }
    private static let unknownRecording = ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id, or it was deleted")

    // MARK: Chunks

    package func admit(_ offer: ChunkOffer, caller: Caller) async throws -> ChunkOffer {
        var offer = offer
        let (_, chunk) = try Self.checked(offer, bytes: offer.bytes ?? 1, sha256: offer.sha256 ?? String(repeating: "0", count: 64))
        guard chunk.bytes <= chunkBytes else { throw Self.tooLarge }
        guard offer.room.isSafe else { throw ServiceError(.notFound, code: "unknown_room", message: "no room has this id") }
        if offer.recording.rawValue.isEmpty {
            guard offer.participant.isSafe else { throw ServiceError(.malformed, code: "bad_id", message: "a participant's id is 1 to 128 letters, digits, `_`, `.` or `-`") }
            try await requireOwn(offer.participant, in: offer.room, caller)
            guard let newest = try await context.recordings.recordings(room: offer.room, limit: 1).first else {
                throw ServiceError(.notFound, code: "unknown_recording", message: "this room was not recorded")
            }
            offer.recording = newest.status.recordingID
        }
        try requireTakenIn(offer.participant, try await open(offer.recording, room: offer.room, offer.participant, caller))
        return offer
    }

    package func begin(_ offer: ChunkOffer) throws(ServiceError) {
        guard underWay.withLock({ $0.begin(offer.participant, of: offer.room) }) else {
            counted.withLock { $0.underWay += 1 }
            throw ServiceError(.rateLimited, code: "too_many_under_way", message: "a participant sends \(ChunksUnderWay.Limits.chunks) chunks at a time; send this one again when one of them is answered")
        }
    }
    package func end(_ offer: ChunkOffer) { underWay.withLock { $0.end(offer.participant, of: offer.room) } }

    package func store(_ bytes: [UInt8], sha256: String, of offer: ChunkOffer) async throws -> ChunkReceipt {
        let (upload, chunk) = try Self.checked(offer, bytes: Int64(bytes.count), sha256: sha256)
        guard chunk.bytes <= chunkBytes else { throw Self.tooLarge }
        guard offer.bytes == nil || offer.bytes == chunk.bytes, offer.sha256 == nil || offer.sha256 == sha256 else {
            throw ServiceError(.unsupported, code: "damaged", message: "these are not the bytes that were announced: \(chunk.bytes) of SHA-256 \(sha256); send the chunk again")
        }
        guard chunk.sequence != upload.firstSequence || bytes.starts(with: Self.ebml) else {
            throw ServiceError(.unsupported, code: "not_webm", message: "an upload's first chunk begins with the EBML header of a WebM file")
        }
        let layout = RecordingLayout(room: offer.room, recording: offer.recording), peer = offer.participant
        try requireTakenIn(peer, try await record(offer.recording, room: offer.room))
        let standing = try await shelved { try $0.store(bytes, chunk, of: upload, peer: peer, in: layout) }
        // Deleted meanwhile: nothing of it may stay.
        guard let after = try await context.recordings.recording(offer.recording), !isGone(after) else {
            _ = try? await shelved { try $0.erase(peer, in: layout) }
            throw Self.unknownRecording
        }
        try await handOver(standing, peer, layout)
        return ChunkReceipt(sequence: chunk.sequence, bytes: chunk.bytes, sha256: sha256, isUploadComplete: standing.complete)
    }
    private static let ebml: [UInt8] = [0x1A, 0x45, 0xDF, 0xA3]       // RFC 8794 §11.2.1

    package func complete(_ upload: String, kind: String, last: Int, of participant: ParticipantID, in recording: RecordingID, caller: Caller) async throws -> UploadStanding {
        let record = try await open(recording, room: nil, participant, caller), kind = try Self.kind(kind)
        let layout = RecordingLayout(room: record.status.roomID, recording: recording)
        let ended = try await shelved { try $0.end(upload, kind, at: last, peer: participant, in: layout) }
        try await handOver(ended, participant, layout)
        return UploadStanding(ended)
    }
    package func uploads(of participant: ParticipantID, in recording: RecordingID, caller: Caller) async throws -> UploadListing {
        let record = try await open(recording, room: nil, participant, caller)
        let layout = RecordingLayout(room: record.status.roomID, recording: recording)
        let index = try await shelved { try $0.index(participant, in: layout) }
        return UploadListing(
            uploads: index.uploads.map(UploadStanding.init),
            nextSequence: Dictionary(uniqueKeysWithValues: UploadKind.allCases.map { ($0.rawValue, index.nextSequence($0)) }), acceptedUntil: acceptedUntil(record))
    }

    /// A recording that was finished without this upload is finished again. Said until it is heard: the mark is made afterwards.
    private func handOver(_ upload: UploadIndex.Upload, _ peer: ParticipantID, _ layout: RecordingLayout) async throws {
        guard upload.complete, !upload.isHandedOver else { return }
        do {
            try await ClusterSystem.$deadline.withValue(Limits.handOver) { try await context.recording(layout.recording).uploadsChanged() }
        } catch {
            context.log(.warning, "upload_hand_over", ["recording": layout.recording.rawValue, "error": "\(error)"])
            throw ServiceError(.unavailable, code: "not_handed_over", message: "everything is here, but the recording could not be told; say `complete` again")
        }
        let name = upload.upload, kind = upload.kind
        try await shelved { try $0.handOver(name, kind, peer: peer, in: layout) }
    }

    /// Runs on the uploads' thread, and says in the service's words what went wrong there.
    private func shelved<Value: Sendable>(_ work: @escaping @Sendable (UploadShelf) throws -> Value) async throws -> Value {
        do { return try await disk.run { [shelf] in try work(shelf) } } catch let refusal as UploadRefusal {
            if refusal == .tooManyOpen { counted.withLock { $0.open += 1 } }
            throw ServiceError(refusal)
        } catch let error as ObjectStorageError {
            switch error {
            case .notFound: throw Self.unknownRecording
            case .away(let why), .refused(let why):
                context.log(.warning, "upload_disk", ["error": why])
                throw ServiceError(.unavailable, code: "storage_away", message: "the chunk could not be written; keep it and send it again later")
            case .badKey, .badRange: throw ServiceError(.malformed, code: "bad_id", message: "an id in this request stands for no storage key")
            }
        }
    }

    // MARK: What a sender says

    private static func kind(_ text: String) throws(ServiceError) -> UploadKind {
        guard let kind = UploadKind(rawValue: text) else {
            throw ServiceError(.malformed, code: "bad_kind", message: "`kind` is one of \(UploadKind.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return kind
    }
    /// `video/webm` with or without codecs; sound alone is `audio/webm`.
    private static func mediaType(_ text: String, _ kind: UploadKind) throws(ServiceError) {
        let essence = text.split(separator: ";", maxSplits: 1).first.map { $0.filter { $0 != " " }.lowercased() }
        guard text.utf8.count <= Limits.mediaType, text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), essence == (kind == .audio ? "audio/webm" : "video/webm") else {
            throw ServiceError(.unsupported, code: "bad_media_type", message: "chunks of kind `\(kind.rawValue)` are \(kind == .audio ? "audio/webm" : "video/webm")")
        }
    }
    static func checked(_ offer: ChunkOffer, bytes: Int64, sha256: String) throws(ServiceError) -> (UploadIndex.Upload, UploadIndex.Chunk) {
        let kind = try kind(offer.kind)
        try mediaType(offer.mediaType, kind)
        func require(_ isRight: Bool, _ name: String, _ what: String) throws(ServiceError) {
            guard isRight else { throw ServiceError(.malformed, code: "malformed", message: "`\(name)` must be \(what)") }
        }
        let numbers = 0...UploadIndex.Limits.sequence
        try require(numbers.contains(offer.sequence), "sequence", "a whole number from 0 to \(numbers.upperBound)")
        try require(numbers.contains(offer.firstSequence) && offer.firstSequence <= offer.sequence, "firstSequence", "a whole number from 0 to `sequence`")
        try require(RoomID(offer.upload).isSafe && offer.upload.utf8.count <= Limits.name, "upload", "1 to \(Limits.name) letters, digits, `_`, `.` or `-`")
        try require((0...Limits.at).contains(offer.at), "atUs", "microseconds from 0 to \(Limits.at)")
        try require((0...Limits.uncertainty).contains(offer.offsetUncertainty), "offsetUncertaintyUs", "microseconds from 0 to \(Limits.uncertainty)")
        try require((0...(1 << 53)).contains(offer.startedAt), "startedAtUs", "microseconds since 1970")
        try require(offer.clock?.isSafe != false, "clock", "a node's name")
        try require(bytes > 0, "bytes", "a number above 0: a chunk has bytes")
        try require(sha256.utf8.count == 64 && sha256.utf8.allSatisfy { ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) }, "sha256", "64 hexadecimal digits in lower case")
        let upload = UploadIndex.Upload(
            kind: kind, upload: offer.upload, firstSequence: offer.firstSequence, mediaType: offer.mediaType, startedAt: offer.startedAt,
            offsetUncertainty: offer.offsetUncertainty, clock: offer.clock)
        return (upload, UploadIndex.Chunk(sequence: offer.sequence, bytes: bytes, sha256: sha256, at: offer.at))
    }
    private static let tooLarge = ServiceError(.tooLarge, code: "chunk_too_large", message: "a chunk has at most \(UploadIndex.Limits.chunkBytes) bytes; cut the recording more often")
}

extension UploadStanding {
    init(_ upload: UploadIndex.Upload) {
        self.init(
            kind: upload.kind.rawValue, upload: upload.upload, firstSequence: upload.firstSequence, lastSequence: upload.lastSequence, isComplete: upload.complete,
            chunks: upload.chunks.map { Chunk(sequence: $0.sequence, bytes: $0.bytes, sha256: $0.sha256) }, missing: upload.missing)
    }
}

extension ServiceError {
    init(_ refusal: UploadRefusal) {
        self = switch refusal {
        case .taken: ServiceError(.conflict, code: "sequence_taken", message: "another chunk has this sequence number; number on after the greatest that `GET …/uploads` names")
        case .differs: ServiceError(.conflict, code: "upload_differs", message: "the upload was begun, or ended, in another way; begin another upload")
        case .unknownUpload: ServiceError(.notFound, code: "unknown_upload", message: "no chunk of this upload is here; send its chunks first")
        case .tooManyOpen: ServiceError(.rateLimited, code: "too_many_open_uploads", message: "a participant has at most \(UploadIndex.Limits.open) uploads in a recording without a last word; say `complete` of those that will not go on")
        case .tooManyUploads: ServiceError(.rateLimited, code: "too_many_uploads", message: "a participant has at most \(UploadIndex.Limits.uploads) uploads in a recording")
        case .tooManyChunks: ServiceError(.tooLarge, code: "too_many_chunks", message: "a participant has at most \(UploadIndex.Limits.chunks) chunks in a recording; cut them longer")
        case .tooManyBytes: ServiceError(.tooLarge, code: "too_many_bytes", message: "a participant's chunks have at most \(UploadIndex.Limits.bytes >> 30) GiB in a recording")
        }
    }
}
