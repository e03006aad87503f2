// Headers every answer carries against being framed, sniffed or scripted from elsewhere, and CORS (Fetch standard).

/// Which pages may call, and what every answer says about it.
package struct OriginPolicy: Sendable {
    private let allowed: Set<String>
    private let allowsAll: Bool
    /// Allowed origins as `connect-src` names them: http and WebSocket.
    private let connectSources: String

    package init(origins: [String], publicURL: String?) {
        let all = (origins + [publicURL].compactMap { $0 }).map(Self.normal)
        allowed = Set(all)
        allowsAll = all.contains("*")
        let others = all.filter { $0 != "*" && $0.contains("://") }
        connectSources = (["'self'"] + others + others.map(Self.webSocket)).joined(separator: " ")
    }
    /// - Parameter own: scheme and authority the request came to.
    package func allows(_ origin: String, own: String) -> Bool {
        let origin = Self.normal(origin)
        return origin == Self.normal(own) || allowsAll || allowed.contains(origin)
    }
    private static func normal(_ origin: String) -> String {
        var text = origin.lowercased()
        while text.hasSuffix("/") { text.removeLast() }
        return text
    }
    static func webSocket(_ origin: String) -> String {
        origin.hasPrefix("https://") ? "wss://" + origin.dropFirst(8) : origin.hasPrefix("http://") ? "ws://" + origin.dropFirst(7) : origin
    }

    /// Adds to any answer. `own` names the node's WebSocket for browsers whose 'self' does not include it.
    package func decorate(_ response: inout HTTPResponse, origin: String?, own: String) {
        response.set("X-Content-Type-Options", "nosniff")
        response.set("Referrer-Policy", "no-referrer")
        response.set("X-Frame-Options", "DENY")
        if response.header("Content-Type")?.hasPrefix("text/html") == true { addPagePolicy(to: &response, own: own) }
        response.set("Vary", "Origin")
        guard let origin, allows(origin, own: own) else { return }
        response.set("Access-Control-Allow-Origin", origin)
        response.set("Access-Control-Expose-Headers", "X-Request-Id, ETag, Retry-After, Content-Range, Accept-Ranges, Idempotent-Replay")
        response.set("Cross-Origin-Resource-Policy", "cross-origin")
    }
    private func addPagePolicy(to response: inout HTTPResponse, own: String) {
        response.set(
            "Content-Security-Policy",
            "default-src 'self'; connect-src \(connectSources) \(Self.webSocket(own)); img-src 'self' data: blob:; media-src 'self' blob: mediastream:; "
                + "script-src 'self'; style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
        response.set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), geolocation=(), payment=()")
        response.set("Cross-Origin-Opener-Policy", "same-origin")
    }

    /// Answers a preflight (Fetch, section 3.3). An origin that may not call gets no permission, which is the answer.
    package func preflight(origin: String?, own: String, methods: [HTTPMethod]) -> HTTPResponse {
        var response = HTTPResponse(status: 204)
        let names = (methods + [.options]).map(\.rawValue).joined(separator: ", ")
        response.set("Allow", names)
        if let origin, allows(origin, own: own) {
            response.set("Access-Control-Allow-Methods", names)
            response.set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-Match, Range")
            response.set("Access-Control-Max-Age", "600")
        }
        return response
    }
}
