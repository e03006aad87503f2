// How the library is set up, and the memory that must outlive its context.
internal import CWebSockets
internal import EventLoop
internal import Primitives

/// Strings and tables the library keeps pointers to. Lives as long as its server.
final class WebServerSettings: @unchecked Sendable {
    static let hostName = "troupe"
    private static let options =
        UInt64(LWS_SERVER_OPTION_LIBUV) | UInt64(LWS_SERVER_OPTION_VALIDATE_UTF8) | UInt64(LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN)
        | UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT)
    let bind: SocketAddress
    private let limits: GatewayLimits
    private let hasTLS: Bool
    private let protocols: UnsafeMutablePointer<lws_protocols>
    private let policy: UnsafeMutablePointer<lws_retry_bo_t>
    private var strings: [String: UnsafeMutablePointer<CChar>] = [:]

    init(bind: SocketAddress, tls: TLSFiles?, limits: GatewayLimits) {
        self.bind = bind
        self.limits = limits
        hasTLS = tls != nil
        protocols = .allocate(capacity: 2)
        protocols.initialize(repeating: lws_protocols(), count: 2)
        policy = .allocate(capacity: 1)
        policy.initialize(to: lws_retry_bo_t())
        keep("name", Self.hostName)
        keep("iface", bind.host)
        // HTTP/1.1 only: over h2 this release loses headers it has no token for.
        keep("alpn", "http/1.1")
        if let tls {
            keep("certificate", tls.certificate)
            keep("key", tls.privateKey)
        }
        protocols[0].name = UnsafePointer(strings["name"]!)
        protocols[0].callback = { wsi, reason, _, input, length in
            guard let wsi, let context = lws_get_context(wsi), let user = lws_context_user(context) else { return 0 }
            return Unmanaged<WebServer>.fromOpaque(user).takeUnretainedValue().handle(wsi, reason, input, length)
        }
        protocols[0].rx_buffer_size = 4096
        protocols[0].tx_packet_size = HTTPExchange.Limits.pieceBytes
        policy.pointee.secs_since_valid_ping = UInt16(clamping: Int(limits.pingInterval.inSeconds))
        policy.pointee.secs_since_valid_hangup = UInt16(clamping: Int(limits.pongTimeout.inSeconds))
    }
    deinit {
        for text in strings.values { text.deallocate() }
        protocols.deallocate()
        policy.deallocate()
    }
    private func keep(_ name: String, _ text: String) {
        let bytes = Array(text.utf8CString)
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        copy.initialize(from: bytes, count: bytes.count)
        strings[name] = copy
    }
    private func string(_ name: String) -> UnsafePointer<CChar>? { strings[name].map { UnsafePointer($0) } }

    func info(loop: UVLoop) -> lws_context_creation_info {
        var info = lws_context_creation_info()
        let isWildcard = bind.host == "0.0.0.0" || bind.host == "::"
        info.port = Int32(bind.port)
        info.iface = isWildcard ? nil : string("iface")
        info.protocols = UnsafePointer(protocols)
        info.vhost_name = string("name")
        info.gid = -1
        info.uid = -1
        info.options = Self.options | (bind.isIPv4 ? UInt64(LWS_SERVER_OPTION_DISABLE_IPV6) : 0)
        info.max_http_header_data = UInt16(clamping: limits.headerBytes)
        info.fd_limit_per_thread = UInt32(clamping: limits.connections)
        info.pt_serv_buf_size = UInt32(HTTPExchange.Limits.pieceBytes)
        info.timeout_secs = WebServer.Limits.libraryTimeoutSeconds
        info.keepalive_timeout = Int32(clamping: Int(limits.keepAlive.inSeconds))
        info.retry_and_idle_policy = UnsafePointer(policy)
        if hasTLS {
            info.ssl_cert_filepath = string("certificate")
            info.ssl_private_key_filepath = string("key")
            info.ssl_options_set = shim_lws_tls_options()
            info.alpn = string("alpn")
        }
        return info
    }
}
