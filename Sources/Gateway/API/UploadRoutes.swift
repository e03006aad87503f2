// Tracks that browsers recorded themselves: leave to send a chunk, the chunk, the last word, what is here.
// Decision: docs/decisions/0037-browser-recorded-tracks.md
internal import Conference
internal import Contracts
internal import EventLoop
internal import Hashing
internal import Primitives

struct UploadRoutes: Sendable {
    private enum Fields {
        static let participant = Field.string("participant_id", 1...128, required: false, "Whose upload; the caller's own unless said")
        static let kind = Field.string("kind", 1...16, "camera, screen or audio")
        static let last = Field.integer("last_sequence", 0...999_999, "The number of the upload's last chunk")
    }
    private enum Usual {
        /// An upload without a name, and how far a start may be off that nobody measured, microseconds.
        static let upload = "main"
        static let uncertainty: Int64 = 10_000_000
    }
    let service: any UploadService
    let ticket: UploadTicket
    let disk: DiskThread

    var routes: [Route] {
        [
            Route(
                .get, "/api/recordings/upload-url", tag: "uploads", "Where to PUT one chunk of what the caller's browser recorded", access: .bearer,
                query: [
                    .init("roomId", "The room", required: true), .init("participantId", "The caller's own id in it", required: true),
                    .init("sequence", "The chunk's number: grows over the whole recording for each kind", required: true), .init("kind", "camera, screen or audio", required: true),
                    .init("recordingId", "The room's newest unless said"), .init("upload", "One run of the recorder; `main` unless said"),
                    .init("firstSequence", "The number of the run's first chunk; 0 unless said"), .init("mediaType", "video/webm or audio/webm, with codecs"),
                    .init("startedAtUs", "When the run began, microseconds since 1970 by the clock of GET /api/v1/time"),
                    .init("offsetUncertaintyUs", "By how many microseconds that may be off"), .init("clock", "The node whose clock it was"),
                    .init("atUs", "Microseconds from the run's start to the chunk's first byte"), .init("bytes", "Its length"), .init("sha256", "Of its bytes, hexadecimal"),
                ],
                answers: [.init(200, "A signed URL that ends soon", ResponseSchemas.uploadURL)], failures: [403, 404, 410, 413, 422], handler: url),
            Route(
                .put, "/api/recordings/chunk", tag: "uploads", "One chunk, by the URL `upload-url` gave; the same again is answered alike", access: .open,
                query: [.init("ticket", "What the URL is signed with", required: true)], answers: [.init(200, "It is on the disk", ResponseSchemas.chunk)],
                failures: [403, 404, 409, 410, 411, 413, 415, 422, 429, 503], rated: false, intake: intake, handler: put),
            Route(
                .get, "/api/recordings/{id}/uploads", tag: "uploads", "Which chunks of a participant are here", access: .bearer,
                query: [.init("participantId", "The caller's own unless said")], answers: [.init(200, "By upload", ResponseSchemas.uploads)], failures: [403, 404, 410], handler: list),
            Route(
                .post, "/api/recordings/{id}/uploads/{upload}/complete", tag: "uploads", "Say an upload's last chunk; once all are here the recording is finished with them", access: .bearer,
                fields: [Fields.participant, Fields.kind, Fields.last], answers: [.init(200, "What is here of it", ResponseSchemas.upload)],
                failures: [403, 404, 409, 410, 503], handler: complete),
        ]
    }

    // MARK: Leave

    private func url(_ call: RouteCall) async throws -> HTTPResponse {
        func text(_ name: String) -> String { call.request.query(name) ?? "" }
        func number(_ name: String, else usual: Int64? = nil) throws(Failure) -> Int64 {
            guard let text = call.request.query(name) else { if let usual { return usual } else { throw Failure(400, "malformed", "the query parameter `\(name)` is missing") } }
            guard let number = Int64(text), (0...(1 << 53)).contains(number) else { throw Failure(400, "malformed", "the query parameter `\(name)` must be a whole number") }
            return number
        }
        let kind = text("kind"), at = try number("atUs", else: 0)
        let offer = ChunkOffer(
            room: RoomID(text("roomId")), recording: RecordingID(text("recordingId")), participant: ParticipantID(text("participantId")), kind: kind,
            upload: call.request.query("upload") ?? Usual.upload, firstSequence: Int(try number("firstSequence", else: 0)), sequence: Int(try number("sequence")),
            mediaType: call.request.query("mediaType") ?? (kind == "audio" ? "audio/webm" : "video/webm"), startedAt: try number("startedAtUs", else: max(0, call.now.microseconds - at)),
            offsetUncertainty: try number("offsetUncertaintyUs", else: Usual.uncertainty), clock: call.request.query("clock").map { NodeName($0) }, at: at,
            bytes: call.request.query("bytes") == nil ? nil : try number("bytes"), sha256: call.request.query("sha256"))
        let admitted = try await service.admit(offer, caller: Self.participant(call))
        return .json([
            "url": .string(call.base + "/api/recordings/chunk?ticket=" + ticket.make(admitted, now: call.now)), "method": "PUT",
            "headers": ["Content-Type": .string(admitted.mediaType)], "expires_at": .string((call.now + UploadTicket.Limits.lifetime).rfc3339),
            "max_bytes": .integer(service.chunkBytes), "recording_id": .string(admitted.recording.rawValue),
        ])
    }
    /// Participants are known by their id, whatever the token calls them.
    private static func participant(_ call: RouteCall) -> Caller {
        var caller = call.caller
        caller.identity = caller.identity.map { Authenticator.participant(identity: $0).rawValue }
        return caller
    }
    private static func subject(_ caller: Caller, _ named: String?) throws(Failure) -> ParticipantID {
        guard let id = named ?? caller.identity else { throw Failure(403, "not_your_track", "a participant uploads what it recorded itself, with its own token") }
        return ParticipantID(id)
    }

