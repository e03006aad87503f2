// The outside of a node: HTTP and WebSocket on its control loop. Reading order: Gateway → Dispatcher → Route → a file of API/.
package import Conference
package import Contracts
package import EventLoop
package import Primitives

/// Serves API.md's HTTP endpoints, signalling, media files and the studio.
///
/// `init` checks everything that can be checked without a socket; `start` binds. Confined to `loop`, except that `start`
/// and `stop` may be called from anywhere.
package final class Gateway: @unchecked Sendable {
    package let configuration: GatewayConfiguration
    /// The endpoints, as served and as `/openapi.json` describes them.
    package let routes: RouteTable
    let loop: UVLoop
    private let service: any ConferenceService
    private let hooks: GatewayHooks
    private let authenticator: Authenticator
    private let seal: ResumeSeal
    private let origins: OriginPolicy
    private let dispatcher: Dispatcher
    private let disk: DiskThread
    private let signallingCounters = SignallingCounters()
    private var metricsState = GatewayMetrics()
    private var server: WebServer?
    private var hasStarted = false

    package init(
        configuration: GatewayConfiguration, loop: UVLoop, service: any ConferenceService, composition: any CompositionService, uploads: any UploadService, operations: any OperationsService, store: any RoomStore,
        random: any RandomSource = SystemRandom(), hooks: GatewayHooks = GatewayHooks()
    ) throws(GatewayError) {
        let keys = try APIKeyring(configuration.keys)
        try Self.check(configuration)
        self.configuration = configuration
        self.loop = loop
        self.service = service
        self.hooks = hooks
        authenticator = Authenticator(keys: keys, anonymous: configuration.anonymous)
        seal = ResumeSeal(keys: keys)
        origins = OriginPolicy(origins: configuration.origins, publicURL: configuration.publicURL)
        let disk = DiskThread(name: "gateway-files")
        self.disk = disk
        let signature = MediaSignature(keys: keys)
        let media = configuration.mediaDirectory.map { StoredFiles(root: $0) }
        let sessions = SessionRoutes(service: service, authenticator: authenticator, iceServers: ICEServers(services: configuration.iceServers), random: random)
        let recordings = RecordingRoutes(service: service, composition: composition, signature: signature, files: media.map { ($0, disk) })
        let chunks = UploadRoutes(service: uploads, ticket: UploadTicket(keys: keys), disk: disk)
        let jobs = JobRoutes(service: composition, signature: signature, loop: loop, random: random)
        var all = sessions.routes + recordings.routes + jobs.routes + chunks.routes + AdminRoutes(operations: operations, loop: loop).routes + NodeRoutes(configuration: configuration, hooks: hooks).routes
        if let media { all += MediaRoutes(signature: signature, files: media, disk: disk).routes }
        all.append(Self.openAPI(describing: all, version: configuration.version))
        routes = RouteTable(all)
        dispatcher = Dispatcher(
            table: routes, origins: origins, authenticator: authenticator, idempotency: Idempotency(store: store),
            studio: configuration.studioDirectory.map { (StoredFiles(root: $0), disk) }, configuration: configuration, loop: loop, random: random, log: hooks.log)
    }
    deinit { disk.stop() }

    private static func openAPI(describing routes: [Route], version: String) -> Route {
        let table = RouteTable(routes)
        return Route(.get, "/openapi.json", tag: "node", "This document", access: .open, answers: [.init(200, "OpenAPI 3.1", ["type": "object"])]) { call in
            .json(OpenAPI.document(table, version: version, server: call.base))
        }
    }
    private static func check(_ configuration: GatewayConfiguration) throws(GatewayError) {
        if let tls = configuration.tls { try CertificateCheck.verify(tls) } else if !configuration.bind.isLoopback { throw .plainHTTPNotOnLoopback(configuration.bind) }
        for folder in [configuration.studioDirectory, configuration.mediaDirectory].compactMap({ $0 }) {
            guard StoredFiles.isReadableFolder(folder) else { throw .directoryMissing(folder) }
        }
    }

    // MARK: Life

    /// Binds and serves.
    package func start() async throws {
        let answer = OneAnswer<Void>()
        try await withCheckedThrowingContinuation { continuation in
            answer.open(continuation)
            loop.run { [self] in
                do throws(GatewayError) {
                    try startOnLoop()
                    answer.answer(.success(()))
                } catch { answer.answer(.failure(error)) }
            }
        }
    }
    private func startOnLoop() throws(GatewayError) {
        guard !hasStarted else { throw .alreadyStarted }
        hasStarted = true
        try requireFreePort()
        LibraryLog.lead(to: hooks.log)
        let server = WebServer(bind: configuration.bind, tls: configuration.tls, limits: configuration.limits, loop: loop, disk: disk, delegate: self)
        self.server = server
        do { try server.start() } catch { self.server = nil; throw error }
    }
    /// The library reports a failed bind as nothing but a missing context: ask the kernel first.
    private func requireFreePort() throws(GatewayError) {
        guard configuration.bind.port != 0 else { return }
        do throws(NetworkError) {
            try UVNetwork(loop: loop).listen(configuration.bind) { $0.abort() }.close()
        } catch {
            if case .addressInUse(let address) = error { throw .portInUse(address) }
            throw .cannotListen(configuration.bind, error.description)
        }
    }
    /// Where it listens, once started.
    package var address: SocketAddress { configuration.bind.with(port: server?.port ?? configuration.bind.port) }

    /// Lets open requests finish for `GatewayLimits.drainTime`, closes WebSockets with 1001, frees the port.
    package func stop() async {
        guard let server else { return }
        await loop.spawn { await server.stop() }.value
        self.server = nil
        disk.stop()
    }

    // MARK: For the node

    /// Prometheus text of what the gateway counts. Call it on the loop: `GatewayHooks.metrics` is called there.
    package func metrics() -> String {
        metricsState.text(server: server?.counters ?? WebServer.Counters(), openSockets: server?.openSockets ?? 0, refused: signallingCounters.refused)
    }
    /// Path and query under which `/media/` serves a storage key for a while.
    package func signedMediaPath(_ key: String) -> String { MediaSignature(keys: authenticator.keys).path(for: key, now: loop.wall) }
}

