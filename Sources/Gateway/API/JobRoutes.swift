// What is made of a recording over HTTP: previews, compositions, exports, and the jobs that do it.
internal import Composition
internal import Conference
internal import Contracts
internal import EventLoop
internal import Primitives

struct JobRoutes: Sendable {
    private enum Preset: String, CaseIterable, Sendable {
        case p360 = "360p", p480 = "480p", p720 = "720p", p1080 = "1080p"
        var height: Int { switch self { case .p360: 360; case .p480: 480; case .p720: 720; case .p1080: 1080 } }
    }
    private enum Fields {
        static let previewPreset = Field<Preset>.choice("preset", [.p360, .p480, .p720], required: false, "Height of the pictures; 360p unless said")
        static let segmentSeconds = Field.integer("segment_seconds", 2...4, required: false, "2 or 4, the default")
        static let muxPerPeer = Field.boolean("mux_per_peer", required: false, "Sound and picture of a person in one stream; sound alone is there besides")
        static let compositionID = Field.string("composition_id", 1...128, required: false, "A saved composition; without it a grid of everyone")
        static let exportPreset = Field<Preset>.choice("preset", Preset.allCases, required: false, "Height of the picture; the composition's own unless said")
        static let format = Field<ExportFormat>.choice("format", ExportFormat.allCases, required: false, "mp4 unless said")
    }
    enum Limits {
        /// A composition without an id of its own.
        static let usualComposition: CompositionID = "main"
        /// Streams of jobs' events that are open at this gateway.
        static let streams = 64
    }
    let service: any CompositionService
    let signature: MediaSignature
    let loop: any Loop
    let random: any RandomSource
    private let streams: ServerSentEvents

    init(service: any CompositionService, signature: MediaSignature, loop: any Loop, random: any RandomSource) {
        self.service = service; self.signature = signature; self.loop = loop; self.random = random
        streams = ServerSentEvents(most: Limits.streams, loop: loop)
    }

    var routes: [Route] {
        let failures = [401, 403, 404, 409]
        return [
            Route(
                .post, "/recordings/{id}/composition/token", tag: "composition", "A token for one preview, one composition or one export", access: .bearer,
                answers: [.init(201, "It works once, for 30 minutes", ResponseSchemas.compositionToken)], failures: failures, handler: token),
            Route(
                .post, "/recordings/{id}/preview", tag: "composition", "Make per-peer HLS, also while the recording runs", access: .bearer,
                fields: [Fields.previewPreset, Fields.segmentSeconds, Fields.muxPerPeer], answers: [.init(202, "The job that makes it", ResponseSchemas.jobAccepted)],
                failures: failures + [422, 503], repeatable: true, handler: preview),
            Route(
                .put, "/recordings/{id}/composition", tag: "composition", "Save a Composition State; `If-Match` with a version saves over that one only", access: .bearer,
                query: [.init("composition_id", "Under which id; `main` unless said")], answers: [.init(200, "Saved", ResponseSchemas.composition)],
                failures: failures + [413, 422], handler: save),
            Route(
                .get, "/recordings/{id}/composition", tag: "composition", "A saved Composition State", access: .bearer, query: [.init("composition_id", "`main` unless said")],
                answers: [.init(200, "As it was saved", ResponseSchemas.composition)], failures: failures, handler: composition),
            Route(
                .post, "/recordings/{id}/export", tag: "composition", "Render a composition from the source tracks; takes a fresh composition token", access: .bearer,
                fields: [Fields.compositionID, Fields.exportPreset, Fields.format], answers: [.init(202, "The job that renders it", ResponseSchemas.jobAccepted)],
                failures: failures + [503], repeatable: true, handler: export),
            Route(
                .get, "/jobs/{id}", tag: "composition", "A job", access: .bearer, answers: [.init(200, "How far it is, or what came of it", ResponseSchemas.job)], failures: failures, handler: job),
            Route(
                .delete, "/jobs/{id}", tag: "composition", "Cancel a job", access: .bearer, answers: [.init(200, "As it is now", ResponseSchemas.job)], failures: failures, handler: cancel),
            Route(
                .get, "/jobs/{id}/events", tag: "composition", "A job's progress as server-sent events, until it has ended", access: .bearer,
                answers: [.init(200, "`data` is the job")], failures: failures + [503], handler: events),
        ]
    }

    // MARK: Compositions

    private func token(_ call: RouteCall) async throws -> HTTPResponse {
        let (text, hash) = SingleUseToken.make(.composition, random)
        let record = try await service.makeToken(of: RecordingID(call.parameter("id")), hash, caller: call.caller)
        return .json(["token": .string(text), "expires_at": .string(record.expiresAt.rfc3339), "scopes": .array(record.scopes.map { .string($0) })], status: 201)
    }
    private func save(_ call: RouteCall) async throws -> HTTPResponse {
        var expecting: UInt64?
        if let text = call.request.headers["if-match"] {
            guard let version = UInt64(text.filter { $0 != "\"" }) else { throw Failure(400, "malformed", "`If-Match` is the version that was edited, such as \"3\"") }
            expecting = version
        }
        do {
            let saved = try await service.save(id(call), of: RecordingID(call.parameter("id")), call.request.body, expecting: expecting, caller: call.caller)
            return answer(saved, withState: false)
        } catch let error as CompositionError { throw Failure(error) }
    }
    private func composition(_ call: RouteCall) async throws -> HTTPResponse {
        answer(try await service.composition(id(call), of: RecordingID(call.parameter("id")), caller: call.caller), withState: true)
    }
    private func id(_ call: RouteCall) -> CompositionID { call.request.query("composition_id").map { CompositionID($0) } ?? Limits.usualComposition }
    private func answer(_ saved: CompositionRecord, withState: Bool) -> HTTPResponse {
        var response = HTTPResponse.json(.compact([
            ("composition_id", .string(saved.id.rawValue)), ("status", "saved"), ("version", .integer(Int64(clamping: saved.version))), ("updated_at", .string(saved.updatedAt.rfc3339)),
            ("composition", withState ? try? JSONParser.parse(Array(saved.state.utf8)) : nil),
        ]))
        response.set("ETag", "\"\(saved.version)\"")
        return response
    }

