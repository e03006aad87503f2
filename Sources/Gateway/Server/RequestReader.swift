// From the library's parsed headers to an `HTTPRequest` and what is known of its body.
internal import CWebSockets
internal import Primitives

/// Reads one request off a connection, inside the callbacks in which the library still holds its headers.
struct RequestReader {
    /// How the body ends (RFC 9112 section 6).
    enum BodyLength: Equatable {
        case none
        /// Announced; for POST also zero, of which the library tells by callback.
        case announced(Int64)
        /// A method that may have a body, without a length: none is taken, and the connection ends with the answer.
        case unannounced
        /// `Transfer-Encoding`, which the library does not decode for requests.
        case chunked
        case malformed
    }
    /// Headers handlers read: the library's token, and the name it goes by.
    private static let tokens: [(lws_token_indexes, String)] = [
        (WSI_TOKEN_HOST, "host"), (WSI_TOKEN_ORIGIN, "origin"), (WSI_TOKEN_HTTP_AUTHORIZATION, "authorization"), (WSI_TOKEN_HTTP_CONTENT_TYPE, "content-type"),
        (WSI_TOKEN_HTTP_CONTENT_LENGTH, "content-length"), (WSI_TOKEN_HTTP_TRANSFER_ENCODING, "transfer-encoding"), (WSI_TOKEN_HTTP_RANGE, "range"),
        (WSI_TOKEN_HTTP_IF_RANGE, "if-range"), (WSI_TOKEN_HTTP_IF_MATCH, "if-match"), (WSI_TOKEN_HTTP_IF_NONE_MATCH, "if-none-match"), (WSI_TOKEN_HTTP_IF_MODIFIED_SINCE, "if-modified-since"),
        (WSI_TOKEN_UPGRADE, "upgrade"), (WSI_TOKEN_CONNECTION, "connection"), (WSI_TOKEN_HTTP, ":version"), (WSI_TOKEN_HTTP_AC_REQUEST_HEADERS, "access-control-request-headers"),
    ]
    private static let customNames = ["idempotency-key"]
    private let wsi: OpaquePointer

    init(_ wsi: OpaquePointer) { self.wsi = wsi }

    /// nil: a method that is none of ours.
    func request() -> (HTTPRequest, BodyLength)? {
        var uri: UnsafeMutablePointer<CChar>?
        var length: Int32 = 0
        guard let method = method(lws_http_get_uri_and_method(wsi, &uri, &length)), let uri else { return nil }
        let path = String(decoding: UnsafeRawBufferPointer(start: uri, count: Int(max(0, length))), as: UTF8.self)
        var headers: [String: String] = [:]
        for (token, name) in Self.tokens { headers[name] = header(token) }
        for name in Self.customNames { headers[name] = customHeader(name) }
        let request = HTTPRequest(method: method, path: path, query: query(), headers: headers, remote: remote(), isSecure: lws_is_ssl(wsi) != 0)
        return (request, Self.bodyLength(method, headers))
    }
    /// RFC 9112 section 9.3: whether the client wants the connection to end with this answer.
    static func asksToClose(_ headers: [String: String]) -> Bool {
        let options = (headers["connection"] ?? "").lowercased().split(separator: ",").map { $0.filter { $0 != " " } }
        return options.contains("close") || headers[":version"] != "HTTP/1.1" && !options.contains("keep-alive")
    }
    static func bodyLength(_ method: HTTPMethod, _ headers: [String: String]) -> BodyLength {
        if headers["transfer-encoding"] != nil { return .chunked }
        guard let text = headers["content-length"] else { return method == .post || method == .put || method == .patch ? .unannounced : .none }
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let length = Int64(text) else { return .malformed }
        return length == 0 && method != .post ? .none : .announced(length)
    }

    private func method(_ number: Int32) -> HTTPMethod? {
        switch number {
        case Int32(LWSHUMETH_GET): .get
        case Int32(LWSHUMETH_POST): .post
        case Int32(LWSHUMETH_OPTIONS): .options
        case Int32(LWSHUMETH_PUT): .put
        case Int32(LWSHUMETH_PATCH): .patch
        case Int32(LWSHUMETH_DELETE): .delete
        case Int32(LWSHUMETH_HEAD): .head
        default: nil
        }
    }
    private func header(_ token: lws_token_indexes) -> String? {
        let length = lws_hdr_total_length(wsi, token)
        guard length > 0 else { return nil }
        return text(capacity: length) { lws_hdr_copy(wsi, $0, $1, token) }
    }
    /// Headers the library has no token for; it keeps their names with the colon.
    private func customHeader(_ name: String) -> String? {
        let key = name + ":"
        let length = lws_hdr_custom_length(wsi, key, Int32(key.utf8.count))
        guard length > 0 else { return nil }
        return text(capacity: length) { lws_hdr_custom_copy(wsi, $0, $1, key, Int32(key.utf8.count)) }
    }
    private func query() -> [(name: String, value: String)] {
        var items: [(name: String, value: String)] = []
        var index: Int32 = 0
        while true {
            let length = lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, index)
            guard length > 0, let item = text(capacity: length, { lws_hdr_copy_fragment(wsi, $0, $1, WSI_TOKEN_HTTP_URI_ARGS, index) }) else { return items }
            items.append(HTTPRequest.queryItem(item))
            index += 1
        }
    }
    /// Calls `fill` with a buffer of `capacity` and room for its end; trims space around the value.
    private func text(capacity: Int32, _ fill: (UnsafeMutablePointer<CChar>, Int32) -> Int32) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(capacity) + 2)
        let room = Int32(buffer.count)
        let count = buffer.withUnsafeMutableBufferPointer { fill($0.baseAddress!, room) }
        guard count >= 0, Int(count) < buffer.count else { return nil }
        var bytes = buffer[..<Int(count)].map { UInt8(bitPattern: $0) }
        if let end = bytes.firstIndex(of: 0) { bytes.removeSubrange(end...) }
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
        let start = bytes.firstIndex { $0 != 0x20 && $0 != 0x09 } ?? bytes.endIndex
        return String(decoding: bytes[start...], as: UTF8.self)
    }
    private func remote() -> SocketAddress {
        var buffer = [CChar](repeating: 0, count: 64)
        let name = buffer.withUnsafeMutableBufferPointer { lws_get_peer_simple(wsi, $0.baseAddress!, $0.count) }
        let host = name.map { String(cString: $0) } ?? ""
        return SocketAddress(host: host, port: 0) ?? SocketAddress(ipv4: 0, port: 0)
    }
}
