// One request and its answer on a connection of the library.
internal import CWebSockets
internal import EventLoop
internal import Glibc
internal import Primitives

/// Collects the body, has the request answered, sends the answer piece by piece. Confined to the server's loop.
///
/// receiving → handling → sending (→ closing) → over. While a request is handled nothing is read from its connection: a client that
/// sends the next request early waits in the kernel (the library would otherwise spin on, or misread, what it cannot take yet).
final class HTTPExchange: @unchecked Sendable {
    enum Limits {
        static let pieceBytes = 64 * 1024            // given to the socket at once
        static let discardBytes: Int64 = 8 << 20     // of a body that is too large but read to its end, so that the 413 is seen
        static let earlyBytesTime = Duration.milliseconds(250)     // a full socket with unread bytes behind it is cut after so long
    }
    private enum Phase { case receiving, handling, sending, closing, over }
    private(set) var request: HTTPRequest
    private unowned let server: WebServer
    private var wsi: OpaquePointer?
    private var phase = Phase.receiving
    private let startedAt: Instant
    private var announcedBytes: Int64 = 0
    private var receivedBytes: Int64 = 0
    private var bodyLimit: Int64 = 0
    /// Taken of the server's room for large bodies.
    private var largeBytes: Int64 = 0
    private var largeEnded: (@Sendable () -> Void)?
    /// Set while a body is read only to be thrown away.
    private var refusal: Failure?
    private var mustClose = false
    private var timer: TimerToken?
    private var earlyTimer: TimerToken?
    private var task: Task<Void, Never>?
    private(set) var status = 0
    private var sent: Int64 = 0

    // The answer: what stands in memory, then what is still in the file or yet to happen.
    private var ready: ArraySlice<UInt8> = []
    private var file: OpenFile?
    private var fileRange: Range<Int64> = 0..<0
    private var isReading = false
    private var live: (@Sendable () async -> [UInt8]?)?

    init(_ request: HTTPRequest, wsi: OpaquePointer, server: WebServer) {
        self.request = request
        self.wsi = wsi
        self.server = server
        startedAt = server.loop.now
        mustClose = RequestReader.asksToClose(request.headers)
    }

    // MARK: Receiving

    func begin(_ length: RequestReader.BodyLength) {
        if case .announced(let count) = length { announcedBytes = count }
        switch length {
        case .none: handle()
        case .unannounced:
            mustClose = true
            handle()
        case .announced(let count):
            do throws(Failure) { try expect(count) } catch {
                forgetBody()
                guard count <= Limits.discardBytes else { return refuse(error) }
                refusal = error
                arm(server.limits.bodyTime)
            }
        case .chunked: refuse(Failure(411, "length_required", "send the body with `Content-Length`, not chunked"))
        case .malformed: refuse(Failure(400, "malformed", "`Content-Length` must be one number"))
        }
    }
    /// A body of `count` bytes begins.
    private func expect(_ count: Int64) throws(Failure) {
        let limit = try server.delegate.bodyLimit(of: request)
        largeEnded = limit.ended
        guard count <= limit.bytes else { throw Self.tooLarge(limit.bytes) }
        if limit.ended != nil {
            guard server.takeLarge(count) else { throw Failure(503, "uploads_busy", "too many chunks are under way at this node; send it again in a moment") }
            largeBytes = count
        }
        bodyLimit = limit.bytes
        request.body.reserveCapacity(Int(count))
        arm(limit.time)
    }
    private static func tooLarge(_ bytes: Int64) -> Failure { Failure(413, "too_large", "a body may have at most \(bytes) bytes") }
    func receive(_ bytes: UnsafeRawBufferPointer) {
        receivedBytes += Int64(bytes.count)
        guard phase == .receiving, refusal == nil else { return }
        guard Int64(request.body.count + bytes.count) <= bodyLimit else {
            refusal = Self.tooLarge(bodyLimit)
            request.body = []
            return
        }
        request.body.append(contentsOf: bytes)
    }
    /// - Returns: what the library's callback returns; non-zero ends the connection.
    func bodyComplete() -> Int32 {
        switch phase {
        // 4.1.6 reads a request with a body that waited behind another (pipelined, RFC 9112 section 9.3.2) wrongly: it offers the
        // head as body, and the body twice. A client must not pipeline what it may not repeat: end the connection, do nothing.
        case .receiving: guard receivedBytes == announcedBytes else { return -1 }
        case .handling, .over: return -1
        // Bytes of a next request while the socket is full: the library keeps them for later.
        case .sending, .closing: return 0
        }
        phase = .handling
        holdConnection()
        server.loop.post { self.bodyTaken() }
        return 0
    }
    /// After the library has returned, so that a second report of the same body still finds nothing done.
    private func bodyTaken() {
        guard phase == .handling, wsi != nil else { return }
        if let refusal { refuse(refusal, closing: false) } else { handle() }
    }

