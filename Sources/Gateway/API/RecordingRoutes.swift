// Recordings over HTTP: start, stop, look, list, delete.
internal import Conference
internal import Contracts
internal import EventLoop
internal import Primitives

struct RecordingRoutes: Sendable {
    enum Limits { /// Of metadata.json and of a preview's index.
        static let documentBytes: Int64 = 1 << 20 }
    private enum Fields {
        static let roomID = Field.string("room_id", 1...128, "The room's id")
        static let excluded = Field.strings("exclude", count: 0...RoomCore.ConsentLimits.people, each: 1...128)
        static let excludedAtStart = Field.strings("exclude", count: 0...RoomCore.ConsentLimits.people, each: 1...128, required: false)
    }
    let service: any ConferenceService
    let composition: any CompositionService
    let signature: MediaSignature
    /// Where finished files lie, and the thread that reads them; nil serves none.
    let files: (StoredFiles, DiskThread)?

    var routes: [Route] {
        let failures = [403, 404, 409, 410]
        return [
            Route(
                .post, "/recording/start", tag: "recordings", "Record a room", access: .bearer, fields: [Fields.roomID, Fields.excludedAtStart],
                answers: [.init(200, "Packets are being captured", ResponseSchemas.recordingStatus)], failures: failures, repeatable: true, handler: start),
            Route(
                .post, "/recording/stop", tag: "recordings", "Stop recording; finishing goes on in the background", access: .bearer, fields: [Fields.roomID],
                answers: [.init(200, "Stopped", ResponseSchemas.recordingStatus)], failures: failures, repeatable: true, handler: stop),
            Route(
                .post, "/recording/exclude", tag: "recordings", "Whom the running recording leaves out from now on, all of them", access: .bearer,
                fields: [Fields.roomID, Fields.excluded],
                answers: [.init(200, "Nothing more of them is captured", ResponseSchemas.recordingStatus)], failures: failures, repeatable: true, handler: exclude),
            Route(
                .get, "/recording/{id}", tag: "recordings", "A recording with its files; without a token where its policy says `link`",
                answers: [.init(200, "Its state and signed URLs of its files", ResponseSchemas.recording)], failures: [401, 403, 404], handler: get),
            Route(
                .get, "/recordings/{id}", tag: "recordings", "A recording with what was made of it; without a token where its policy says `link`",
                answers: [.init(200, "Its state, its preview and exports, signed URLs", ResponseSchemas.recording)], failures: [401, 403, 404], handler: getWithJobs),
            Route(
                .delete, "/recording/{id}", tag: "recordings", "Delete a recording's media and rows", access: .bearer,
                answers: [.init(200, "What was removed", ResponseSchemas.removal), .init(202, "Removed here; the bucket's copy goes once it answers", ResponseSchemas.removal)], failures: failures,
                handler: delete),
            Route(
                .get, "/api/recordings", tag: "recordings", "The caller's recordings, newest first",
                query: [.init("roomId", "Only of this room"), .init("room_id", "The same, in the other spelling")],
                answers: [.init(200, "Recordings", ResponseSchemas.recordings)], failures: [403], handler: list),
        ]
    }

