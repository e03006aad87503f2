// libwebsockets 4.1 on the control loop: one context, one listener, HTTP/1.1 and WebSocket.
internal import CWebSockets
internal import EventLoop
internal import Glibc
internal import Primitives

/// Who answers what arrives. Called on the loop.
protocol WebServerDelegate: AnyObject, Sendable {
    func respond(to request: HTTPRequest) async -> HTTPResponse
    /// Asked once the head is here. What it throws is the answer.
    func bodyLimit(of request: HTTPRequest) throws(Failure) -> BodyLimit
    func refusal(_ failure: Failure, to request: HTTPRequest) -> HTTPResponse
    /// nil: the upgrade may go on.
    func judgeUpgrade(_ request: HTTPRequest) -> Failure?
    func opened(_ connection: WebSocketConnection, _ request: HTTPRequest)
    func finished(_ request: HTTPRequest, status: Int, sentBytes: Int64, duration: Duration)
}

/// What a request's body may be.
struct BodyLimit: Sendable {
    var bytes: Int64
    /// To send it.
    var time: Duration
    /// Of a large one, which counts against `GatewayLimits.largeBodies`: it stays in memory from its first byte to its answer, and this is said then.
    var ended: (@Sendable () -> Void)?
}

/// Confined to its loop. The library calls back with a connection handle (`wsi`); what we know of it stands in dictionaries
/// under that handle, so that no pointer of ours lies in the library's memory.
final class WebServer: @unchecked Sendable {
    enum Limits {
        static let libraryTimeoutSeconds: UInt32 = 20        // the library's bound on handshakes, headers, and pauses in a body
        static let closeTurn = Duration.milliseconds(20)     // between two looks at a context being destroyed
        static let closeTurns = 100
    }
    struct Counters {
        var httpConnectionsLost = 0
        var webSocketsOpened = 0
        var webSocketMessagesIn = 0
        var webSocketMessagesOut = 0
        var upgradesRefused = 0
        var unreadableRequests = 0
        var largeBodiesRefused = 0
    }
    let loop: UVLoop
    let limits: GatewayLimits
    let disk: DiskThread
    unowned let delegate: any WebServerDelegate
    var counters = Counters()
    private(set) var isStopping = false
    /// Bytes of large bodies under way.
    private(set) var largeBytes: Int64 = 0
    private(set) var port: UInt16 = 0
    private var exchanges: [OpaquePointer: HTTPExchange] = [:]
    private var sockets: [OpaquePointer: WebSocketConnection] = [:]
    private var admitted: [OpaquePointer: HTTPRequest] = [:]
    private var ending: Set<OpaquePointer> = []
    private let context: UnsafeMutablePointer<OpaquePointer?>
    private let settings: WebServerSettings

    init(bind: SocketAddress, tls: TLSFiles?, limits: GatewayLimits, loop: UVLoop, disk: DiskThread, delegate: any WebServerDelegate) {
        self.loop = loop
        self.limits = limits
        self.disk = disk
        self.delegate = delegate
        context = .allocate(capacity: 1)
        context.initialize(to: nil)
        settings = WebServerSettings(bind: bind, tls: tls, limits: limits)
    }
    deinit { context.deallocate() }

    /// Opens the listener. On the loop (or before it runs).
    func start() throws(GatewayError) {
        var info = settings.info(loop: loop)
        info.user = Unmanaged.passUnretained(self).toOpaque()
        info.pcontext = context
        var foreign: UnsafeMutableRawPointer? = UnsafeMutableRawPointer(loop.uv)
        context.pointee = withUnsafeMutablePointer(to: &foreign) { loops -> OpaquePointer? in
            info.foreign_loops = loops
            return lws_create_context(&info)
        }
        guard let created = context.pointee else { throw .libraryFailed("no context for \(settings.bind)") }
        guard let host = lws_get_vhost_by_name(created, WebServerSettings.hostName) else { throw .libraryFailed("no listener on \(settings.bind)") }
        port = UInt16(clamping: lws_get_vhost_listen_port(host))
    }

    /// Lets open requests finish for a while, closes WebSockets with 1001, then takes the library down.
    func stop() async {
        guard context.pointee != nil, !isStopping else { return }
        isStopping = true
        for socket in sockets.values { socket.close(code: 1001, reason: "shutdown") }
        let deadline = loop.now + limits.drainTime
        while !(exchanges.isEmpty && sockets.isEmpty), loop.now < deadline { try? await loop.sleep(for: Limits.closeTurn) }
        await destroyContext()
        for exchange in exchanges.values { exchange.abandon() }
        for socket in sockets.values { socket.ended() }
        exchanges = [:]
        sockets = [:]
    }
    /// Two phases with a foreign loop in 4.1.6: the first call closes every handle, which takes the loop some turns; the
    /// second frees. The library clears our pointer when it is done; a call after that would be a use after free.
    private func destroyContext() async {
        let wakeup = WakeupDescriptor(of: loop)
        if let first = context.pointee { lws_context_destroy(first) }
        wakeup?.hold()
        for turn in 1...Limits.closeTurns where context.pointee != nil {
            try? await loop.sleep(for: Limits.closeTurn)
            if turn % 5 == 0, let again = context.pointee { lws_context_destroy(again) }
        }
    }
    var isIdle: Bool { exchanges.isEmpty && sockets.isEmpty }
    var openSockets: Int { sockets.count }

    // MARK: For exchanges and connections