    // MARK: The chunk

    /// Looks at a PUT before its body is read.
    private func intake(_ request: HTTPRequest, _ now: WallTime) throws(Failure) -> Route.LargeBody {
        let offer = try offer(request, now)
        guard Self.essence(request.headers["content-type"]) == Self.essence(offer.mediaType) else {
            throw Failure(415, "wrong_media_type", "send the chunk with `Content-Type: \(offer.mediaType)`, as `upload-url` said")
        }
        do throws(ServiceError) { try service.begin(offer) } catch { throw Failure(error) }
        return Route.LargeBody(bytes: min(service.chunkBytes, offer.bytes ?? service.chunkBytes)) { [service] in service.end(offer) }
    }
    private static func essence(_ type: String?) -> String { (type ?? "").lowercased().prefix { $0 != ";" }.filter { $0 != " " } }
    private func offer(_ request: HTTPRequest, _ now: WallTime) throws(Failure) -> ChunkOffer {
        switch ticket.open(request.query("ticket") ?? "", now: now) {
        case .valid(let offer): return offer
        case .expired: throw Failure(410, "url_expired", "this URL has expired; ask for another with GET /api/recordings/upload-url")
        case .invalid: throw Failure(403, "bad_signature", "this URL is not signed by this cluster; ask for one with GET /api/recordings/upload-url")
        }
    }
    private func put(_ call: RouteCall) async throws -> HTTPResponse {
        // Checked once more: a body may have been so long on its way that its ticket has ended, which it may.
        let offer = try offer(call.request, WallTime(seconds: 0)), bytes = call.request.body
        guard !bytes.isEmpty else { throw Failure(411, "length_required", "send the chunk as the body, with `Content-Length`") }
        let sha256 = try await disk.run { Digests.hex(Digests.sha256(bytes)) }
        let receipt = try await service.store(bytes, sha256: sha256, of: offer)
        return .json([
            "sequence": .integer(Int64(receipt.sequence)), "bytes": .integer(receipt.bytes), "sha256": .string(receipt.sha256), "upload_complete": .bool(receipt.isUploadComplete),
        ])
    }

    // MARK: What is here

    private func complete(_ call: RouteCall) async throws -> HTTPResponse {
        let caller = Self.participant(call), participant = try Self.subject(caller, try call.optional(Fields.participant))
        return .json(Self.json(try await service.complete(
            call.parameter("upload"), kind: try call.value(Fields.kind), last: Int(try call.value(Fields.last)), of: participant, in: RecordingID(call.parameter("id")), caller: caller)))
    }
    private func list(_ call: RouteCall) async throws -> HTTPResponse {
        let caller = Self.participant(call), participant = try Self.subject(caller, call.request.query("participantId")), id = RecordingID(call.parameter("id"))
        let listing = try await service.uploads(of: participant, in: id, caller: caller)
        let next = JSONObject(listing.nextSequence.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: .integer(Int64($0.value))) })
        return .json(.compact([
            ("recording_id", .string(id.rawValue)), ("participant_id", .string(participant.rawValue)), ("uploads", .array(listing.uploads.map(Self.json))),
            ("next_sequence", .object(next)), ("accepted_until", .text(listing.acceptedUntil?.rfc3339)),
        ]))
    }
    private static func json(_ upload: UploadStanding) -> JSON {
        .compact([
            ("upload", .string(upload.upload)), ("kind", .string(upload.kind)), ("first_sequence", .integer(Int64(upload.firstSequence))),
            ("last_sequence", .int(upload.lastSequence.map { Int64($0) })), ("complete", .bool(upload.isComplete)),
            ("chunks", .array(upload.chunks.map { ["sequence": .integer(Int64($0.sequence)), "bytes": .integer($0.bytes), "sha256": .string($0.sha256)] })),
            ("missing", .array(upload.missing.map { [.integer(Int64($0.lowerBound)), .integer(Int64($0.upperBound))] })),
        ])
    }
}
