// What is made of recordings, in memory: jobs as the rows know them, and what the gateway asked.
import Composition
import Conference
import Contracts
import Primitives
import Synchronization

final class TestComposition: CompositionService {
    struct State {
        var jobs: [JobRecord] = []
        var previews: [PreviewOrder] = []
        var exports: [(CompositionID?, ExportFormat, Int?)] = []
        var saved: [CompositionID: CompositionRecord] = [:]
        var tokens: Set<TokenHash> = []
    }
    let state = Mutex(State())
    static let subject = CompositionSubject(peers: ["ann", "bob"], duration: 60_000)

    private func known(_ recording: RecordingID) throws {
        guard recording == "rec-1" else { throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id") }
    }
    private func add(_ kind: JobKind) -> JobRecord {
        state.withLock { state in
            let job = JobRecord(NewJob(id: JobID("J_\(state.jobs.count + 1)"), kind: kind, recording: "rec-1", room: "room-1"), now: WallTime(seconds: 1_700_000_000))
            state.jobs.insert(job, at: 0)
            return job
        }
    }
    func change(_ id: JobID, _ change: (inout JobRecord) -> Void) {
        state.withLock { state in if let index = state.jobs.firstIndex(where: { $0.id == id }) { change(&state.jobs[index]) } }
    }

    func makeToken(of recording: RecordingID, _ hash: TokenHash, caller: Caller) async throws -> TokenRecord {
        try known(recording)
        guard caller.canAdmin else { throw ServiceError(.forbidden, code: "host_only", message: "only the host") }
        state.withLock { _ = $0.tokens.insert(hash) }
        return TokenRecord(
            hash: hash, binding: TokenBinding(kind: .composition, room: "room-1", recording: recording), scopes: CompositionScope.all, createdAt: WallTime(seconds: 1_700_000_000),
            expiresAt: WallTime(seconds: 1_700_001_800))
    }
    func preview(_ recording: RecordingID, _ order: PreviewOrder, caller: Caller) async throws -> JobRecord {
        try known(recording)
        state.withLock { $0.previews.append(order) }
        return add(.preview)
    }
    func save(_ id: CompositionID, of recording: RecordingID, _ body: [UInt8], expecting: UInt64?, caller: Caller) async throws -> CompositionRecord {
        try known(recording)
        _ = try CompositionState.read(body, for: Self.subject)
        return try state.withLock { state in
            let version = state.saved[id]?.version ?? 0
            if let expecting, expecting != version { throw ServiceError(.conflict, code: "composition_changed", message: "read it again") }
            let record = CompositionRecord(recording: recording, id: id, version: version + 1, state: String(decoding: body, as: UTF8.self), updatedAt: WallTime(seconds: 1_700_000_000))
            state.saved[id] = record
            return record
        }
    }
    func composition(_ id: CompositionID, of recording: RecordingID, caller: Caller) async throws -> CompositionRecord {
        guard let saved = state.withLock({ $0.saved[id] }) else { throw ServiceError(.notFound, code: "unknown_composition", message: "PUT one") }
        return saved
    }
    func export(_ recording: RecordingID, _ composition: CompositionID?, _ format: ExportFormat, height: Int?, caller: Caller) async throws -> JobRecord {
        try known(recording)
        guard let hash = caller.singleUse, state.withLock({ $0.tokens.remove(hash) }) != nil else {
            throw ServiceError(caller.singleUse == nil ? .forbidden : .unauthenticated, code: caller.singleUse == nil ? "composition_token_required" : "token_refused", message: "ask for a fresh one")
        }
        state.withLock { $0.exports.append((composition, format, height)) }
        return add(.export)
    }
    func jobs(of recording: RecordingID, caller: Caller) async throws -> [JobRecord] { state.withLock { $0.jobs } }
    func job(_ id: JobID, caller: Caller) async throws -> JobRecord {
        guard let job = state.withLock({ $0.jobs.first { $0.id == id } }) else { throw ServiceError(.notFound, code: "unknown_job", message: "no job has this id") }
        return job
    }
    func cancelJob(_ id: JobID, caller: Caller) async throws -> JobRecord {
        change(id) { $0.state = .cancelled }
        return try await job(id, caller: caller)
    }
}