    // MARK: Handling

    private func handle() {
        phase = .handling
        holdConnection()
        task = server.loop.spawn { [self] in
            let response = await server.delegate.respond(to: request)
            forgetBody()
            send(response)
        }
    }
    /// Nobody needs it any more.
    private func forgetBody() {
        request.body = []
        server.giveBackLarge(largeBytes)
        largeBytes = 0
        largeEnded?()
        largeEnded = nil
    }
    /// Answers without a handler; `closing` where the rest of the connection cannot be understood.
    private func refuse(_ failure: Failure, closing: Bool = true) {
        phase = .handling
        holdConnection()
        mustClose = mustClose || closing
        send(server.delegate.refusal(failure, to: request))
    }
    private func holdConnection() {
        disarm()
        guard let wsi else { return }
        lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0)
        lws_rx_flow_control(wsi, 0)
    }

    // MARK: Sending

    private func send(_ answer: HTTPResponse) {
        guard phase == .handling, wsi != nil else { return }
        var response = answer
        response.closesConnection = response.closesConnection || mustClose || server.isStopping
        mustClose = response.closesConnection
        status = response.status
        phase = .sending
        var bytes = response.head(date: server.loop.wall)
        if request.method != .head {
            switch response.body {
            case .bytes(let body): bytes += body
            case .file(let open, let range):
                file = open
                fileRange = range
            case .live(let next): live = next
            }
        }
        ready = bytes[...]
        arm(server.limits.stalledWrite)
        if live == nil { readOn() }
        if !isReading { pump() }
    }
    /// Writes what is ready until the socket is full. Reading from the connection is held meanwhile; see `awaitWritable`.
    private func pump() {
        guard phase == .sending, let wsi else { return }
        while !ready.isEmpty, lws_partial_buffered(wsi) == 0 {
            let piece = ready.prefix(Limits.pieceBytes)
            ready = ready.dropFirst(piece.count)
            guard WebServer.write(wsi, piece, ready.isEmpty && fileRange.isEmpty && !isReading && live == nil ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) else { return kill() }
            sent += Int64(piece.count)
            arm(server.limits.stalledWrite)
        }
        if lws_partial_buffered(wsi) != 0 { return awaitWritable(wsi) }
        if ready.isEmpty { readOn() }
        if ready.isEmpty, !isReading { complete(wsi) }
    }
    /// The library reports a writable socket only while it may also read from it (it leaves both events unread while reading is
    /// held), and what it cannot take yet it reports again and again. So: read on, but not for long in the face of bytes nobody
    /// asked for.
    private func awaitWritable(_ wsi: OpaquePointer) {
        lws_rx_flow_control(wsi, 1)
        lws_callback_on_writable(wsi)
        watchEarlyBytes(after: sent)
    }
    private func watchEarlyBytes(after progress: Int64) {
        guard earlyTimer == nil else { return }
        earlyTimer = server.loop.schedule(after: Limits.earlyBytesTime) { [weak self] in
            guard let self, let wsi = self.wsi, self.phase == .sending else { return }
            self.earlyTimer = nil
            guard lws_partial_buffered(wsi) != 0 else { return }
            if self.sent == progress, Self.hasUnreadBytes(wsi) { return self.kill() }
            self.watchEarlyBytes(after: self.sent)
        }
    }
    private static func hasUnreadBytes(_ wsi: OpaquePointer) -> Bool {
        var byte: UInt8 = 0
        return recv(lws_get_socket_fd(wsi), &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) >= 0
    }
    /// - Returns: what the library's callback returns.
    func writable() -> Int32 {
        guard let wsi else { return 0 }
        if phase == .closing { return -1 }
        guard phase == .sending else { return 0 }
        if lws_partial_buffered(wsi) == 0 {
            lws_rx_flow_control(wsi, 0)
            arm(server.limits.stalledWrite)
        }
        pump()
        return 0
    }
    /// Waits for the next piece of a live body; meanwhile nothing is written that could stall.
    private func waitOn(_ next: @escaping @Sendable () async -> [UInt8]?) {
        guard !isReading else { return }
        isReading = true
        disarm()
        task = server.loop.spawn { [self] in
            let piece = await next()
            isReading = false
            guard phase == .sending, wsi != nil else { return }
            if piece == nil { live = nil }
            ready = (piece ?? [])[...]
            pump()
        }
    }
    /// Fetches the next piece of the file while the socket drains.
    private func readOn() {
        if let live { return waitOn(live) }
        guard !isReading, let file, !fileRange.isEmpty else { return }
        isReading = true
        let offset = fileRange.lowerBound
        let count = Int(min(Int64(Limits.pieceBytes), fileRange.upperBound - offset))
        let loop = server.loop
        let taken = server.disk.perform { [self] in
            let bytes = file.read(at: offset, count: count)
            loop.post { self.fetched(bytes, expected: count) }
        }
        if !taken { kill() }
    }
    private func fetched(_ bytes: [UInt8]?, expected: Int) {
        isReading = false
        guard phase == .sending, wsi != nil else { return }
        // A file that became shorter, or a disk that fails: the announced length cannot be kept, only the connection ended.
        guard let bytes, bytes.count == expected else { return kill() }
        fileRange = (fileRange.lowerBound + Int64(expected))..<fileRange.upperBound
        ready = ready.isEmpty ? bytes[...] : ready + bytes
        pump()
    }
    /// All is in the kernel: the connection serves its next request, or ends at its next turn.
    private func complete(_ wsi: OpaquePointer) {
        disarm()
        lws_rx_flow_control(wsi, 1)
        if !mustClose {
            server.finished(self, wsi)
            end()
            if lws_http_transaction_completed(wsi) == 0 { return }
            server.closeSoon(wsi)
        } else {
            phase = .closing
            server.reported(self)
            lws_callback_on_writable(wsi)
        }
    }

    // MARK: End

    /// The connection is gone, or the answer is out: nothing of the library is touched any more.
    func end() {
        // A handler that still runs has the body: it gives the room back itself.
        if phase == .receiving || task == nil { forgetBody() }
        phase = .over
        wsi = nil
        disarm()
        file = nil
        live = nil
        ready = []
    }
    /// Called when the client went away first: its handler is told to stop.
    func abandon() {
        guard phase != .over else { return }
        if phase != .closing { server.lost(self) }
        task?.cancel()
        end()
    }
    func kill() {
        guard let wsi else { return }
        server.kill(wsi)
    }
    var duration: Duration { server.loop.now - startedAt }
    var sentBytes: Int64 { sent }

    private func arm(_ delay: Duration) {
        timer?.cancel()
        timer = server.loop.schedule(after: delay) { [weak self] in self?.kill() }
    }
    private func disarm() {
        timer?.cancel()
        timer = nil
        earlyTimer?.cancel()
        earlyTimer = nil
    }
}
