// From a request to its answer: route, rate, credential, body, handler, errors.
internal import Conference
internal import Contracts
internal import EventLoop
internal import Primitives

/// Everything between the wire and the handlers. Confined to the gateway's loop.
final class Dispatcher: @unchecked Sendable {
    let table: RouteTable
    let origins: OriginPolicy
    private let authenticator: Authenticator
    private let idempotency: Idempotency
    private let studio: (StoredFiles, DiskThread)?
    private let configuration: GatewayConfiguration
    private let loop: any Loop
    private let random: any RandomSource
    private var rates: AddressRates
    private let log: @Sendable (GatewayLogLine) -> Void
    private let ownBase: String

    init(
        table: RouteTable, origins: OriginPolicy, authenticator: Authenticator, idempotency: Idempotency, studio: (StoredFiles, DiskThread)?,
        configuration: GatewayConfiguration, loop: any Loop, random: any RandomSource, log: @escaping @Sendable (GatewayLogLine) -> Void
    ) {
        self.table = table; self.origins = origins; self.authenticator = authenticator; self.idempotency = idempotency; self.studio = studio
        self.configuration = configuration; self.loop = loop; self.random = random; self.log = log
        ownBase = (configuration.tls == nil ? "http://" : "https://") + configuration.bind.description
        rates = AddressRates(rate: configuration.limits.requestsPerSecond, burst: configuration.limits.requestBurst, now: loop.now)
    }

