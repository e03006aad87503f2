// libwebsockets 4.1 as a client on the load client's one loop: HTTPS requests and WebSockets.
internal import CWebSockets
internal import EventLoop
internal import Glibc
internal import Primitives

struct WebError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Whom to believe.
struct Trust: Sendable {
    /// A PEM file with the authority's certificate; nil: the system's authorities.
    var authority: String?
    /// Believe every certificate.
    var insecure = false
}

struct HTTPAnswer: Sendable {
    var status: Int
    var body: [UInt8]
}

/// Confined to its loop. Connections live as long as the client: the library may call back late, and a client opens few.
final class WebClient: @unchecked Sendable {
    enum Limits {
        static let answerTime = Duration.seconds(15)
        static let answerBytes = 4 << 20
        static let closeTurn = Duration.milliseconds(20)
        static let closeTurns = 50
        static let descriptors: UInt32 = 4096
        static let bufferBytes: UInt32 = 16_384
    }
    /// Callbacks whose `user` is a connection's; for others it may be anything, such as a TLS context.
    private static let ofConnections = Set([
        LWS_CALLBACK_CLIENT_CONNECTION_ERROR, LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER, LWS_CALLBACK_CLIENT_HTTP_WRITEABLE, LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP,
        LWS_CALLBACK_RECEIVE_CLIENT_HTTP, LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ, LWS_CALLBACK_COMPLETED_CLIENT_HTTP, LWS_CALLBACK_CLOSED_CLIENT_HTTP,
        LWS_CALLBACK_CLIENT_ESTABLISHED, LWS_CALLBACK_CLIENT_RECEIVE, LWS_CALLBACK_CLIENT_WRITEABLE, LWS_CALLBACK_WS_PEER_INITIATED_CLOSE, LWS_CALLBACK_CLIENT_CLOSED,
    ].map(\.rawValue))
    let loop: UVLoop
    let trust: Trust
    private let context: UnsafeMutablePointer<OpaquePointer?>
    private let protocols: UnsafeMutablePointer<lws_protocols>
    private var strings: [UnsafeMutablePointer<CChar>] = []
    private var connections: [WebConnection] = []

