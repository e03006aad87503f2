// `chunks/{peer}/uploads.json`: what a participant's browser recorded of itself, and which of it is here.
// Decision: docs/decisions/0037-browser-recorded-tracks.md

import Primitives

/// What a browser records apart. Raw values stand in storage keys and on the wire.
package enum UploadKind: String, Codable, Sendable, Hashable, CaseIterable { case camera, screen, audio }

/// Why a chunk, or the end of an upload, is not taken.
package enum UploadRefusal: Error, Equatable, Sendable {
    /// The sequence number is here with other bytes, or in another upload.
    case taken
    /// The upload began with another first sequence number or media type, or the number lies before its first or after its last.
    case differs
    case unknownUpload
    case tooManyUploads, tooManyOpen, tooManyChunks, tooManyBytes
}

/// All uploads of one participant in one recording. An upload is one run of a recorder: a reload begins another, which sends its own
/// init bytes (EBML header, Segment, Tracks) in its first chunk. A value; whoever holds the index exclusively changes it.
package struct UploadIndex: Codable, Equatable, Sendable {
    package enum Limits {
        /// Of one participant in one recording.
        package static let uploads = 256
        /// Those among them whose recorder has not said its last number. A page has three; one whose page died is ended by the next.
        package static let open = 16
        package static let chunks = 50_000              // twelve hours of two kinds, cut every two seconds
        package static let bytes: Int64 = 64 << 30
        /// Bytes of one chunk: four seconds of 2.5 Mbit/s are 1.25 MB.
        package static let chunkBytes: Int64 = 16 << 20
        package static let sequence = 999_999           // six digits
        /// Bytes of the index itself: 140 for each chunk.
        package static let fileBytes = 16 << 20
        /// Ranges of missing chunks that are told at once.
        package static let missing = 1000
    }
    package struct Chunk: Codable, Equatable, Sendable {
        package var sequence: Int
        package var bytes: Int64
        /// Of the bytes, 64 hexadecimal digits.
        package var sha256: String
        /// Microseconds from the upload's start to the chunk's first byte, by the recorder's clock.
        package var at: Int64
        package init(sequence: Int, bytes: Int64, sha256: String, at: Int64) { self.sequence = sequence; self.bytes = bytes; self.sha256 = sha256; self.at = at }
        enum CodingKeys: String, CodingKey { case sequence, bytes, sha256, at = "at_us" }
    }
    package struct Upload: Codable, Equatable, Sendable {
        package var kind: UploadKind
        /// The recorder's name for this run, unique within the participant and kind.
        package var upload: String
        /// Of the chunk that holds the init bytes. Numbers grow over the whole recording, for each kind.
        package var firstSequence: Int
        package var mediaType: String
        /// Microseconds since 1970 by `clock`'s clock, as the browser reckoned it.
        package var startedAt: Int64
        /// Microseconds by which `startedAt` may be off: half of the round trip it was measured with.
        package var offsetUncertainty: Int64
        /// The node whose clock it was.
        package var clock: NodeName?
        /// By sequence number, without repetitions.
        package private(set) var chunks: [Chunk] = []
        /// Known once the recorder has said its last number.
        package private(set) var lastSequence: Int?
        /// Every chunk from the first to the last is here.
        package private(set) var complete = false
        /// The recording was told, and is finished again where it was before.
        package var isHandedOver = false

        package init(kind: UploadKind, upload: String, firstSequence: Int, mediaType: String, startedAt: Int64, offsetUncertainty: Int64, clock: NodeName? = nil) {
            self.kind = kind; self.upload = upload; self.firstSequence = firstSequence; self.mediaType = mediaType
            self.startedAt = startedAt; self.offsetUncertainty = offsetUncertainty; self.clock = clock
        }
        enum CodingKeys: String, CodingKey {
            case kind, upload, chunks, complete, clock
            case firstSequence = "first_sequence", mediaType = "media_type", startedAt = "started_at_us", offsetUncertainty = "offset_uncertainty_us"
            case lastSequence = "last_sequence", isHandedOver = "handed_over"
        }
        package init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            kind = try values.decode(UploadKind.self, forKey: .kind)
            upload = try values.decode(String.self, forKey: .upload)
            firstSequence = try values.decode(Int.self, forKey: .firstSequence)
            mediaType = try values.decode(String.self, forKey: .mediaType)
            startedAt = try values.decode(Int64.self, forKey: .startedAt)
            offsetUncertainty = try values.decode(Int64.self, forKey: .offsetUncertainty)
            clock = try values.decodeIfPresent(NodeName.self, forKey: .clock)
            chunks = try values.decode([Chunk].self, forKey: .chunks)
            lastSequence = try values.decodeIfPresent(Int.self, forKey: .lastSequence)
            complete = try values.decode(Bool.self, forKey: .complete)
            isHandedOver = try values.decodeIfPresent(Bool.self, forKey: .isHandedOver) ?? false
        }

        /// Where `sequence` stands or would stand.
        fileprivate func place(of sequence: Int) -> Int {
            var low = 0, high = chunks.count
            while low < high {
                let middle = (low + high) / 2
                if chunks[middle].sequence < sequence { low = middle + 1 } else { high = middle }
            }
            return low
        }
        package func chunk(_ sequence: Int) -> Chunk? {
            let place = place(of: sequence)
            return place < chunks.count && chunks[place].sequence == sequence ? chunks[place] : nil
        }
        fileprivate mutating func add(_ chunk: Chunk) {
            chunks.insert(chunk, at: place(of: chunk.sequence))
            judge()
        }
        fileprivate mutating func end(at last: Int) throws(UploadRefusal) {
            guard last >= firstSequence, lastSequence == nil || lastSequence == last, (chunks.last?.sequence ?? last) <= last else { throw .differs }
            lastSequence = last
            judge()
        }
        private mutating func judge() { if let lastSequence { complete = chunks.count == lastSequence - firstSequence + 1 } }

        /// Numbers between the first and the last known that are not here, oldest first; at most `Limits.missing` ranges.
        package var missing: [ClosedRange<Int>] {
            var out: [ClosedRange<Int>] = [], next = firstSequence
            for chunk in chunks where out.count < Limits.missing {
                if chunk.sequence > next { out.append(next...chunk.sequence - 1) }
                next = chunk.sequence + 1
            }
            if let lastSequence, next <= lastSequence, out.count < Limits.missing { out.append(next...lastSequence) }
            return out
        }
    }

    package var version = 1
    package private(set) var uploads: [Upload] = []
    package init() {}

    /// What is known of a chunk that arrives.
    package enum Standing: Equatable, Sendable {
        case new
        /// It is here already, with the same bytes.
        case same
    }

    package func upload(_ name: String, _ kind: UploadKind) -> Upload? { uploads.first { $0.upload == name && $0.kind == kind } }

    /// Whether `chunk` may be taken, before its bytes are written anywhere.
    /// - Parameter upload: as the chunk's sender describes it. What the first chunk said of time stands; the rest must agree.
    package func judge(_ chunk: Chunk, of upload: Upload) throws(UploadRefusal) -> Standing {
        for other in uploads where other.kind == upload.kind {
            guard let here = other.chunk(chunk.sequence) else { continue }
            guard other.upload == upload.upload, here.sha256 == chunk.sha256, here.bytes == chunk.bytes else { throw .taken }
            return .same
        }
        if let known = self.upload(upload.upload, upload.kind) {
            guard known.firstSequence == upload.firstSequence, known.mediaType == upload.mediaType, chunk.sequence <= known.lastSequence ?? Limits.sequence else { throw .differs }
        } else if uploads.count >= Limits.uploads { throw .tooManyUploads } else if uploads.count(where: { $0.lastSequence == nil }) >= Limits.open { throw .tooManyOpen }
        guard chunk.sequence >= upload.firstSequence else { throw .differs }
        guard chunkCount < Limits.chunks else { throw .tooManyChunks }
        guard byteCount + chunk.bytes <= Limits.bytes else { throw .tooManyBytes }
        return .new
    }
    /// Enters a chunk that was judged `new` and is written.
    package mutating func add(_ chunk: Chunk, of upload: Upload) {
        if let index = uploads.firstIndex(where: { $0.upload == upload.upload && $0.kind == upload.kind }) {
            uploads[index].add(chunk)
        } else {
            var fresh = upload
            fresh.add(chunk)
            uploads.append(fresh)
        }
    }
    /// The recorder's last word on an upload; saying it again changes nothing.
    package mutating func end(_ name: String, _ kind: UploadKind, at last: Int) throws(UploadRefusal) -> Upload {
        guard let index = uploads.firstIndex(where: { $0.upload == name && $0.kind == kind }) else { throw .unknownUpload }
        try uploads[index].end(at: last)
        return uploads[index]
    }
    package mutating func handOver(_ name: String, _ kind: UploadKind) {
        guard let index = uploads.firstIndex(where: { $0.upload == name && $0.kind == kind }) else { return }
        uploads[index].isHandedOver = true
    }

    package var chunkCount: Int { uploads.reduce(0) { $0 + $1.chunks.count } }
    package var byteCount: Int64 { uploads.reduce(0) { $1.chunks.reduce($0) { $0 + $1.bytes } } }
    /// The number after all that are known of a kind.
    package func nextSequence(_ kind: UploadKind) -> Int {
        1 + (uploads.lazy.filter { $0.kind == kind }.map { max($0.chunks.last?.sequence ?? -1, $0.lastSequence ?? -1) }.max() ?? -1)
    }
}