    private func start(_ call: RouteCall) async throws -> HTTPResponse {
        let people = try call.optional(Fields.excludedAtStart) ?? []
        return .json(Wire.recording(try await service.startRecording(RoomID(try call.value(Fields.roomID)), excluding: people.map { ParticipantID($0) }, caller: call.caller)))
    }
    private func exclude(_ call: RouteCall) async throws -> HTTPResponse {
        let people = try call.value(Fields.excluded).map { ParticipantID($0) }
        return .json(Wire.recording(try await service.excludeFromRecording(people, in: RoomID(try call.value(Fields.roomID)), caller: call.caller)))
    }
    private func stop(_ call: RouteCall) async throws -> HTTPResponse {
        .json(Wire.recording(try await service.stopRecording(RoomID(try call.value(Fields.roomID)), caller: call.caller)))
    }
    private func get(_ call: RouteCall) async throws -> HTTPResponse { .json(.object(try await description(call).1)) }
    private func getWithJobs(_ call: RouteCall) async throws -> HTTPResponse {
        var (record, json) = try await description(call)
        let jobs = try await composition.jobs(of: record.status.recordingID, caller: call.caller), folder = Self.folder(of: record)
        // The newest of each kind speaks for it; what every recording gets by itself is no export somebody asked for.
        json["preview_status"] = jobs.first { $0.kind == .preview }.map { .string($0.state.rawValue) }
        json["export_status"] = jobs.first { $0.kind == .export && $0.dedupeKey == nil }.map { .string($0.state.rawValue) }
        json["jobs"] = .array(jobs.map { Wire.job($0, signature, call.now) })
        if jobs.contains(where: { $0.kind == .preview && ($0.state == .ready || $0.state == .processing) }), let index = try await file(folder + "/preview/index.json") {
            json["preview"] = SignedPlaylist.sign(index, key: folder + "/preview/index.json", signature, now: call.now)
        }
        if jobs.contains(where: { $0.kind == .thumbnail && $0.state == .ready }) { json["thumbnail_url"] = .string(signature.path(for: folder + "/thumbnail.jpg", now: call.now)) }
        return .json(.object(json))
    }
    private func description(_ call: RouteCall) async throws -> (RecordingRecord, JSONObject) {
        let record = try await service.recording(RecordingID(call.parameter("id")), caller: call.caller)
        var json = json(record, call.now)
        if record.status.state == .ready, let metadata = try await file(Self.folder(of: record) + "/metadata.json") { json["metadata"] = metadata }
        return (record, json)
    }
    private func delete(_ call: RouteCall) async throws -> HTTPResponse {
        let removal = try await service.deleteRecording(RecordingID(call.parameter("id")), caller: call.caller)
        let removed = JSON.compact([
            ("objects", .integer(Int64(removal.objects))), ("bytes", .integer(removal.bytes)), ("bucket_objects", .int(removal.bucketObjects.map { Int64($0) })),
            ("rows", .integer(Int64(removal.rows))),
        ])
        return .json(.compact([("ok", true), ("removed", removed), ("pending", removal.isPending ? true : nil)]), status: removal.isPending ? 202 : 200)
    }
    private func list(_ call: RouteCall) async throws -> HTTPResponse {
        let room = (call.request.query("roomId") ?? call.request.query("room_id")).map { RoomID($0) } ?? call.caller.room
        let records = try await service.recordings(room: room, caller: call.caller)
        return .json(["recordings": .array(records.map { .object(json($0, call.now)) })])
    }

    private func json(_ record: RecordingRecord, _ now: WallTime) -> JSONObject {
        let status = record.status
        let folder = Self.folder(of: record)
        let isReady = status.state == .ready && files != nil
        let value = JSON.compact([
            ("recording_id", .string(status.recordingID.rawValue)), ("room_id", .string(status.roomID.rawValue)), ("title", .string(record.title)),
            ("state", .string(status.state.rawValue)), ("status", .string(status.state.rawValue)), ("reason", .text(status.reason)),
            ("started_at", .string(record.startedAt.rfc3339)), ("stopped_at", .text(record.stoppedAt.map(\.rfc3339))),
            ("duration", .real(status.duration)), ("size", .int(status.size)), ("output_path", .text(status.outputPath)), ("recorder", .string(record.recorder.rawValue)),
            ("policy", (record.policy ?? RecordingPolicy()).json), ("delete_after", .text(record.deleteAfter?.rfc3339)),
            ("excluded", status.leftOut.isEmpty ? nil : .array(status.leftOut.sorted().map { .string($0.rawValue) })),
            ("tracks", .array(record.tracks.map { track($0, now) })),
            ("metadata_url", isReady ? .string(signature.path(for: folder + "/metadata.json", now: now)) : nil),
            ("timeline_url", isReady ? .string(signature.path(for: folder + "/timeline.json", now: now)) : nil),
        ])
        return value.object ?? JSONObject()
    }
    private func track(_ track: RecordedTrack, _ now: WallTime) -> JSON {
        [
            "track_id": .string(track.trackID.rawValue), "peer_id": .string(track.participantID.rawValue), "name": .string(track.name), "kind": .string(track.kind.rawValue),
            "source": .string(track.source.rawValue), "codec": .string(track.codec), "start": .number(track.start), "duration": .number(track.duration),
            "url": .string(signature.path(for: track.key, now: now)),
        ]
    }
    private static func folder(of record: RecordingRecord) -> String {
        "rooms/\(record.status.roomID.rawValue)/\(record.status.recordingID.rawValue)"
    }
    /// A JSON document beside the files; nil where there is none to read.
    private func file(_ key: String) async throws -> JSON? {
        guard let (folder, disk) = files else { return nil }
        let bytes = try await disk.run { () throws(Failure) -> [UInt8]? in
            guard let file = folder.open(key), file.size <= Limits.documentBytes else { return nil }
            return file.read(at: 0, count: Int(file.size))
        }
        guard let bytes, let json = try? JSONParser.parse(bytes), case .object = json else { return nil }
        return json
    }
}