    init(loop: UVLoop, trust: Trust) throws(WebError) {
        self.loop = loop
        self.trust = trust
        context = .allocate(capacity: 1)
        context.initialize(to: nil)
        protocols = .allocate(capacity: 2)
        protocols.initialize(repeating: lws_protocols(), count: 2)
        let name = keep("troupe-load")
        protocols[0].name = UnsafePointer(name)
        protocols[0].callback = { wsi, reason, user, input, length in
            guard let wsi, let user, WebClient.ofConnections.contains(reason.rawValue) else { return 0 }
            return Unmanaged<WebConnection>.fromOpaque(user).takeUnretainedValue().handle(wsi, reason, input, length)
        }
        protocols[0].rx_buffer_size = Int(Limits.bufferBytes)
        try createContext()
    }
    deinit {
        for text in strings { text.deallocate() }
        protocols.deallocate()
        context.deallocate()
    }
    private func createContext() throws(WebError) {
        lws_set_log_level(0, nil)
        var info = lws_context_creation_info()
        info.port = -1   // CONTEXT_PORT_NO_LISTEN
        info.protocols = UnsafePointer(protocols)
        info.gid = -1
        info.uid = -1
        info.options = UInt64(LWS_SERVER_OPTION_LIBUV) | UInt64(LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN) | UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT)
        info.fd_limit_per_thread = Limits.descriptors
        info.pt_serv_buf_size = Limits.bufferBytes
        info.timeout_secs = 15
        info.pcontext = context
        if let authority = trust.authority {
            guard access(authority, R_OK) == 0 else { throw WebError("cannot read the CA certificate \(authority): \(String(cString: strerror(errno)))") }
            info.client_ssl_ca_filepath = UnsafePointer(keep(authority))
        }
        var foreign: UnsafeMutableRawPointer? = UnsafeMutableRawPointer(loop.uv)
        context.pointee = withUnsafeMutablePointer(to: &foreign) { loops -> OpaquePointer? in
            info.foreign_loops = loops
            return lws_create_context(&info)
        }
        guard context.pointee != nil else { throw WebError("the WebSocket library does not start\(trust.authority.map { "; is \($0) a PEM certificate?" } ?? "")") }
    }
    /// A C string that lives as long as the client.
    func keep(_ text: String) -> UnsafeMutablePointer<CChar> {
        let bytes = Array(text.utf8CString)
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        copy.initialize(from: bytes, count: bytes.count)
        strings.append(copy)
        return copy
    }

    /// One request on a connection of its own.
    func request(_ method: String, _ url: NodeURL, _ path: String, body: [UInt8]? = nil, token: String? = nil) async throws -> HTTPAnswer {
        let call = HTTPCall(body: body, token: token, checksAddress: checksAddress(url) ? url.host : nil)
        return try await loop.withDeadline(Limits.answerTime) {
            try await withCheckedThrowingContinuation { continuation in
                call.answer.open(continuation)
                if !self.connect(call, url, path, method: method) { call.answer.answer(.failure(WebError("cannot connect to \(url)"))) }
            }
        }
    }
    /// An open WebSocket. `onMessage` and `onClosed` run on the loop.
    func openSocket(_ url: NodeURL, _ path: String, within time: Duration = Limits.answerTime, onMessage: @escaping ([UInt8]) -> Void, onClosed: @escaping (String) -> Void) async throws -> SignalSocket {
        let socket = SignalSocket(checksAddress: checksAddress(url) ? url.host : nil, onMessage: onMessage, onClosed: onClosed)
        do {
            try await loop.withDeadline(time) {
                try await withCheckedThrowingContinuation { continuation in
                    socket.opened.open(continuation)
                    if !self.connect(socket, url, path, method: nil) { socket.opened.answer(.failure(WebError("cannot connect to \(url)"))) }
                }
            }
        } catch {
            socket.abandon()
            throw error
        }
        return socket
    }
    private func checksAddress(_ url: NodeURL) -> Bool { url.isSecure && url.isNumeric && !trust.insecure }

    private func connect(_ connection: WebConnection, _ url: NodeURL, _ path: String, method: String?) -> Bool {
        connections.append(connection)
        var flags = 0
        if url.isSecure {
            flags = Int(LCCSCF_USE_SSL.rawValue)
            // The library compares names only; a numeric address is compared by the connection before it sends anything.
            if url.isNumeric || trust.insecure { flags |= Int(LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK.rawValue) }
            if trust.insecure { flags |= Int(LCCSCF_ALLOW_SELFSIGNED.rawValue) | Int(LCCSCF_ALLOW_INSECURE.rawValue) | Int(LCCSCF_ALLOW_EXPIRED.rawValue) }
        }
        var info = lws_client_connect_info()
        info.context = context.pointee
        info.address = UnsafePointer(keep(url.host))
        info.port = Int32(url.port)
        info.host = UnsafePointer(keep("\(url.host.contains(":") ? "[\(url.host)]" : url.host):\(url.port)"))
        info.path = UnsafePointer(keep(path))
        info.method = method.map { UnsafePointer(keep($0)) }
        info.alpn = UnsafePointer(keep("http/1.1"))
        info.ssl_connection = Int32(flags)
        // Without a name of ours the connection counts as unbound, and the library swallows the bodies of answers.
        info.local_protocol_name = protocols[0].name
        info.userdata = Unmanaged.passUnretained(connection).toOpaque()
        return lws_client_connect_via_info(&info) != nil
    }

    /// Two phases with a foreign loop in 4.1.6: the first call closes handles over some turns, the second frees.
    func close() async {
        if let first = context.pointee { lws_context_destroy(first) }
        for turn in 1...Limits.closeTurns where context.pointee != nil {
            try? await loop.sleep(for: Limits.closeTurn)
            if turn % 5 == 0, let again = context.pointee { lws_context_destroy(again) }
        }
    }
}

/// What the library calls back for one connection.
class WebConnection: @unchecked Sendable {
    private let checksAddress: String?
    init(checksAddress: String?) { self.checksAddress = checksAddress }

    final func handle(_ wsi: OpaquePointer, _ reason: lws_callback_reasons, _ input: UnsafeMutableRawPointer?, _ length: Int) -> Int32 {
        if reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER, let address = checksAddress, shim_peer_certificate_names(wsi, address) == 0 {
            failed("the certificate is not for \(address)")
            return -1
        }
        if reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR {
            failed(input.map { String(decoding: UnsafeRawBufferPointer(start: $0, count: length), as: UTF8.self) } ?? "no connection")
            return 0
        }
        return take(wsi, reason, input, length)
    }
    func take(_ wsi: OpaquePointer, _ reason: lws_callback_reasons, _ input: UnsafeMutableRawPointer?, _ length: Int) -> Int32 { 0 }
    func failed(_ reason: String) {}

    static func write(_ wsi: OpaquePointer, _ bytes: [UInt8], _ kind: lws_write_protocol) -> Bool {
        let margin = Int(SHIM_LWS_PRE)
        var buffer = [UInt8](repeating: 0, count: margin) + bytes
        return buffer.withUnsafeMutableBufferPointer { lws_write(wsi, $0.baseAddress! + margin, bytes.count, kind) >= 0 }
    }
}