    /// Answers always; what a handler throws becomes an error body. Runs on the loop.
    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        let requestID = random.token(16)
        let base = base(of: request)
        let match = table.match(request.method, request.path)
        var response: HTTPResponse
        do {
            if request.method == .options {
                response = origins.preflight(origin: request.headers["origin"], own: base, methods: methods(at: request.path))
            } else {
                try requireOrigin(request, base)
                response = try await serve(request, match, requestID, base)
            }
        } catch {
            response = refuse(error, requestID, routeName(request))
        }
        finish(&response, requestID: requestID, request: request, base: base)
        return response
    }
    /// What a request's body may be, by its head.
    func bodyLimit(of request: HTTPRequest) throws(Failure) -> BodyLimit {
        guard case .route(let route, _) = table.match(request.method, request.path), let intake = route.intake else {
            return BodyLimit(bytes: Int64(configuration.limits.bodyBytes), time: configuration.limits.bodyTime)
        }
        let large = try intake(request, loop.wall)
        return BodyLimit(bytes: large.bytes, time: configuration.limits.largeBodyTime, ended: large.ended)
    }
    /// What counters and logs call a request: its template, never its path, which may hold ids and tokens.
    func routeName(_ request: HTTPRequest) -> String {
        switch table.match(request.method, request.path) {
        case .route(let route, _): route.template.description
        case .otherMethods: "other_method"
        case .none: "page"
        }
    }
    /// The headers every answer carries.
    func finish(_ response: inout HTTPResponse, requestID: String, request: HTTPRequest, base: String) {
        response.set("X-Request-Id", requestID)
        origins.decorate(&response, origin: request.headers["origin"], own: base)
    }
    func refusal(_ failure: Failure, to request: HTTPRequest) -> HTTPResponse {
        let requestID = random.token(16)
        var response = failure.response(requestID: requestID)
        finish(&response, requestID: requestID, request: request, base: base(of: request))
        return response
    }

    /// The public URL where there is one; else as the client addressed us.
    func base(of request: HTTPRequest) -> String {
        if let url = configuration.publicURL { return url.hasSuffix("/") ? String(url.dropLast()) : url }
        guard let host = request.headers["host"], Self.isHost(host) else { return ownBase }
        return (request.isSecure ? "https://" : "http://") + host
    }
    /// RFC 3986 section 3.2.2, without what could end the URL it is put into.
    static func isHost(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && text.utf8.allSatisfy {
            ($0 >= 0x30 && $0 <= 0x3A) || ($0 >= 0x41 && $0 <= 0x5B) || $0 == 0x5D || ($0 >= 0x61 && $0 <= 0x7A) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F
        }
    }
    private func methods(at path: String) -> [HTTPMethod] {
        let found = table.routes.filter { $0.template.match(path) != nil }.map(\.method)
        return found.isEmpty ? [.get] : found
    }
    /// A page of a foreign origin may read what we let it read and change nothing.
    private func requireOrigin(_ request: HTTPRequest, _ base: String) throws(Failure) {
        guard let origin = request.headers["origin"], !request.method.isSafe else { return }
        let addressed = (request.isSecure ? "https://" : "http://") + (request.headers["host"] ?? "")
        guard origins.allows(origin, own: base) || origins.allows(origin, own: addressed) else {
            throw Failure(403, "origin_not_allowed", "pages of \(origin) may not call this node; list the origin in the topology's `origins`")
        }
    }

    private func serve(_ request: HTTPRequest, _ match: RouteTable.Match, _ requestID: String, _ base: String) async throws -> HTTPResponse {
        switch match {
        case .none: return try await page(request)
        case .otherMethods(let methods):
            var response = Failure(405, "method_not_allowed", "this path takes " + methods.map(\.rawValue).joined(separator: ", ")).response(requestID: requestID)
            response.set("Allow", (methods + [.options]).map(\.rawValue).joined(separator: ", "))
            return response
        case .route(let route, let parameters):
            if route.isRated, !rates.take(request.remote, now: loop.now) {
                throw Failure(429, "rate_limited", "too many requests from your address; slow down")
            }
            let call = try prepare(route, request, parameters, requestID, base)
            return try await loop.withDeadline(configuration.limits.handlerTime) { [self] in
                guard route.isRepeatable else { return try await route.handler(call) }
                return try await idempotency.answer(call, key: request.headers["idempotency-key"], authorization: request.headers["authorization"]) { try await route.handler(call) }
            }
        }
    }
    private func prepare(_ route: Route, _ request: HTTPRequest, _ parameters: [String: String], _ requestID: String, _ base: String) throws -> RouteCall {
        var caller = Caller()
        if case .open = route.access {} else { caller = try authenticator.caller(authorization: request.headers["authorization"], now: loop.wall) }
        try require(route.access, caller, hasToken: request.headers["authorization"] != nil)
        for query in route.query where query.isRequired && request.query(query.name) == nil {
            throw Failure(400, "malformed", "the query parameter `\(query.name)` is missing")
        }
        return RouteCall(request: request, parameters: parameters, caller: caller, requestID: requestID, now: loop.wall, body: try body(route, request), base: base)
    }
    private func require(_ access: Route.Access, _ caller: Caller, hasToken: Bool) throws(Failure) {
        switch access {
        case .open, .visitor: break
        case .bearer:
            guard hasToken else { throw Failure(401, "token_required", "send the token `create` or `join` gave as `Authorization: Bearer …`") }
        case .administrator:
            guard hasToken else { throw Failure(401, "token_required", "send a token with `roomAdmin`, minted with an API key, as `Authorization: Bearer …`") }
            guard caller.canAdmin, caller.room == nil else { throw Failure(403, "admin_only", "this takes a token with `roomAdmin` and without a `room`: a host administers one room") }
        }
    }
    /// Unknown members are ignored; known ones must be right. Whatever the content type says, the body is JSON.
    private func body(_ route: Route, _ request: HTTPRequest) throws -> JSONObject {
        guard !route.fields.isEmpty else { return JSONObject() }
        guard !request.body.isEmpty else {
            for field in route.fields { try field.check(JSONObject()) }
            return JSONObject()
        }
        guard case .object(let object) = try JSONParser.parse(request.body) else { throw FieldError.notAnObject }
        for field in route.fields { try field.check(object) }
        return object
    }
    private func page(_ request: HTTPRequest) async throws -> HTTPResponse {
        let candidates = request.method == .get || request.method == .head ? StudioPages.candidates(request.path) : []
        guard let (folder, disk) = studio, !candidates.isEmpty else { throw Self.notFound }
        let found = try await disk.run { () throws(Failure) -> (String, OpenFile)? in
            for key in candidates { if let file = folder.open(key) { return (key, file) } }
            return nil
        }
        guard let (key, file) = found else { throw Self.notFound }
        return FileResponse.make(file, path: key, request: request, cache: "no-cache")
    }
    private static let notFound = Failure(404, "not_found", "nothing is here; GET /openapi.json lists what is")

    private func refuse(_ error: any Error, _ requestID: String, _ route: String) -> HTTPResponse {
        let failure = Failure(any: error)
        if failure.status == 500 { log(GatewayLogLine(.error, "a request failed", ["request_id": requestID, "route": route, "error": String(describing: error)])) }
        return failure.response(requestID: requestID)
    }
}
