// HTTP requests and responses as values (RFC 9110), before and after the wire.
package import Primitives

package enum HTTPMethod: String, Sendable, Hashable {
    case get = "GET", head = "HEAD", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE", options = "OPTIONS"
    /// RFC 9110 section 9.2.1.
    var isSafe: Bool { self == .get || self == .head || self == .options }
}

package struct HTTPRequest: Sendable {
    package var method: HTTPMethod
    /// Percent-decoded and without dot segments.
    package var path: String
    /// Decoded, in order.
    package var query: [(name: String, value: String)]
    /// By lower-case name; only those the gateway reads.
    package var headers: [String: String]
    package var body: [UInt8]
    /// Whose connection it is; the port is 0.
    package var remote: SocketAddress
    package var isSecure: Bool

    package init(method: HTTPMethod, path: String, query: [(name: String, value: String)] = [], headers: [String: String] = [:], body: [UInt8] = [], remote: SocketAddress, isSecure: Bool) {
        self.method = method; self.path = path; self.query = query; self.headers = headers
        self.body = body; self.remote = remote; self.isSecure = isSecure
    }
    package func query(_ name: String) -> String? { query.first { $0.name == name }?.value }
    /// Splits "a=1" as the library hands it over; a missing "=" means an empty value.
    package static func queryItem(_ text: String) -> (name: String, value: String) {
        guard let equals = text.firstIndex(of: "=") else { return (text, "") }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }
}

package struct HTTPResponse: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// A part of an open file, read while it is sent.
        case file(OpenFile, Range<Int64>)
        /// Pieces asked for one after another, each when the last has left; nil ends the body and the connection. Called on the loop.
        case live(@Sendable () async -> [UInt8]?)
    }
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: Body
    /// The connection ends with this answer: what follows on it cannot be told apart.
    package var closesConnection = false

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status; self.headers = headers; self.body = .bytes(body)
    }
    /// A body of unknown length.
    package init(status: Int, headers: [(name: String, value: String)], live: @escaping @Sendable () async -> [UInt8]?) {
        self.status = status; self.headers = headers
        body = .live(live)
        closesConnection = true
    }
    package static func json(_ value: JSON, status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, headers: [("Content-Type", "application/json"), ("Cache-Control", "no-store")], body: value.bytes)
    }
    package static func text(_ value: String, status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, headers: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8"), ("Cache-Control", "no-store")], body: Array(value.utf8))
    }
    /// Nil where only its end will tell (RFC 9112 section 6.3).
    package var length: Int64? {
        switch body {
        case .bytes(let bytes): Int64(bytes.count)
        case .file(_, let range): range.upperBound - range.lowerBound
        case .live: nil
        }
    }
    package mutating func set(_ name: String, _ value: String) {
        headers.removeAll { $0.name.lowercased() == name.lowercased() }
        headers.append((name, value))
    }
    package func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }

    /// Status line and header section (RFC 9112), ready for the wire. Line ends inside values would start a new field: they become spaces.
    package func head(date: WallTime) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(Self.reason(status))\r\nDate: \(HTTPDate.format(date))\r\nServer: troupe\r\n"
        for header in headers { text += "\(header.name): \(Self.clean(header.value))\r\n" }
        if status != 204 && status != 304, let length { text += "Content-Length: \(length)\r\n" }
        if closesConnection { text += "Connection: close\r\n" }
        return Array((text + "\r\n").utf8)
    }
    private static func clean(_ value: String) -> String {
        value.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F } ? String(String.UnicodeScalarView(value.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 })) : value
    }
    static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 204: "No Content"
        case 206: "Partial Content"
        case 304: "Not Modified"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 503: "Service Unavailable"
        default: status < 500 ? "Status" : "Internal Server Error"
        }
    }
}