    // MARK: Jobs

    private func preview(_ call: RouteCall) async throws -> HTTPResponse {
        guard try call.optional(Fields.muxPerPeer) ?? true else { throw Failure(422, "unmuxed_unsupported", "sound and picture come in one stream; take a peer's audio-only playlist for sound alone") }
        let seconds = try call.optional(Fields.segmentSeconds) ?? 4
        guard seconds != 3 else { throw Failure(400, "malformed", "`segment_seconds` is 2 or 4") }
        let order = PreviewOrder(height: try call.optional(Fields.previewPreset)?.height ?? 360, segmentSeconds: Int(seconds))
        return accepted(try await service.preview(RecordingID(call.parameter("id")), order, caller: call.caller))
    }
    private func export(_ call: RouteCall) async throws -> HTTPResponse {
        accepted(try await service.export(
            RecordingID(call.parameter("id")), try call.optional(Fields.compositionID).map { CompositionID($0) }, try call.optional(Fields.format) ?? .mp4,
            height: try call.optional(Fields.exportPreset)?.height, caller: call.caller))
    }
    private func accepted(_ job: JobRecord) -> HTTPResponse { .json(["job_id": .string(job.id.rawValue), "status": .string(job.state.rawValue)], status: 202) }
    private func job(_ call: RouteCall) async throws -> HTTPResponse {
        .json(Wire.job(try await service.job(JobID(call.parameter("id")), caller: call.caller), signature, call.now))
    }
    private func cancel(_ call: RouteCall) async throws -> HTTPResponse {
        .json(Wire.job(try await service.cancelJob(JobID(call.parameter("id")), caller: call.caller), signature, call.now))
    }
    private func events(_ call: RouteCall) async throws -> HTTPResponse {
        let id = JobID(call.parameter("id")), caller = call.caller
        // Asked for before anything is answered, so that what is wrong has its status.
        let first = try await service.job(id, caller: caller)
        return try streams.answer((first: Optional(first), told: JobRecord?.none)) { [service, signature, loop] state in
            let job: JobRecord
            do { job = if let first = state.first.take() { first } else { try await service.job(id, caller: caller) } } catch is ServiceError { return .last("event: gone\ndata: {}\n\n") }
            guard job != state.told else { return .unchanged }
            state.told = job
            let data = Wire.job(job, signature, loop.wall).text
            return job.state.isEnded ? .last("event: end\ndata: \(data)\n\n") : .text("event: progress\ndata: \(data)\n\n")
        }
    }
}

extension Failure {
    init(_ error: CompositionError) {
        switch error.kind {
        case .tooLarge: self.init(413, "composition_too_large", error.description)
        case .malformed: self.init(400, "bad_composition", error.description)
        case .unsupported: self.init(422, "composition_does_not_fit", error.description)
        }
    }
}

extension Wire {
    /// A job, with a signed URL of the file that came of it.
    static func job(_ job: JobRecord, _ signature: MediaSignature, _ now: WallTime) -> JSON {
        let result = job.result.flatMap { try? JSONParser.parse(Array($0.utf8)) }
        // A program that hostile media went through names it: nothing but this recording's files is signed.
        let named = job.state == .ready ? result?["output_path"]?.string : nil
        let file = named.flatMap { $0.hasPrefix("rooms/\(job.room)/\(job.recording)/") && StoredFiles.isSafe(key: $0) ? $0 : nil }
        let note = result?["message"]?.string
        return .compact([
            ("job_id", .string(job.id.rawValue)), ("kind", .string(job.kind.rawValue)), ("recording_id", .string(job.recording.rawValue)), ("room_id", .string(job.room.rawValue)),
            ("status", .string(job.state.rawValue)), ("progress", .number(job.state == .ready ? 1 : job.progress)), ("eta_seconds", job.state == .processing ? .real(job.secondsLeft) : nil),
            ("attempt", .integer(Int64(job.attempt))), ("priority", .integer(Int64(job.priority))), ("created_at", .string(job.createdAt.rfc3339)),
            ("finished_at", .text(job.finishedAt?.rfc3339)),
            ("error", job.failure.map { ["code": .string($0.code), "message": .string($0.message)] }), ("url", file.map { .string(signature.path(for: $0, now: now)) }),
            ("duration", result?["duration"]), ("size", result?["size"]), ("complete", result?["complete"]), ("note", note?.isEmpty == false ? .text(note) : nil),
        ])
    }
}
