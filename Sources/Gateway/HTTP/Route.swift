// The table of endpoints: what serves a request also describes it in OpenAPI.
package import Conference
package import Primitives

/// What a handler gets.
package struct RouteCall: Sendable {
    package let request: HTTPRequest
    package let parameters: [String: String]
    package let caller: Caller
    package let requestID: String
    package let now: WallTime
    /// The body's members, checked against the route's fields; empty where the route has none.
    package let body: JSONObject

    package func parameter(_ name: String) -> String { parameters[name] ?? "" }
    package func value<T>(_ field: Field<T>) throws(FieldError) -> T { try field.value(in: body) }
    package func optional<T>(_ field: Field<T>) throws(FieldError) -> T? { try field.optional(in: body) }
    /// Scheme and authority under which the client knows this node.
    package let base: String
}

package struct Route: Sendable {
    package enum Access: Sendable {
        /// No credential is looked at.
        case open
        /// A token is verified where one is sent.
        case visitor
        /// 401 without a token.
        case bearer
        /// 401 without a token, 403 with one that is not `roomAdmin` of every room.
        case administrator
    }
    package struct Answer: Sendable {
        package let status: Int
        package let description: String
        package let schema: JSON?
        package init(_ status: Int, _ description: String, _ schema: JSON? = nil) { self.status = status; self.description = description; self.schema = schema }
    }
    package struct Query: Sendable {
        package let name: String
        package let description: String
        package let isRequired: Bool
        package init(_ name: String, _ description: String, required: Bool = false) { self.name = name; self.description = description; isRequired = required }
    }
    /// What a large body may be.
    package struct LargeBody: Sendable {
        package let bytes: Int64
        /// Said once: it was answered, refused, or broke off.
        package let ended: @Sendable () -> Void
        package init(bytes: Int64, ended: @escaping @Sendable () -> Void) { self.bytes = bytes; self.ended = ended }
    }
    /// Judges the head of a request that may have a large body, before the body is read.
    package typealias Intake = @Sendable (HTTPRequest, WallTime) throws(Failure) -> LargeBody
    package typealias Handler = @Sendable (RouteCall) async throws -> HTTPResponse

    package let method: HTTPMethod
    package let template: PathTemplate
    package let summary: String
    package let tag: String
    package let access: Access
    package let query: [Query]
    package let fields: [any BodyField]
    package let answers: [Answer]
    /// Error statuses beside 400, 429 and 500, which any route may give.
    package let failures: [Int]
    /// Takes `Idempotency-Key`: a repeated request is answered with the first one's answer.
    package let isRepeatable: Bool
    /// Counts against the address's request rate.
    package let isRated: Bool
    /// nil: a body has at most `GatewayLimits.bodyBytes`, whatever it is.
    package let intake: Intake?
    package let handler: Handler

    package init(
        _ method: HTTPMethod, _ template: String, tag: String, _ summary: String, access: Access = .visitor, query: [Query] = [], fields: [any BodyField] = [],
        answers: [Answer], failures: [Int] = [], repeatable: Bool = false, rated: Bool = true, intake: Intake? = nil,
        handler: @escaping Handler
    ) {
        self.method = method; self.template = PathTemplate(template); self.summary = summary; self.tag = tag; self.access = access
        self.query = query; self.fields = fields; self.answers = answers; self.failures = failures
        isRepeatable = repeatable; isRated = rated; self.intake = intake; self.handler = handler
    }
}

package struct RouteTable: Sendable {
    package let routes: [Route]
    package init(_ routes: [Route]) { self.routes = routes }

    package enum Match: Sendable {
        case route(Route, parameters: [String: String])
        /// The path exists with other methods: 405 with `Allow`.
        case otherMethods([HTTPMethod])
        case none
    }
    /// HEAD is GET without the content (RFC 9110 section 9.3.2).
    package func match(_ method: HTTPMethod, _ path: String) -> Match {
        var others: [HTTPMethod] = []
        for route in routes {
            guard let parameters = route.template.match(path) else { continue }
            if route.method == method || route.method == .get && method == .head { return .route(route, parameters: parameters) }
            others.append(route.method)
        }
        return others.isEmpty ? .none : .otherMethods(others)
    }
}
