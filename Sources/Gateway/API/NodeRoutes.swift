// What a node says about itself, and its signed media.
internal import EventLoop
internal import Primitives

struct NodeRoutes: Sendable {
    let configuration: GatewayConfiguration
    let hooks: GatewayHooks

    var routes: [Route] {
        [
            Route(.get, "/api/v1/node", tag: "node", "Which node this is", access: .open, answers: [.init(200, "This node", ResponseSchemas.node)]) { _ in .json(describe()) },
            Route(
                .get, "/api/v1/time", tag: "node", "This node's clock: pages measure theirs against it", access: .open, answers: [.init(200, "Microseconds since 1970", ResponseSchemas.time)],
                rated: false
            ) { call in .json(["time_us": .integer(call.now.microseconds), "node": .string(configuration.node.rawValue)]) },
            Route(.get, "/healthz", tag: "node", "This process is alive", access: .open, answers: [.init(200, "Alive", ResponseSchemas.done)], rated: false) { _ in .json(["ok": true]) },
            Route(
                .get, "/readyz", tag: "node", "This node takes new work", access: .open, answers: [.init(200, "It does", ResponseSchemas.done)], failures: [503], rated: false
            ) { _ in
                let readiness = await hooks.ready()
                guard readiness.isReady else { throw Failure(503, "not_ready", readiness.reason ?? "the node takes no new work; use another") }
                return .json(["ok": true])
            },
            Route(.get, "/metrics", tag: "node", "Prometheus metrics", access: .open, answers: [.init(200, "Prometheus text")], rated: false) { _ in .text(await hooks.metrics()) },
        ]
    }
    private func describe() -> JSON {
        .compact([
            ("node", .string(configuration.node.rawValue)), ("region", .text(configuration.region)), ("roles", .array(configuration.roles.map { .string($0) })),
            ("version", .string(configuration.version)), ("public_url", .text(configuration.publicURL)),
        ])
    }
}

/// `/media/{path}?exp=…&sig=…`: recorded files, for whoever was given the signed URL.
struct MediaRoutes: Sendable {
    let signature: MediaSignature
    let files: StoredFiles
    let disk: DiskThread

    var routes: [Route] {
        [
            Route(
                .get, "/media/{path...}", tag: "recordings", "A recorded file by signed URL; ranges are served", access: .open,
                query: [.init("exp", "Expiry, seconds", required: true), .init("sig", "Signature", required: true), .init("download", "1: as an attachment")],
                answers: [.init(200, "The file"), .init(206, "The range asked for")], failures: [403, 404, 410, 416, 503], rated: false, handler: get)
        ]
    }
    private func get(_ call: RouteCall) async throws -> HTTPResponse {
        let key = call.parameter("path")
        switch signature.verify(key: key, expires: call.request.query("exp"), signature: call.request.query("sig"), now: call.now) {
        case .valid: break
        case .expired: throw Failure(410, "url_expired", "this URL has expired; ask for the recording again to get a new one")
        case .invalid: throw Failure(403, "bad_signature", "this URL is not signed by this cluster; ask for the recording to get one")
        }
        let file = try await disk.run { () throws(Failure) -> OpenFile? in files.open(key) }
        guard let file else { throw Failure(404, "file_missing", "the file is gone; the recording may have been deleted") }
        if SignedPlaylist.isPlaylist(key), file.size <= SignedPlaylist.Limits.bytes { return try await playlist(file, key, call) }
        var response = FileResponse.make(file, path: key, request: call.request, cache: "private, max-age=600")
        if call.request.query("download") == "1", let name = key.split(separator: "/").last {
            response.set("Content-Disposition", "attachment; filename=\"" + name.filter { $0 != "\"" && $0 != "\\" } + "\"")
        }
        return response
    }
    /// Its segments get URLs as short-lived as its own; a player of a running recording asks for it again and again.
    private func playlist(_ file: OpenFile, _ key: String, _ call: RouteCall) async throws -> HTTPResponse {
        let bytes = try await disk.run { () throws(Failure) -> [UInt8]? in file.read(at: 0, count: Int(file.size)) }
        guard let bytes else { throw Failure(503, "disk_busy", "the playlist cannot be read; try again") }
        let text = SignedPlaylist.sign(String(decoding: bytes, as: UTF8.self), key: key, signature, now: call.now)
        return HTTPResponse(status: 200, headers: [("Content-Type", MediaType.of(path: key)), ("Cache-Control", "no-store")], body: Array(text.utf8))
    }
}
