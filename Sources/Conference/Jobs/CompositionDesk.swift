// Previews, compositions and exports as a node's gateways use them. Any node answers for any recording.
import Capture
import Cluster
import Composition
import Contracts
import EventLoop
import ObjectStorage
import Primitives

/// Checks permissions and what is asked for, keeps rows, and leaves the work to whichever compositor takes the job.
package final class CompositionDesk: CompositionService {
    package enum Limits {
        /// Of a composition token.
        package static let tokenLife = Duration.seconds(30 * 60)
        /// Higher runs first: somebody waits for a preview, nobody for what every recording gets.
        static let previewPriority = 20
        static let exportPriority = 10
        static let defaultPriority = -10
        /// Attempts to ask the store for what every recording gets, and the pause between them.
        static let defaultAttempts = 100
        static let defaultPause = Duration.seconds(3)
    }
    private let context: ConferenceContext
    private let jobs: any JobStore
    private let tokens: any TokenStore
    private let compositions: any CompositionStore
    private let objects: LocalFolder
    private let disk: DiskThread
    /// Looks for work at once, where this node does some.
    private let nudge: @Sendable () -> Void
    private var access: RoomAccess { RoomAccess(rooms: context.rooms) }

    package init(
        context: ConferenceContext, jobs: any JobStore, tokens: any TokenStore, compositions: any CompositionStore, objects: LocalFolder, disk: DiskThread,
        nudge: @escaping @Sendable () -> Void
    ) {
        self.context = context; self.jobs = jobs; self.tokens = tokens; self.compositions = compositions; self.objects = objects; self.disk = disk; self.nudge = nudge
    }

    // MARK: Permission

    private func record(_ id: RecordingID) async throws -> RecordingRecord {
        guard let record = try await context.recordings.recording(id) else { throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id") }
        return record
    }
    /// By a token made for it, which this uses up; else by who the caller is. The last check of a request that changes something.
    private func permit(_ scope: String, on record: RecordingRecord, _ caller: Caller) async throws {
        let room = record.status.roomID
        if let hash = caller.singleUse {
            return try await tokens.burn(hash, for: TokenBinding(kind: .composition, room: room, recording: record.status.recordingID), scope: scope, context)
        }
        switch scope {
        case CompositionScope.preview: try await access.requireViewer(of: record, caller)
        case CompositionScope.write: try await access.requireHost(of: room, caller)
        default:
            throw ServiceError(.forbidden, code: "composition_token_required", message: "an export takes a fresh token; ask for one with POST /recordings/{id}/composition/token")
        }
    }
    package func makeToken(of recording: RecordingID, _ hash: TokenHash, caller: Caller) async throws -> TokenRecord {
        let record = try await record(recording)
        try await access.requireHost(of: record.status.roomID, caller)
        return try await tokens.make(
            hash, for: TokenBinding(kind: .composition, room: record.status.roomID, recording: recording), scopes: CompositionScope.all, life: Limits.tokenLife)
    }

    // MARK: Compositions

    /// metadata.json, once there is one.
    private func manifest(_ record: RecordingRecord) async throws -> Manifest {
        let key = RecordingLayout(room: record.status.roomID, recording: record.status.recordingID).metadata, objects = objects
        switch record.status.state {
        case .starting, .recording, .stopping, .processing:
            throw ServiceError(.conflict, code: "not_finished", message: "the recording is \(record.status.state.rawValue); compositions and exports are made once it is ready")
        case .ready, .failed, .deleted: break
        }
        return try await disk.run {
            do {
                let key = try ObjectKey(key)
                return try objects.read(key, range: 0..<objects.info(key).size).withUnsafeBytes { try CaptureJSON.decode(Manifest.self, $0) }
            } catch ObjectStorageError.notFound {
                throw ServiceError(.conflict, code: "nothing_recorded", message: "nothing of this recording could be finished: \(record.status.reason ?? "no packet was captured")")
            } catch { throw ServiceError(.unavailable, code: "storage_away", message: "metadata.json cannot be read; try again") }
        }
    }
    package func save(_ id: CompositionID, of recording: RecordingID, _ body: [UInt8], expecting: UInt64?, caller: Caller) async throws -> CompositionRecord {
        guard id.isSafe else { throw ServiceError(.malformed, code: "bad_composition_id", message: "a composition's id is 1 to 128 letters, digits, `_`, `.` or `-`") }
        let record = try await record(recording)
        // A stranger learns nothing of the recording by what is wrong with a state; a token is not used up by a wrong one.
        if caller.singleUse == nil { try await permit(CompositionScope.write, on: record, caller) }
        guard body.count <= CompositionLimits.stateBytes else {
            throw ServiceError(.tooLarge, code: "composition_too_large", message: "a Composition State has at most \(CompositionLimits.stateBytes) bytes")
        }
        _ = try CompositionState.read(body, for: CompositionSubject(try await manifest(record)))
        if caller.singleUse != nil { try await permit(CompositionScope.write, on: record, caller) }
        switch try await compositions.saveComposition(id, of: recording, state: String(decoding: body, as: UTF8.self), expecting: expecting) {
        case .saved(let saved): return saved
        case .conflict(let current):
            throw ServiceError(.conflict, code: "composition_changed", message: "somebody saved version \(current?.version ?? 0) meanwhile; read it, and save with its version in `If-Match`")
        case .full: throw ServiceError(.conflict, code: "too_many_compositions", message: "a recording has at most \(CompositionLimits.perRecording) compositions; save under one of their ids")
        case .noRecording: throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id")
        }
    }
    package func composition(_ id: CompositionID, of recording: RecordingID, caller: Caller) async throws -> CompositionRecord {
        let record = try await record(recording)
        try await access.requireViewer(of: record, caller)
        guard let saved = try await compositions.composition(id, of: recording) else {
            throw ServiceError(.notFound, code: "unknown_composition", message: "the recording has no composition of this id; PUT one")
        }
        return saved
    }

    // MARK: Jobs

    package func preview(_ recording: RecordingID, _ order: PreviewOrder, caller: Caller) async throws -> JobRecord {
        let record = try await record(recording)
        guard record.status.state != .starting else { throw ServiceError(.conflict, code: "not_started", message: "no packet has been captured yet; try again in a second") }
        try requireCompositor()
        try await permit(CompositionScope.preview, on: record, caller)
        // Before it is finished there is one preview, which follows it to its end.
        let revision = record.status.state == .ready ? try await manifest(record).revision ?? 1 : 1
        return try await insert(.preview, record, priority: Limits.previewPriority, key: order.key(revision), JobWork.parameters(order))
    }
    package func export(_ recording: RecordingID, _ composition: CompositionID?, _ format: ExportFormat, height: Int?, caller: Caller) async throws -> JobRecord {
        let record = try await record(recording)
        guard caller.singleUse != nil else { return try await refuseExport(record, caller) }
        _ = try await manifest(record)
        try requireCompositor()
        var state: String?
        if let composition {
            guard let saved = try await compositions.composition(composition, of: recording) else {
                throw ServiceError(.notFound, code: "unknown_composition", message: "the recording has no composition `\(composition)`; PUT /recordings/{id}/composition first")
            }
            state = saved.state
        }
        if let height { state = try Self.state(state, height: height) }
        try await permit(CompositionScope.export, on: record, caller)
        return try await insert(.export, record, priority: Limits.exportPriority, key: nil, JobWork.parameters(ExportOrder(format: format, composition: state)))
    }
    /// - Returns: never: says which token is missing, or that the caller may not have one.
    private func refuseExport(_ record: RecordingRecord, _ caller: Caller) async throws -> JobRecord {
        try await access.requireHost(of: record.status.roomID, caller)
        try await permit(CompositionScope.export, on: record, caller)
        throw ServiceError(.forbidden, code: "composition_token_required", message: "an export takes a fresh token")
    }
    /// The same composition with another picture height.
    private static func state(_ state: String?, height: Int) throws -> String {
        var json = try JSONParser.parse(Array((state ?? "{}").utf8)).object ?? JSONObject()
        var export = json["export"]?.object ?? JSONObject()
        export["resolution"] = .string("\(height)p")
        json["export"] = .object(export)
        return JSON.object(json).text
    }
    private func requireCompositor() throws {
        guard context.system.members().contains(where: { $0.roles.contains("compositor") && $0.state != .down }) else {
            throw ServiceError(.unavailable, code: "no_compositor", message: "no node of the role `compositor` is up; give one node of the topology the role")
        }
    }
    private func insert(_ kind: JobKind, _ record: RecordingRecord, priority: Int, key: String?, _ parameters: String) async throws -> JobRecord {
        let job = NewJob(
            id: JobID("J_" + context.random.token(14)), kind: kind, recording: record.status.recordingID, room: record.status.roomID, priority: priority, dedupeKey: key,
            parameters: parameters)
        if let mistake = job.mistake { throw ServiceError(.tooLarge, code: "job_too_large", message: mistake) }
        switch try await jobs.insert(job) {
        case .inserted(let row):
            nudge()
            return row
        case .existing(let row): return row
        case .full: throw ServiceError(.conflict, code: "too_many_jobs", message: "the recording has \(JobLimits.perRecording) jobs; cancel some or wait")
        case .noRecording: throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id")
        }
    }

    package func jobs(of recording: RecordingID, caller: Caller) async throws -> [JobRecord] {
        try await access.requireViewer(of: try await record(recording), caller)
        return try await jobs.jobs(recording: recording)
    }
    package func job(_ id: JobID, caller: Caller) async throws -> JobRecord {
        guard let job = try await jobs.job(id) else { throw Self.unknownJob }
        try await access.requireViewer(of: try await record(job.recording), caller)
        return job
    }
    package func cancelJob(_ id: JobID, caller: Caller) async throws -> JobRecord {
        guard let job = try await jobs.job(id) else { throw Self.unknownJob }
        try await access.requireHost(of: job.room, caller)
        guard let ended = try await jobs.cancelJob(id) else { throw Self.unknownJob }
        return ended
    }
    private static var unknownJob: ServiceError { ServiceError(.notFound, code: "unknown_job", message: "no job has this id; jobs go with their recording") }

    /// A recording is ready: everyone gets a picture of it and a file to watch, when nothing else is to be done.
    /// - Parameter revision: of its manifest. What an earlier one still waits for, or is at, is given up; what it has made stays until this one's is whole.
    package func makeDefaults(of record: RecordingRecord, revision: Int) async {
        guard (try? requireCompositor()) != nil else { return }
        for _ in 0..<Limits.defaultAttempts {
            do {
                try await makeDefault(.thumbnail, record, revision, priority: 0, "{}")
                try await makeDefault(.export, record, revision, priority: Limits.defaultPriority, JobWork.parameters(ExportOrder(format: .webm, composition: nil, isDefault: true)))
                return try await makePreviewAgain(record, revision)
            } catch StoreError.away { try? await context.loop.sleep(for: Limits.defaultPause) } catch {
                return context.log(.warning, "default_jobs", ["recording": record.status.recordingID.rawValue, "error": "\(error)"])
            }
        }
    }
    private func makeDefault(_ kind: JobKind, _ record: RecordingRecord, _ revision: Int, priority: Int, _ parameters: String) async throws {
        let known = try await jobs.jobs(recording: record.status.recordingID).filter { $0.kind == kind }
        // The word of a later finish came first.
        guard !known.contains(where: { DefaultProducts.revision(of: $0).map { $0 > revision } ?? false }) else { return }
        _ = try await insert(kind, record, priority: priority, key: DefaultProducts.key(revision), parameters)
        for job in DefaultProducts.earlier(than: revision, kind, among: known) where !job.state.isEnded { try await jobs.removeJob(job.id) }
    }
    /// Where somebody asked for a preview of an earlier revision, it is made again, as it was asked for last.
    private func makePreviewAgain(_ record: RecordingRecord, _ revision: Int) async throws {
        let known = try await jobs.jobs(recording: record.status.recordingID), earlier = DefaultProducts.earlier(than: revision, .preview, among: known)
        guard let last = earlier.filter({ $0.state != .cancelled }).max(by: { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }),
              let order = try? JobWork.parameters(PreviewOrder.self, last) else { return }
        _ = try await insert(.preview, record, priority: Limits.previewPriority, key: order.key(revision), last.parameters)
        for job in earlier where !job.state.isEnded { try await jobs.removeJob(job.id) }
    }
}