extension Gateway: WebServerDelegate {
    func respond(to request: HTTPRequest) async -> HTTPResponse { await dispatcher.answer(request) }
    func bodyLimit(of request: HTTPRequest) throws(Failure) -> BodyLimit { try dispatcher.bodyLimit(of: request) }
    func refusal(_ failure: Failure, to request: HTTPRequest) -> HTTPResponse { dispatcher.refusal(failure, to: request) }

    func finished(_ request: HTTPRequest, status: Int, sentBytes: Int64, duration: Duration) {
        let route = dispatcher.routeName(request)
        metricsState.request(route: route, status: status, sentBytes: sentBytes, duration: duration)
        hooks.log(GatewayLogLine(status >= 500 ? .warning : .debug, "request", [
            "method": request.method.rawValue, "route": route, "status": String(status), "ms": String(duration.inMilliseconds),
        ]))
    }

    /// Signalling is at `/ws/{session_id}`, for pages of allowed origins and for clients that are no pages.
    func judgeUpgrade(_ request: HTTPRequest) -> Failure? {
        guard let room = Self.room(of: request), room.isSafe else { return Failure(404, "not_found", "WebSockets are at /ws/{session_id}") }
        guard let origin = request.headers["origin"] else { return nil }
        let addressed = (request.isSecure ? "https://" : "http://") + (request.headers["host"] ?? "")
        guard origins.allows(origin, own: dispatcher.base(of: request)) || origins.allows(origin, own: addressed) else {
            return Failure(403, "origin_not_allowed", "pages of \(origin) may not call this node; list the origin in the topology's `origins`")
        }
        return nil
    }
    func opened(_ connection: WebSocketConnection, _ request: HTTPRequest) {
        guard let room = Self.room(of: request) else { return connection.close(code: 4404, reason: "not_found") }
        let socket = SignallingSocket(connection, service: service, loop: loop, limits: configuration.limits, counters: signallingCounters, seal: seal, iceServers: ICEServers(services: configuration.iceServers))
        socket.attach(request, room: room, authenticator: authenticator)
    }
    private static let signalling = PathTemplate("/ws/{session_id}")
    private static func room(of request: HTTPRequest) -> RoomID? { signalling.match(request.path)?["session_id"].map { RoomID($0) } }
}
