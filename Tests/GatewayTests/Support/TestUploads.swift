// Uploads in memory: what was admitted and stored.
import Conference
import Contracts
import Primitives
import Synchronization

final class TestUploads: UploadService {
    struct State {
        var stored: [Int: (offer: ChunkOffer, bytes: [UInt8], sha256: String)] = [:]
        var last: Int?
        var underWay = 0
    }
    let state = Mutex(State())
    /// While set, `store` waits.
    let gate = Mutex<CheckedContinuation<Void, Never>?>(nil)
    let waits = Mutex(false)
    var chunkBytes: Int64 { 4 << 20 }

    private func requireOwn(_ participant: ParticipantID, _ caller: Caller) throws {
        guard caller.identity == participant.rawValue else { throw ServiceError(.forbidden, code: "not_your_track", message: "your own") }
    }
    func admit(_ offer: ChunkOffer, caller: Caller) async throws -> ChunkOffer {
        try requireOwn(offer.participant, caller)
        var offer = offer
        if offer.recording.rawValue.isEmpty { offer.recording = "rec-1" }
        guard offer.recording == "rec-1" else { throw ServiceError(.notFound, code: "unknown_recording", message: "none") }
        return offer
    }
    /// One too many is the third.
    func begin(_ offer: ChunkOffer) throws(ServiceError) {
        let isTaken = state.withLock { state in
            guard state.underWay < 2 else { return false }
            state.underWay += 1
            return true
        }
        guard isTaken else { throw ServiceError(.rateLimited, code: "too_many_under_way", message: "two at a time") }
    }
    func end(_ offer: ChunkOffer) { state.withLock { $0.underWay -= 1 } }
    func store(_ bytes: [UInt8], sha256: String, of offer: ChunkOffer) async throws -> ChunkReceipt {
        if waits.withLock({ $0 }) { await withCheckedContinuation { continuation in gate.withLock { $0 = continuation } } }
        state.withLock { $0.stored[offer.sequence] = (offer, bytes, sha256) }
        return ChunkReceipt(sequence: offer.sequence, bytes: Int64(bytes.count), sha256: sha256, isUploadComplete: false)
    }
    func release() { waits.withLock { $0 = false }; gate.withLock { $0.take() }?.resume() }
    private func standing(_ name: String, _ kind: String) -> UploadStanding {
        state.withLock { state in
            let chunks = state.stored.keys.sorted()
            return UploadStanding(
                kind: kind, upload: name, firstSequence: 0, lastSequence: state.last, isComplete: false,
                chunks: chunks.map { .init(sequence: $0, bytes: Int64(state.stored[$0]!.bytes.count), sha256: state.stored[$0]!.sha256) }, missing: [1...2])
        }
    }
    func complete(_ upload: String, kind: String, last: Int, of participant: ParticipantID, in recording: RecordingID, caller: Caller) async throws -> UploadStanding {
        try requireOwn(participant, caller)
        state.withLock { $0.last = last }
        return standing(upload, kind)
    }
    func uploads(of participant: ParticipantID, in recording: RecordingID, caller: Caller) async throws -> UploadListing {
        try requireOwn(participant, caller)
        return UploadListing(uploads: [standing("main", "camera")], nextSequence: ["camera": 1, "screen": 0, "audio": 0], acceptedUntil: WallTime(seconds: 1_700_086_400))
    }
}
