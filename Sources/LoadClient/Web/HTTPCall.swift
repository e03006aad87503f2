// One HTTP request and its answer.
internal import CWebSockets
internal import EventLoop

final class HTTPCall: WebConnection, @unchecked Sendable {
    enum Limits { static let pieceBytes: Int32 = 8192 }
    let answer = OneAnswer<HTTPAnswer>()
    private let body: [UInt8]?
    private let token: String?
    private var status = 0
    private var received: [UInt8] = []
    private let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: Int(SHIM_LWS_PRE) + Int(Limits.pieceBytes))

    init(body: [UInt8]?, token: String?, checksAddress: String?) {
        self.body = body
        self.token = token
        super.init(checksAddress: checksAddress)
    }
    deinit { buffer.deallocate() }
    override func failed(_ reason: String) { answer.answer(.failure(WebError(reason))) }

    override func take(_ wsi: OpaquePointer, _ reason: lws_callback_reasons, _ input: UnsafeMutableRawPointer?, _ length: Int) -> Int32 {
        switch reason {
        case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: return appendHeaders(wsi, input, length)
        case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE: return writeBody(wsi)
        case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP: status = Int(lws_http_client_http_response(wsi))
        case LWS_CALLBACK_RECEIVE_CLIENT_HTTP: return read(wsi)
        case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
            append(UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length))
        case LWS_CALLBACK_COMPLETED_CLIENT_HTTP: finish()
        // An answer whose end is the connection's.
        case LWS_CALLBACK_CLOSED_CLIENT_HTTP: if status != 0 { finish() } else { failed("the node closed the connection without an answer") }
        default: break
        }
        return 0
    }
    private func finish() { answer.answer(.success(HTTPAnswer(status: status, body: received))) }

    private func appendHeaders(_ wsi: OpaquePointer, _ input: UnsafeMutableRawPointer?, _ length: Int) -> Int32 {
        guard let cursor = input?.assumingMemoryBound(to: UnsafeMutablePointer<UInt8>?.self), let start = cursor.pointee else { return -1 }
        let end = start + length
        var headers = [("accept:", "application/json")]
        if let token { headers.append(("authorization:", "Bearer " + token)) }
        if let body { headers += [("content-type:", "application/json"), ("content-length:", String(body.count))] }
        for (name, value) in headers where lws_add_http_header_by_name(wsi, name, value, Int32(value.utf8.count), cursor, end) != 0 { return -1 }
        if body != nil {
            lws_client_http_body_pending(wsi, 1)
            lws_callback_on_writable(wsi)
        }
        return 0
    }
    private func writeBody(_ wsi: OpaquePointer) -> Int32 {
        guard let body else { return 0 }
        lws_client_http_body_pending(wsi, 0)
        return Self.write(wsi, body, LWS_WRITE_HTTP_FINAL) ? 0 : -1
    }
    /// The pieces come back through `RECEIVE_CLIENT_HTTP_READ`, and the answer's end may too, before this returns.
    private func read(_ wsi: OpaquePointer) -> Int32 {
        var place: UnsafeMutablePointer<CChar>? = buffer + Int(SHIM_LWS_PRE), room = Limits.pieceBytes
        return lws_http_client_read(wsi, &place, &room) < 0 ? -1 : 0
    }
    private func append(_ piece: UnsafeRawBufferPointer) {
        guard received.count + piece.count <= WebClient.Limits.answerBytes else { return failed("the answer is longer than \(WebClient.Limits.answerBytes) bytes") }
        received += piece
    }
}