    /// Room for a large body, as long as it was announced; false where too many are under way.
    func takeLarge(_ bytes: Int64) -> Bool {
        guard largeBytes + bytes <= limits.largeBodies else {
            counters.largeBodiesRefused += 1
            return false
        }
        largeBytes += bytes
        return true
    }
    func giveBackLarge(_ bytes: Int64) { largeBytes -= bytes }
    /// Cuts a connection at the library's next turn, without waiting for what it still has to send.
    func kill(_ wsi: OpaquePointer) {
        guard let context = context.pointee else { return }
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC)
        // The library's timers are looked at after socket events only: cause one.
        lws_cancel_service(context)
    }
    func finished(_ exchange: HTTPExchange, _ wsi: OpaquePointer) {
        exchanges[wsi] = nil
        reported(exchange)
    }
    func reported(_ exchange: HTTPExchange) {
        delegate.finished(exchange.request, status: exchange.status, sentBytes: exchange.sentBytes, duration: exchange.duration)
    }
    func lost(_ exchange: HTTPExchange) { counters.httpConnectionsLost += 1 }
    /// Ends a connection in order at its next turn, from outside the library's callbacks.
    func closeSoon(_ wsi: OpaquePointer) {
        ending.insert(wsi)
        lws_callback_on_writable(wsi)
    }
    /// Gives `bytes` to the socket; what it does not take at once the library keeps.
    static func write(_ wsi: OpaquePointer, _ bytes: ArraySlice<UInt8>, _ kind: lws_write_protocol) -> Bool {
        let margin = Int(SHIM_LWS_PRE)
        var buffer = [UInt8](unsafeUninitializedCapacity: margin + bytes.count) { buffer, count in
            buffer.baseAddress!.initialize(repeating: 0, count: margin)
            bytes.withUnsafeBufferPointer { source in
                if let base = source.baseAddress { (buffer.baseAddress! + margin).initialize(from: base, count: source.count) }
            }
            count = margin + bytes.count
        }
        return buffer.withUnsafeMutableBufferPointer { lws_write(wsi, $0.baseAddress! + margin, bytes.count, kind) >= 0 }
    }

    // MARK: Callbacks

    /// - Returns: what the library expects: 0 goes on, non-zero ends the connection.
    func handle(_ wsi: OpaquePointer, _ reason: lws_callback_reasons, _ input: UnsafeMutableRawPointer?, _ length: Int) -> Int32 {
        switch reason {
        case LWS_CALLBACK_HTTP: return begin(wsi)
        case LWS_CALLBACK_HTTP_BODY:
            exchanges[wsi]?.receive(UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length))
            return 0
        case LWS_CALLBACK_HTTP_BODY_COMPLETION: return exchanges[wsi]?.bodyComplete() ?? -1
        case LWS_CALLBACK_HTTP_WRITEABLE: return exchanges[wsi]?.writable() ?? (ending.contains(wsi) ? -1 : 0)
        case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return confirmUpgrade(wsi)
        case LWS_CALLBACK_ESTABLISHED: return established(wsi)
        case LWS_CALLBACK_RECEIVE:
            sockets[wsi]?.receive(UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length))
            return 0
        case LWS_CALLBACK_SERVER_WRITEABLE: return sockets[wsi]?.writable() ?? -1
        case LWS_CALLBACK_CLOSED_HTTP, LWS_CALLBACK_CLOSED, LWS_CALLBACK_WSI_DESTROY:
            forget(wsi)
            return 0
        // CONNECT and what is no HTTP at all: the library would hand over raw bytes.
        case LWS_CALLBACK_RAW_ADOPT, LWS_CALLBACK_RAW_RX, LWS_CALLBACK_RAW_CONNECTED: return -1
        default: return 0
        }
    }
    private func begin(_ wsi: OpaquePointer) -> Int32 {
        guard exchanges[wsi] == nil, let (request, length) = RequestReader(wsi).request() else {
            counters.unreadableRequests += 1
            return -1
        }
        let exchange = HTTPExchange(request, wsi: wsi, server: self)
        exchanges[wsi] = exchange
        exchange.begin(length)
        return 0
    }
    /// The one place to refuse a WebSocket with an HTTP answer. After another `Upgrade` than ours the library has already
    /// answered and dropped the headers: end the connection without looking at anything.
    private func confirmUpgrade(_ wsi: OpaquePointer) -> Int32 {
        guard let (request, _) = RequestReader(wsi).request(), request.headers["upgrade"]?.lowercased() == "websocket" else {
            counters.unreadableRequests += 1
            return -1
        }
        let failure = isStopping ? Failure(503, "stopping", "this node is stopping; use another") : request.method != .get
            ? Failure(400, "malformed", "open a WebSocket with GET") : delegate.judgeUpgrade(request)
        guard let failure else {
            admitted[wsi] = request
            return 0
        }
        counters.upgradesRefused += 1
        var response = delegate.refusal(failure, to: request)
        response.closesConnection = true
        var bytes = response.head(date: loop.wall)
        if case .bytes(let body) = response.body { bytes += body }
        _ = Self.write(wsi, bytes[...], LWS_WRITE_HTTP_FINAL)
        return -1
    }
    private func established(_ wsi: OpaquePointer) -> Int32 {
        guard let request = admitted.removeValue(forKey: wsi) else { return -1 }
        let connection = WebSocketConnection(wsi: wsi, remote: request.remote, server: self)
        sockets[wsi] = connection
        counters.webSocketsOpened += 1
        delegate.opened(connection, request)
        return 0
    }
    private func forget(_ wsi: OpaquePointer) {
        admitted[wsi] = nil
        ending.remove(wsi)
        exchanges.removeValue(forKey: wsi)?.abandon()
        sockets.removeValue(forKey: wsi)?.ended()
    }
}
